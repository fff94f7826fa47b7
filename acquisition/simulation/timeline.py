"""What becomes of each pulse in a simulated camera: exposure, stamp, arrival, loss, ignored.

Everything is a function of the scene, the camera and the pulse's number, so that the truth never has
to travel with the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from acquisition.simulation.film import mix
from acquisition.simulation.scene import Scene

ID_WRAP = 65535
STAMP_TICK_NS = 1000


class Cause(IntEnum):
    """What became of a pulse in a camera."""

    NONE = 0  # the camera was not running, or was stopped before the host read the frame
    DELIVERED = 1
    LOST = 2  # counted by the device, never arrived
    IGNORED = 3  # never counted: the camera was busy when the pulse came


@dataclass(frozen=True, slots=True)
class CameraClock:
    """A camera's own clock: stamp = offset + (1 + drift) t, in ticks of a microsecond."""

    offset_ns: int
    drift_ppb: int

    def stamp_ns(self, t_ns: int) -> int:
        """What the camera's clock shows at `t_ns` of the rig clock."""
        return (self.offset_ns + t_ns + t_ns * self.drift_ppb // 10**9) // STAMP_TICK_NS * STAMP_TICK_NS


class Timeline:
    """The fate of every pulse in one camera.

    Parameters
    ----------
    scene, camera:
        The rig and the name of the camera in it.
    """

    def __init__(self, scene: Scene, camera: str) -> None:
        settings = scene.settings
        index = scene.camera_index(camera)
        self._seed = mix(settings.seed, index, 41)
        rig = mix(settings.camera_seed, index, 42)
        self._loss_rate, self._ignored_rate = settings.loss_rate, settings.ignored_rate
        self._latency_ns = round(settings.latency_ms * 1e6 * (0.5 + _unit(mix(rig, 1))))
        self._jitter_ns = round(settings.jitter_ms * 1e6)
        self.exposure_ns = scene.exposure_ns(camera)
        self.clock = CameraClock(
            offset_ns=round(settings.clock_offset_s * 1e9 * _unit(mix(rig, 2))),
            drift_ppb=round(settings.drift_ppm * 1e3 * (2 * _unit(mix(rig, 3)) - 1)),
        )
        self.wraps = settings.id_wraps
        # Some begin shortly before the wrap, so that short recordings meet it too.
        self.first_id = ID_WRAP - mix(rig, 4) % 400 if index % 2 == 0 else 1 + mix(rig, 4) % 60000

    def fate(self, pulse: int) -> Cause:
        """Whether the camera, by the scene's rates, loses or ignores this pulse, or delivers it."""
        draw = _unit(mix(self._seed, pulse, 1))
        if draw < self._ignored_rate:
            return Cause.IGNORED
        if draw < self._ignored_rate + (1 - self._ignored_rate) * self._loss_rate:
            return Cause.LOST
        return Cause.DELIVERED

    def arrival_ns(self, pulse: int, pulse_ns: int) -> int:
        """When the host has the whole frame, rig clock."""
        delay = self._latency_ns + round(self._jitter_ns * _unit(mix(self._seed, pulse, 2)))
        return pulse_ns + self.exposure_ns + delay

    def middle_ns(self, pulse_ns: int) -> int:
        """Middle of the exposure that a pulse begins, rig clock."""
        return pulse_ns + self.exposure_ns // 2

    def frame_id(self, counted: int) -> int:
        """Device id of the frame after `counted` others."""
        number = self.first_id + counted
        return (number - 1) % ID_WRAP + 1 if self.wraps else number


def _unit(number: int) -> float:
    """A 64-bit number as a fraction of one."""
    return number / 2.0**64
