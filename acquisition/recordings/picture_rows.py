"""Which row of the frame table a decoded picture belongs to, also where the video has lost some.

A sound file has as many packets as its segment has rows, and needs no search: picture n is row n. Where a
picture's time is not the next row's, a packet was damaged (the decoder leaves it out without a word) or is
gone from the file, and times tell which.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

GONE = -1
"""In `PictureRows.numbers`: the row's picture is not in the video any more, or nothing tells which it is."""
_SAME_S = 0.00045  # Matroska's times are whole milliseconds, each its own


class PictureRows:
    """The rows of one segment by the times of its pictures.

    Parameters
    ----------
    table:
        Its rows (`FRAME_DTYPE`).
    origin_ns:
        What the video's times count from, rig clock; None: not known.
    packet_times_s:
        Reads the times of all packets in the video, ascending; called once, if at all.
    """

    def __init__(
        self, table: npt.NDArray[np.void], origin_ns: int | None, packet_times_s: Callable[[], list[float]]
    ) -> None:
        self._exposures_ns = table["t_exposure_ns"]
        self._packet_times_s = packet_times_s
        self._times_s: npt.NDArray[np.float64] = np.empty(0)
        self._rows = np.arange(len(table))
        self._settled = self._counted = False
        if origin_ns is not None and len(table):
            self._times_s = _as_encoded_s(self._exposures_ns, origin_ns)

    def row(self, time_s: float | None, least: int) -> int | None:
        """The row of the next picture, `least` or later; None where nothing tells which."""
        if time_s is None or self._counted:
            return least
        row = self._at(time_s, least)
        if row != least and not self._settled:
            self._settle()
            row = self._at(time_s, least)
            if row is None and len(self._rows) == len(self._exposures_ns):
                self._counted = True  # all packets are there, under times that pictures do not carry
                return least
        return row

    def numbers(self) -> npt.NDArray[np.int64]:
        """int64 (N,): for each row the number of its packet in the order of time, or `GONE`."""
        if not self._settled:
            self._settle()
        numbers = np.full(len(self._exposures_ns), GONE, np.int64)
        numbers[self._rows] = np.arange(len(self._rows))
        return numbers

    def _at(self, time_s: float, least: int) -> int | None:
        place = int(np.searchsorted(self._times_s, time_s - _SAME_S))
        if place == len(self._times_s) or self._times_s[place] > time_s + _SAME_S:
            return None
        row = int(self._rows[place])
        return row if row >= least else None

    def _settle(self) -> None:
        """What the packets say: all there; or some lacking, whose rows the table's times tell; or not."""
        self._settled = True
        found_s, count = np.array(self._packet_times_s(), np.float64), len(self._exposures_ns)
        if len(found_s) >= count:
            self._rows, self._times_s = np.arange(count), found_s[:count]
            return
        places = np.searchsorted(self._times_s, found_s - _SAME_S)
        if len(self._times_s) and len(found_s) and places[-1] < count:
            told = np.abs(self._times_s[places] - found_s) <= _SAME_S
            if told.all() and (np.diff(places) > 0).all():
                self._rows, self._times_s = places, found_s
                return
        if not len(found_s):
            self._rows, self._times_s = self._rows[:0], found_s
            return
        # the times count otherwise than the table: steps agree up to the first place that lacks one
        steps_s = np.diff(self._exposures_ns) / 1e9
        wrong = np.abs(np.diff(found_s) - steps_s[: max(0, len(found_s) - 1)]) > np.median(steps_s) / 2
        sure = int(np.argmax(wrong)) + 1 if wrong.any() else len(found_s)
        self._rows, self._times_s = np.arange(sure), found_s[:sure]


def _as_encoded_s(exposures_ns: npt.NDArray[np.int64], origin_ns: int) -> npt.NDArray[np.float64]:
    """The times that `Encoder` gives to rows: whole milliseconds, each at least one after the one before."""
    due_ms = np.rint((exposures_ns - origin_ns) / 1e6)
    due_ms[0] = max(due_ms[0], 0)
    rows = np.arange(len(due_ms))
    grown: npt.NDArray[np.float64] = (np.maximum.accumulate(due_ms - rows) + rows) / 1e3
    return grown
