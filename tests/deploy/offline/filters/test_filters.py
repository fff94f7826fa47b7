"""Every filter on a known animal: what it removes, what it bridges, what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from scipy.interpolate import make_smoothing_spline

from acquisition.errors import RigposeError
from deploy.offline.filters.kalman import smooth
from deploy.offline.filters.median import running_median
from deploy.offline.filters.spline import spline
from deploy.offline.filters.table import FILTERS, FilterSettings
from tests.deploy.tracks import walk

IDENTITY = np.eye(2)


def apply(kind: str, tracks, **options):
    return FILTERS[kind](tracks, FilterSettings(**options))


@pytest.mark.parametrize(
    ("kind", "wrong", "left"),
    [("median", 0.02, 0.3), ("spline", 0, 0.55), ("kalman", 0, 0.55), ("kalman", 0.02, 0.1)],
)
def test_errors_become_less(kind, wrong, left):
    animal = walk(rows=1500, wrong=wrong)
    found = apply(kind, animal.tracks()).points
    assert np.isfinite(found).mean() > 0.99
    assert animal.error(found) < left * animal.error(animal.measured)


@pytest.mark.parametrize("kind", FILTERS)
def test_a_gap_is_bridged_or_stays_empty(kind):
    pytest.importorskip("statsmodels") if kind == "arima" else None
    animal = walk(rows=300, noise=0.3, gaps=((100, 102), (200, 260)))
    found = apply(kind, animal.tracks()).points
    assert np.isnan(found[210:250]).all()
    short = np.abs(found[100:102] - animal.truth[100:102])
    assert np.isfinite(short).all()
    assert short.max() < (12 if kind in ("median", "arima") else 2)  # they know no movement, or only the past


@pytest.mark.parametrize("kind", FILTERS)
def test_points_below_the_cutoff_count_as_missing(kind):
    pytest.importorskip("statsmodels") if kind == "arima" else None
    animal = walk(rows=200, noise=0.3)
    tracks = animal.tracks()
    tracks.points[50] = 1e4
    tracks.confidence[50] = 0.05
    found = apply(kind, tracks).points
    assert np.abs(found[45:56] - animal.truth[45:56]).max() < 15
    tracks.confidence[120:160] = 0.05
    assert np.isnan(apply(kind, tracks).points[130:150]).all()


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_almost_nothing_to_filter(kind, rows):
    pytest.importorskip("statsmodels") if kind == "arima" else None
    assert apply(kind, walk(rows=rows).tracks()).points.shape == (rows, 2, 2)
    empty = walk(rows=rows, gaps=((0, rows),)).tracks()
    assert np.isnan(apply(kind, empty).points).all()


def test_kalman_knows_noise_wrong_points_and_its_own_error():
    animal = walk(rows=4000, wrong=0.02)
    result = apply("kalman", animal.tracks())
    assert result.found["noise_px"]["snout"] == pytest.approx(1, rel=0.1)
    assert result.found["rejected"] == pytest.approx(animal.wrong.sum(), rel=0.1)
    there = ~animal.wrong & np.isfinite(result.points[..., 0])
    error, covariance = (result.points - animal.truth)[there], result.covariance[there]
    claimed = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error).mean()
    assert claimed == pytest.approx(2, rel=0.35)  # two degrees of freedom
    assert animal.error(result.points) < 0.5


def test_kalman_bridges_as_far_as_it_is_told():
    animal = walk(rows=800, noise=0.3, gaps=((400, 500),))
    lengths = []
    for max_sd in (0.5, 2.0, 1e6):
        found = apply("kalman", animal.tracks(), max_sd=max_sd).points
        lengths.append(int(np.isfinite(found[400:500, 0, 0]).sum()))
        assert np.nanmax(np.abs(found - animal.truth)[:, 0]) < 5 * max_sd
    assert 0 < lengths[0] < lengths[1] < lengths[2] == 100


def test_kalman_uses_the_covariance_of_3d_points():
    """One axis four times as noisy, and the file says so: the others do not suffer."""
    rng = np.random.default_rng(1)
    t = np.arange(2000)
    truth = np.stack([50 * np.sin(t / 20), 50 * np.cos(t / 25), 30 * np.sin(t / 31)], axis=1)
    shape = np.diag([16.0, 1, 1])
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    covariance = turned @ shape @ turned.T
    measured = truth + rng.normal(size=(2000, 3)) @ (turned @ np.sqrt(shape)).T
    known = smooth(measured, np.broadcast_to(7 * covariance, (2000, 3, 3)).copy(), t)
    unknown = smooth(measured, np.broadcast_to(np.eye(3), (2000, 3, 3)).copy(), t)
    best, plain = (((s.points - truth) ** 2).mean() for s in (known, unknown))
    assert best < plain
    error = known.points - truth
    claimed = np.einsum("ni,nij,nj->n", error, np.linalg.inv(known.covariance), error).mean()
    assert claimed == pytest.approx(3, rel=0.35)


def test_kalman_begins_anew_after_a_long_absence():
    animal = walk(rows=5000, gaps=((1000, 4000),))
    found = apply("kalman", animal.tracks()).points
    assert np.isfinite(found[:1000]).all() and np.isfinite(found[4000:]).all()
    assert np.isnan(found[1100:3900]).all()
    assert animal.error(found) < 0.6


def test_kalman_follows_numbers_not_rows():
    """Every second frame set only: the same as all of them with the others missing."""
    animal = walk(rows=400)
    holes = animal.measured[:, 0].copy()
    holes[1::2] = np.nan
    shapes = np.broadcast_to(IDENTITY, (400, 2, 2)).copy()
    whole = smooth(holes, shapes, np.arange(400))
    half = smooth(holes[::2], shapes[::2], np.arange(0, 400, 2))
    np.testing.assert_allclose(half.points, whole.points[::2], atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.sampled_from([1, 3, 5, 9]), st.integers(0, 10**6))
def test_the_median_is_scipys_away_from_the_ends(rows, window, seed):
    values = np.random.default_rng(seed).normal(size=rows)
    found = running_median(values, window)
    if rows >= window:
        half = window // 2
        inside = slice(half, rows - half)
        np.testing.assert_array_equal(found[inside], signal.medfilt(values, window)[inside])
    assert found.shape == values.shape


def test_the_spline_is_scipys():
    rng = np.random.default_rng(0)
    t = np.sort(rng.choice(300, 200, replace=False))
    y = np.sin(t / 20) + rng.normal(0, 0.1, 200)
    w = rng.uniform(0.2, 1, 200)
    points, weights = np.full((300, 1, 1), np.nan), np.ones((300, 1))
    points[t, 0, 0], weights[t, 0] = y, w
    for smoothing in (0.01, 1.0, 100.0, None):
        found = spline(points, weights, np.arange(300), smoothing)[:, 0, 0]
        span = np.arange(t[0], t[-1] + 1)
        theirs = make_smoothing_spline(t.astype(float), y, w, smoothing)(span)
        np.testing.assert_allclose(found[span], theirs, atol=1e-6 if smoothing else 0.05)  # noise: 0.1
        assert np.isnan(found[: t[0]]).all()
    through = spline(points, weights, np.arange(300), 0.0)[t, 0, 0]
    np.testing.assert_allclose(through, y, atol=1e-12)


@pytest.mark.parametrize("kind", ["spline", "kalman", "arima"])
def test_a_point_that_never_moves(kind):
    pytest.importorskip("statsmodels") if kind == "arima" else None
    animal = walk(rows=60, noise=0)
    tracks = animal.tracks()
    tracks.points[:] = 7.5
    np.testing.assert_allclose(apply(kind, tracks).points, 7.5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("median", {"window": 4}, "Give 5"),
        ("median", {"window": 0}, "at least 1"),
        ("spline", {"smoothing": -1.0}, "0 or more"),
        ("arima", {"order": (0, 0)}, "two numbers"),
        ("kalman", {"max_sd": 0.0}, "more than 0"),
        ("kalman", {"cutoff": 2.0}, "from 0 to 1"),
    ],
)
def test_settings_that_mean_nothing(kind, options, says):
    with pytest.raises(RigposeError, match=says):
        FilterSettings(**options).check()
        apply(kind, walk(rows=5).tracks(), **options)


def test_without_statsmodels_arima_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.tsa.statespace.sarimax", None)
    with pytest.raises(RigposeError, match=r"rigpose\[arima\]"):
        apply("arima", walk(rows=50).tracks())
