"""JSON files that rigpose writes, its `--json` among them: told apart by what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from rigpose.inspection.json_kinds import KINDS, Content
from rigpose.inspection.links import Facts, description


def json_file(path: Path) -> Facts:
    """What a JSON file is, and the chain as far as it holds it.

    Raises
    ------
    RigposeError
        If it does not read, or is none of ours.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RigposeError(
            path, expected="a JSON file", found=f"one that does not read ({error})",
            remedy="Restore the file from a copy, or make it again",
        ) from None  # fmt: skip
    try:
        for kind in KINDS:
            if isinstance(said, dict) and kind.fits(said):
                return description(kind.kind, kind.facts(said), kind.chain(said))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RigposeError(
            path, expected=f"a whole {kind.kind}", found=f"another content ({type(error).__name__}: {error})",
            remedy="Restore the file from a copy, or make it again",
        ) from None  # fmt: skip
    raise RigposeError(
        path, expected="a JSON file that rigpose writes", found="another",
        remedy="The figures of most commands (--json) belong to no chain: read them as they are",
    )  # fmt: skip


def _of_points(said: Content) -> Mapping[str, Any]:
    notes = [note for image in said["images"].values() for note in image.values()]
    origins = [note["origin"] for note in notes]
    return {
        "images": len(said["images"]),
        "points": ", ".join(f"{origins.count(each)} {each}" for each in dict.fromkeys(sorted(origins))),
    }


def notes_of_points(path: Path) -> Facts:
    """Where the points of a folder's labels come from: rigpose_points.json."""
    return _by_name(path, "origins of labelled points", _of_points)


def record_of_refinement(path: Path) -> Facts:
    """What rigpose refine found and merged: rigpose_refine.json."""
    return _by_name(
        path, "record of rigpose refine",
        lambda said: {
            "images": len(said["images"]),
            "merged": sum(each["merged"] is not None for each in said["images"].values()),
        },
    )  # fmt: skip


def _by_name(path: Path, kind: str, facts: Callable[[Content], Mapping[str, Any]]) -> Facts:
    """Files that only their names tell apart."""
    from training.files import read_json

    said = read_json(path)
    try:
        return description(kind, facts(said))
    except (AttributeError, KeyError, TypeError) as error:
        raise RigposeError(
            path, expected=f"a whole {kind}", found=f"another content ({type(error).__name__}: {error})",
            remedy="Restore the file from a copy",
        ) from None  # fmt: skip
