"""The trigger's cycles on the rig clock, from questions and answers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.trigger.clock import TriggerClock

HZ = 16_000_000


def exchanges(ppm, seconds, seed, every_s=0.25, busy=0.2, start_ns=10**15):
    """(cycles, earliest, latest) of a trigger that runs `ppm` fast; some answers come late."""
    chance = random.Random(seed)
    for n in range(int(seconds / every_s)):
        asked_ns = start_ns + round(n * every_s * 1e9)
        there_ns = asked_ns + chance.randint(100_000, 900_000)
        back_ns = there_ns + chance.randint(100_000, 900_000)
        if chance.random() < busy:
            back_ns += chance.randint(0, 30_000_000)
        yield round((there_ns - start_ns) * HZ * (1 + ppm * 1e-6) / 1e9), asked_ns, back_ns


@settings(max_examples=40, deadline=None)
@given(st.floats(-5000, 5000), st.integers(0, 10**6))
def test_offset_and_rate_are_found(ppm, seed):
    clock = TriggerClock(HZ)
    for exchange in exchanges(ppm, 60, seed):
        clock.add(*exchange)
    assert clock.drift_ppm == pytest.approx(ppm, abs=15)
    for after_s in (0, 30, 60):
        true_ns = 10**15 + round(after_s * 1e9 / (1 + ppm * 1e-6))
        assert abs(clock.to_rig(after_s * HZ) - true_ns) < 600_000
    assert 100_000 <= clock.uncertainty_ns < 900_000


def test_it_follows_a_resonator_that_warms_up():
    clock = TriggerClock(HZ)
    for exchange in exchanges(0, 60, 1):
        clock.add(*exchange)
    later = list(exchanges(300, 120, 2, start_ns=10**15 + 60 * 10**9))
    for cycles, earliest_ns, latest_ns in later:
        clock.add(cycles + 60 * HZ, earliest_ns, latest_ns)
    assert clock.drift_ppm == pytest.approx(300, abs=15)


def test_before_half_a_second_the_rate_is_the_nominal_one():
    clock = TriggerClock(HZ)
    with pytest.raises(ValueError, match="no exchange"):
        clock.to_rig(0)
    clock.add(1000, 5_000_000, 5_100_000)
    clock.add(1000 + HZ // 10, 105_000_000, 105_200_000)
    assert clock.ns_per_cycle == 62.5
    assert abs(clock.to_rig(1000) - 5_050_000) <= 50_000


def test_the_quickest_exchange_counts():
    clock = TriggerClock(HZ)
    clock.add(0, 0, 40_000_000)
    clock.add(0, 1_000_000, 1_100_000)
    clock.add(0, 0, 90_000_000)
    assert clock.to_rig(0) == 1_050_000
    assert clock.uncertainty_ns == 50_000
