"""Percentiles from histograms of bounded size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.latency import LatencyHistogram, StageLatency, _bucket, _middle_ns


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=300), st.sampled_from([1, 50, 95, 99, 100]))
def test_percentiles_are_within_half_a_percent(durations_ns: list[int], percent: int) -> None:
    histogram = LatencyHistogram()
    for duration_ns in durations_ns:
        histogram.add(duration_ns)
    exact_ms = np.percentile(durations_ns, percent, method="inverted_cdf") / 1e6
    assert histogram.percentile_ms(percent) == pytest.approx(exact_ms, rel=0.005, abs=0.001)
    assert histogram.max_ns == max(durations_ns)


@given(st.integers(0, 2**36))
def test_each_duration_is_in_the_bucket_whose_middle_is_nearest(units: int) -> None:
    middle_ns = _middle_ns(_bucket(units))
    assert abs(middle_ns - (units + 0.5) * 1000) <= max(500, units * 1000 / 256)


@given(st.integers(0, 2**40))
def test_buckets_grow_with_the_duration(units: int) -> None:
    assert _bucket(units) <= _bucket(units + 1)


def test_nothing_measured_says_so() -> None:
    assert LatencyHistogram().summary() == {
        "count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None,
    }  # fmt: skip


def test_stages_keep_their_order() -> None:
    stages = StageLatency()
    stages.add({"network": 2_000_000, "decode": 1_000_000})
    stages.add({"network": 4_000_000, "decode": -5})
    summary = stages.summary()
    assert list(summary) == ["network", "decode"]
    assert summary["network"]["count"] == 2 and summary["network"]["max_ms"] == 4.0
    assert summary["decode"]["p50_ms"] == pytest.approx(0, abs=0.001)
