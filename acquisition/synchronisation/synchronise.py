"""Frame sets: which frames of all cameras belong to one instant, and why one is missing.

`Synchroniser(cameras, settings, period_ns)` makes the one that fits the rig: with a period, a set is
a pulse of the trigger (`pulse_sets`); without, the exposures nearest to the reference camera's
(`nearest_sets`). The same code runs live and on recorded frame tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from acquisition.frame import Absence, FrameSet
from acquisition.frame_stamp import FrameStamp
from acquisition.rig import SyncSettings


@dataclass(frozen=True, slots=True)
class StampSet:
    """A frame set without images.

    Attributes
    ----------
    index, t_exposure_ns, spread_ns, absences:
        As in `FrameSet`.
    stamps:
        One per camera in rig order, None where there is no image.
    payloads:
        What was handed to `add` with each stamp (a leased frame, a row number), None where absent.
    uncertain:
        Cameras whose frame here, or whose absence, may belong to the pulse before or after.
    """

    index: int
    t_exposure_ns: int
    spread_ns: int
    stamps: tuple[FrameStamp | None, ...]
    absences: tuple[Absence | None, ...]
    payloads: tuple[Any, ...]
    uncertain: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every camera's frame is there."""
        return all(stamp is not None for stamp in self.stamps)

    def with_images(self) -> FrameSet:
        """The frame set of leased payloads; its images are valid until the leases are released."""
        frames = tuple(None if leased is None else leased.frame for leased in self.payloads)
        return FrameSet(self.index, self.t_exposure_ns, self.spread_ns, frames, self.absences, self.uncertain)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The cause of an absence that was still LATE when its set had to be closed."""

    index: int
    camera: str
    absence: Absence


class FrameSetMaker(Protocol):
    """What both kinds of synchroniser offer. One thread owns it.

    Attributes
    ----------
    rejected:
        Payloads that belong to no set (too late, off the grid, twice on one pulse). Who leases
        frames takes them out and releases them.
    counts:
        How many, by cause: "late", "stray", "duplicate", "count_conflict".
    """

    rejected: list[Any]
    counts: dict[str, int]

    def add(self, stamp: FrameStamp, payload: Any = None) -> None:
        """Take in a frame. Frames of one camera come in the order of their exposures."""
        ...

    def gone(self, camera: str) -> None:
        """The camera has stopped for now: its frames are no longer waited for."""
        ...

    def closed(self, now_ns: int) -> list[StampSet]:
        """The sets that are finished, in order: every frame there or its absence explained, or
        `max_delay_ms` after the exposure."""
        ...

    def resolved(self) -> list[Resolved]:
        """Causes that became known after the set had been closed with `Absence.LATE`."""
        ...

    def flush(self) -> list[StampSet]:
        """The remaining sets; nothing more will come."""
        ...


def Synchroniser(
    cameras: Sequence[str],
    settings: SyncSettings,
    period_ns: int | None,
    first_exposure_ns: int | None = None,
) -> FrameSetMaker:
    """The synchroniser of a rig.

    Parameters
    ----------
    cameras:
        Names in rig order; the first is the reference of a free-running rig.
    settings:
        Tolerance and largest delay.
    period_ns:
        Period of the trigger as far as known (its drift is followed), None on a free-running rig.
    first_exposure_ns:
        Middle of the exposure of pulse 0 on the rig clock, from the trigger's own start. Without it
        pulse 0 is the first that any camera saw.
    """
    from acquisition.synchronisation.nearest_sets import NearestSets
    from acquisition.synchronisation.pulse_sets import PulseSets

    if period_ns is None:
        return NearestSets(cameras, settings)
    return PulseSets(cameras, settings, period_ns, first_exposure_ns)
