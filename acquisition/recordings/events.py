"""The events table of a session: JSON lines, appended one by one, readable up to a cut."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

NAME = "events.jsonl"


class EventsWriter:
    """Appends events. Several processes may append to one file: each line is one write."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def append(self, kind: str, t_ns: int | None = None, **facts: Any) -> None:
        """Write an event of `kind` at `t_ns` (rig clock; default now) with JSON-able facts."""
        event = {"t_ns": time.monotonic_ns() if t_ns is None else t_ns, "kind": kind, **facts}
        os.write(self._file, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All whole events of a session, in the order they were written; none where there is no table."""
    path = folder / NAME
    if not path.exists():
        return []
    events = []
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the line at which the session was cut off
        if isinstance(event, dict):
            events.append(event)
    return events
