"""The one-euro filter against the paper's algorithm, written once more, a number at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deploy.live.online.one_euro import OneEuro
from deploy.tracking_settings import OneEuroSettings

SETTINGS = OneEuroSettings(min_cutoff_hz=1.0, beta=0.05, derivative_cutoff_hz=1.0)
PERIOD_NS = 16_666_667
values = st.floats(-1000, 1000)


def paper(xs: list[float], parameters: OneEuroSettings, te: float) -> list[float]:
    """Casiez et al. 2012, algorithm 1."""

    def alpha(cutoff: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / te)

    out: list[float] = []
    xhat, dxhat = xs[0], 0.0
    for n, x in enumerate(xs):
        if n:
            dx = (x - xhat) / te
            a = alpha(parameters.derivative_cutoff_hz)
            dxhat = a * dx + (1 - a) * dxhat
            a = alpha(parameters.min_cutoff_hz + parameters.beta * abs(dxhat))
            xhat = a * x + (1 - a) * xhat
        out.append(xhat)
    return out


def filtered(points: np.ndarray, parameters: OneEuroSettings = SETTINGS) -> np.ndarray:
    """(T, N, D) through the filter."""
    one_euro = OneEuro(*points.shape[1:], parameters)
    return np.array([one_euro.take(row, n * PERIOD_NS) for n, row in enumerate(points)])


@settings(deadline=None)  # the first call compiles
@given(xs=st.lists(values, min_size=1, max_size=30))
def test_in_one_dimension_it_is_the_papers(xs: list[float]) -> None:
    ours = filtered(np.array(xs)[:, None, None])[:, 0, 0]
    assert ours == pytest.approx(paper(xs, SETTINGS, PERIOD_NS * 1e-9), rel=1e-9, abs=1e-9)


@settings(deadline=None)  # the first call compiles
@given(points=arrays(np.float64, (12, 3, 2), elements=values), angle=st.floats(0, 6.3))
def test_turning_and_shifting_the_axes_changes_nothing(points: np.ndarray, angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(
        filtered(points @ turn.T + [30.0, -7.0]), filtered(points) @ turn.T + [30.0, -7.0], atol=1e-6
    )


@settings(deadline=None)  # the first call compiles
@given(points=arrays(np.float64, (15, 4, 3), elements=values), data=st.data())
def test_points_are_filtered_side_by_side_and_gaps_stay_gaps(points: np.ndarray, data: st.DataObject) -> None:
    gaps = data.draw(arrays(np.bool_, (15, 4)))
    points = np.where(gaps[..., None], np.nan, points)
    together = filtered(points)
    np.testing.assert_array_equal(np.isnan(together), np.isnan(points))
    for n in range(4):
        np.testing.assert_array_equal(together[:, [n]], filtered(points[:, [n]]))


def test_jitter_shrinks_and_after_a_long_gap_the_old_place_weighs_nothing() -> None:
    random = np.random.default_rng(1)
    still = filtered(random.normal(100.0, 1.0, (600, 1, 2)))[100:]
    assert still.std() < 0.5
    one_euro = OneEuro(1, 2, SETTINGS)
    one_euro.take(np.zeros((1, 2)), 0)
    assert one_euro.take(np.full((1, 2), 50.0), 60_000_000_000)[0] == pytest.approx([50, 50], abs=0.2)


def test_the_same_instant_again_changes_nothing() -> None:
    one_euro = OneEuro(1, 2, SETTINGS)
    first = one_euro.take(np.ones((1, 2)), 5)
    np.testing.assert_array_equal(one_euro.take(np.full((1, 2), 9.0), 5), first)
