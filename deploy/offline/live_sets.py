"""Which frame sets of a recording a live tracker's poses belong to: by time, since both count for themselves.

On a free-running rig the recorder counts from its own first frame and the tracker, ready later, from another;
on any rig a tracker that was restarted may have counted on by a period that was a little off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.rig import SyncSettings
from acquisition.synchronisation.synchronise import StampSet
from deploy.poses_io.pose_table import FOLDER, PoseTable

Numbers = npt.NDArray[np.int64]
_NONE = -1


def places_of(sets: Sequence[StampSet], sync: SyncSettings, t_exposure_ns: Numbers) -> Numbers:
    """The set of each time: the nearest within half a period, and no set twice.

    Parameters
    ----------
    sets:
        Of the recording.
    sync:
        Its settings: of a single set nobody knows the period.
    t_exposure_ns:
        int64 (T,): rig clock.

    Returns
    -------
    int64 (T,)
        Places in `sets`, -1 where none is that near or another time is nearer to it.
    """
    places, apart_ns = _nearest(sets, sync, t_exposure_ns)
    by_nearness = np.argsort(apart_ns, kind="stable")
    _, first = np.unique(places[by_nearness], return_index=True)
    chosen = by_nearness[first]
    once = np.full(len(places), _NONE, np.int64)
    once[chosen] = places[chosen]
    return once


def _nearest(sets: Sequence[StampSet], sync: SyncSettings, t_ns: Numbers) -> tuple[Numbers, Numbers]:
    """The nearest set of each time and how far it is: -1 where it is half a period or more."""
    if not len(sets):
        return np.full(len(t_ns), _NONE, np.int64), np.zeros(len(t_ns), np.int64)
    times_ns = np.array([each.t_exposure_ns for each in sets], np.int64)
    order = np.argsort(times_ns, kind="stable")
    times_ns = times_ns[order]
    steps_ns = np.diff(times_ns)
    half_ns = np.median(steps_ns) / 2 if len(steps_ns) else sync.tolerance_ms * 1e6
    after = np.searchsorted(times_ns, t_ns).clip(max=len(times_ns) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(t_ns - times_ns[before] <= times_ns[after] - t_ns, before, after)
    apart_ns = np.abs(times_ns[nearest] - t_ns)
    return np.where(apart_ns < half_ns, order[nearest], _NONE), apart_ns


def recorded_rows(path: Path, table: PoseTable) -> tuple[Numbers, npt.NDArray[np.void]]:
    """A table's rows by the frame sets of the recording that it lies beside.

    Rows of no frame set (the recording was switched off, or is over) are counted on from the row before, and
    left out where another has that number. A table beside no recording, or of no frame of it, keeps its own.

    Parameters
    ----------
    path:
        The table's file.

    Returns
    -------
    index:
        int64 (T,): numbers of the frame sets.
    records:
        Structured array (T,), as `PoseTable.records`.

    Raises
    ------
    RigposeError
        If the recording cannot be read.
    """
    records, path = table.records, Path(path).resolve()
    own: Numbers = records["index"].astype(np.int64)
    session = path.parent.parent
    if path.parent.name != FOLDER or not (session / SESSION_FILE).exists():
        return own, records
    with Recording.open(session) as recording:
        sets, sync = recording.frame_sets(), recording.rig.sync
    places = places_of(sets, sync, records["t_exposure_ns"].astype(np.int64))
    there = places != _NONE
    if not there.any():
        return own, records
    index = np.array([each.index for each in sets], np.int64)
    rows = np.flatnonzero(there)
    before = rows[np.searchsorted(rows, np.arange(len(own)), side="right").clip(1) - 1]
    numbers: Numbers = own + index[places[before]] - own[before]
    # Those that the recording has keep theirs, of the others each number is given once.
    by_right = np.argsort(~there, kind="stable")
    _, first = np.unique(numbers[by_right], return_index=True)
    given = np.zeros(len(own), np.bool_)
    given[by_right[first]] = True
    given &= numbers >= 0
    return (numbers, records) if given.all() else (numbers[given], records[given])


def recorded_events(recording: Recording) -> list[dict[str, Any]]:
    """The recording's events; those of outputs say which of its frame sets they were decided on.

    A live process logs the number that its tracker gave, and how old the set's exposure was. Here `frame_set`
    is the number in the recording, -1 where it has no such set.
    """
    events = recording.events()
    exposures_ns = [_exposure_ns(event) for event in events]
    told = [n for n, t_ns in enumerate(exposures_ns) if t_ns is not None]
    if told:
        sets = recording.frame_sets()
        times_ns = np.array([exposures_ns[n] for n in told], np.int64)
        places, _ = _nearest(sets, recording.rig.sync, times_ns)  # several events may be of one set
        for n, place in zip(told, places, strict=True):
            events[n] = {**events[n], "frame_set": _NONE if place == _NONE else sets[place].index}
    return events


def _exposure_ns(event: dict[str, Any]) -> int | None:
    """Of the frame set that an event names, None where it names none."""
    number, t_ns, age_ms = (event.get(name) for name in ("frame_set", "t_ns", "exposure_age_ms"))
    if not isinstance(number, int) or not isinstance(t_ns, int) or not isinstance(age_ms, int | float):
        return None
    return t_ns - round(age_ms * 1e6) if number >= 0 and math.isfinite(age_ms) else None
