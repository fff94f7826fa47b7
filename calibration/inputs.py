"""Where board images come from: a recording, synchronised videos, or folders of stills.

All become one table: frame sets by cameras, each cell the row (n-th image) of that camera or -1.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration import input_images
from calibration.camera_identity import device_of
from calibration.still_names import by_prefix, keep_still, natural, numbers_of

VIDEOS = {".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv"}
STILLS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".ras"}
TIMES = "timestamps.csv"
STILLS_OF = "cameras.json"  # beside stills that calibrate --live kept: which devices they are of
STILLS_FORMAT = "rigpose board stills"


@dataclass(frozen=True, slots=True, eq=False)
class BoardInput:
    """Images of a board by frame set and camera.

    Attributes
    ----------
    path:
        What the person named.
    cameras:
        Names, in rig order.
    sets:
        int64 (S,): indices of the frame sets, ascending; of stills the numbers in their names.
    rows:
        int64 (S, C): the image's place in its source, -1 where there is none.
    times_s:
        float64 (S, C) seconds on one clock, NaN where there is no image; None where nothing is known.
    free_running:
        Whether nobody triggered the cameras, so that the stamps may lie by a constant and a jitter.
    sources:
        Per camera a video, its stills in order, or the recording's folder.
    devices:
        Of a recording, and of stills that `calibrate --live` kept, by camera:
        `calibration.camera_identity.device_of`.
    names:
        By frame set what its stills are called, where that is no number; their index counts from 0 then.
    """

    path: Path
    cameras: tuple[str, ...]
    sets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64] | None
    free_running: bool
    sources: tuple[Path | tuple[Path, ...], ...]
    devices: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    def images(self, camera: int, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
        """(row, grey image) for the ascending rows `wanted`, those that decode."""
        source = self.sources[camera]
        if isinstance(source, tuple):
            for row in wanted:
                yield row, input_images.still(source[row])
        elif source.is_dir():
            yield from input_images.recorded(source, self.cameras[camera], wanted)
        else:
            yield from input_images.frames(source, wanted)


def open_input(path: Path) -> BoardInput:
    """Find out what `path` is.

    Raises
    ------
    RigposeError
        If it is nothing of the kind.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in VIDEOS:
        return _of_videos(path, [path])
    if not path.is_dir():
        raise RigposeError(
            path, expected="a recording, a folder of videos or of stills, or one video",
            found="nothing there" if not path.exists() else "another file", remedy="Check the path",
        )  # fmt: skip
    if (path / "session.json").exists():
        return _of_recording(path)
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    videos = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in VIDEOS]
    if videos:
        return _of_videos(path, videos)
    folders = {entry.name: _stills_in(entry) for entry in entries if entry.is_dir()}
    folders = {name: files for name, files in folders.items() if files}
    if folders:
        named: dict[str, dict[str, Path]] = {name: {} for name in folders}
        for name, files in folders.items():
            for file in files:
                keep_still(named[name], file.stem, file)
        return _of_stills(path, named)
    stills = _stills_in(path)
    if stills:
        return _of_stills(path, by_prefix(path, stills))
    raise RigposeError(
        path, expected="session.json, videos, stills, or one folder of stills per camera",
        found=f"{len(entries)} other entries", remedy="Check the path",
    )  # fmt: skip


def _of_recording(path: Path) -> BoardInput:
    from acquisition.recordings.recording import Recording

    with Recording.open(path) as recording:
        sets = recording.frame_sets()
        missing = [name for name in recording.cameras if not len(recording.frame_table(name))]
        if missing:
            raise RigposeError(
                path, expected="frames of every camera", found=f"none of {', '.join(missing)}",
                remedy="Record the board again",
            )  # fmt: skip
        rows = np.array([[-1 if row is None else row for row in x.payloads] for x in sets], dtype=np.int64)
        first = sets[0].t_exposure_ns
        times = np.array(
            [[np.nan if s is None else (s.t_exposure_ns - first) * 1e-9 for s in x.stamps] for x in sets]
        )
        free_running = recording.rig.trigger is None
        sources = tuple(path for _ in recording.cameras)
        index = np.array([item.index for item in sets], dtype=np.int64)
        devices = {name: device_of(info) for name, info in recording.session["cameras"].items()}
        return BoardInput(path, recording.cameras, index, rows, times, free_running, sources, devices)


def _of_videos(path: Path, videos: list[Path]) -> BoardInput:
    names = _camera_names([video.stem for video in videos])
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RigposeError(
            path, expected="one video a camera", found=f"two that are called {twice[0]}",
            remedy="Move the copy somewhere else",
        )  # fmt: skip
    times_file = videos[0].parent / TIMES
    if path.is_dir() and times_file.exists():
        index, rows, times = _read_times(times_file, names)
        for name, video, told in zip(names, videos, (rows >= 0).sum(0), strict=True):
            if (count := input_images.count_frames(video)) != told:
                raise RigposeError(
                    times_file, expected=f"{count} rows of {name}, one for every frame of {video.name}",
                    found=str(told), remedy="Take out the rows of frames that were not written",
                )  # fmt: skip
        return BoardInput(path, names, index, rows, times, True, tuple(videos))
    counts = [input_images.count_frames(video) for video in videos]
    if max(counts) != min(counts):
        listed = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        raise RigposeError(
            path, expected="videos of one length, whose n-th frames belong together", found=listed,
            remedy=f"Put a {TIMES} (sync_index, cam_id, frame_time) beside them, or cut them alike",
        )  # fmt: skip
    index = np.arange(counts[0])
    rate_hz = input_images.rate_hz(videos[0])
    of_frames = None if rate_hz is None else np.repeat(index[:, None] / rate_hz, len(videos), 1)
    return BoardInput(
        path, names, index, np.repeat(index[:, None], len(videos), 1), of_frames, False, tuple(videos)
    )


def _camera_names(stems: list[str]) -> tuple[str, ...]:
    """File names without what all share at their beginning, but never a bare number."""
    if len(stems) == 1:
        return (stems[0],)
    parts = [re.split(r"(?<=[-_. ])", stem) for stem in stems]
    shared = 0
    while all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    names = ["".join(p[shared:]) for p in parts]
    while shared and any(name.isdigit() for name in names):
        shared -= 1
        names = ["".join(p[shared:]) for p in parts]
    return tuple(names)


def _read_times(
    path: Path, names: tuple[str, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Frame sets of free-running cameras: frame k of a video is the k-th row of its camera, by time."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            entries = [
                (int(row["sync_index"]), row.get("cam_id") or row["port"], float(row["frame_time"]))
                for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise RigposeError(
            path, expected="the columns sync_index, cam_id, frame_time",
            found=f"{type(error).__name__}: {error}",
            remedy="Mend the file, or remove it if the cameras are synchronised",
        ) from None  # fmt: skip
    ids = sorted({camera for _, camera, _ in entries})
    camera_of = {}
    for camera in ids:
        last = re.compile(rf"(?<!\d){re.escape(camera)}$")
        suits = [c for c, name in enumerate(names) if name == camera or last.search(name)]
        if len(suits) != 1:
            raise RigposeError(
                path, expected=f"cam_id of one of {', '.join(names)}", found=f"'{camera}'",
                remedy="Name the cameras in the file as the videos are named",
            )  # fmt: skip
        camera_of[camera] = suits[0]
    index = np.array(sorted({number for number, _, _ in entries}), dtype=np.int64)
    row_of = {int(number): k for k, number in enumerate(index)}
    rows = np.full((len(index), len(names)), -1, dtype=np.int64)
    times = np.full((len(index), len(names)), np.nan)
    seen = [0] * len(names)
    for number, camera, time_s in sorted(entries, key=lambda entry: entry[2]):
        c = camera_of[camera]
        if not math.isfinite(time_s) or rows[row_of[number], c] >= 0:
            raise RigposeError(
                path, expected="a time for each frame, and each camera once in a sync_index",
                found=f"{time_s}" if not math.isfinite(time_s) else f"cam_id {camera} twice in {number}",
                remedy="Mend the file, or remove it if the cameras are synchronised",
            )  # fmt: skip
        rows[row_of[number], c], times[row_of[number], c] = seen[c], time_s
        seen[c] += 1
    return index, rows, times


def _of_stills(path: Path, named: dict[str, dict[str, Path]]) -> BoardInput:
    cameras = tuple(sorted(named))
    instants = sorted(sorted({key for files in named.values() for key in files}), key=natural)
    sources = []
    rows = np.full((len(instants), len(cameras)), -1, dtype=np.int64)
    for c, camera in enumerate(cameras):
        present = [key for key in instants if key in named[camera]]
        sources.append(tuple(named[camera][key] for key in present))
        rows[[instants.index(key) for key in present], c] = np.arange(len(present))
    numbers = numbers_of(instants)
    names = {} if numbers is not None else dict(enumerate(instants))
    sets = np.arange(len(instants)) if numbers is None else numbers
    return BoardInput(path, cameras, sets, rows, None, False, tuple(sources), _devices_of(path), names)


def _devices_of(path: Path) -> dict[str, dict[str, Any]]:
    """What stands beside stills that `calibrate --live` kept; {} beside any others."""
    try:
        facts = json.loads((path / STILLS_OF).read_text(encoding="utf-8"))
        if facts["format"] != STILLS_FORMAT:
            return {}
        return {name: dict(device) for name, device in facts["cameras"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _stills_in(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in STILLS and not f.name.startswith("."))
