"""One edit of one point: as a page asks for it, and as the journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.labelling.points import Point, from_json

Target = tuple[str, str, str]
"""Folder, image file, keypoint."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What a page asks for.

    Attributes
    ----------
    id:
        Chosen by the page; the same edit sent twice counts once.
    target:
        Folder, image file, keypoint.
    seen:
        Version of the point that the page saw.
    careful:
        Refuse instead of replacing what somebody else did since (undo does).
    point:
        What it shall be.
    """

    id: str
    target: Target
    seen: int
    careful: bool
    point: Point

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Edit:
        """As a page sends it. Raises `KeyError`, `ValueError`."""
        target = str(content["folder"]), str(content["image"]), str(content["keypoint"])
        point = from_json(content["point"])
        return cls(str(content["id"]), target, int(content["version"]), bool(content.get("careful")), point)

    def entry(self) -> dict[str, Any]:
        """Its line in the journal."""
        folder, image, keypoint = self.target
        content = self.point.as_json()
        del content["version"]
        return {"edit": self.id, "folder": folder, "image": image, "keypoint": keypoint, "point": content}
