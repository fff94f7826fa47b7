"""What a trigger board does, measured for some seconds against this machine's clock."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from acquisition.progress import Progress
from acquisition.trigger.protocol import VERSION, Train
from acquisition.trigger.serial_trigger import SerialTrigger, train_of

_DRIFT_MAX_PPM = 10_000.0  # a ceramic resonator is within 5000
_BRIDGED_NS = 1_000


@dataclass(frozen=True, slots=True)
class TriggerCheck:
    """What was found.

    Attributes
    ----------
    port, version, epoch:
        The board, its firmware, its boot.
    period_cycles, period_ns:
        As held by the board, and by this machine's clock.
    drift_ppm:
        How much faster than nominal the board's clock runs.
    pulses, reported, missing:
        Given by the board's own count; told one by one; told by none though their turn was.
    jitter_ms:
        Arrival of the reports beyond the earliest, p50, p95 and max: of the line, not of the pulses.
    edges, bridged:
        Edges seen on the input, and how many of them were its own pulses (D9 wired to D8).
    faults:
        What is wrong; none is the verdict PASS.
    """

    port: str
    version: int
    epoch: int
    period_cycles: int
    period_ns: int
    drift_ppm: float
    pulses: int
    reported: int
    missing: int
    jitter_ms: dict[str, float]
    edges: int
    bridged: int
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def check_trigger(port: str, rate_hz: float = 100.0, seconds: float = 5.0) -> TriggerCheck:
    """Let the trigger at `port` pulse for some seconds and compare all that it says.

    Raises
    ------
    RigposeError
        No such port, another device, other firmware, or a rate that it cannot give.
    """
    heard = _Heard()
    trigger = SerialTrigger(port, train_of(rate_hz, min(1000.0, 0.4e6 / rate_hz)))
    trigger.listen(heard.note)
    trigger.on_pulse = heard.pulse
    try:
        trigger.open()
        link = trigger.link
        assert link is not None
        first_ns, period_ns = trigger.start()
        _wait(trigger, first_ns + int(seconds * 1e9))
        pulses = trigger.stop()
        time.sleep(0.1)  # the last reports
        drift_ppm = link.clock.drift_ppm
        epoch, fault = link.epoch, trigger.fault
    finally:
        trigger.close()
    reported, late_ms = heard.reports(first_ns, period_ns)
    missing = len(set(range(0, pulses, trigger.train.every)) - reported)
    bridged = heard.bridged(trigger.train, link.hz)
    faults = [fault] if fault else []
    if missing:
        faults.append(f"{missing} reports of pulses are missing")
    if abs(drift_ppm) > _DRIFT_MAX_PPM:
        faults.append(f"its clock is off by {drift_ppm:.0f} ppm")
    if heard.lost:
        faults.append("edges of the input were lost: they come too fast")
    return TriggerCheck(
        port=port,
        version=VERSION,
        epoch=epoch,
        period_cycles=trigger.train.period,
        period_ns=period_ns,
        drift_ppm=round(drift_ppm, 1),
        pulses=pulses,
        reported=len(reported),
        missing=missing,
        jitter_ms=_percentiles(late_ms),
        edges=len(heard.edges),
        bridged=bridged,
        faults=tuple(faults),
    )


def _percentiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    shares = {"p50": 50, "p95": 95, "max": 100}
    return {name: round(float(np.percentile(values, share)), 3) for name, share in shares.items()}


def _wait(trigger: SerialTrigger, until_ns: int) -> None:
    with Progress("pulsing", total=(until_ns - time.monotonic_ns()) * 1e-9) as bar:
        while time.monotonic_ns() < until_ns and not trigger.fault:
            time.sleep(0.1)
            bar.advance(0.1)


class _Heard:
    """What the trigger told, gathered from its thread."""

    def __init__(self) -> None:
        self.edges: list[dict[str, Any]] = []
        self.lost = False
        self._pulses: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def note(self, kind: str, t_ns: int, **facts: Any) -> None:
        if kind == "edge":
            self.edges.append(facts)
        self.lost = self.lost or kind == "edges lost"

    def pulse(self, slot: int, arrival_ns: int) -> None:
        with self._lock:
            self._pulses.append((slot, arrival_ns))

    def reports(self, first_ns: int, period_ns: int) -> tuple[set[int], np.ndarray]:
        """Slots told, and how late each was beyond the earliest, ms."""
        with self._lock:
            pulses = list(self._pulses)
        late_ns = np.array(
            [arrival - first_ns - slot * period_ns for slot, arrival in pulses], dtype=np.int64
        )
        earliest_ns = late_ns.min() if late_ns.size else 0
        return {slot for slot, _ in pulses}, (late_ns - earliest_ns) * 1e-6

    def bridged(self, train: Train, hz: int) -> int:
        """Edges that are the trigger's own: at a pulse's start, or its width after."""
        width_ns = train.width_a / hz * 1e9
        own = 0
        for edge in self.edges:
            if edge["since_ns"] is not None:
                expected_ns = 0.0 if edge["level"] else width_ns
                own += abs(edge["since_ns"] - expected_ns) <= _BRIDGED_NS + 0.01 * expected_ns
        return own
