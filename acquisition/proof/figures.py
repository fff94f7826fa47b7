"""What a session's tables say about its synchrony, in figures.

Everything is made from the frame sets that the same code makes live, and from the frame tables; so
a session that was cut off is measured like any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP
from acquisition.recordings.recording import Recording
from acquisition.recordings.switch import NOT_ASKED
from acquisition.synchronisation.clock_fit import ClockFit, fit_clock
from acquisition.synchronisation.synchronise import StampSet

PRESENT = -1
_MS = 1e-6
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gap:
    """Sets in a row that lack a camera, for one cause."""

    first: int
    sets: int
    cause: str


@dataclass(frozen=True, slots=True)
class CameraSynchrony:
    """One camera of a session.

    Attributes
    ----------
    frames, in_sets:
        Frames recorded, and how many of them belong to a frame set.
    absent:
        Sets without a frame of it, by cause.
    gaps:
        The same, run by run, in order.
    uncertain:
        Sets in which its frame, or its absence, may belong to the pulse before or after.
    restarts:
        How often it came back with a new count.
    repeated_stamps:
        Frames whose stamp (device's, or exposure) is not later than that of the frame before.
    device_clock:
        Whether its frames carry stamps of a clock of its own.
    drift_ppm, drift_uncertainty_ppm, drift_span_ppm:
        Rate of its clock against the rig clock, what is known of it (95 %), and by how much the rate
        changed over the session; None without a clock, or over less than two seconds.
    offset_ms, spread_ms:
        Its exposures from the middles of their sets: median, and 95th percentile of what is left.
    uncertainty_ms:
        Of its exposures on the rig clock: median of the half widths that its driver and clock state.
    latency_ms:
        From the middle of the exposure to the arrival: 50th, 95th percentile and largest.
    """

    frames: int
    in_sets: int
    absent: dict[str, int]
    gaps: tuple[Gap, ...]
    uncertain: int
    restarts: int
    repeated_stamps: int
    device_clock: bool
    drift_ppm: float | None
    drift_uncertainty_ppm: float | None
    drift_span_ppm: float | None
    offset_ms: float | None
    spread_ms: float | None
    uncertainty_ms: float | None
    latency_ms: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Synchrony:
    """A session measured; what the page and the verdict are made of.

    Attributes
    ----------
    cameras:
        By name, in rig order.
    triggered:
        Whether sets are pulses of a trigger; else the exposures nearest to the first camera's.
    period_ms, tolerance_ms:
        Of the trigger (free-running: the median step of the sets), and of the rig file.
    frame_sets, complete, uncertain, pulses:
        Counts; `pulses` by the trigger's own count, None where it did not say.
    spread_ms:
        Largest minus smallest exposure within the complete sets: 50th, 95th percentile and largest.
    ended:
        How the session ended; None where it was cut off.
    events:
        Count by kind, without those that come every second.
    ptp:
        What PTP was while recording, None where it was not watched: `roles` and `grandmasters` seen,
        `offset_us_median` and `offset_us_max` of this host's clock from the master's, `lost` times.
    stretches, paused_s:
        How often it recorded without a break, and for how long it was switched off in between, s: no frame
        set is of that time.
    clock_steps_ms:
        By how much the calendar's clock was set while recording, each step above 1 ms.
    t_ns, index, causes, doubtful, off_ns:
        Set by set, for pictures: exposure (S,), pulse (S,), `PRESENT` or a place in `cause_names`
        (S, cameras), whether uncertain (S, cameras), exposure from the set's middle (S, cameras).
    """

    cameras: dict[str, CameraSynchrony]
    triggered: bool
    period_ms: float | None
    tolerance_ms: float
    frame_sets: int
    complete: int
    uncertain: int
    pulses: int | None
    spread_ms: tuple[float, float, float] | None
    ended: str | None
    gaps: tuple[str, ...]
    events: dict[str, int]
    ptp: dict[str, Any] | None
    stretches: int
    paused_s: float
    clock_steps_ms: tuple[float, ...]
    cause_names: tuple[str, ...]
    t_ns: Numbers
    index: Numbers
    causes: npt.NDArray[np.int8]
    doubtful: npt.NDArray[np.bool_]
    off_ns: Numbers


def measure(recording: Recording) -> Synchrony:
    """The figures of an open recording."""
    sets = recording.frame_sets()
    names = recording.cameras
    t_ns = np.array([one.t_exposure_ns for one in sets], dtype=np.int64)
    index = np.array([one.index for one in sets], dtype=np.int64)
    cause_names: list[str] = []
    causes = np.full((len(sets), len(names)), PRESENT, dtype=np.int8)
    doubtful = np.zeros((len(sets), len(names)), dtype=bool)
    off_ns = np.zeros((len(sets), len(names)), dtype=np.int64)
    for row, one in enumerate(sets):
        for column, (stamp, absence) in enumerate(zip(one.stamps, one.absences, strict=True)):
            if stamp is not None:
                off_ns[row, column] = stamp.t_exposure_ns - one.t_exposure_ns
            elif absence is not None:
                if absence.value not in cause_names:
                    cause_names.append(absence.value)
                causes[row, column] = cause_names.index(absence.value)
            if names[column] in one.uncertain:
                doubtful[row, column] = True
    there = causes == PRESENT
    complete = there.all(axis=1) if len(sets) else np.zeros(0, dtype=bool)
    events = recording.events()
    ended = recording.session["ended"]
    cameras = {
        name: _camera(
            recording.frame_table(name), index, causes[:, c], doubtful[:, c], off_ns[:, c], tuple(cause_names)
        )
        for c, name in enumerate(names)
    }
    return Synchrony(
        cameras=cameras,
        triggered=recording.rig.trigger is not None,
        period_ms=float(np.median(np.diff(t_ns)) * _MS) if len(sets) > 1 else None,
        tolerance_ms=recording.rig.sync.tolerance_ms,
        frame_sets=len(sets),
        complete=int(complete.sum()),
        uncertain=int(doubtful.any(axis=1).sum()) if len(sets) else 0,
        pulses=None if ended is None else ended.get("pulses"),
        spread_ms=_percentiles(_spreads(sets)),
        ended=None if ended is None else str(ended["how"]),
        gaps=tuple(recording.gaps),
        events={kind: n for kind, n in Counter(e["kind"] for e in events).items() if kind not in _ORDINARY},
        ptp=_ptp(events),
        stretches=_stretches(recording),
        paused_s=_paused_s(recording, events),
        clock_steps_ms=_clock_steps(events),
        cause_names=tuple(cause_names),
        t_ns=t_ns, index=index, causes=causes, doubtful=doubtful, off_ns=off_ns,
    )  # fmt: skip


_ORDINARY = ("clock", "ptp", "pulse", "recording ended", "segment ended", NOT_ASKED)


def _camera(
    table: npt.NDArray[np.void],
    index: Numbers,
    causes: npt.NDArray[np.int8],
    doubtful: npt.NDArray[np.bool_],
    off_ns: Numbers,
    cause_names: tuple[str, ...],
) -> CameraSynchrony:
    there = causes == PRESENT
    stamps = table["t_device_ns"]
    device_clock = bool(len(table)) and bool((stamps != NO_DEVICE_STAMP).all())
    counts = np.flatnonzero(table["lost_before"] == NEW_COUNT)
    restarts = counts[counts > 0]
    # A clock may begin anew with the count: there, and there only, stamps may step back.
    within = np.ones(max(len(table) - 1, 0), dtype=bool)
    within[restarts - 1] = False
    steps = np.diff(stamps if device_clock else table["t_exposure_ns"])
    late_ns = table["t_arrival_ns"] - table["t_exposure_ns"]
    clock = _clock(table, restarts) if device_clock else None
    inner = off_ns[there]
    return CameraSynchrony(
        frames=len(table),
        in_sets=int(there.sum()),
        absent={name: n for k, name in enumerate(cause_names) if (n := int((causes == k).sum()))},
        gaps=_gaps(index, causes, cause_names),
        uncertain=int(doubtful.sum()),
        restarts=len(restarts),
        repeated_stamps=int((within & (steps <= 0)).sum()),
        device_clock=device_clock,
        drift_ppm=None if clock is None else round(clock.drift * 1e6, 3),
        drift_uncertainty_ppm=None if clock is None else round(clock.drift_uncertainty * 1e6, 3),
        drift_span_ppm=None if clock is None else round(clock.drift_span * 1e6, 3),
        offset_ms=float(np.median(inner)) * _MS if len(inner) else None,
        spread_ms=float(np.percentile(np.abs(inner - np.median(inner)), 95)) * _MS if len(inner) else None,
        uncertainty_ms=float(np.median(table["uncertainty_ns"])) * _MS if len(table) else None,
        latency_ms=_percentiles(late_ns),
    )


def _clock(table: npt.NDArray[np.void], restarts: npt.NDArray[np.intp]) -> ClockFit | None:
    """The camera's clock, over its longest stretch of one count."""
    ends = [0, *(int(r) for r in restarts), len(table)]
    first, last = max(pairwise(ends), key=lambda piece: piece[1] - piece[0])
    return fit_clock(table["t_device_ns"][first:last], table["t_arrival_ns"][first:last])


def _gaps(index: Numbers, causes: npt.NDArray[np.int8], cause_names: tuple[str, ...]) -> tuple[Gap, ...]:
    edges = np.flatnonzero(np.diff(causes)) + 1
    starts = [0, *(int(edge) for edge in edges)] if len(causes) else []
    return tuple(
        Gap(int(index[start]), end - start, cause_names[causes[start]])
        for start, end in pairwise([*starts, len(causes)])
        if causes[start] != PRESENT
    )


def _spreads(sets: list[StampSet]) -> Numbers:
    return np.array([one.spread_ns for one in sets if one.complete], dtype=np.int64)


def _percentiles(values_ns: Numbers) -> tuple[float, float, float] | None:
    if not len(values_ns):
        return None
    p50, p95 = np.percentile(values_ns, [50, 95])
    return float(p50) * _MS, float(p95) * _MS, float(values_ns.max()) * _MS


def _stretches(recording: Recording) -> int:
    """In how many of the times that it was asked to record there is a frame."""
    seams_ns = np.array(recording.stretches().seams_ns, np.int64)
    found: set[int] = set()
    for camera in recording.cameras:
        exposures_ns = recording.frame_table(camera)["t_exposure_ns"]
        found.update(np.unique(np.searchsorted(seams_ns, exposures_ns, side="right")).tolist())
    return len(found)


def _paused_s(recording: Recording, events: list[dict[str, Any]]) -> float:
    ended = recording.session["ended"]
    last_ns = max((event.get("t_ns", 0) for event in events), default=0)
    until_ns = last_ns if ended is None else ended.get("t_ns", last_ns)
    return round(recording.stretches().off_ns(until_ns) * 1e-9, 3)


def _clock_steps(events: list[dict[str, Any]]) -> tuple[float, ...]:
    """Steps of the calendar's clock between the session's clock anchors."""
    anchors = [(event["t_ns"], event["realtime_ns"]) for event in events if event["kind"] == "clock"]
    steps = [(b[1] - a[1]) - (b[0] - a[0]) for a, b in pairwise(anchors)]
    return tuple(round(step * _MS, 3) for step in steps if abs(step) > 1_000_000)


def _ptp(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    told = [event for event in events if event["kind"] == "ptp"]
    if not told:
        return None
    offsets_us = np.abs([event["offset_ns"] * 1e-3 for event in told if event["announcing"]])
    return {
        "roles": sorted({event["role"] for event in told}),
        "grandmasters": sorted({event["grandmaster"] for event in told if event["announcing"]}),
        "offset_us_median": float(np.median(offsets_us)) if len(offsets_us) else None,
        "offset_us_max": float(offsets_us.max()) if len(offsets_us) else None,
        "lost": sum(event["kind"] == "ptp lost" for event in events),
    }
