"""What is known of one frame besides its image: the value that rings, tables and frame sets share."""

from __future__ import annotations

from dataclasses import dataclass

from acquisition.frame import Absence

NO_DEVICE_STAMP = -(1 << 63)
"""`t_device_ns` of a camera without a clock of its own."""

NEW_COUNT = -1
"""`lost_before` of the first frame since the device began to count: what went before is not known."""


@dataclass(frozen=True, slots=True)
class FrameStamp:
    """Counts and stamps of one captured frame.

    Attributes
    ----------
    camera:
        Name of the camera in the rig.
    seq:
        Device frame id, unwrapped: it grows by one with every frame the device counted.
    t_device_ns:
        Stamp on the device's own clock, `NO_DEVICE_STAMP` where it has none.
    t_exposure_ns, uncertainty_ns:
        Middle of the exposure on the rig clock, and the half width of what is known of it.
    t_arrival_ns:
        When the host had the whole frame, rig clock.
    lost_before:
        Frames the device counted since the one captured before this that never arrived;
        `NEW_COUNT` on the first frame after the device was (re)started.
    absence:
        None where the image is there; `Absence.RING_FULL` where it was captured but not kept.
    """

    camera: str
    seq: int
    t_device_ns: int
    t_exposure_ns: int
    uncertainty_ns: int
    t_arrival_ns: int
    lost_before: int
    absence: Absence | None = None
