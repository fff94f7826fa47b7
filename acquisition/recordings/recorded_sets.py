"""The frame sets of a recording: its frame tables and events, matched by the same code as live."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Absence
from acquisition.frame_stamp import FrameStamp
from acquisition.recordings.frame_table import COLUMNS, stamp_of
from acquisition.recordings.segments import JOINED, RECORDER_BACK, Segment, counts_from_ns
from acquisition.recordings.switch import NOT_ASKED, Stretches
from acquisition.rig import RigSettings, SyncSettings
from acquisition.synchronisation.synchronise import StampSet, Synchroniser

# A camera's segments in order, each with the rows of its frame table that have a picture.
Tables = Mapping[str, Sequence[tuple[Segment, npt.NDArray[np.void]]]]
_Stamped = tuple[FrameStamp, int | None]

_BEYOND_NS = 1 << 62
_PULSES: dict[str, int | None] = {"period_ns": None, "first_exposure_ns": None}
# Frames that an event alone tells of.
_TOLD = {"ring full": Absence.RING_FULL, NOT_ASKED: Absence.NOT_RECORDED}


def recorded_sets(
    session: dict[str, Any],
    rig: RigSettings,
    sync: SyncSettings,
    tables: Tables,
    events: list[dict[str, Any]],
) -> list[StampSet]:
    """As `Recording.frame_sets`; `session` as session.json has it, `tables` by camera in rig order."""
    trains = session.get("trains") or [{**_PULSES, **(session["pulses"] or {})}]
    stretches = Stretches.of(events)

    def asked_for(one: StampSet) -> bool:
        # Next to a seam a camera's frame may have been on the other side.
        whole = one.complete or stretches.from_seam_ns(one.t_exposure_ns) > sync.tolerance_ms * 1e6
        return whole and stretches.asked(one.t_exposure_ns)

    stamps = list(_stamps(tables, events))
    sets: list[StampSet] = []
    for train, following in pairwise([*trains, None]):
        assert train is not None
        period_ns = train["period_ns"]
        if period_ns is None and rig.trigger is not None:
            period_ns = round(1e9 / rig.trigger.rate_hz)
        maker = Synchroniser(tuple(tables), sync, period_ns, train["first_exposure_ns"])
        from_ns = counts_from_ns(train) if train is not trains[0] else -_BEYOND_NS
        to_ns = _BEYOND_NS if following is None else counts_from_ns(following)
        made: list[StampSet] = []
        for stamp, row in stamps:
            if from_ns <= stamp.t_exposure_ns < to_ns:
                maker.add(stamp, row)
                made += filter(asked_for, maker.closed(0))
        made += filter(asked_for, maker.flush())
        base = train.get("first_index", 0)
        sets += [replace(one, index=base + one.index) for one in made] if base else made
    spans = _spans_ns(tables, events)
    for event in events:
        if event["kind"] == RECORDER_BACK:
            sets = _without_recorder(sets, spans, event["segment"])
    return sets


def _stamps(tables: Tables, events: list[dict[str, Any]]) -> Iterator[_Stamped]:
    """All frames by arrival, with those that a full ring dropped, and some that nobody asked for."""
    dropped: dict[str, list[_Stamped]] = {camera: [] for camera in tables}
    for event in events:
        if event["kind"] in _TOLD:
            numbers = {name: int(event[name]) for name in COLUMNS}
            stamp = FrameStamp(camera=event["camera"], absence=_TOLD[event["kind"]], **numbers)
            dropped[stamp.camera].append((stamp, None))
    streams = []
    for camera, pieces in tables.items():
        rows = [row for _, table in pieces for row in table]
        stamped: list[_Stamped] = [(stamp_of(camera, row), n) for n, row in enumerate(rows)]
        streams.append(sorted([*stamped, *dropped[camera]], key=_arrival_ns))
    return heapq.merge(*streams, key=_arrival_ns)


def _arrival_ns(item: _Stamped) -> int:
    return item[0].t_arrival_ns


def _spans_ns(tables: Tables, events: list[dict[str, Any]]) -> list[dict[int, tuple[int, int]]]:
    """Of each camera, first and last exposure by segment, as recorded: also where they are one now."""
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for camera, pieces in tables.items():
        exposures_ns = {one.number: table["t_exposure_ns"] for one, table in pieces if len(table)}
        found[camera] = {number: (int(t_ns[0]), int(t_ns[-1])) for number, t_ns in exposures_ns.items()}
    for event in events:
        if event["kind"] == JOINED:
            found[event["camera"]] |= {number: (first, last) for number, first, last in event["spans"]}
    return list(found.values())


def _without_recorder(
    sets: list[StampSet], spans_ns: list[dict[int, tuple[int, int]]], segment_after: int
) -> list[StampSet]:
    """What was captured while no recorder ran, before a segment began, is no loss of the camera's."""
    for place, spans in enumerate(spans_ns):
        ended = [last for number, (_, last) in spans.items() if number < segment_after]
        begun = [first for number, (first, _) in spans.items() if number >= segment_after]
        before_ns, after_ns = max(ended, default=-_BEYOND_NS), min(begun, default=_BEYOND_NS)
        sets = [
            _not_recorded(one, place)
            if one.absences[place] is not None and before_ns < one.t_exposure_ns < after_ns
            else one
            for one in sets
        ]
    return sets


def _not_recorded(one: StampSet, place: int) -> StampSet:
    absences = (*one.absences[:place], Absence.NOT_RECORDED, *one.absences[place + 1 :])
    return replace(one, absences=absences)
