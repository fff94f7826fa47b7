"""The capture process: one for each driver, a thread for each of its cameras, a ring for each.

A camera that goes away, or runs freely and falls silent, is opened again until it is back; its count
starts anew, and the gap is in the data. A camera that cannot be opened at the start ends the process
with the reason.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from acquisition.camera import Camera, CameraGone, CameraInfo, CameraTimeout, driver_of
from acquisition.capture_plan import CapturePlan, check_model, check_serial, check_trigger
from acquisition.child import ChildLink
from acquisition.errors import RigposeError
from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp
from acquisition.rings.ring import SLOTS, RingGeometry, ring_path
from acquisition.rings.writer import RingWriter
from acquisition.synchronisation.clock import ArrivalClock, DeviceClock, HostClock
from acquisition.synchronisation.unwrap import FrameCount

_READ_MS = 50
_REOPEN_S = 0.2
_COUNTS_NS = 500_000_000
_READERS_NS = 500_000_000
_START_NS = 1_000_000_000  # more for the first frame after the start


@dataclass(slots=True)
class CameraCounters:
    """What became of one camera's frames.

    Attributes
    ----------
    state:
        "opening", "armed", "gone" or "closed".
    frames, lost, damaged, ring_full:
        Captured; counted by the device and not arrived; arrived broken; dropped at a full ring.
    reopened:
        How often the camera came back.
    readers:
        Names of those that read its ring.
    read_until_ns:
        What was exposed until then has been read, rig clock: when it was last asked for a frame and had none,
        or the exposure of its newest frame.
    drift_ppm:
        Of its clock against the rig clock.
    driver:
        What the driver counted besides since the camera was last started.
    info:
        `CameraInfo` as a mapping, empty until it was opened.
    """

    state: str = "opening"
    frames: int = 0
    lost: int = 0
    damaged: int = 0
    ring_full: int = 0
    reopened: int = 0
    rate_hz: float = 0.0
    drift_ppm: float = 0.0
    read_until_ns: int = 0
    readers: list[str] = field(default_factory=list)
    driver: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)


def capture(link: ChildLink, runtime: str, plans: list[CapturePlan], slots: int = SLOTS) -> None:
    """Capture the cameras of one driver until told to stop."""
    threads = [CameraThread(plan, link, Path(runtime), slots) for plan in plans]
    for thread in threads:
        thread.start()
    while not link.wait(0.05):
        failed = [thread.error for thread in threads if thread.error is not None]
        if failed:
            link.stop()
            break
        link.report(cameras={t.plan.name: asdict(t.counters) for t in threads})
    for thread in threads:
        thread.join(1.5)
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    link.report(now=True, cameras={t.plan.name: asdict(t.counters) for t in threads})


class CameraThread(threading.Thread):
    """Reads one camera into its ring until the process is to stop.

    Attributes
    ----------
    counters:
        Read by the reporting thread.
    error:
        Why the thread ended by itself, if it did.
    """

    def __init__(self, plan: CapturePlan, link: ChildLink, runtime: Path, slots: int) -> None:
        super().__init__(name=plan.name, daemon=True)
        self.plan = plan
        self.counters = CameraCounters()
        self.error: Exception | None = None
        self._link = link
        self._runtime = runtime
        self._slots = slots
        self._serial = plan.serial
        self._seen = False
        self._late_ns: int | None = None

    def run(self) -> None:
        """Open, read, and open again when the camera is gone."""
        try:
            while not self._link.stopping:
                camera = driver_of(self.plan.uri, self.plan.name)(self.plan.name, self.plan.uri)  # type: ignore[call-arg]
                try:
                    self._session(camera)
                except CameraGone:
                    pass
                except RigposeError:
                    # Once the rig runs a camera may come back: to this process, or to the one before it.
                    if not self._seen and "pulses" not in self._link.told:
                        raise
                finally:
                    camera.close()
                if self._link.stopping:
                    break
                self.counters.state = "gone"
                self._link.wait(_REOPEN_S)
            self.counters.state = "closed"
        except Exception as error:
            self.error = error

    def _session(self, camera: Camera) -> None:
        """From one opening of the camera to its end."""
        if self.plan.model and not self._seen:
            check_model(self.plan, camera.open({}))
            camera.close()
        info = camera.open(dict(self.plan.wished))
        check_serial(self.plan, info, self._serial)
        check_trigger(self.plan, info)
        self._serial = info.serial
        self.counters.info = asdict(info)
        geometry = RingGeometry(self._slots, info.height_px, info.width_px, info.channels)
        ring = RingWriter(
            ring_path(self._runtime, self.plan.name), self.plan.name, geometry, self.counters.info
        )
        try:
            # Pulses that run already may have been counted before the device was ours.
            fresh = "pulses" not in self._link.told
            count = FrameCount(
                info.id_modulus, info.id_first,
                info.id_start - 1 if fresh and info.id_start is not None else None,
            )  # fmt: skip
            if self._seen:
                self._await_readers(ring, len(self.counters.readers))
            camera.start()
            self.counters.reopened += self._seen
            self._seen = True
            self.counters.state = "armed"
            self._read(camera, info, ring, count, fresh)
            camera.stop()
        finally:
            ring.close()

    def _await_readers(self, ring: RingWriter, count: int) -> None:
        """Those of the ring before come to this one by themselves; what came before them they would miss."""
        until_ns = time.monotonic_ns() + _READERS_NS
        while len(ring.readers) < count and time.monotonic_ns() < until_ns and not self._link.wait(0.01):
            ring.serve()

    def _read(
        self, camera: Camera, info: CameraInfo, ring: RingWriter, count: FrameCount, unaligned: bool
    ) -> None:
        clock = _clock_of(info, self._late_ns)
        arrivals: deque[int] = deque(maxlen=64)
        counters = self.counters
        silence_ns = None if self.plan.triggered or info.silence_s is None else int(info.silence_s * 1e9)
        silent_ns = -_START_NS
        counted_ns = 0
        heard = unheard = False
        while not self._link.stopping:
            counters.readers = ring.readers
            now_ns = time.monotonic_ns()
            if now_ns - counted_ns > _COUNTS_NS:
                counted_ns = now_ns
                counters.driver = getattr(camera, "counts", dict)()
            try:
                frame = camera.read(_READ_MS)
            except CameraTimeout:
                counters.read_until_ns = now_ns
                ring.serve()
                # Waits are added up, not looked up: a machine that stood still is no silent camera.
                silent_ns += _READ_MS * 1_000_000
                if silence_ns is not None and silent_ns > silence_ns:
                    raise CameraGone(f"camera '{self.plan.name}' has fallen silent") from None
                continue
            silent_ns = 0
            if frame.damaged:
                # Its id may be damaged as well: the hole before the next whole frame counts it as lost.
                counters.damaged += 1
                continue
            if unaligned and "first_pulse_ns" in self._link.told:
                unaligned = False
                _align(clock, info, self._link.told)
            seq, lost_before = count.unwrap(frame.frame_id)
            t_device_ns = NO_DEVICE_STAMP if frame.t_device_ns is None else frame.t_device_ns
            t_ns, uncertainty_ns = clock.to_rig(t_device_ns, frame.t_arrival_ns)
            counters.lost += max(lost_before, 0)
            if not heard:
                ring.serve()
                heard = bool(ring.readers)
                if heard and unheard:  # frames that no reader was there for are a count of their own
                    lost_before = NEW_COUNT
                unheard = not heard
            stamp = FrameStamp(
                self.plan.name, seq, t_device_ns, t_ns, uncertainty_ns, frame.t_arrival_ns, lost_before
            )
            self._late_ns = clock.late_ns
            if not ring.publish(stamp, frame.image):
                counters.ring_full += 1
            counters.frames += 1
            counters.read_until_ns = max(counters.read_until_ns, t_ns)
            counters.drift_ppm = round(clock.drift * -1e6, 3)
            arrivals.append(frame.t_arrival_ns)
            if len(arrivals) > 1 and arrivals[-1] > arrivals[0]:
                counters.rate_hz = round((len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]), 2)


def _clock_of(info: CameraInfo, late_ns: int | None) -> DeviceClock | HostClock | ArrivalClock:
    floor_ns = round(info.exposure_us * 500)  # nothing arrives before its exposure is over
    if info.has_device_clock and info.stamps_on_rig_clock:
        return HostClock(info.stamp_to_middle_ns, info.stamp_uncertainty_ns)
    if info.has_device_clock:
        # A camera that keeps its rate has a frame through within about a period.
        unseen_ns = round(1e9 / info.rate_hz) if info.rate_hz > 0 else 0
        return DeviceClock(info.stamp_to_middle_ns, info.stamp_uncertainty_ns, floor_ns, unseen_ns, late_ns)
    return ArrivalClock(info.stamp_uncertainty_ns, floor_ns)


def _align(clock: DeviceClock | HostClock | ArrivalClock, info: CameraInfo, told: dict[str, Any]) -> None:
    """Exposures begin with the pulse and the camera's own delay; its exposure time leads to their middle."""
    first_pulse_ns, period_ns = told["first_pulse_ns"], told["pulses"]["period_ns"]
    if first_pulse_ns is not None and period_ns is not None:
        middle_ns = info.trigger_delay_ns + round(info.exposure_us * 500)
        clock.align(first_pulse_ns + middle_ns, period_ns)
