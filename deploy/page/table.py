"""The table of topics and processes: alive, often enough, meaningful."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

# Topic -> messages a second; 0: as often as the rig has frame sets; None: only when something happens.
RATES_HZ: dict[str, float | None] = {
    "session": 1.0, "health": 1.0, "pose2d": 0.0, "pose3d": 0.0, "event": None
}  # fmt: skip
_WINDOW_NS = 5_000_000_000
_OFTEN_ENOUGH = 0.8
_SILENT_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One row.

    Attributes
    ----------
    alive:
        It was heard within three seconds.
    frequency_ok:
        It came at least 0.8 times as often as it should, over five seconds; a process: it reported within
        three.
    valid:
        What it last said means something.
    """

    name: str
    kind: str
    alive: bool
    frequency_ok: bool
    valid: bool
    note: str = ""


class TopicWatch:
    """When each topic was heard."""

    def __init__(self) -> None:
        self._heard: dict[str, deque[int]] = {}
        self._valid: dict[str, bool] = {}

    def heard(self, topic: str, t_ns: int, valid: bool) -> None:
        """A message came."""
        times = self._heard.setdefault(topic, deque())
        times.append(t_ns)
        self._valid[topic] = valid
        while times[0] < t_ns - _WINDOW_NS:
            times.popleft()

    def lines(self, now_ns: int, rig_hz: float) -> list[Line]:
        """A row for every topic that must come, and for those that came."""
        rows = []
        for topic, rate_hz in RATES_HZ.items():
            times = self._heard.get(topic)
            if times is None and topic in ("pose3d", "event"):
                continue  # 2D only; nothing happened
            recent = [] if times is None else [t_ns for t_ns in times if t_ns >= now_ns - _WINDOW_NS]
            found_hz = len(recent) * 1e9 / _WINDOW_NS
            if rate_hz is None:
                rows.append(Line(topic, "topic", True, True, True, f"{found_hz:.1f} a second"))
                continue
            wanted_hz = rate_hz or rig_hz
            alive = bool(recent) and now_ns - recent[-1] < _SILENT_NS
            often = alive and found_hz >= _OFTEN_ENOUGH * wanted_hz
            note = f"{found_hz:.1f} of {wanted_hz:.1f} Hz" if wanted_hz else f"{found_hz:.1f} Hz"
            rows.append(Line(topic, "topic", alive, often, alive and self._valid[topic], note))
        return rows


def process_lines(processes: dict[str, dict[str, Any]], now_ns: int) -> list[Line]:
    """A row for each process of the rig, from what the parent told.

    `processes`: by name `alive`, `reported_ns` (when it last reported), `state`, `restarts`.
    """
    rows = []
    for name, told in processes.items():
        fresh = now_ns - told.get("reported_ns", 0) < _SILENT_NS
        restarts = told.get("restarts", 0)
        note = f"{restarts} restarts" if restarts else ""
        rows.append(
            Line(name, "process", bool(told.get("alive")), fresh, told.get("state") != "failed", note)
        )
    return rows
