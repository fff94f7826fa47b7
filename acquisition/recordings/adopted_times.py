"""When the frames of adopted videos were exposed, and which of them belong together.

Three sources, never mixed: time stamps beside every video; the containers' own times, if somebody says that
they share a zero; or the frames' numbers over a rate, which takes the n-th frames of all videos for one
instant and therefore wants videos of one length. What frames are missing is concluded from the camera's own
count where a CSV has it, else from the distance between stamps. Stamps are kept as they are given: equal
ones are named, and those that run backwards are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.recordings.stamp_file import StampFile
from acquisition.synchronisation.unwrap import FrameCount
from acquisition.videos.into_matroska import VideoScan

Times = Literal["auto", "csv", "container", "number"]
Ints = npt.NDArray[np.int64]

MISSING_FROM = 1.5  # intervals between two stamps
ON_THE_GRID = 0.2  # intervals off the nearest pulse
_SAME_RATE = 0.01
_LISTED = 20
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CameraTimes:
    """Of one camera's frames, in order.

    Attributes
    ----------
    t_ns:
        int64 (N,), as given (or from the first frame's, if all first frames are one instant).
    seq, lost_before:
        int64 (N,), as in the frame table.
    repeated:
        Numbers of frames whose stamp is that of the frame before.
    """

    t_ns: Ints
    seq: Ints
    lost_before: Ints
    repeated: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdoptedTimes:
    """The frames of all cameras on one clock.

    Attributes
    ----------
    source:
        "csv", "container" or "number".
    period_ns:
        Between frames: the median interval, or the stated one.
    first_pulse_ns:
        Where the frames of all cameras lie on one grid (a common trigger, or numbers): its first instant;
        None for cameras that ran freely.
    off_grid_ns:
        The largest distance of a frame from that grid, or of what would have been one.
    notes:
        What a person should know, a sentence each.
    """

    source: str
    cameras: dict[str, CameraTimes]
    period_ns: int
    first_pulse_ns: int | None
    off_grid_ns: int
    notes: list[str] = field(default_factory=list)


def adopted_times(
    scans: Mapping[str, VideoScan],
    stamps: Mapping[str, StampFile],
    *,
    times: Times = "auto",
    rate_hz: float | None = None,
    assume_aligned: bool = False,
) -> AdoptedTimes:
    """Settle every frame's time.

    Parameters
    ----------
    scans, stamps:
        By camera; `stamps` of those that have any.
    times:
        Which source. "auto": stamps if every camera has them, else numbers.
    rate_hz:
        Of the frame numbers; by default what the containers say.
    assume_aligned:
        The first frames of all videos are one instant: numbers of unequal videos, or stamps of different
        clocks.

    Raises
    ------
    RigposeError
        Stamps of some videos only, or not one a frame, or running backwards, or of different clocks; unequal
        lengths without stamps; containers whose rates differ or whose times have holes.
    """
    if rate_hz is not None and not rate_hz > 0:
        raise RigposeError("--rate-hz", expected="a rate above 0", found=f"{rate_hz:g}", remedy="Mend it")
    if (times == "auto" and stamps) or times == "csv":
        without = [name for name in scans if name not in stamps]
        if without:
            raise RigposeError(
                scans[without[0]].info.path, expected="a CSV of time stamps beside every video",
                found=f"none for {', '.join(without)}",
                remedy="Put NAME.csv beside NAME.mp4, or give --times number (or container)",
            )  # fmt: skip
    source = ("csv" if stamps else "number") if times == "auto" else times
    if source == "number":
        return _by_number(scans, rate_hz, assume_aligned, careful=times == "auto")
    if rate_hz is not None:
        raise RigposeError(
            "--rate-hz", expected="frame numbers that need a rate", found=f"times from the {source}",
            remedy="Leave --rate-hz out, or give --times number",
        )  # fmt: skip
    given = {name: _given(scan, stamps.get(name), source) for name, scan in scans.items()}
    if assume_aligned:
        given = {name: t_ns - t_ns[0] for name, t_ns in given.items()}
    intervals = [np.diff(t_ns) for t_ns in given.values()]
    forward = np.concatenate([steps[steps > 0] for steps in intervals])
    if not forward.size:
        raise RigposeError(
            "rigpose adopt", expected="time stamps that grow", found="none that do",
            remedy="Check --time-column, or give --times number",
        )  # fmt: skip
    period_ns = round(float(np.median(forward)))
    if not assume_aligned:
        _refuse_zeros_of_their_own(given, [file.path for file in stamps.values() if file is not None])
    _refuse_other_clocks(given)
    cameras = {
        name: _counted(t_ns, stamps[name].counts if source == "csv" else None) for name, t_ns in given.items()
    }
    notes = [
        f"{name}: {len(each.repeated)} frames have the stamp of the frame before "
        f"(first: {', '.join(map(str, each.repeated[:_LISTED]))}); they are kept, and in no frame set"
        for name, each in cameras.items() if each.repeated
    ]  # fmt: skip
    grid = _grid(given, period_ns)
    if grid is None:
        return AdoptedTimes(source, cameras, period_ns, None, 0, notes)
    first_ns, grid_period_ns, off_ns = grid
    if off_ns > ON_THE_GRID * grid_period_ns:
        return AdoptedTimes(source, cameras, period_ns, None, off_ns, notes)
    return AdoptedTimes(source, cameras, grid_period_ns, first_ns, off_ns, notes)


def container_rate_hz(scan: VideoScan) -> float:
    """By the container's times, else by its header; 0 where it says neither."""
    if scan.times_ns is not None and len(scan.times_ns) > 1:
        steps = np.diff(scan.times_ns)
        steps = steps[steps > 0]
        # the mean where nothing is missing: the ticks of a container round every single interval
        whole = steps[steps < MISSING_FROM * np.median(steps)] if steps.size else steps
        if whole.size:
            return float(1e9 / whole.mean())
    return scan.info.rate_hz


def _by_number(
    scans: Mapping[str, VideoScan], rate_hz: float | None, assume_aligned: bool, *, careful: bool
) -> AdoptedTimes:
    counts = {name: scan.frames for name, scan in scans.items()}
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    if len(set(counts.values())) > 1 and not assume_aligned:
        raise RigposeError(
            "rigpose adopt",
            expected="videos of one length, whose n-th frames belong together, or time stamps",
            found=f"{listed} frames",
            remedy="Put a CSV of time stamps beside each video, or, if all first frames are one instant and "
            "no frame is missing in between, give --assume-aligned",
        )  # fmt: skip
    rates = {name: container_rate_hz(scan) for name, scan in scans.items()}
    if rate_hz is None:
        rate_hz = float(np.median(list(rates.values())))
        if not rate_hz > 0 or any(abs(rate - rate_hz) > _SAME_RATE * rate_hz for rate in rates.values()):
            said = ", ".join(f"{name} {rate:.3f}" for name, rate in rates.items())
            raise RigposeError(
                "rigpose adopt", expected="containers of one rate, whose n-th frames belong together",
                found=f"{said} Hz", remedy="Give the true one with --rate-hz",
            )  # fmt: skip
    if careful:
        _refuse_holes(scans)
    period_ns = round(_SECOND_NS / rate_hz)
    cameras = {}
    for name, count in counts.items():
        numbers = np.arange(count, dtype=np.int64)
        lost = np.zeros(count, np.int64)
        lost[:1] = -1
        cameras[name] = CameraTimes(_instants(count, rate_hz), numbers, lost, ())
    notes = []
    if len(set(counts.values())) > 1:
        longest = max(counts.values())
        notes += [
            f"{name}: ends {longest - count} frames before the longest video; those frame sets lack it"
            for name, count in counts.items() if count < longest
        ]  # fmt: skip
    return AdoptedTimes("number", cameras, period_ns, 0, 0, notes)


def _instants(count: int, rate_hz: float) -> Ints:
    """Frame n at n / rate, each rounded for itself."""
    return np.round(np.arange(count) * (_SECOND_NS / rate_hz)).astype(np.int64)


def _refuse_holes(scans: Mapping[str, VideoScan]) -> None:
    for scan in scans.values():
        if scan.times_ns is None or len(scan.times_ns) < 2:
            continue
        steps = np.diff(scan.times_ns)
        long = np.flatnonzero(steps > MISSING_FROM * np.median(steps))
        if long.size:
            raise RigposeError(
                scan.info.path, expected="a constant rate, so that frame numbers tell the time",
                found=f"{long.size} longer intervals (first after frame {long[0]})",
                remedy="Give --times container if the containers' times share a zero, or --times number if "
                "the n-th frames belong together all the same",
            )  # fmt: skip


def _given(scan: VideoScan, stamps: StampFile | None, source: str) -> Ints:
    if source == "container":
        if scan.times_ns is None:
            raise RigposeError(
                scan.info.path, expected="a time of every frame in the container", found="frames without one",
                remedy="Give --times number with --rate-hz",
            )  # fmt: skip
        t_ns, whose = scan.times_ns, scan.info.path
    else:
        assert stamps is not None
        t_ns, whose = stamps.t_ns, stamps.path
        if len(t_ns) != scan.frames:
            raise RigposeError(
                stamps.path,
                expected=f"{scan.frames} time stamps, as many as {scan.info.path.name} has frames",
                found=str(len(t_ns)),
                remedy="Take out the rows of frames that were not written, or give --times number",
            )  # fmt: skip
    back = np.flatnonzero(np.diff(t_ns) < 0)
    if back.size:
        raise RigposeError(
            whose, expected="times that do not run backwards",
            found=f"frame {back[0] + 1} before frame {back[0]} ({back.size} such)",
            remedy="If the camera's counter wraps, unwrap it; or give --times number",
        )  # fmt: skip
    return t_ns


def _refuse_zeros_of_their_own(given: Mapping[str, Ints], files: Sequence[Path]) -> None:
    """A file for each camera, each counting from its own first frame: that says nothing of the others."""
    if len(set(files)) > 1 and all(int(t_ns[0]) == 0 for t_ns in given.values()):
        raise RigposeError(
            "rigpose adopt", expected="time stamps of one clock",
            found=f"{len(set(files))} files that all begin at 0",
            remedy="If all first frames are one instant, give --assume-aligned",
        )  # fmt: skip


def _refuse_other_clocks(given: Mapping[str, Ints]) -> None:
    """Stamps of cameras that each have a zero of their own would make sets of nothing, or of anything."""
    starts = {name: int(t_ns[0]) for name, t_ns in given.items()}
    shortest = min(int(t_ns[-1] - t_ns[0]) for t_ns in given.values())
    if max(starts.values()) - min(starts.values()) > max(shortest, _SECOND_NS) / 2:
        early, late = min(starts, key=starts.__getitem__), max(starts, key=starts.__getitem__)
        raise RigposeError(
            "rigpose adopt", expected="time stamps of one clock",
            found=f"{late} beginning {(starts[late] - starts[early]) / _SECOND_NS:.3f} s after {early}",
            remedy="If all first frames are one instant, give --assume-aligned",
        )  # fmt: skip


def _counted(t_ns: Ints, counts: Ints | None) -> CameraTimes:
    steps = np.diff(t_ns)
    repeated = tuple(int(n) for n in np.flatnonzero(steps == 0) + 1)
    if counts is not None:
        count = FrameCount(None, 0)
        pairs = np.array([count.unwrap(int(number)) for number in counts], np.int64).reshape(-1, 2)
        return CameraTimes(t_ns, pairs[:, 0], pairs[:, 1], repeated)
    period = float(np.median(steps[steps > 0])) if np.any(steps > 0) else 1.0
    lost = np.where(steps > MISSING_FROM * period, np.round(steps / period) - 1, 0).astype(np.int64)
    seq = np.concatenate([[0], np.cumsum(lost + 1)]).astype(np.int64)
    return CameraTimes(t_ns, seq, np.concatenate([[-1], lost]).astype(np.int64), repeated)


def _grid(given: Mapping[str, Ints], period_ns: int) -> tuple[int, int, int] | None:
    """(first instant, period, largest distance of a frame from it) of the grid that fits all cameras best.

    The longest camera's frames give the period, by least squares over the number of periods since its
    first; None where it has fewer than two instants.
    """
    longest = max(given.values(), key=len)
    steps = np.round(np.diff(longest) / period_ns)
    number = np.concatenate([[0.0], np.cumsum(steps)])
    if number[-1] < 1:
        return None
    t0 = int(longest[0])
    slope, start = np.polyfit(number, (longest - t0).astype(np.float64), 1)
    off, first = 0.0, np.inf
    for t_ns in given.values():
        places = ((t_ns - t0).astype(np.float64) - start) / slope
        off = max(off, float(np.abs(places - np.round(places)).max()))
        first = min(first, float(np.round(places).min()))
    return t0 + round(start + first * slope), round(slope), round(off * slope)
