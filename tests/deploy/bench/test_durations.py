"""Percentiles, jitter and rate of durations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.durations import summary


def test_figures_of_durations_that_are_known() -> None:
    figures = summary(np.arange(1, 101) * 1_000_000, frames=4)
    assert figures["count"] == 100 and figures["max_ms"] == 100.0
    assert (figures["p50_ms"], figures["p95_ms"], figures["p99_ms"]) == (50.5, 95.05, 99.01)
    assert figures["jitter_ms"] == 1.0
    assert figures["frames_per_s"] == pytest.approx(4 * 1e3 / 50.5, abs=0.05)


def test_one_duration_has_no_jitter_and_none_is_a_mistake() -> None:
    assert summary([3_000_000])["jitter_ms"] == 0.0
    with pytest.raises(ValueError, match="no durations"):
        summary([])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_percentiles_are_in_order_and_never_beyond_the_largest(durations_ns: list[int]) -> None:
    figures = summary(durations_ns)
    points = [figures[name] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
    assert points == sorted(points)
