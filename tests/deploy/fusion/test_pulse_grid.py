"""Numbers of several hosts on the trigger's pulses: found by time, held by count, never joined wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.fusion.pulse_grid import CONTRADICTIONS, PulseGrid

PERIOD_NS = 10_000_000
TOLERANCE_NS = 2_000_000
START_NS = 5_000_000_000_000


def time_of(pulse: int, period_ns: float = PERIOD_NS) -> int:
    return START_NS + round(pulse * period_ns)


def grid_at(pulse: int = 0) -> PulseGrid:
    grid = PulseGrid(PERIOD_NS, TOLERANCE_NS)
    grid.begin("first", pulse, time_of(pulse))
    return grid


@settings(deadline=None)
@given(
    shift=st.integers(-(10**6), 10**6),
    ppm=st.floats(-5000, 5000),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shift_any_resonator_every_pulse_is_the_right_one(shift: int, ppm: float, seed: int) -> None:
    """The period announced is off as a ceramic resonator may be; both hosts lose sets and stamps jitter."""
    rng = np.random.default_rng(seed)
    period_ns = PERIOD_NS * (1 + ppm * 1e-6)
    grid = PulseGrid(PERIOD_NS, TOLERANCE_NS)
    grid.begin("first", 0, time_of(0, period_ns))
    placed = 0
    for pulse in range(1, 600):
        t_ns = time_of(pulse, period_ns) + int(rng.integers(-300_000, 300_001))
        if rng.random() < 0.8:
            assert grid.place("first", pulse, t_ns, 0).pulse == pulse
        if rng.random() < 0.8:
            found = grid.place("second", pulse - shift, t_ns + int(rng.integers(-200_000, 200_001)), 200_000)
            assert found.pulse in (pulse, None)
            placed += found.pulse == pulse
    assert placed > 400


def test_a_number_that_contradicts_its_time_is_withheld_until_it_is_found_anew() -> None:
    grid = grid_at()
    for pulse in range(1, 20):
        assert grid.place("second", pulse + 7, time_of(pulse), 0).pulse == pulse
    # The host loses a count: from now on its numbers are one too small.
    answers = [grid.place("second", pulse + 6, time_of(pulse), 0) for pulse in range(20, 40)]
    assert [one.why for one in answers[:CONTRADICTIONS]] == ["contradicted"] * CONTRADICTIONS
    assert [one.pulse for one in answers[CONTRADICTIONS:]] == list(range(20 + CONTRADICTIONS, 40))


def test_one_wrong_number_among_right_ones_changes_nothing() -> None:
    grid = grid_at()
    for pulse in range(1, 100):
        wrong = pulse % 10 == 0
        found = grid.place("second", pulse + wrong, time_of(pulse), 0)
        assert found.pulse == (None if wrong else pulse)


def test_clocks_not_compared_well_enough_join_nothing() -> None:
    grid = grid_at()
    assert grid.place("second", 4, time_of(1), PERIOD_NS // 2).why == "ambiguous"
    assert grid.place("second", 4, time_of(1), PERIOD_NS // 4).pulse == 1


def test_an_exposure_beside_the_pulses_is_off_the_grid() -> None:
    grid = grid_at()
    assert grid.place("second", 1, time_of(1), 0).pulse == 1
    assert grid.place("second", 2, time_of(2) + TOLERANCE_NS + 500_000, 0).why == "off the grid"
    assert grid.place("second", 3, time_of(3), 0).pulse == 3


def test_after_a_long_silence_the_count_goes_on() -> None:
    """100 s in which two clocks may have drifted by a pulse: the time tells nothing, the number does."""
    grid = grid_at()
    assert grid.place("second", 11, time_of(1), 0).pulse == 1
    later = 20_000
    assert grid.place("second", 10 + later, time_of(later) + 7_000_000, 0).pulse == later
    assert grid.place("second", 11 + later, time_of(later + 1) + 7_000_000, 0).pulse == later + 1
    assert grid.place("third", 3, time_of(later + 2) + 7_000_000, 0).pulse == later + 2


def test_a_restarted_tracker_goes_on_a_restarted_trigger_does_not() -> None:
    grid = grid_at()
    for pulse in range(1, 50):
        grid.place("first", pulse, time_of(pulse), 0)
    assert grid.follows("tracker again", 80, time_of(80), 0)
    assert grid.place("tracker again", 81, time_of(81), 0).pulse == 81
    assert not grid.follows("trigger again", 0, time_of(90) + 4_000_000, 0)
    assert not grid.follows("trigger again", 0, time_of(90), 0)


@pytest.mark.parametrize("tolerance_ns", [0, PERIOD_NS // 2, PERIOD_NS])
def test_a_tolerance_of_half_a_period_is_refused(tolerance_ns: int) -> None:
    with pytest.raises(ValueError, match="half"):
        PulseGrid(PERIOD_NS, tolerance_ns)
