"""Where every point comes from: `labeled-data/<folder>/rigpose_points.json`, beside CollectedData.

A point in CollectedData without a note was clicked by the project's scorer. Points that nobody has
looked at stand in this file alone, with their place, and never in CollectedData: so they never train,
in DeepLabCut neither.

    {"schema_version": 1,
     "images": {"img0001.png": {"snout": {"origin": "model", "author": "Ada", "occluded": true},
                                "tail": {"origin": "unreviewed", "at_px": [1.5, 2.0], "confidence": 0.7}}}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from training.files import read_json, write_json
from training.projects.project import LABELED_DATA, Project

NOTES_FILE = "rigpose_points.json"
SCHEMA_VERSION = 1


class Origin(str, Enum):
    """Who placed a point, and whether a person has seen it there."""

    CLICKED = "clicked"
    """By a person."""
    MODEL = "model"
    """By a network, confirmed by a person."""
    REPROJECTED = "reprojected"
    """From the other cameras' views, confirmed by a person."""
    UNREVIEWED = "unreviewed"
    """By a machine; nobody has looked at it."""


@dataclass(frozen=True, slots=True)
class PointNote:
    """What is known of one point besides its place.

    Attributes
    ----------
    origin:
        Who placed it.
    author:
        The person who clicked or confirmed it, or what made it if nobody did; empty: the scorer.
    occluded:
        Something stands before it: its place is a guess.
    at_px:
        Place (x, y) of an unreviewed point, px; None for all others, whose place is in CollectedData.
    confidence:
        Of an unreviewed point, 0..1, where known.
    """

    origin: Origin
    author: str = ""
    occluded: bool = False
    at_px: tuple[float, float] | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if (self.origin is Origin.UNREVIEWED) != (self.at_px is not None):
            raise ValueError(f"at_px {self.at_px} of a point that is {self.origin.value}")
        if self.confidence is not None and self.origin is not Origin.UNREVIEWED:
            raise ValueError(f"confidence of a point that is {self.origin.value}")
        numbers = (*(self.at_px or ()), *(() if self.confidence is None else (self.confidence,)))
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"numbers that are not finite: {numbers}")


FolderNotes = dict[str, dict[str, PointNote]]
"""Image file name -> keypoint -> note."""


def notes_path(project: Project, folder: str) -> Path:
    """Where the notes of `labeled-data/<folder>` are kept."""
    return project.root / LABELED_DATA / folder / NOTES_FILE


def read_notes(project: Project, folder: str) -> FolderNotes:
    """The notes of one folder, {} where it has none. Raises `RigposeError` for a damaged file."""
    path = notes_path(project, folder)
    if not path.exists():
        return {}
    content = read_json(path)
    if (version := content.get("schema_version")) != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        raise RigposeError(
            path, expected=f"schema_version {SCHEMA_VERSION}", found=repr(version),
            remedy="Update rigpose here" if newer else "Restore the file from a copy",
        )  # fmt: skip
    try:
        return {
            str(image): {str(name): _read(note) for name, note in points.items()}
            for image, points in content["images"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RigposeError(
            path, expected="images with notes of their points", found=f"{type(error).__name__}: {error}",
            remedy="Restore the file from a copy",
        ) from None  # fmt: skip


def write_notes(project: Project, folder: str, notes: Mapping[str, Mapping[str, PointNote]]) -> None:
    """Replace the notes of one folder, whole or not at all; images without notes are left out."""
    path = notes_path(project, folder)
    images = {
        image: {name: _written(points[name]) for name in sorted(points)}
        for image, points in sorted(notes.items())
        if points
    }
    if images or path.exists():
        write_json(path, {"schema_version": SCHEMA_VERSION, "images": images})


def _read(note: dict[str, Any]) -> PointNote:
    at_px, confidence = note.get("at_px"), note.get("confidence")
    return PointNote(
        origin=Origin(note["origin"]),
        author=str(note.get("author", "")),
        occluded=bool(note.get("occluded", False)),
        at_px=None if at_px is None else (float(at_px[0]), float(at_px[1])),
        confidence=None if confidence is None else float(confidence),
    )


def _written(note: PointNote) -> dict[str, Any]:
    content: dict[str, Any] = {"origin": note.origin.value}
    if note.author:
        content["author"] = note.author
    if note.occluded:
        content["occluded"] = True
    if note.at_px is not None:
        content["at_px"] = [float(value) for value in note.at_px]
    if note.confidence is not None:
        content["confidence"] = float(note.confidence)
    return content
