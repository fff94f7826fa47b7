"""On and off while the cameras go on: which of the frames a recording was asked for.

A seam between on and off lies between two exposures, at the same instant for all cameras, so that frame sets
are whole on either side. Of the frames that nobody asked for some stamps go into the events: by them a
camera's frames are counted on, and the sets of the next stretch have the numbers that they have live.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.recordings.frame_table import COLUMNS

ON, OFF = "recording on", "recording off"
"""Kinds of the events of a switch; `t_ns` is the seam. `asked_ns`, `by`: when it was asked for, and where."""
NOT_ASKED = "not asked for"
"""Kind of the event of a frame that nobody asked for: `camera`, its stamp as in a frame table, and `frames`,
how many of its camera there were so far."""

_KEPT_FIRST = 8
# Frames from which a camera is placed on the pulses.

_KEPT_EVERY = 25
# Pulses over which the drift of a clock, and what is not known of the trigger's period, are nothing.

_FAR_NS = 1 << 62


@dataclass(slots=True)
class Stretches:
    """When frames were asked for. It begins switched on.

    Attributes
    ----------
    seams_ns:
        From which exposure on, rig clock, it was off, on again, and so forth.
    """

    seams_ns: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[dict[str, Any]]) -> Stretches:
        """As a session's events tell; a line that was cut off is passed over with what it would undo."""
        found = cls()
        for event in events:
            if event["kind"] == (OFF if found.on else ON):
                found.turn(int(event["t_ns"]))
        return found

    @property
    def on(self) -> bool:
        """Whether frames are asked for after the last seam."""
        return len(self.seams_ns) % 2 == 0

    def turn(self, t_ns: int) -> int:
        """Switch over from exposure `t_ns` on, or right after the seam before; the seam."""
        self.seams_ns.append(max(t_ns, self.seams_ns[-1] + 1) if self.seams_ns else t_ns)
        return self.seams_ns[-1]

    def number(self, t_exposure_ns: int) -> int:
        """How many seams lie before a frame: where that is even it was asked for, where it is odd not."""
        return bisect_right(self.seams_ns, t_exposure_ns)

    def asked(self, t_exposure_ns: int) -> bool:
        """Whether a frame was asked for."""
        return self.number(t_exposure_ns) % 2 == 0

    def from_seam_ns(self, t_ns: int) -> int:
        """How far the nearest seam is."""
        at = self.number(t_ns)
        return min((abs(t_ns - seam) for seam in self.seams_ns[max(0, at - 1) : at + 1]), default=_FAR_NS)

    def off_ns(self, until_ns: int) -> int:
        """For how long it was off, until `until_ns`."""
        ends = [*self.seams_ns[1::2], until_ns][: len(self.seams_ns[::2])]
        return sum(max(0, end - begin) for begin, end in zip(self.seams_ns[::2], ends, strict=True))


class LetGo:
    """Frames of one camera that nobody asked for, counted.

    Parameters
    ----------
    note:
        `EventsWriter.append`.
    frames:
        How many there were before.

    Attributes
    ----------
    frames:
        How many there were.
    """

    def __init__(self, note: Callable[..., None], frames: int = 0) -> None:
        self.frames = frames
        self._note = note
        self._since = 0
        self._untold: FrameStamp | None = None

    def begin(self) -> None:
        """It was switched off."""
        self._since = 0

    def add(self, stamp: FrameStamp) -> None:
        """Count a frame, and keep its stamp where frame sets need it."""
        if stamp.lost_before == NEW_COUNT:
            self.end()  # the last one of the count before
            self._since = 0
        self.frames += 1
        self._untold = stamp
        if self._since < _KEPT_FIRST or self._since % _KEPT_EVERY == 0:
            self.end()
        self._since += 1

    def end(self) -> None:
        """Keep the stamp of the newest one, if that was not done: after it come others."""
        stamp, self._untold = self._untold, None
        if stamp is not None:
            columns = {name: getattr(stamp, name) for name in COLUMNS}
            self._note(NOT_ASKED, camera=stamp.camera, frames=self.frames, **columns)


def seam_after(newest_ns: int | None, period_ns: int, asked_ns: int) -> int:
    """Where a seam may lie: half a period after the newest exposure seen, or whole periods later.

    Parameters
    ----------
    newest_ns:
        Exposure of the newest frame of any camera that was handed on, or let go, already; None: none was.
    period_ns:
        From frame to frame.
    asked_ns:
        When the switch was asked for: the seam does not lie before it.
    """
    if newest_ns is None:
        return asked_ns
    seam_ns = newest_ns + period_ns // 2
    if seam_ns < asked_ns:
        seam_ns += -(-(asked_ns - seam_ns) // period_ns) * period_ns
    return seam_ns
