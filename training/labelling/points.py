"""One keypoint of one frame as the page and the server speak of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from training.projects.origins import Origin, PointNote

# A click is no more exact than this, and two programs that print it print the same digits.
DECIMALS = 2
AUTHOR_AT_MOST = 80


@dataclass(frozen=True, slots=True)
class Point:
    """What is known of one keypoint in one frame.

    Attributes
    ----------
    xy:
        Place in px of the image; None where there is none.
    origin:
        Who placed it; an unreviewed one is a proposal, all others with a place are labels.
    author:
        Who clicked or confirmed it; empty: the project's scorer.
    occluded:
        Something stands before it. Without a place: a person looked and it cannot be seen.
    confidence:
        Of a proposal, 0..1, where known.
    version:
        Number of the edit that made it; 0 as long as nobody changed it since the server started.
    """

    xy: tuple[float, float] | None = None
    origin: Origin = Origin.CLICKED
    author: str = ""
    occluded: bool = False
    confidence: float | None = None
    version: int = 0

    @property
    def is_label(self) -> bool:
        """Whether it belongs into CollectedData."""
        return self.xy is not None and self.origin is not Origin.UNREVIEWED

    @property
    def is_proposal(self) -> bool:
        """Whether a machine placed it and nobody has looked."""
        return self.xy is not None and self.origin is Origin.UNREVIEWED

    @property
    def is_done(self) -> bool:
        """Whether a person has nothing left to do here: it is labelled, or known to be hidden."""
        return self.is_label or (self.xy is None and self.occluded)

    def as_json(self) -> dict[str, Any]:
        """For the page and the journal."""
        x, y = self.xy if self.xy is not None else (None, None)
        return {
            "x": x, "y": y, "origin": self.origin.value, "author": self.author, "occluded": self.occluded,
            "confidence": self.confidence, "version": self.version,
        }  # fmt: skip

    def note(self) -> PointNote | None:
        """What `rigpose_points.json` says of it; None where there is nothing to say."""
        if self.is_proposal:
            return PointNote(
                self.origin, self.author, self.occluded, at_px=self.xy, confidence=self.confidence
            )
        origin = self.origin if self.is_label else Origin.CLICKED
        plain = origin is Origin.CLICKED and not self.author and not self.occluded
        if plain or not self.is_done:
            return None
        return PointNote(origin, self.author, self.occluded)


NOTHING = Point()


def from_files(xy: tuple[float, float] | None, note: PointNote | None) -> Point:
    """A point from its row in CollectedData (None where empty) and its note."""
    if note is None:
        return NOTHING if xy is None else Point(xy)
    if note.origin is Origin.UNREVIEWED:
        # A place in CollectedData that differs was given by a person in another program.
        moved = xy is not None and note.at_px is not None and math.dist(xy, note.at_px) > 1e-3
        if moved:
            return Point(xy)
        return Point(note.at_px, note.origin, note.author, note.occluded, note.confidence)
    if xy is None:
        return Point(occluded=True, author=note.author) if note.occluded else NOTHING
    return Point(xy, note.origin, note.author, note.occluded)


def from_json(content: Mapping[str, Any] | None, size_px: tuple[int, int] | None = None) -> Point:
    """A point as the page sends it (None: nothing there), rounded as it is stored.

    Parameters
    ----------
    size_px:
        Width and height of the image, which the point has to lie in; None: not checked.

    Raises
    ------
    ValueError
        If it is not a point, or not in the image.
    """
    if content is None:
        return NOTHING
    try:
        origin = Origin(content.get("origin", Origin.CLICKED.value))
        author = str(content.get("author") or "").strip()[:AUTHOR_AT_MOST]
        occluded = bool(content.get("occluded"))
        x, y, confidence = content.get("x"), content.get("y"), content.get("confidence")
        given = [float(value) for value in (x, y, confidence) if value is not None]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no point: {error}") from None
    if not all(math.isfinite(value) for value in given):
        raise ValueError("a point whose numbers are not finite")
    if (x is None) != (y is None):
        raise ValueError("a point with half a place")
    if x is None or y is None:
        return Point(occluded=True, author=author) if occluded else NOTHING
    place = _rounded(float(x)), _rounded(float(y))
    if size_px is not None and not all(
        -0.5 <= at <= size - 0.5 for at, size in zip(place, size_px, strict=True)
    ):
        raise ValueError(f"({place[0]:g}, {place[1]:g}) px is outside the image of {size_px[0]}x{size_px[1]}")
    if origin is not Origin.UNREVIEWED or confidence is None:
        return Point(place, origin, author, occluded)
    return Point(place, origin, author, occluded, float(confidence))


def versioned(point: Point, version: int) -> Point:
    """The same point as edit number `version` left it."""
    return replace(point, version=version)


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0  # no negative zero
