"""The bank of Kalman filters: against a textbook filter, on movements with a truth, and with gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.live.online import kalman
from deploy.live.online.kalman import BRIDGE_NS, KalmanBank

PERIOD_NS = 10_000_000


def run(
    points: np.ndarray, ahead: int = 0, shapes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(T, N, D) through the bank, looked at `ahead` periods later each time."""
    rows, count, dimensions = points.shape
    bank = KalmanBank(count, dimensions, PERIOD_NS)
    if shapes is None:
        shapes = np.broadcast_to(np.eye(dimensions), (count, dimensions, dimensions))
    found = []
    for t in range(rows):
        bank.take(points[t], shapes, t * PERIOD_NS)
        found.append(bank.at((t + ahead) * PERIOD_NS))
    return np.array([each[0] for each in found]), np.array([each[1] for each in found])


def movement(rows: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth walk of one point and its measurements, (T, 1, 2)."""
    random = np.random.default_rng(seed)
    t = np.arange(rows) / 100.0
    truth = np.stack([120 * np.sin(2 * np.pi * 0.9 * t), 80 * np.cos(2 * np.pi * 0.7 * t + 1)], -1)[:, None]
    return truth, truth + random.normal(0, noise, truth.shape)


def test_one_model_is_the_textbook_filter() -> None:
    """Matrices written out, a point in 3D with correlated noise; no point is refused here."""
    jerk = 0.1
    random = np.random.default_rng(3)
    shape = np.array([[2.0, 0.4, 0.0], [0.4, 1.0, -0.2], [0.0, -0.2, 3.0]])
    points = np.cumsum(random.normal(0, 2, (40, 3)), axis=0)
    unit = np.trace(shape) / 3
    F1 = np.array([[1, 1, 0.5], [0, 1, 1], [0, 0, 1]])
    Q1 = np.array([[1 / 20, 1 / 8, 1 / 6], [1 / 8, 1 / 3, 1 / 2], [1 / 6, 1 / 2, 1]]) * jerk * unit
    F, Q, H = np.kron(np.eye(3), F1), np.kron(np.eye(3), Q1), np.kron(np.eye(3), [[1.0, 0, 0]])
    x = np.zeros(9)
    x[::3] = points[0]
    P = np.kron(np.eye(3), np.diag([1, kalman.SPEED_VARIANCE, kalman.ACCELERATION_VARIANCE]) * unit)
    for point in points[1:]:
        x, P = F @ x, F @ P @ F.T + Q
        gain = P @ H.T @ np.linalg.inv(H @ P @ H.T + shape + 1e-6 * unit * np.eye(3))
        x, P = x + gain @ (point - H @ x), P - gain @ H @ P

    bank = KalmanBank(1, 3, PERIOD_NS)
    for t, point in enumerate(points):
        bank.take(point[None], shape[None], t * PERIOD_NS)
    model = kalman.JERKS.tolist().index(jerk)
    np.testing.assert_allclose(bank._states[0, model], x, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bank._spreads[0, model], P, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bank.at(0)[0][0], bank._weights[0] @ bank._states[0, :, ::3])


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_it_filters_and_predicts_better_than_doing_nothing(noise: float) -> None:
    truth, measured = movement(600, noise, seed=1)
    filtered, _ = run(measured)
    error = np.linalg.norm(filtered - truth, axis=-1)[60:]
    raw = np.linalg.norm(measured - truth, axis=-1)[60:]
    assert np.median(error) < 0.85 * np.median(raw)
    predicted, covariance = run(measured, ahead=2)
    late = np.linalg.norm(predicted[:-2] - truth[2:], axis=-1)[60:]
    nothing = np.linalg.norm(measured[:-2] - truth[2:], axis=-1)[60:]
    assert np.median(late) < 0.5 * np.median(nothing)
    # what it says about itself is right within a factor
    claimed = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1))[60:-2]
    assert 0.5 < np.sqrt(np.mean(late**2)) / np.sqrt(np.mean(claimed**2)) < 2.0


def test_an_animal_that_wakes_up_is_followed() -> None:
    truth, measured = movement(300, 0.5, seed=4)
    still = np.broadcast_to(truth[:1], (300, 1, 2)) + np.random.default_rng(5).normal(0, 0.5, (300, 1, 2))
    filtered, _ = run(np.concatenate([still, measured]))
    assert np.linalg.norm(filtered[100:300] - truth[:1], axis=-1).mean() < 0.25
    assert np.linalg.norm(filtered[330:] - truth[30:], axis=-1).mean() < 0.75


def test_wrong_points_are_refused_and_a_jump_that_lasts_is_believed() -> None:
    truth, measured = movement(300, 0.5, seed=6)
    wrong = measured.copy()
    wrong[60:300:25] += 200.0
    filtered, _ = run(wrong)
    assert np.linalg.norm(filtered - truth, axis=-1)[60:].max() < 5.0
    jumped = measured.copy()
    jumped[150:] += 200.0
    filtered, _ = run(jumped)
    assert np.linalg.norm(filtered - truth - 200.0, axis=-1)[175:].max() < 5.0


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    truth, measured = movement(300, 0.5, seed=7)
    gaps = measured.copy()
    gaps[100:105] = np.nan
    long = round(BRIDGE_NS / PERIOD_NS)
    gaps[200 : 200 + 2 * long] = np.nan
    filtered, covariance = run(gaps)
    assert np.linalg.norm(filtered - truth, axis=-1)[100:105].max() < 5.0
    spread = np.trace(covariance[:, 0], axis1=-2, axis2=-1)
    assert (np.diff(spread[99:105]) > 0).all() and spread[108] < spread[104]
    assert np.isfinite(filtered[200 : 200 + long]).all()
    assert np.isnan(filtered[200 + long : 200 + 2 * long]).all()
    np.testing.assert_allclose(filtered[200 + 2 * long], measured[200 + 2 * long])


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000), scale=st.floats(0.01, 100), angle=st.floats(0, 6.3),
    shift=st.floats(-500, 500),
)  # fmt: skip
def test_unit_origin_and_axes_do_not_matter(seed: int, scale: float, angle: float, shift: float) -> None:
    _, measured = movement(80, 1.0, seed)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shapes = np.eye(2)[None]
    plain, covariance = run(measured, 1, shapes)
    moved, spread = run(measured @ turn.T + shift, 1, shapes * scale**2)
    np.testing.assert_allclose(moved, plain @ turn.T + shift, rtol=1e-6, atol=1e-5 * scale)
    np.testing.assert_allclose(spread, turn @ covariance @ turn.T, rtol=1e-5, atol=1e-6 * scale**2)


@pytest.mark.parametrize("period_ns", [PERIOD_NS, 200_000_000])
def test_a_slow_camera_is_no_gap(period_ns: int) -> None:
    """At five sets a second each is further from the last than a gap that is bridged."""
    bank = KalmanBank(1, 2, period_ns)
    shape = np.eye(2)[None]
    for t in range(40):
        bank.take(np.array([[3.0 * t, 100.0]]), shape, t * period_ns)
    ahead, _ = bank.at(41 * period_ns)
    np.testing.assert_allclose(ahead[0], [3.0 * 41, 100.0], atol=0.3)
    bank.take(np.full((1, 2), np.nan), shape, 39 * period_ns + BRIDGE_NS + 1)
    assert np.isnan(bank.at(39 * period_ns + BRIDGE_NS + 1)[0]).all()


def test_points_do_not_know_of_each_other() -> None:
    _, one = movement(60, 1.0, 1)
    _, other = movement(60, 1.0, 2)
    other[20:30] = np.nan
    together, _ = run(np.concatenate([one, other], axis=1))
    np.testing.assert_array_equal(together[:, :1], run(one)[0])
    np.testing.assert_array_equal(together[:, 1:], run(other)[0])


def test_nothing_is_known_before_the_first_measurement() -> None:
    bank = KalmanBank(2, 2, PERIOD_NS)
    bank.take(np.full((2, 2), np.nan), np.full((2, 2, 2), np.nan), 0)
    points, covariances = bank.at(PERIOD_NS)
    assert np.isnan(points).all() and np.isnan(covariances).all()
