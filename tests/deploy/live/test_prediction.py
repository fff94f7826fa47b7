"""Accounts of prediction: figures that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.live.prediction import ErrorHistogram, PredictionErrors

PERIOD_NS = 10_000_000


@settings(deadline=None)  # the first call compiles
@given(errors=st.lists(st.floats(2e-3, 5e3), min_size=1, max_size=200), percent=st.sampled_from([50, 95]))
def test_percentiles_are_right_to_five_percent(errors: list[float], percent: int) -> None:
    histogram = ErrorHistogram()
    histogram.add(np.array(errors))
    exact = np.sort(errors)[max(1, int(np.ceil(len(errors) * percent / 100))) - 1]
    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.055)


def test_a_point_at_constant_speed() -> None:
    """5 px a period in x: predicted exactly but for 1 px in y; without prediction it is off by two steps."""
    errors = PredictionErrors("px")
    places = np.array([[[5.0 * t, 0.0]] for t in range(12)])
    for t, place in enumerate(places):
        errors.measured(t * PERIOD_NS + 3, place, PERIOD_NS)
        errors.expect((t + 2) * PERIOD_NS, 2, place + np.array([10.0, 1.0]), place)
    (horizon,) = errors.summary()
    figures = errors.summary()[horizon]
    assert horizon == "20.0 ms" and figures["points"] == 10
    assert figures["median_px"] == pytest.approx(1.0, rel=0.05)
    assert figures["without_p95_px"] == pytest.approx(10.0, rel=0.05)
    assert errors.counters()["20.0 ms median_px"] == figures["median_px"]


def test_exposures_that_never_came_and_points_nobody_saw_do_not_count() -> None:
    errors = PredictionErrors("mm")
    seen, unseen = np.zeros((1, 3)), np.full((1, 3), np.nan)
    errors.expect(1 * PERIOD_NS, 1, seen, seen)
    errors.expect(2 * PERIOD_NS, 1, seen, seen)
    errors.measured(2 * PERIOD_NS, seen, PERIOD_NS)  # the exposure at 1 was lost
    errors.expect(3 * PERIOD_NS, 1, seen, unseen)
    errors.measured(3 * PERIOD_NS, seen, PERIOD_NS)
    assert errors.summary()["10.0 ms"]["points"] == 1
