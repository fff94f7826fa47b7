"""The project's videos and recordings, instant by instant, and single ones kept for labelling."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from training.frames.footage import NO_FRAME, Footage, open_footage, project_videos
from training.images import read_image
from training.projects.project import LABELED_DATA, Crop, Project
from training.projects.saved_frames import DIGITS, existing_frames, save_views

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".m4v", ".mpg", ".mpeg", ".webm")
SHOWN_WIDTH_PX = 1280  # several views share it
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]


@dataclass(frozen=True, slots=True)
class Grabbed:
    """A frame in labeled-data."""

    folder: str
    image: str


class Videos:
    """What frames can be grabbed from: what config.yaml names, and what lies in the folder `videos`.

    Parameters
    ----------
    project:
        Looked through whenever a page asks.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._busy = threading.Lock()
        self._open: dict[str, Footage] = {}

    def names(self) -> list[str]:
        """Names of videos and recordings."""
        return sorted(self._sources())

    def describe(self, name: str) -> dict[str, Any]:
        """How many `instants`, the folders that their `views` go to. Raises `KeyError`, `RigposeError`."""
        footage = self._footage(name)
        return {
            "name": name, "instants": len(footage.index), "views": [view.folder for view in footage.views],
            "notes": list(footage.notes),
        }  # fmt: skip

    def picture(self, name: str, instant: int) -> bytes:
        """All views of an instant (from 0) beside and below each other, as JPEG, to look at.

        Raises
        ------
        KeyError, IndexError, RigposeError
            If there is no such video or instant.
        """
        footage = self._footage(name)
        _check(footage, name, instant)
        with self._busy:
            numbers = [int(view.frames[instant]) for view in footage.views]
            found = [
                None if number == NO_FRAME else next(view.video.images([number]))
                for view, number in zip(footage.views, numbers, strict=True)
            ]
        done, content = cv2.imencode(".jpg", _tiled(found, footage), _JPEG)
        assert done
        return content.tobytes()

    def grab(self, name: str, instant: int) -> list[Grabbed]:
        """Keep an instant in labeled-data, all views of it; those that are there already are left.

        Raises
        ------
        KeyError, IndexError, RigposeError, OSError
            If there is no such instant, a camera lost it, or it cannot be written.
        """
        footage = self._footage(name)
        _check(footage, name, instant)
        for view in footage.views:
            if view.frames[instant] == NO_FRAME:
                raise RigposeError(
                    f"{name}, instant {instant}", expected="a frame of every camera",
                    found=f"none of {view.camera} ({view.absences.get(instant, 'no picture')})",
                    remedy="Take another instant",
                )  # fmt: skip
        with self._busy:
            kept = save_views(
                self._project, [view.folder for view in footage.views],
                footage.images(np.array([instant], np.int64)),
                videos=[view.video.info for view in footage.views], recording=footage.recording,
                digits=max(DIGITS, len(str(int(footage.index[-1])))),
            )  # fmt: skip
        return [Grabbed(view.folder, names[0]) for view, names in zip(footage.views, kept, strict=True)]

    def _footage(self, name: str) -> Footage:
        with self._busy:
            if name not in self._open:
                path, crop = self._sources()[name]
                self._open[name] = open_footage(path, crop if self._labelled_is(crop, path.stem) else None)
            return self._open[name]

    def _labelled_is(self, crop: Crop | None, folder: str) -> bool:
        """Whether the images of a folder are of this crop: config.yaml may have one that nobody has used."""
        frames = existing_frames(self._project, folder)
        if crop is None or not frames:
            return False
        image = read_image(self._project.root / LABELED_DATA / folder / frames[min(frames)])
        return image.shape[:2] == (crop[3] - crop[2], crop[1] - crop[0])

    def _sources(self) -> dict[str, tuple[Path, Crop | None]]:
        named, _ = project_videos(self._project)
        found = {path.stem if path.is_file() else path.name: (path, crop) for path, crop in named}
        folder = self._project.root / "videos"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in SUFFIXES and path.is_file():
                found.setdefault(path.stem, (path, None))
        return found


def instant_number(text: str | None) -> int:
    """An instant as a page gives it; raises `ValueError`."""
    if text is None or not text.isdigit():
        raise ValueError(f"no number of an instant: {text!r}")
    return int(text)


def _check(footage: Footage, name: str, instant: int) -> None:
    if not 0 <= instant < len(footage.index):
        raise IndexError(f"{name} has {len(footage.index)} instants, no number {instant}")


def _tiled(pictures: list[Image | None], footage: Footage) -> Image:
    """Views in rows of at most two, small enough for a page; black where there is none."""
    columns = min(2, len(pictures))
    tiles = []
    for view, picture in zip(footage.views, pictures, strict=True):
        size = view.video.info
        shown = picture if picture is not None else np.zeros((size.height_px, size.width_px), np.uint8)
        if footage.crop is not None:
            x1, x2, y1, y2 = footage.crop
            shown = shown[y1:y2, x1:x2]
        scale = min(1.0, SHOWN_WIDTH_PX / columns / shown.shape[1])
        colours = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
        size_px = round(colours.shape[1] * scale), round(colours.shape[0] * scale)
        tiles.append(np.asarray(cv2.resize(colours, size_px, interpolation=cv2.INTER_AREA), np.uint8))
    height, width = max(tile.shape[0] for tile in tiles), max(tile.shape[1] for tile in tiles)
    sheet = np.zeros((height * -(-len(tiles) // columns), width * columns, 3), np.uint8)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        sheet[row * height :, column * width :][: tile.shape[0], : tile.shape[1]] = tile
    return np.ascontiguousarray(sheet[..., ::-1])
