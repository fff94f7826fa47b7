"""Where labelled frames of another program come from, and where those videos and images are now.

What a label file names is looked for where it says, then, by the end of its path, in the folder that the
person names and in that of the label file. Images are found by folder, never one by one: every folder of
a project has an img0010.png, and one camera's would be taken for another's that is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from training.projects.collected_data import Points
from training.projects.origins import PointNote

IMAGES_OF_COCO = ("images", "imgs", "data/images")
_ENDS = 2  # folders of a path, from its end, that may have been moved together


@dataclass(slots=True, eq=False)
class Frame:
    """One labelled frame of the file: its number in its source, labels (K, 2) px, notes by keypoint."""

    number: int
    points: Points
    notes: dict[str, PointNote]


@dataclass(slots=True)
class Source:
    """Where frames come from: a video file, image files by number, or pictures in the label file itself."""

    folder: str
    video: Path | None = None
    images: dict[int, Path] = field(default_factory=dict)
    inside: Any = None
    frames: list[Frame] = field(default_factory=list)


def find_videos(
    names: Iterable[str], wanted: Iterable[str], path: Path, videos: Path | None
) -> dict[str, Path]:
    """The video of every name that is wanted.

    Parameters
    ----------
    names:
        All that the label file names, as they stand there.
    path:
        The label file.
    videos:
        A folder to look in first for what is not where the file says.

    Raises
    ------
    RigposeError
        If one is not to be found, or only where another one of the file is.
    """
    own, places = _places(path, videos)

    def candidates(name: str) -> list[Path]:
        ends = _ends(name, _ENDS + 1)
        return [own / _slashed(name), Path(_slashed(name)), *(p / end for p in places for end in ends)]

    found = _settled(names, wanted, candidates, lambda _, place: place.is_file(), path, "video")
    return {name: _absolute(place) for name, place in found.items()}


def find_images(
    names: Iterable[str], wanted: Iterable[str], path: Path, videos: Path | None
) -> tuple[dict[str, Path], list[str]]:
    """The images that are wanted; and the names of those that are gone from their folder.

    Parameters
    ----------
    names, wanted, path, videos:
        As of `find_videos`. In the folder of the label file, or in `videos`, they may lie as they are where
        that folder has the name that they stand under, or `videos` where all of them stand under one.

    Raises
    ------
    RigposeError
        If a folder is not to be found with any of its images, or only where another one of the file is.
    """
    in_folder: dict[str, set[str]] = {}
    for name in names:
        folder, image = _split(name)
        in_folder.setdefault(folder, set()).add(image)
    own, places = _places(path, videos)

    def candidates(folder: str) -> list[Path]:
        ends = _ends(folder, _ENDS)
        subfolders = [own / kind / folder for kind in IMAGES_OF_COCO if not Path(folder).is_absolute()]
        as_they_lie = [p for p in places if ends and p.name == ends[-1].name]
        as_they_lie += places[:-1] if len(in_folder) == 1 else []
        return [own / folder, *subfolders, *(p / end for p in places for end in ends), *as_they_lie]

    def holds(folder: str, place: Path) -> bool:
        return any((place / image).is_file() for image in in_folder[folder])

    asked = list(dict.fromkeys(wanted))
    folders = list(dict.fromkeys(_split(name)[0] for name in asked))
    placed = _settled(in_folder, folders, candidates, holds, path, "images of")
    found: dict[str, Path] = {}
    for name in asked:
        folder, image = _split(name)
        place = _absolute(placed[folder] / image)
        if place.is_file():
            found[name] = place
    return found, [name for name in asked if name not in found]


def _settled(
    names: Iterable[str],
    wanted: Iterable[str],
    candidates: Callable[[str], Sequence[Path]],
    there: Callable[[str, Path], bool],
    path: Path,
    kind: str,
) -> dict[str, Path]:
    """Name -> place; whatever is where the file says keeps its place, and no two others share one."""
    found = {name: first for name in names if there(name, first := candidates(name)[0])}
    taken = {place.resolve(): name for name, place in found.items()}
    asked = list(dict.fromkeys(wanted))
    for name in asked:
        if name in found:
            continue
        places = [place for place in candidates(name)[1:] if there(name, place)]
        free = next((place for place in places if place.resolve() not in taken), None)
        if free is None:
            raise RigposeError(
                path, expected=f"the {kind} {name or 'its own folder'}",
                found=f"only {places[0]}, for {taken[places[0].resolve()]}" if places else "nothing there",
                remedy="Say where it is now: --videos FOLDER",
            )  # fmt: skip
        taken[free.resolve()] = name
        found[name] = free
    return {name: found[name] for name in asked}


def _places(path: Path, videos: Path | None) -> tuple[Path, list[Path]]:
    """The folder of the label file; and where to look, that folder last."""
    own = _absolute(path).parent
    return own, [*([_absolute(videos)] if videos is not None else []), own]


def _absolute(path: Path) -> Path:
    """Without following links: behind git-annex's, a file has neither its name nor its folder."""
    return Path(os.path.normpath(path.absolute()))


def _ends(name: str, most: int) -> list[Path]:
    """The ends of a path, the longest first."""
    parts = Path(_slashed(name)).parts
    return [Path(*parts[-count:]) for count in range(min(len(parts), most), 0, -1)]


def _split(name: str) -> tuple[str, str]:
    folder, _, image = _slashed(name).rpartition("/")
    return folder, image


def _slashed(name: str) -> str:
    return name.replace("\\", "/")
