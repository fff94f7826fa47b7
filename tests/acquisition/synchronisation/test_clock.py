"""Device clocks against simulated ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.synchronisation.clock import ArrivalClock, DeviceClock, HostClock, clock_anchor

EXPOSURE_NS = 2_000_000


def camera(seed: int, seconds: float, rate_hz: float, drift_ppm: float, latency_ms: float = 0.0):
    """True middles, device stamps (middle of exposure) and arrivals."""
    rng = np.random.default_rng(seed)
    middles = 10**13 + (np.arange(int(seconds * rate_hz)) * 1e9 / rate_hz).astype(np.int64)
    stamps = 7 * 10**12 + ((middles - middles[0]) * (1 + drift_ppm * 1e-6)).astype(np.int64)
    jitter = rng.uniform(0, 2e6, len(middles)) + rng.exponential(3e5, len(middles))
    arrivals = middles + EXPOSURE_NS // 2 + int(latency_ms * 1e6) + jitter.astype(np.int64)
    return middles, stamps, arrivals


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), drift_ppm=st.floats(-100, 100))
def test_offset_and_drift_are_found_below_the_scatter(seed, drift_ppm):
    middles, stamps, arrivals = camera(seed, 30, 30, drift_ppm)
    clock = DeviceClock(0, 1000, EXPOSURE_NS // 2)
    found = [clock.to_rig(int(d), int(a)) for d, a in zip(stamps, arrivals, strict=True)]
    errors = np.array([t for t, _ in found]) - middles
    uncertainties = np.array([u for _, u in found])
    assert np.abs(errors[300:]).max() < 600_000  # of 2.3 ms of scatter
    assert clock.drift * -1e6 == pytest.approx(drift_ppm, abs=15)
    assert (np.abs(errors) <= uncertainties + 200_000).mean() > 0.9
    assert uncertainties[-1] < uncertainties[0] / 10


def test_trigger_tells_the_part_of_the_latency_that_pairs_cannot():
    middles, stamps, arrivals = camera(3, 20, 30, 40, latency_ms=6)
    blind = DeviceClock(0, 1000, EXPOSURE_NS // 2, unseen_ns=33_000_000)
    told = DeviceClock(0, 1000, EXPOSURE_NS // 2, unseen_ns=33_000_000)
    told.align(int(middles[0]), round(1e9 / 30))
    for d, a, true in zip(stamps, arrivals, middles, strict=True):
        t_blind, u_blind = blind.to_rig(int(d), int(a))
        t_told, u_told = told.to_rig(int(d), int(a))
        assert abs(t_blind - true) <= u_blind
        assert abs(t_told - true) <= u_told + 100_000
    assert t_blind - true == pytest.approx(6_000_000, abs=300_000)
    assert u_told < 1_000_000 < u_blind


def test_stamp_to_middle_is_added():
    clock = DeviceClock(1_000_000, 0, 0)
    assert clock.to_rig(500, 5_000_000)[0] == 5_000_000  # the first arrival is all there is to go by
    assert clock.to_rig(10**9 + 500, 10**9 + 9_000_000)[0] == 10**9 + 5_000_000


def test_late_first_frames_are_mended_by_the_next():
    clock = DeviceClock(0, 0, 0)
    assert clock.to_rig(0, 50_000_000)[0] == 50_000_000
    assert clock.to_rig(33_000_000, 35_000_000)[0] == 35_000_000
    assert clock.to_rig(66_000_000, 90_000_000)[0] == 68_000_000


def follow(clock, stamps, arrivals):
    found = [clock.to_rig(int(d), int(a)) for d, a in zip(stamps, arrivals, strict=True)]
    return np.array([t for t, _ in found]), np.array([u for _, u in found])


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_wrong_stamps_and_stalls_move_nothing(seed):
    """One stamp in a hundred is 5 s off, one frame in five is 20 to 300 ms late, a second of stall.

    A stamp that is off by less than frames are late cannot be told from a frame that was not late.
    """
    middles, stamps, arrivals = camera(seed, 30, 30, 40)
    rng = np.random.default_rng(seed)
    arrivals = arrivals + np.where(
        rng.random(len(stamps)) < 0.2, rng.uniform(2e7, 3e8, len(stamps)), 0
    ).astype(int)
    arrivals[500:530] += 400_000_000
    arrivals = np.maximum.accumulate(arrivals)
    wrong = np.flatnonzero(rng.random(len(stamps)) < 0.01)
    wrong = wrong[(wrong > 60) & (np.diff(wrong, prepend=-9) > 3)]
    stamps[wrong] += np.where(rng.random(len(wrong)) < 0.5, 1, -1) * 5_000_000_000
    clock = DeviceClock(0, 1000, EXPOSURE_NS // 2)
    times, _ = follow(clock, stamps, arrivals)
    right = np.setdiff1d(np.arange(300, len(stamps)), wrong)
    assert np.abs(times - middles)[right].max() < 3_000_000  # of 300 ms
    assert (times <= arrivals).all()


@pytest.mark.parametrize("step_s", [3.0, -2.0, 3600.0 * 24 * 365 * 54, -1e6])
def test_clock_that_is_set_is_followed_after_three_frames(step_s):
    middles, stamps, arrivals = camera(5, 30, 30, 40)
    stamps[450:] += int(step_s * 1e9)
    times, uncertainties = follow(DeviceClock(0, 1000, EXPOSURE_NS // 2), stamps, arrivals)
    off = np.abs(times - middles)
    assert off[300:450].max() < 600_000
    assert off[450:].max() < 5_000_000 and (off[450:] <= uncertainties[450:]).mean() > 0.9
    assert off[600:].max() < 800_000


@pytest.mark.long
def test_a_warming_crystal_is_followed_for_a_day():
    """40 ppm that wander by 10 with the room's temperature, and fall by 20 in the first half hour."""
    seconds = np.arange(0, 86_400, 8.0)
    rate = 40e-6 + 10e-6 * np.sin(2 * np.pi * seconds / 86_400) - 20e-6 * np.exp(-seconds / 600)
    middles = (10**13 + 1e9 * seconds).astype(np.int64)
    stamps = (1e9 * (seconds + np.cumsum(rate) * 8.0)).astype(np.int64)
    rng = np.random.default_rng(3)
    arrivals = middles + EXPOSURE_NS // 2 + rng.uniform(0, 2e6, len(seconds)).astype(np.int64)
    times, uncertainties = follow(DeviceClock(0, 1000, EXPOSURE_NS // 2), stamps, arrivals)
    off = np.abs(times - middles)[100:]
    assert off.max() < 2_000_000
    assert (off <= uncertainties[100:] + 200_000).mean() > 0.9


def test_camera_without_a_clock_goes_by_arrival_and_says_how_well():
    assert ArrivalClock(0, 1_000).to_rig(-1, 50_000) == (49_000, 5_000_000)


def test_stamps_on_the_rig_clock_owe_nothing_to_arrivals():
    clock = HostClock(-1_000, 30)
    clock.align(0, 100)
    assert [clock.to_rig(50_000, arrival) for arrival in (50_001, 90_000)] == [(49_000, 30)] * 2


def test_anchor_ties_both_clocks():
    first, second = clock_anchor(), clock_anchor()
    assert first.boot_id == second.boot_id and first.t_ns < second.t_ns
    between = (second.realtime_ns - first.realtime_ns) - (second.t_ns - first.t_ns)
    assert abs(between) <= first.uncertainty_ns + second.uncertainty_ns + 1_000_000


@pytest.mark.parametrize("stamp_ns", [0, 60_000_000_000, 10_005_100_000])
def test_host_stamps_that_cannot_be_are_replaced_by_the_arrival(stamp_ns):
    """Of no time, of the future by seconds or by 100 us more than any kernel's: the arrival says as much."""
    clock = HostClock(-1_000, 30)
    arrival_ns = 10_000_000_000
    t_ns, uncertainty_ns = clock.to_rig(stamp_ns, arrival_ns)
    assert t_ns == arrival_ns
    assert uncertainty_ns >= 1_000_000
