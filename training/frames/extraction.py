"""From a project's videos and recordings to images for labelling: choose instants, write their pictures."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.settings import read_yaml
from training.frames.choice import different, moving, thinned, uniform
from training.frames.footage import (
    Footage,
    Undecodable,
    claimed_twice,
    crops_of_config,
    open_footage,
    project_videos,
    refuse_crop,
)
from training.projects.project import CONFIG_FILE, Project
from training.projects.saved_frames import DIGITS, existing_frames, save_views
from training.projects.video_frames import Numbers
from training.projects.videos import parse_crop

MODES = ("kmeans", "uniform", "motion", "list")
# Pictures that k-means and motion look at, evenly spaced. It bounds memory whatever the length is; for some
# hundreds of clusters more pictures of one video change nothing.
LOOKED_AT_MOST = 5_000
CROP_OF_CONFIG = "config"


def extract_frames(
    project: Project | Path,
    sources: Sequence[Path] = (),
    *,
    mode: str = "kmeans",
    count: int | None = None,
    numbers: Sequence[int] = (),
    start: float | None = None,
    stop: float | None = None,
    crop: str | None = None,
    every: int = 1,
    colour: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Write frames of videos and recordings into `labeled-data`, beside those that are there.

    Parameters
    ----------
    sources:
        Video files and session folders; none: the videos of config.yaml.
    mode:
        One of `MODES`: see `training.frames.choice`; "list" takes `numbers` as they are.
    count:
        New frames per source; None: config.yaml's numframes2pick.
    numbers:
        Frame numbers, or indices of frame sets of a recording.
    start, stop:
        Fractions of the length between which to choose; None: as in config.yaml.
    crop:
        "x1,x2,y1,y2" px to keep of each picture, "config" for the crops in config.yaml, None: all.
    every:
        Consider only every so many-th instant.
    colour:
        K-means sees colours instead of grey.

    Returns
    -------
    dict
        `mode`, per source under `videos` what was chosen and what it cost, `left_out`, `peak_memory_mb`.

    Raises
    ------
    RigposeError
        Before any work, if the project, a source or an option cannot be used, or two sources would
        write into one folder. Later, if too few frames decode, or one in `numbers` does not; of that source
        nothing is written.
    """
    project = project if isinstance(project, Project) else Project.open(project)
    config = read_yaml(project.root / CONFIG_FILE)
    _check_options(mode, every, numbers)
    span = span_of(config, start, stop)
    wanted = number_of_frames(config, count)
    footages, left_out = footage_of(project, sources, crop)
    videos = []
    for footage in footages:
        start_ns = time.monotonic_ns()
        instants = candidates = listed(footage, numbers)
        damaged = np.empty(0, np.int64)
        if mode != "list":
            candidates = _candidates(project, footage, span, every)
            instants, damaged = _chosen(footage, candidates, mode, wanted, colour, seed)
        seconds = (time.monotonic_ns() - start_ns) / 1e9
        looked = footage.decoded
        while True:
            try:
                names = save_instants(project, footage, instants)
                break
            except Undecodable:  # chosen without a look: others in their places
                lost = np.setdiff1d(instants, footage.small(instants)[0])
                if mode == "list" or not len(lost):
                    raise
                damaged = np.union1d(damaged, lost)
                rest = np.setdiff1d(candidates, damaged)
                instants = _chosen(footage, rest, mode, wanted, colour, seed)[0]
        videos.append({
            "source": str(footage.source),
            "folders": [view.folder for view in footage.views],
            "frames": [int(index) for index in footage.index[instants]],
            "images": [f"{view.folder}/{name}" for view, those in zip(footage.views, names, strict=True)
                       for name in those],
            "available": len(footage.index),
            "decoded": looked,
            "seconds": round(seconds, 2),
            "frames_per_s": round(looked / seconds, 1),
            "notes": [*footage.notes, *_said_of(footage, damaged)],
        })  # fmt: skip
    return {"mode": mode, "videos": videos, "left_out": left_out, "peak_memory_mb": peak_memory_mb()}


def footage_of(
    project: Project, sources: Sequence[Path], crop: str | None = None
) -> tuple[list[Footage], list[str]]:
    """The footage of these sources, or of the project's videos; and the videos that were not found.

    Raises
    ------
    RigposeError
        If one cannot be used, none is left, or two would write into one folder.
    """
    found, missing = project_videos(project)
    named = [path for path, _ in found]
    if sources:
        named, missing = [Path(path) for path in sources], []
    if not named:
        raise RigposeError(
            project.root, expected="videos in config.yaml's video_sets that are there",
            found=missing[0] if missing else "none", remedy="Name the videos after the project",
        )  # fmt: skip
    given = None if crop in (None, CROP_OF_CONFIG) else parse_crop(str(crop), "--crop")
    crops = crops_of_config(project)
    footages = []
    for path in named:
        lone = crops.get(path.stem) if crop == CROP_OF_CONFIG and path.is_file() else None
        footages.append(open_footage(path, given or lone))
        if crop == CROP_OF_CONFIG:
            refuse_crop(footages[-1], crops)
    claimed_twice(footages)
    for footage in footages:
        _refuse_foreign_folder(project, footage)
    return footages, missing


def peak_memory_mb() -> float | None:
    """What this process held at most so far; None where the kernel does not say.

    Not from getrusage, whose figure a process inherits from the one that started it.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM")), None)


def number_of_frames(config: dict[str, Any], count: int | None) -> int:
    """`count`, or config.yaml's numframes2pick. Raises `RigposeError` where it is no positive number."""
    wanted = count if count is not None else config.get("numframes2pick") or 20
    if not isinstance(wanted, int) or wanted < 1:
        raise RigposeError("--count", expected="at least 1", found=str(wanted), remedy="Give a whole number")
    return wanted


def listed(footage: Footage, numbers: Sequence[int]) -> Numbers:
    """The instants of these numbers, ascending.

    Raises
    ------
    RigposeError
        If one is not there, or a camera has no frame at it.
    """
    there = set(footage.index.tolist())
    if strange := sorted(set(numbers) - there):
        raise RigposeError(
            footage.source,
            expected=f"{'frame sets' if footage.recording else 'frames'} {min(there)} to {max(there)}",
            found=f"{strange[0]} in the list", remedy="Leave it out of the list",
        )  # fmt: skip
    places = np.searchsorted(footage.index, np.array(sorted(set(numbers)), np.int64))
    for view in footage.views:
        absent = view.frames[places] < 0
        if absent.any():
            place = int(places[absent][0])
            raise RigposeError(
                f"{footage.source}, frame set {footage.index[place]}", expected="a frame of every camera",
                found=f"none in {view.folder} ({view.absences.get(place) or 'cut off'})",
                remedy="Choose a frame set that is complete",
            )  # fmt: skip
    return places


def not_taken(project: Project, footage: Footage) -> npt.NDArray[np.bool_]:
    """bool (T,): instants that every view has a frame of and no folder has an image of."""
    taken = {index for view in footage.views for index in existing_frames(project, view.folder)}
    return footage.complete & ~np.isin(footage.index, np.array(sorted(taken), np.int64))


def save_instants(project: Project, footage: Footage, instants: Numbers) -> list[list[str]]:
    """Write the pictures of these instants, ascending; the file names per view. See `save_views`."""
    return save_views(
        project,
        [view.folder for view in footage.views],
        footage.images(instants),
        videos=[view.video.info for view in footage.views],
        recording=footage.recording,
        digits=max(DIGITS, len(str(int(footage.index[-1])))),
    )


def read_numbers(text: str) -> list[int]:
    """'10,20,30', or the numbers in a file of that name. Raises `RigposeError`."""
    content = text
    try:
        if not re.fullmatch(r"[-\d\s,;]+", text):
            content = Path(text).read_text(encoding="utf-8")
        numbers = [int(part) for part in re.split(r"[\s,;]+", content.strip()) if part]
    except (ValueError, OSError):
        numbers = []
    if not numbers:
        raise RigposeError(
            "--list", expected="whole numbers, or a file of them", found=text,
            remedy="Give for instance --list 10,20,30",
        )  # fmt: skip
    return numbers


def number_in(config: dict[str, Any], key: str, otherwise: float) -> float:
    """A number of config.yaml, `otherwise` where none stands there. Raises `RigposeError`."""
    given = config.get(key)
    if given is None:
        return otherwise
    try:
        return float(given)
    except (TypeError, ValueError):
        raise RigposeError(
            f"{key} in config.yaml", expected="a number", found=repr(given), remedy="Mend the file"
        ) from None


def span_of(config: dict[str, Any], start: float | None, stop: float | None) -> tuple[float, float]:
    """Fractions to begin and end at, given or config.yaml's. Raises `RigposeError`."""
    first = start if start is not None else number_in(config, "start", 0.0)
    last = stop if stop is not None else number_in(config, "stop", 1.0)
    if not 0 <= first < last <= 1:
        raise RigposeError(
            "--start and --stop", expected="fractions with 0 <= start < stop <= 1",
            found=f"{first:g} and {last:g}", remedy="Give them, or mend start and stop in config.yaml",
        )  # fmt: skip
    return first, last


def within(length: int, span: tuple[float, float], every: int = 1) -> npt.NDArray[np.bool_]:
    """bool (length,): every so many-th place between two fractions of the length."""
    inside = np.zeros(length, np.bool_)
    inside[int(np.floor(span[0] * length)) : int(np.ceil(span[1] * length)) : every] = True
    return inside


def _candidates(project: Project, footage: Footage, span: tuple[float, float], every: int) -> Numbers:
    there = within(len(footage.index), span, every) & not_taken(project, footage)
    return np.flatnonzero(there).astype(np.int64)


def _chosen(
    footage: Footage, candidates: Numbers, mode: str, count: int, colour: bool, seed: int
) -> tuple[Numbers, Numbers]:
    """The instants that are chosen, and those that were looked at and do not decode."""
    _refuse_more(footage, count, len(candidates))
    if mode == "uniform":
        return candidates[uniform(len(candidates), count, seed)], candidates[:0]
    looked = candidates[thinned(len(candidates), max(LOOKED_AT_MOST, count))]
    if len(looked) < count:
        looked = candidates
    seen, pictures = footage.small(looked, colour=colour)
    _refuse_more(footage, count, len(seen))
    damaged = np.setdiff1d(looked, seen)
    if mode == "kmeans":
        return seen[different(pictures, count, seed)], damaged
    changes = np.zeros(len(pictures))
    for place in range(1, len(pictures)):
        change = pictures[place].astype(np.int16) - pictures[place - 1]
        changes[place] = np.abs(change).mean()
    changes[0] = changes[1] if len(changes) > 1 else 0.0
    return seen[moving(changes, count, seed)], damaged


def _said_of(footage: Footage, damaged: Numbers) -> list[str]:
    """A sentence about instants that do not decode, where there are any."""
    if not len(damaged):
        return []
    first = footage.index[damaged[0]]
    return [f"{len(damaged)} instants that do not decode were left out, the first of them number {first}"]


def _check_options(mode: str, every: int, numbers: Sequence[int]) -> None:
    if mode not in MODES:
        raise RigposeError(
            "--mode", expected=f"one of {', '.join(MODES)}", found=f"'{mode}'", remedy="Choose one of these"
        )
    if every < 1:
        raise RigposeError("--every", expected="at least 1", found=str(every), remedy="Leave it out")
    if (mode == "list") != bool(len(numbers)):
        raise RigposeError(
            "--list", expected="numbers with --mode list, and only there",
            found=f"{len(numbers)} numbers with --mode {mode}", remedy="Say --mode list --list 10,20,30",
        )  # fmt: skip


def _refuse_more(footage: Footage, count: int, there: int) -> None:
    if count > there:
        what = "complete frame sets" if footage.recording else "frames"
        raise RigposeError(
            footage.source, expected=f"at least {count} {what} to choose from",
            found=f"{there} that have no image yet",
            remedy="Give a smaller --count, or a wider part with --start, --stop and --every",
        )  # fmt: skip


def _refuse_foreign_folder(project: Project, footage: Footage) -> None:
    """A folder whose images come from another video or recording of the same name."""
    places = {path.stem: path for path, _ in project_videos(project)[0] if path.is_file()}
    for view in footage.views:
        other = places.get(view.folder)
        recording = project.recordings.get(view.folder, "")
        foreign = f"'{recording}'" if recording and recording != footage.recording else ""
        if other is not None and not other.samefile(view.video.path):
            foreign = str(other)
        if foreign and existing_frames(project, view.folder):
            raise RigposeError(
                view.video.path, expected=f"the video that labeled-data/{view.folder} comes from",
                found=f"images of {foreign} there", remedy="Rename one of the two videos",
            )  # fmt: skip
