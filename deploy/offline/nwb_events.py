"""A session's events as tables of an NWB file: one a kind of event, its facts as columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_NOT_A_NAME = re.compile(r"[^\w .+-]")


def events_tables(events: Sequence[dict[str, Any]], start_ns: int) -> list[Any]:
    """`EventsTable` by kind, in the order of time; times are seconds since `start_ns` of the rig clock."""
    from hdmf.common import VectorData
    from pynwb.event import EventsTable, TimestampVectorData

    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in sorted((each for each in events if _whole(each)), key=lambda each: int(each["t_ns"])):
        kinds.setdefault(event["kind"], []).append(event)
    tables = []
    for kind, rows in kinds.items():
        seconds = (np.array([event["t_ns"] for event in rows], np.int64) - start_ns) / 1e9
        about = "seconds since the session's start"
        columns: list[Any] = [TimestampVectorData(name="timestamp", description=about, data=seconds)]
        for fact in sorted({name for event in rows for name in event} - {"t_ns", "kind"}):
            values = _column([event.get(fact) for event in rows])
            columns.append(VectorData(name=plain_name(fact), description=f"{fact} of the event", data=values))
        about = f"events '{kind}' of the recording, as its events table has them"
        tables.append(EventsTable(name=plain_name(kind), description=about, columns=columns))
    return tables


def plain_name(text: str) -> str:
    """A name without what NWB's paths forbid."""
    return _NOT_A_NAME.sub("_", text) or "_"


def _whole(event: dict[str, Any]) -> bool:
    return isinstance(event.get("t_ns"), int) and isinstance(event.get("kind"), str)


def _column(values: list[Any]) -> Any:
    """Numbers where all are, else text; empty where an event lacks the fact."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, np.int64)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return np.array(values, np.float64)
    return ["" if value is None else str(value) for value in values]
