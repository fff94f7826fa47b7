"""Latency histograms of bounded size, so that hours of running have honest percentiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_UNIT_NS = 1_000  # finest bucket
_FINE_BITS = 7  # 128 buckets an octave: a percentile is right to 0.4 %
_OCTAVES = 30  # up to 1 us * 2^30: 18 minutes
_BUCKETS = (_OCTAVES + 1) << _FINE_BITS


class LatencyHistogram:
    """Durations in logarithmic buckets: 31 KB, whatever is added. The maximum is kept exactly."""

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros(_BUCKETS, dtype=np.int64)
        self.count = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0."""
        duration_ns = max(0, duration_ns)
        self._counts[_bucket(duration_ns // _UNIT_NS)] += 1
        self.count += 1
        self.max_ns = max(self.max_ns, duration_ns)

    def percentile_ms(self, percent: float) -> float | None:
        """The smallest duration that `percent` of all do not exceed, in ms; None if there is none."""
        if not self.count:
            return None
        rank = max(1, int(np.ceil(self.count * percent / 100)))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(_middle_ns(bucket), self.max_ns) / 1e6

    def summary(self) -> dict[str, float | int | None]:
        """Count, p50_ms, p95_ms, p99_ms and max_ms."""
        return {
            "count": self.count,
            **{f"p{p}_ms": _round(self.percentile_ms(p)) for p in (50, 95, 99)},
            "max_ms": _round(self.max_ns / 1e6) if self.count else None,
        }


class StageLatency:
    """One histogram per named stage, in the order they were first seen."""

    def __init__(self) -> None:
        self.stages: dict[str, LatencyHistogram] = {}

    def add(self, durations_ns: Mapping[str, int]) -> None:
        """Count one duration of each stage."""
        for stage, duration_ns in durations_ns.items():
            if stage not in self.stages:
                self.stages[stage] = LatencyHistogram()
            self.stages[stage].add(duration_ns)

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """The summary of every stage."""
        return {stage: histogram.summary() for stage, histogram in self.stages.items()}


def _bucket(units: int) -> int:
    """Linear below 2^7 units, then 128 buckets an octave."""
    octave = max(0, units.bit_length() - _FINE_BITS - 1)
    return min((octave << _FINE_BITS) + (units >> octave), _BUCKETS - 1)


def _middle_ns(bucket: int) -> float:
    octave = max(0, (bucket >> _FINE_BITS) - 1)
    return float(((bucket - (octave << _FINE_BITS) << octave) + 0.5 * (1 << octave)) * _UNIT_NS)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
