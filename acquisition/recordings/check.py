"""What is wrong with a video: every frame decoded, every time looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import numpy as np

from acquisition.progress import Progress
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.videos.video import open_container, open_video

ENDS_SHORT = 2.5  # intervals
LISTED = 20  # of each kind, by number; the count is of all
MISSING_FROM = 1.5  # intervals between two frames
VARIES_FROM = 0.02  # of the median interval, beyond what the container's ticks explain
SAME_S = 1e-9
_MISSING = "frames missing by the times"
_WORDS = {
    "broken": "broken frames", "no_stamp": "frames without a time", "duplicate": "frames at the same time",
    "backward": "frames before the one before", "missing": _MISSING,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Header:
    """What the container claims; None where it does not."""

    frames: int | None
    length_s: float | None
    rate_hz: float
    tick_s: float


def check_video(path: Path) -> dict[str, Any]:
    """Decode a whole video.

    Returns
    -------
    dict
        `frames` decoded, `packets` in the file, `header_frames` (None: its container does not say), `broken`
        (packets that libav complains about; numbers count packets), `no_stamp`, `duplicate`
        and `backward` stamps and `missing` frames (by the times around them), each with `count` and the
        first frame numbers under `at`; `interval_ms` (min, median, max), `variable_rate`, `rate_hz`; and
        `faults`, a sentence each. No faults: frames can be counted, sought and trusted.

    Raises
    ------
    RigposeError
        If it is missing or no video.
    """
    info = open_video(path).info
    times: list[float | None] = []
    broken: list[int] = []
    packets = 0
    with (
        open_container(path) as container,
        Progress(path.name, total=info.frames) as bar,
        _complaints() as said,
    ):
        stream = container.streams.video[0]
        tick_s = float(stream.time_base or 0)
        length_s = container.duration / av.time_base if container.duration else None
        demuxed = container.demux(stream)
        while True:
            known = len(said)
            try:
                packet = next(demuxed)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError):
                break
            number, packets = packets, packets + (packet.size > 0)
            frames: list[Any] = []
            with contextlib.suppress(av.error.FFmpegError):
                frames = packet.decode()
            # libav conceals what it can: that it complained is all there is to see of it
            if len(said) > known or any(frame.is_corrupt for frame in frames):
                broken.append(number)
            times += [frame.time for frame in frames]
            bar.advance(len(frames))
    end = None
    if known < len(said) and not (broken and broken[-1] == packets - 1):
        end = " ".join(said[-1][2].split())
    said_by_header = _Header(info.frames, length_s, info.rate_hz, tick_s)
    return _judged(path, times, broken, packets, said_by_header, end)


def check_recording(folder: Path) -> list[dict[str, Any]]:
    """`check_video` of every camera of a session, and whether its frame table has a row for each frame."""
    said: list[dict[str, Any]] = []
    with Recording.open(folder) as recording:
        for camera in recording.cameras:
            rows, paths = recording.rows_by_video(camera), recording.video_paths(camera)
            gone = [path for path in rows if path not in paths]
            lost = int(np.maximum(recording.frame_table(camera)["lost_before"], 0).sum())
            for path in gone:
                fault = f"the video is gone: its frame table has {rows[path]} rows"
                said.append({"video": str(path), "camera": camera, "rows": rows[path], "faults": [fault]})
            for path in paths:
                found = check_video(path)
                # what the camera lost is in the frame table, and no fault of the file
                found["faults"] = [fault for fault in found["faults"] if _MISSING not in fault]
                if rows.get(path, 0) != found["frames"]:
                    found["faults"].append(
                        f"{found['frames']} frames, {rows.get(path, 0)} rows in the frame table"
                    )
                said.append({"camera": camera, "rows": rows.get(path, 0), "lost_by_camera": lost, **found})
            if not gone and not paths:  # what it lacks is a gap
                said.append({"video": str(recording.video_path(camera)), "camera": camera, "faults": []})
        for gap in recording.gaps:
            last = max(n for n, one in enumerate(said) if one["camera"] == gap.partition(":")[0])
            said[last]["faults"].append(gap)
    return said


def check_videos(paths: list[Path]) -> dict[str, Any]:
    """Check files and sessions; raises `RigposeError` where one is neither."""
    videos: list[dict[str, Any]] = []
    for path in paths:
        videos += check_recording(path) if (path / SESSION_FILE).exists() else [check_video(path)]
    return {"videos": videos, "faulty": sum(bool(video["faults"]) for video in videos)}


@contextlib.contextmanager
def _complaints() -> Iterator[Any]:
    """What libav says of errors inside: (level, component, message) each."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as said:
            yield said
    finally:
        av.logging.set_level(level)


def _judged(
    path: Path, times: list[float | None], broken: list[int], packets: int, header: _Header, end: str | None
) -> dict[str, Any]:  # fmt: skip
    known = [(number, time) for number, time in enumerate(times) if time is not None]
    steps = np.array([after - before for (_, before), (_, after) in pairwise(known)])
    at = np.array([number for number, _ in known[1:]], np.int64)
    forward = steps[steps > SAME_S]
    middle = float(np.median(forward)) if forward.size else 0.0
    lacking = np.zeros(len(steps), np.int64)
    if middle:
        lacking = np.where(steps > MISSING_FROM * middle, np.round(steps / middle) - 1, 0).astype(np.int64)
    whole = forward[forward <= MISSING_FROM * middle]
    spread = float(np.ptp(whole)) if whole.size else 0.0
    # a time is rounded to a tick: intervals differ by one tick either way in a video of constant rate
    variable = spread > 2 * header.tick_s + VARIES_FROM * middle
    kinds = {
        "broken": _listed(np.array(broken, np.int64)),
        "no_stamp": _listed(np.array([n for n, time in enumerate(times) if time is None], np.int64)),
        "duplicate": _listed(at[np.abs(steps) <= SAME_S]),
        "backward": _listed(at[steps < -SAME_S]),
        "missing": {**_listed(at[lacking > 0]), "count": int(lacking.sum())},
    }
    faults = [
        f"{kinds[kind]['count']} {words} (first at {kinds[kind]['at'][0]})"
        for kind, words in _WORDS.items() if kinds[kind]["count"]
    ]  # fmt: skip
    if end is not None:
        faults.append(f"the file breaks off after {len(times)} frames: {end}")
    if header.frames is not None and header.frames != len(times):
        faults.append(f"{len(times)} frames decode, its header says {header.frames}")
    if header.frames is None and packets != len(times):
        faults.append(f"{len(times)} frames decode, {packets} are in the file")
    short_s = (header.length_s or 0) - (known[-1][1] if known else 0)
    if header.frames is None and middle and short_s > ENDS_SHORT * middle:
        faults.append(f"ends {short_s:.2f} s short of its header's length")
    if variable:
        faults.append(f"variable rate: intervals of {1e3 * whole.min():.2f} to {1e3 * whole.max():.2f} ms")
    return {
        "video": str(path), "frames": len(times), "packets": packets, "header_frames": header.frames,
        "rate_hz": header.rate_hz, "variable_rate": bool(variable),
        "interval_ms": [1e3 * float(part) for part in (forward.min(), middle, forward.max())]
        if forward.size
        else None,
        **kinds, "faults": faults,
    }  # fmt: skip


def _listed(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    return {"count": len(numbers), "at": numbers[:LISTED].tolist()}
