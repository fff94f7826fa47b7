"""The values of capture: one camera's `Frame`, one instant's `FrameSet`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


class Absence(str, Enum):
    """Why a frame set has no frame of a camera."""

    LOST = "lost"  # the device counted a frame that never arrived (packet loss, damaged buffer)
    IGNORED = "trigger ignored"  # the device never counted it: busy when the pulse came
    NOT_STARTED = "not started"  # the camera had delivered nothing yet
    ENDED = "ended"  # the camera delivered nothing after
    LATE = "late"  # not there when the set was closed; its cause was not known by then
    RING_FULL = "ring full"  # captured, but no free slot: a reader held them all
    NOT_RECORDED = "not recorded"  # the recorder had died, and the next one was not there yet
    UNMATCHED = "unmatched"  # the camera exposed around then, but outside the tolerance


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure of one camera.

    Attributes
    ----------
    camera:
        Name of the camera in the rig.
    seq:
        Device frame id, unwrapped: it grows by one with every frame the device counted.
    t_exposure_ns:
        Middle of the exposure on the rig clock (CLOCK_MONOTONIC of the rig's host).
    uncertainty_ns:
        Half width of the interval that holds `t_exposure_ns`, as the driver states it.
    t_arrival_ns:
        When the host had the whole frame, rig clock.
    image:
        uint8, (H, W) mono or (H, W, 3) RGB. A read-only view: valid while its ring slot is leased.
    """

    camera: str
    seq: int
    t_exposure_ns: int
    uncertainty_ns: int
    t_arrival_ns: int
    image: Image


@dataclass(frozen=True, slots=True)
class FrameSet:
    """What all cameras saw at one instant, in rig order.

    Attributes
    ----------
    index:
        On a triggered rig the pulse number, from 0; on a free-running one the reference camera's
        frame count. Never shifted by a loss.
    t_exposure_ns:
        Middle of the exposure of the set: the median over its frames, rig clock; where no frame
        came, the instant the pulse is known to have had.
    spread_ns:
        Largest minus smallest `t_exposure_ns` of its frames; 0 with fewer than two.
    frames:
        One per camera in rig order; None where there is none.
    absences:
        One per camera in rig order: None where there is a frame, else the reason.
    uncertain:
        Cameras whose frame here, or whose absence, may belong to the pulse before or after; empty
        where all is sure.
    """

    index: int
    t_exposure_ns: int
    spread_ns: int
    frames: tuple[Frame | None, ...]
    absences: tuple[Absence | None, ...]
    uncertain: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every camera's frame is there."""
        return all(frame is not None for frame in self.frames)
