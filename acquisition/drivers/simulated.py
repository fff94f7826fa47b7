"""The simulated camera behind the camera port."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from acquisition.camera import CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.errors import RigposeError
from acquisition.simulation.film import Film, load_film
from acquisition.simulation.scene import Scene, scene_of
from acquisition.simulation.timeline import ID_WRAP, STAMP_TICK_NS, Cause, Timeline
from acquisition.simulation.trigger import PulseTrain, read_train
from acquisition.simulation.truth import TruthLog

_BUFFERS = 32
_POLL_S = 0.02


class SimulatedCamera:
    """One camera of a scene, `sim://scene.yaml#cam_0`.

    `open` draws the pictures (seconds, once: they are kept in the world folder). Frames come while a
    trigger of the same scene runs. Up to 32 wait in the device; beyond that they are lost and counted.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._scene: Scene | None = None
        self._film: Film | None = None
        self._timeline: Timeline | None = None
        self._started = False
        self._train: PulseTrain | None = None
        self._log: TruthLog | None = None
        self._next = 0
        self._counted = 0
        self._last_arrival_ns = 0
        self._waiting: deque[tuple[int, int, int]] = deque()
        self._image = np.zeros((0, 0), np.uint8)
        self._drawn: int | None = None

    @staticmethod
    def find() -> list[FoundCamera]:
        """None: a simulated camera is where a scene.yaml is, and nobody looks for those."""
        return []

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Draw or load the pictures. Rate and exposure are the scene's: wishes are read back, not obeyed."""
        path, camera = scene_of(self._uri)
        unknown = sorted(set(wished) - {"rate_hz", "exposure_us"})
        if unknown:
            raise RigposeError(
                f"camera '{self._name}'", expected="the features rate_hz, exposure_us",
                found=f"'{unknown[0]}'", remedy="Remove it from the camera's settings file",
            )  # fmt: skip
        scene = Scene.load(path)
        names = [view.name for view in scene.views]
        if camera not in names:
            raise RigposeError(
                f"camera '{self._name}'", expected=f"one of {', '.join(names)} after '#'",
                found=f"'{self._uri}'", remedy="Mend 'uri' in the rig file, or 'cameras' in scene.yaml",
            )  # fmt: skip
        scene.save_to_world()
        self._film = load_film(scene, camera)
        self._scene, self._timeline = scene, Timeline(scene, camera)
        self._camera = camera
        width, height = scene.settings.size_px
        self._image, self._drawn = np.empty((height, width), np.uint8), None
        self._draw(self._film, 0)  # its kernel is compiled or loaded now, not at the first pulse
        return CameraInfo(
            uri=self._uri,
            model="rigpose simulated camera",
            serial=f"SIM-{scene.settings.camera_seed}-{names.index(camera)}",
            width_px=width,
            height_px=height,
            channels=1,
            rate_hz=scene.settings.rate_hz,
            exposure_us=self._timeline.exposure_ns / 1000,
            id_modulus=ID_WRAP if self._timeline.wraps else None,
            id_first=1 if self._timeline.wraps else 0,
            has_device_clock=True,
            stamp_to_middle_ns=self._timeline.exposure_ns // 2,
            stamp_uncertainty_ns=STAMP_TICK_NS,
            stamp_meaning="start of exposure, camera clock",
            id_start=self._timeline.frame_id(0),
        )

    def features(self) -> list[Feature]:
        """None: rate and exposure are the scene's."""
        return []

    def start(self) -> None:
        """Arm for the next pulse, of a train that runs already or of one to come."""
        if self._timeline is None:
            raise RuntimeError("start before open")
        self._started = True
        self._train = None
        self._counted = 0

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout`."""
        timeline, film = self._timeline, self._film
        if timeline is None or film is None or not self._started:
            raise RuntimeError("read before start")
        deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
        while True:
            self._listen()
            now_ns = time.monotonic_ns()
            wake_ns = self._advance(now_ns)
            if self._waiting:
                break
            if now_ns >= deadline_ns:
                raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
            # Short naps only, because the trigger may announce its end or a new train meanwhile.
            until_ns = min(wake_ns, deadline_ns, now_ns + int(_POLL_S * 1e9))
            if self._train is not None and self._drawn != self._next:
                _sleep_until((now_ns + until_ns) // 2)
                self._draw(film, self._next)  # so that its arrival costs the host no drawing
            _sleep_until(until_ns)
        pulse, frame_id, arrival_ns = self._waiting.popleft()
        assert self._train is not None and self._log is not None
        pulse_ns = self._train.pulse_ns(pulse)
        self._draw(film, pulse)
        self._log.add(pulse, timeline.middle_ns(pulse_ns), Cause.DELIVERED)
        return DeviceFrame(frame_id, timeline.clock.stamp_ns(pulse_ns), arrival_ns, self._image)

    def stop(self) -> None:
        """No more frames. What the device still held is dropped; later frames begin at the first id."""
        if self._started and self._timeline is not None:
            self._listen()
            self._advance(time.monotonic_ns())
        self._started = False
        self._leave_train()

    def close(self) -> None:
        """Let go of the pictures."""
        self._started = False
        self._leave_train()
        self._film = self._timeline = self._scene = None

    def _draw(self, film: Film, pulse: int) -> None:
        """The picture of a pulse into `_image`, if it is not there."""
        if self._drawn != pulse:
            film.compose(pulse, self._image)
            self._drawn = pulse

    def _listen(self) -> None:
        """Follow the trigger: join a train, hear of its end, change to a new one."""
        assert self._scene is not None
        train = read_train(self._scene.world)
        if train is None or train == self._train:
            return
        if self._train is not None and train.t0_ns == self._train.t0_ns:
            self._train = train
            return
        if not train.running:
            return
        self._leave_train()
        self._train = train
        self._log = TruthLog(self._scene.world, self._camera, train.t0_ns)
        self._next = max(0, -((train.t0_ns - time.monotonic_ns()) // train.period_ns))
        self._last_arrival_ns = 0

    def _leave_train(self) -> None:
        if self._log is not None:
            self._log.close()
        self._train = self._log = None
        self._waiting.clear()

    def _advance(self, now_ns: int) -> int:
        """Let the device live until now; returns when its next frame arrives, rig clock ns."""
        train, timeline, log = self._train, self._timeline, self._log
        if train is None or timeline is None or log is None:
            return now_ns + 10**9
        while train.last is None or self._next <= train.last:
            pulse, pulse_ns = self._next, train.pulse_ns(self._next)
            arrival_ns = max(timeline.arrival_ns(pulse, pulse_ns), self._last_arrival_ns)
            if arrival_ns > now_ns:
                return arrival_ns
            self._next += 1
            cause = timeline.fate(pulse)
            if cause == Cause.DELIVERED and len(self._waiting) >= _BUFFERS:
                cause = Cause.LOST
            if cause == Cause.DELIVERED:
                self._waiting.append((pulse, timeline.frame_id(self._counted), arrival_ns))
                self._last_arrival_ns = arrival_ns
            else:
                log.add(pulse, timeline.middle_ns(pulse_ns), cause)
            if cause != Cause.IGNORED:
                self._counted += 1
        return now_ns + 10**9


def _sleep_until(t_ns: int) -> None:
    time.sleep(max(0, t_ns - time.monotonic_ns()) * 1e-9)
