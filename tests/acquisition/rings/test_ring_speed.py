"""The ring at the size of the benchmark, for a few seconds; `benchmarks/ring.py` takes longer."""

from __future__ import annotations

import pytest

from acquisition.rings.ring import SLOTS, RingGeometry
from benchmarks.ring import measure_latency, measure_rate, measure_torn

GEOMETRY = RingGeometry(SLOTS, 1024, 1280, 1)


@pytest.mark.long
@pytest.mark.alone
def test_no_frame_is_torn_and_the_ring_costs_little_more_than_a_copy():
    found = measure_torn(GEOMETRY, 2000)
    assert found["torn"] == 0 and found["seen"] == {"quick": 2000, "slow": 2000} and found["refused"] > 100
    assert measure_rate(GEOMETRY, 2)["ratio"] > 0.3
    assert measure_latency(GEOMETRY, 1)["latency_ms"]["p50"] > 0
