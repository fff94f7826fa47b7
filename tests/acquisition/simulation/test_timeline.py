"""Every pulse has one fate, the same each time, at the rate asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.simulation.film import mix
from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.simulation.timeline import ID_WRAP, CameraClock, Cause, Timeline


def _timelines(**settings: object) -> list[Timeline]:
    scene = Scene(SceneSettings(**settings), Path("unused"))
    return [Timeline(scene, view.name) for view in scene.views]


def test_rates_are_kept_and_fates_repeat() -> None:
    timelines = _timelines(seed=2, loss_rate=0.05, ignored_rate=0.02)
    fates = np.array([[timeline.fate(pulse) for pulse in range(20_000)] for timeline in timelines])
    for row in fates:
        assert (row == Cause.IGNORED).mean() == pytest.approx(0.02, abs=0.005)
        assert (row == Cause.LOST).mean() == pytest.approx(0.05 * 0.98, abs=0.007)
        # Independent from pulse to pulse: a loss follows a loss as often as anything else.
        lost = row == Cause.LOST
        assert lost[1:][lost[:-1]].mean() == pytest.approx(0.05, abs=0.03)
    # Cameras lose different frames.
    assert (fates[0] == fates[1]).mean() < 0.95
    again = _timelines(seed=2, loss_rate=0.05, ignored_rate=0.02)
    assert [again[3].fate(pulse) for pulse in range(500)] == fates[3, :500].tolist()


def test_without_rates_everything_is_delivered() -> None:
    assert all(timeline.fate(pulse) == Cause.DELIVERED for timeline in _timelines() for pulse in range(2000))


def test_cameras_have_exposures_clocks_and_first_ids_of_their_own() -> None:
    timelines = _timelines(camera_seed=4)
    assert len({timeline.exposure_ns for timeline in timelines}) == 4
    assert len({timeline.clock for timeline in timelines}) == 4
    assert len({timeline.first_id for timeline in timelines}) == 4
    assert all(abs(timeline.clock.drift_ppb) <= 50_000 for timeline in timelines)
    # Some reach the wrap within a short recording.
    assert any(timeline.first_id > ID_WRAP - 400 for timeline in timelines)
    # The rig's clocks do not change with the scene.
    assert [t.clock for t in _timelines(camera_seed=4, seed=9)] == [t.clock for t in timelines]


def test_ids_wrap_past_zero() -> None:
    timeline = _timelines()[0]
    ids = [timeline.frame_id(counted) for counted in range(ID_WRAP + 500)]
    assert min(ids) == 1
    assert max(ids) == ID_WRAP
    steps = set(np.diff(ids).tolist())
    assert steps == {1, 1 - ID_WRAP}
    unwrapped = _timelines(id_wraps=False)[0]
    assert unwrapped.frame_id(100_000) == unwrapped.first_id + 100_000


@settings(deadline=None)
@given(st.integers(0, 10**10), st.integers(-50_000, 50_000), st.integers(0, 10**17), st.integers(0, 10**12))
def test_the_clock_runs_at_its_rate(offset_ns: int, drift_ppb: int, t_ns: int, later_ns: int) -> None:
    clock = CameraClock(offset_ns, drift_ppb)
    elapsed = clock.stamp_ns(t_ns + later_ns) - clock.stamp_ns(t_ns)
    assert elapsed == pytest.approx(later_ns * (1 + drift_ppb * 1e-9), abs=2001)


def test_frames_arrive_after_the_exposure_within_latency_and_jitter() -> None:
    for timeline in _timelines(latency_ms=4, jitter_ms=2):
        delays = np.array(
            [timeline.arrival_ns(pulse, 10**9) - 10**9 - timeline.exposure_ns for pulse in range(2000)]
        )
        assert np.ptp(delays) == pytest.approx(2e6, rel=0.02)
        assert 2e6 <= delays.min() <= 6e6
        assert timeline.middle_ns(10**9) == 10**9 + timeline.exposure_ns // 2


def test_mix_is_even() -> None:
    draws = np.array([mix(3, pulse) / 2**64 for pulse in range(20_000)])
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert np.abs(counts - 1000).max() < 150
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03
    assert mix(1, 2) != mix(2, 1)
