"""Where labelled frames of another program come from, and where those videos and images are now.

What a label file names is looked for where it says, then, by the end of its path, in the folder that the
person names and in that of the label file. Images are found by folder, not one by one: every folder of
a project has an img0010.png, and one camera's would be taken for another's that is gone. Only COCO files that
name no folder leave nothing but the names, and each of those has to be the only one.
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
        If one is not to be found, or only where another one of the file is. A file that was merged from those
        of two machines names one video twice: names that end alike may share the only file there is.
    """
    own, places = _places(path, videos)

    def candidates(name: str) -> list[Path]:
        ends = _ends(name, _ENDS + 1)
        return [own / _slashed(name), Path(_slashed(name)), *(p / end for p in places for end in ends)]

    found = _settled(
        names, wanted, candidates, lambda _, place: place.is_file(), _one_video, path, places,
        expected=lambda name: f"the video {name}", remedy="Say where it is now: --videos FOLDER",
    )  # fmt: skip
    moved = [name for name in found if found[name] != own / _slashed(name)]
    for name, other in ((a, b) for a in moved for b in found if _one_video(a, b)):
        if found[name].samefile(found[other]):
            continue
        raise RigposeError(
            path, expected=f"one file for {other} and {name}", found=f"{found[other]} and {found[name]}",
            remedy="If they name one video, merge them in SLEAP; if two, give a label file for each",
        )  # fmt: skip
    return {name: _absolute(place) for name, place in found.items()}


def find_images(
    names: Iterable[str], wanted: Iterable[str], path: Path, videos: Path | None, *, below: bool = False
) -> tuple[dict[str, Path], list[str]]:
    """The images that are wanted; and the names of those that are gone from their folder.

    Parameters
    ----------
    names, wanted, path, videos:
        As of `find_videos`. In the folder of the label file, or in `videos`, they may lie as they are where
        that folder has the name that they stand under, or `videos` where all of them stand under one.
    below:
        Whether images that all stand under no folder may lie anywhere below those two.

    Raises
    ------
    RigposeError
        If a folder is not to be found with any of its images, or only where another one of the file is; or if
        an image that may lie anywhere below is there twice.
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
    nameless = below and in_folder.keys() <= {"", "."}
    if nameless and not any(holds(folder, place) for folder in folders for place in candidates(folder)):
        found = _below(asked, path, places)
        return found, [name for name in asked if name not in found]
    placed = _settled(
        in_folder, folders, candidates, holds, lambda *_: False, path, places,
        expected=lambda folder: f"the images of {folder or own} (it names {len(in_folder[folder])})",
        remedy="Say where they are now: --videos FOLDER, "
        + ("which they lie in" if len(in_folder) == 1 else "the folder of that name or the one it lies in"),
    )  # fmt: skip
    found = {}
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
    alike: Callable[[str, str], bool],
    path: Path,
    looked_in: Sequence[Path],
    *,
    expected: Callable[[str], str],
    remedy: str,
) -> dict[str, Path]:
    """Name -> place; what is where the file says keeps its place, and only alike ones share one."""
    found = {name: first for name in names if there(name, first := candidates(name)[0])}
    taken: dict[Path, list[str]] = {}
    for name, place in found.items():
        taken.setdefault(place.resolve(), []).append(name)
    asked = list(dict.fromkeys(wanted))
    for name in asked:
        if name in found:
            continue
        places = {place.resolve(): place for place in candidates(name)[1:] if there(name, place)}
        free = next((place for real, place in places.items() if real not in taken), None)
        if free is None and len(places) == 1:
            [(real, place)] = places.items()
            free = place if all(alike(name, other) for other in taken[real]) else None
        if free is None:
            nowhere = f"nothing there, nor in {' or '.join(str(place) for place in dict.fromkeys(looked_in))}"
            others = [f"{place}, for {taken[real][0]}" for real, place in places.items()]
            raise RigposeError(
                path, expected=expected(name), found=f"only {others[0]}" if others else nowhere,
                remedy=f"{remedy}. If both names mean one, merge them in the program that wrote the file"
                if others else remedy,
            )  # fmt: skip
        taken.setdefault(free.resolve(), []).append(name)
        found[name] = free
    return {name: found[name] for name in asked}


def _one_video(name: str, other: str) -> bool:
    """Whether two names may be one video's on two machines: on one of them, they would be two videos."""
    return _ends(name, _ENDS)[:1] == _ends(other, _ENDS)[:1] and _machine(name) != _machine(other)


def _machine(name: str) -> str:
    """The drive or first folder of a whole path, which differ between machines; none of a relative one."""
    first, *others = _slashed(name).lstrip("/").split("/")
    return first if _slashed(name).startswith("/") or (first.endswith(":") and others) else ""


def _below(asked: Sequence[str], path: Path, places: Sequence[Path]) -> dict[str, Path]:
    """Images by their names alone, below the first of `places` that has any. None of them is there twice."""
    images = {_split(name)[1]: name for name in asked}
    for root in places:
        found: dict[str, Path] = {}
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = sorted(inner for inner in subfolders if not inner.startswith("."))
            for image in sorted(images.keys() & set(files)):
                place = Path(folder, image)
                if (first := found.setdefault(images[image], place)) != place:
                    raise RigposeError(
                        path, expected=f"one image {image} below {root}", found=f"{first} and {place}",
                        remedy="The file names no folders: write them into its file_name, or give a folder "
                        "that has only one: --videos FOLDER",
                    )  # fmt: skip
        if found:
            return found
    raise RigposeError(
        path, expected=f"its labelled images ({len(asked)}, named without a folder)",
        found=f"none below {' or '.join(str(place) for place in dict.fromkeys(places))}",
        remedy="Say where they are now: --videos FOLDER, which they may lie anywhere below",
    )  # fmt: skip


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
