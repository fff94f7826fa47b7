"""Simulated timelines of a triggered rig: what the cameras' counts and stamps would be, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acquisition.frame import Absence
from acquisition.frame_stamp import NO_DEVICE_STAMP, FrameStamp
from acquisition.synchronisation.clock import ArrivalClock, DeviceClock
from acquisition.synchronisation.unwrap import FrameCount


@dataclass(frozen=True, slots=True)
class Timeline:
    """`truth[camera][pulse]` is None where the frame arrived; `frames` are in order of arrival."""

    cameras: tuple[str, ...]
    first_exposure_ns: int
    period_ns: int
    truth: dict[str, list[Absence | None]]
    frames: list[tuple[FrameStamp, int]]  # stamp, true pulse

    @property
    def expected(self) -> dict[tuple[str, int], Absence | None]:
        """What a synchroniser can know: before a camera's first frame and after its last, no cause."""
        known: dict[tuple[str, int], Absence | None] = {}
        for camera, causes in self.truth.items():
            last = max((i for i, cause in enumerate(causes) if cause is None), default=-1)
            for i, cause in enumerate(causes):
                known[camera, i] = cause if i <= last else Absence.ENDED
        return known


def timeline(
    seed: int,
    *,
    cameras: int = 6,
    pulses: int = 200,
    rate_hz: float = 200.0,
    loss: float = 0.10,
    ignored: float = 0.02,
    jitter_ms: float = 2.0,
    drift_ppm: float = 50.0,
    period_error: float = 0.0,
    device_clock: bool = True,
    id_modulus: int = 65535,
    restart: bool = False,
    step_s: float = 0,
) -> Timeline:
    """A timeline; two absences of different kinds never meet in one gap, as their order is unknowable.

    Half-way the second camera restarts (`restart`), or its clock is set by `step_s`.
    """
    rng = np.random.default_rng(seed)
    period_ns = round(1e9 / rate_hz)
    true_period = period_ns * (1 + period_error)
    t0 = int(rng.integers(10**12, 10**13))
    truth: dict[str, list[Absence | None]] = {}
    arrivals: list[tuple[int, FrameStamp, int]] = []
    exposure_ns = 1_000_000
    for c in range(cameras):
        name = f"cam_{c}"
        causes: list[Absence | None] = []
        last_cause: Absence | None = None
        for _ in range(pulses):
            draw = rng.random()
            cause = Absence.LOST if draw < loss else Absence.IGNORED if draw < loss + ignored else None
            if cause and last_cause and cause != last_cause:
                cause = last_cause
            causes.append(cause)
            last_cause = cause
        restart_at = pulses // 2 if restart and c == 1 else None
        if restart_at is not None:
            causes[restart_at - 1] = causes[restart_at + 20] = None
            causes[restart_at : restart_at + 20] = [Absence.ENDED] * 20
        offset, drift = int(rng.integers(0, 10**12)), rng.uniform(-drift_ppm, drift_ppm) * 1e-6
        floor = exposure_ns // 2 + int(rng.uniform(0.1e6, 0.6e6))
        frame_id = int(rng.integers(id_modulus - 50, id_modulus + 1))
        count = FrameCount(id_modulus, 1, frame_id)
        clock = DeviceClock(0, 1000, exposure_ns // 2) if device_clock else ArrivalClock(0, exposure_ns // 2)
        arrived = 0
        for i, cause in enumerate(causes):
            if i == restart_at:
                frame_id, count = 0, FrameCount(id_modulus, 1)
                offset = int(rng.integers(0, 10**12))
                clock = DeviceClock(0, 1000, exposure_ns // 2)
            if cause in (Absence.IGNORED, Absence.ENDED):
                continue
            frame_id = frame_id % id_modulus + 1
            if cause is Absence.LOST:
                continue
            middle = t0 + round(i * true_period)
            t_device = offset + round((middle - t0) * (1 + drift)) + int(rng.normal(0, 2000))
            arrived = max(arrived + 1, middle + floor + int(rng.uniform(0, jitter_ms * 1e6)))
            if c == 1 and i >= pulses // 2:
                t_device += int(step_s * 10**9)
            seq, lost_before = count.unwrap(frame_id)
            t_exposure, uncertainty = clock.to_rig(t_device, arrived)
            stamp = FrameStamp(
                name,
                seq,
                t_device if device_clock else NO_DEVICE_STAMP,
                t_exposure,
                uncertainty,
                arrived,
                lost_before,
            )
            arrivals.append((arrived, stamp, i))
        truth[name] = causes
    arrivals.sort(key=lambda a: a[0])
    return Timeline(tuple(truth), t0, period_ns, truth, [(stamp, i) for _, stamp, i in arrivals])
