"""Frame sets against simulated timelines whose truth is known."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.frame import Absence
from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.rig import SyncSettings
from acquisition.synchronisation.synchronise import StampSet, Synchroniser
from benchmarks.synchronisation import measure
from tests.acquisition.timelines import Timeline, timeline


def run(line: Timeline, sync_settings: SyncSettings, *, online: bool, first_known: bool = True):
    """All sets, and the causes after every later word has been taken in."""
    maker = Synchroniser(
        line.cameras, sync_settings, line.period_ns, line.first_exposure_ns if first_known else None
    )
    sets: list[StampSet] = []
    delays_ns = []
    for stamp, pulse in line.frames:
        now = stamp.t_arrival_ns if online else 0
        new = maker.closed(now)
        delays_ns += [now - s.t_exposure_ns for s in new]
        sets += new
        maker.add(stamp, pulse)
    sets += maker.flush()
    causes = {(c, s.index): a for s in sets for c, a in zip(line.cameras, s.absences, strict=True)}
    for later in maker.resolved():
        assert causes[later.camera, later.index] is Absence.LATE
        causes[later.camera, later.index] = later.absence
    return maker, sets, causes, delays_ns


def check(line: Timeline, sets: list[StampSet], causes) -> None:
    assert [s.index for s in sets] == list(range(len(sets)))
    for s in sets:
        for camera, pulse in zip(line.cameras, s.payloads, strict=True):
            assert pulse is None or pulse == s.index, f"{camera}: pulse {pulse} in set {s.index}"
    expected = {key: cause for key, cause in line.expected.items() if key[1] < len(sets)}
    assert causes == expected


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rate_hz=st.sampled_from([30.0, 100.0, 200.0]),
    period_error=st.floats(-2e-4, 2e-4),
    online=st.booleans(),
)
def test_every_frame_on_its_pulse_and_every_absence_with_its_cause(seed, rate_hz, period_error, online):
    line = timeline(seed, rate_hz=rate_hz, period_error=period_error, pulses=150)
    sync = SyncSettings(tolerance_ms=2.0, max_delay_ms=10_000 / rate_hz)
    maker, sets, causes, _ = run(line, sync, online=online)
    check(line, sets, causes)
    assert maker.rejected == []


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_short_delay_bounds_the_wait_and_the_cause_follows(seed):
    """A set leaves in time with LATE; what the camera's next frame tells is handed on."""
    line = timeline(seed, rate_hz=30, pulses=100)
    sync = SyncSettings(tolerance_ms=4, max_delay_ms=20)
    _, sets, causes, delays_ns = run(line, sync, online=True)
    check(line, sets, causes)
    # Time passes here only with arrivals: one period is the grain.
    assert max(delays_ns[12:]) < 20e6 + 2 * line.period_ns


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_camera_that_restarts_with_a_new_count_shifts_nobody(seed):
    line = timeline(seed, pulses=200, rate_hz=100, restart=True)
    sync = SyncSettings(tolerance_ms=2, max_delay_ms=60)
    _, sets, causes, _ = run(line, sync, online=True)
    check(line, sets, causes)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_without_device_clocks_at_a_rate_that_leaves_room(seed):
    line = timeline(seed, rate_hz=60, pulses=150, device_clock=False)
    sync = SyncSettings(tolerance_ms=4, max_delay_ms=100)
    _, sets, causes, _ = run(line, sync, online=True)
    check(line, sets, causes)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_at_200_hz_every_set_is_right_and_closes_within_two_periods(seed):
    """10 % lost, 2 % ignored, 2 ms of jitter, 50 ppm, ids that wrap, a camera that comes back."""
    row = measure(4.0, 1, device_clock=True, first_seed=seed)
    assert row["wrong"] == row["lacking"] == row["uncertain"] == 0
    # 1.7 periods are allowed; a set leaves with the next frame of any camera, which may be lost as well
    assert row["latest_periods"] <= 2.2


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31), online=st.booleans(), jitter_ms=st.sampled_from([2.0, 3.0]))
def test_without_device_stamps_nothing_is_wrong_silently(seed, online, jitter_ms):
    row = measure(4.0, 1, online, device_clock=False, jitter_ms=jitter_ms, first_seed=seed)
    assert row["silently_wrong"] == 0
    if jitter_ms == 2.0:
        assert row["wrong"] == row["lacking"] == 0


def test_more_jitter_than_a_period_is_flagged_from_the_start():
    row = measure(5.0, 1, device_clock=False, jitter_ms=6.0)
    assert row["wrong"] > 0.5 * row["sets"] and row["uncertain"] >= 0.99 * row["sets"]


@pytest.mark.parametrize("step_s", [5, -5, 10**7, 0.1, 0.4, 0.025])
def test_a_device_clock_that_is_set_costs_two_frames_and_shifts_nobody(step_s):
    line = timeline(5, loss=0, ignored=0, pulses=200, rate_hz=100, step_s=step_s)
    _, sets, _, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=True)
    assert [s.index for s in sets] == list(range(200))
    assert all(p in (None, s.index) for s in sets for p in s.payloads)
    lacking = [s.index for s in sets if not s.complete]
    assert len(lacking) <= 3 and all(100 <= index < 104 for index in lacking)


def test_a_camera_beside_the_pulses_is_flagged():
    """It runs freely at the trigger's rate, or its trigger delay is wrong: 12 of 33 ms from the others."""
    line = timeline(5, loss=0, ignored=0, pulses=120, rate_hz=30)
    moved = [
        (_with(s, t_exposure_ns=s.t_exposure_ns + 12_000_000 * (s.camera == "cam_2")), pulse)
        for s, pulse in line.frames
    ]
    line = Timeline(line.cameras, line.first_exposure_ns, line.period_ns, line.truth, moved)
    _, sets, _, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=True)
    assert all("cam_2" in one.uncertain for one in sets[40:-1])
    assert not any("cam_0" in one.uncertain for one in sets[40:-1])


@pytest.mark.parametrize("late_ms", [8, 27, 60])
def test_burst_after_a_stall_is_no_run_of_ignored_pulses(late_ms):
    """Without device stamps: 12 frames of one camera come together, long after their pulses."""
    line = timeline(5, loss=0, ignored=0, pulses=120, rate_hz=100, device_clock=False, jitter_ms=1)
    stalled = []
    until = next(s.t_arrival_ns for s, i in line.frames if s.camera == "cam_2" and i == 62) + late_ms * 10**6
    for stamp, pulse in line.frames:
        late_ns = max(0, until - stamp.t_arrival_ns) if stamp.camera == "cam_2" and pulse > 50 else 0
        stalled.append(
            (
                _with(
                    stamp,
                    t_arrival_ns=stamp.t_arrival_ns + late_ns,
                    t_exposure_ns=stamp.t_exposure_ns + late_ns,
                ),
                pulse,
            )
        )
    stalled.sort(key=lambda item: item[0].t_arrival_ns)
    line = Timeline(line.cameras, line.first_exposure_ns, line.period_ns, line.truth, stalled)
    _, sets, causes, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=False)
    assert all(p in (None, s.index) for s in sets for p in s.payloads)
    assert all(sets[i].complete for i in (*range(50), *range(80, 120)))
    assert not any(cause is Absence.IGNORED for cause in causes.values())
    # The late ones expose, for all that is known, far off their pulses.
    assert any(causes["cam_2", i] is Absence.UNMATCHED for i in range(51, 62))


def test_first_frame_lost_on_all_but_one_camera():
    line = timeline(3, loss=0, ignored=0, pulses=30, rate_hz=100)
    kept = [(s, i) for s, i in line.frames if i > 0 or s.camera == "cam_4"]
    # Drop the device's word on what came first as well: only the time is left.
    kept = [(_with(s, lost_before=-1) if s.seq == 1 else s, i) for s, i in kept]
    line = Timeline(line.cameras, line.first_exposure_ns, line.period_ns, line.truth, kept)
    _, sets, _, _ = run(line, SyncSettings(tolerance_ms=2, max_delay_ms=40), online=True)
    assert all(p in (None, s.index) for s in sets for p in s.payloads)
    assert [a is None for a in sets[0].absences] == [c == "cam_4" for c in line.cameras]
    assert sets[0].absences.count(Absence.NOT_STARTED) == 5


def test_pulse_zero_is_the_first_seen_where_the_trigger_does_not_say():
    line = timeline(5, loss=0, ignored=0, pulses=30, rate_hz=100)
    _, sets, causes, _ = run(
        line, SyncSettings(tolerance_ms=2, max_delay_ms=40), online=False, first_known=False
    )
    check(line, sets, causes)


def test_frame_off_the_grid_is_refused_and_counted():
    line = timeline(5, loss=0, ignored=0, pulses=40, rate_hz=30)
    victim = next(n for n, (s, i) in enumerate(line.frames) if s.camera == "cam_2" and i == 20)
    s, i = line.frames[victim]
    line.frames[victim] = (_with(s, t_device_ns=s.t_device_ns + 10_000_000), i)
    maker, sets, _, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=False)
    assert maker.counts["stray"] == 1 and maker.rejected == [20]
    assert sets[20].absences[2] is Absence.UNMATCHED
    assert sum(not s.complete for s in sets) == 1


def test_full_ring_is_told_from_loss():
    line = timeline(5, loss=0, ignored=0, pulses=40, rate_hz=30)
    frames = [
        (_with(s, absence=Absence.RING_FULL), None) if s.camera == "cam_1" and i in (7, 8) else (s, i)
        for s, i in line.frames
    ]
    line = Timeline(line.cameras, line.first_exposure_ns, line.period_ns, line.truth, frames)
    _, _, causes, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=False)
    assert Counter(causes.values())[Absence.RING_FULL] == 2
    assert causes["cam_1", 7] is causes["cam_1", 8] is Absence.RING_FULL
    # In a table, frames that were not kept are only a hole in `seq` that the device does not explain.
    frames = [(s, i) for s, i in frames if s.absence is None]
    line = Timeline(line.cameras, line.first_exposure_ns, line.period_ns, line.truth, frames)
    _, _, causes, _ = run(line, SyncSettings(tolerance_ms=4, max_delay_ms=40), online=False)
    assert causes["cam_1", 7] is causes["cam_1", 8] is Absence.RING_FULL


def test_camera_that_is_gone_is_not_waited_for():
    line = timeline(5, loss=0, ignored=0, pulses=40, rate_hz=30, cameras=2)
    maker = Synchroniser(line.cameras, SyncSettings(), line.period_ns, line.first_exposure_ns)
    closed = []
    for stamp, pulse in line.frames:
        if stamp.camera == "cam_1" and pulse >= 20:
            maker.gone("cam_1")
            continue
        maker.add(stamp, pulse)
        closed.append((pulse, [s.index for s in maker.closed(stamp.t_arrival_ns)]))
    assert all(indices == [pulse] for pulse, indices in closed if pulse > 21)


@settings(max_examples=60, deadline=None)
@given(
    silent=st.integers(1, 60),
    noticed=st.integers(0, 60),
    back=st.none() | st.integers(0, 60),
    loss=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 2**31),
)
def test_accounts_are_exact_however_late_a_lost_camera_is_noticed(silent, noticed, back, loss, seed):
    """What was late until then has ended; nothing is taken back that was never given."""
    draw, lost = random.Random(seed), dict.fromkeys("ab", 0)
    period_ns, t0_ns = 10_000_000, 10**12
    maker = Synchroniser(("a", "b"), SyncSettings(tolerance_ms=2, max_delay_ms=40), period_ns, t0_ns)
    causes: Counter[tuple[str, Absence]] = Counter()
    given_: dict[tuple[str, int], Absence] = {}
    absent = 0

    def take(sets: list[StampSet]) -> None:
        nonlocal absent
        for one in sets:
            for camera, cause in zip(("a", "b"), one.absences, strict=True):
                if cause is not None:
                    causes[camera, cause] += 1
                    given_[camera, one.index] = cause
                    absent += 1
        for later in maker.resolved():
            assert given_[later.camera, later.index] is Absence.LATE
            given_[later.camera, later.index] = later.absence
            causes[later.camera, Absence.LATE] -= 1
            causes[later.camera, later.absence] += 1
        assert min(causes.values(), default=0) >= 0 and sum(causes.values()) == absent

    again = 240 if back is None else silent + noticed + back
    since = 0
    for pulse in range(240):
        t_ns = t0_ns + pulse * period_ns
        if pulse == silent + noticed:
            maker.gone("b")
        for camera in "ab":
            if camera == "b" and silent <= pulse < again:
                continue
            if camera == "b" and pulse == again:
                since, lost["b"] = pulse, NEW_COUNT
            elif draw.random() < loss and pulse:
                lost[camera] += lost[camera] != NEW_COUNT
                continue
            seq = pulse - since if camera == "b" else pulse
            maker.add(FrameStamp(camera, seq, t_ns, t_ns, 1000, t_ns + 2_000_000, lost[camera]))
            lost[camera] = 0
        take(maker.closed(t_ns + 3_000_000))
    take(maker.flush())
    gone = [cause for (camera, index), cause in given_.items() if camera == "b" and silent <= index < again]
    assert set(gone) == {Absence.ENDED} or again == silent


@pytest.mark.parametrize(("lost", "missing"), [(0, 0), (5, 0), (5, 1), (5, 9)])
def test_frames_lost_at_the_end_of_one_train_shift_nobody_in_the_next(lost, missing):
    """The trigger was started anew; the cameras' counts went on."""
    period_ns, t0_ns = 10_000_000, 10**12
    maker = Synchroniser(("a", "b"), SyncSettings(tolerance_ms=2, max_delay_ms=40), period_ns, t0_ns)
    sets = []
    for pulse in range(40):
        t_ns = t0_ns + pulse * period_ns
        maker.add(FrameStamp("a", 1000 + pulse, t_ns, t_ns, 1000, t_ns + 2_000_000, 0), pulse)
        if pulse >= missing:
            before = lost if pulse == missing else 0
            maker.add(FrameStamp("b", 2000 + pulse, t_ns, t_ns, 1000, t_ns + 2_000_000, before), pulse)
        sets += maker.closed(0)
    sets += maker.flush()
    assert [one.index for one in sets] == list(range(40))
    for one in sets:
        assert one.payloads == (one.index, one.index if one.index >= missing else None) and not one.uncertain
    causes = Counter(one.absences[1] for one in sets if one.absences[1] is not None)
    assert causes[Absence.LOST] == min(lost, missing) and sum(causes.values()) == missing
    assert not any(maker.counts.values())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), online=st.booleans())
def test_free_running_rig_takes_the_nearest(seed, online):
    """Cameras of one rate and fixed phases below the tolerance; losses on all, the reference too."""
    line = timeline(seed, rate_hz=30, ignored=0, pulses=80, jitter_ms=0.1)
    phases = {c: k * 1_000_000 for k, c in enumerate(line.cameras)}
    line.frames[:] = [(_with(s, t_exposure_ns=s.t_exposure_ns + phases[s.camera]), i) for s, i in line.frames]
    maker = Synchroniser(line.cameras, SyncSettings(tolerance_ms=8, max_delay_ms=200), None)
    sets = []
    for stamp, pulse in line.frames:
        maker.add(stamp, pulse)
        sets += maker.closed(stamp.t_arrival_ns if online else 0)
    sets += maker.flush()
    first = next(i for i, cause in enumerate(line.truth["cam_0"]) if cause is None)
    assert [s.index for s in sets] == list(range(len(sets)))
    for s in sets:
        for camera, pulse, absence in zip(line.cameras, s.payloads, s.absences, strict=True):
            true = line.truth[camera][s.index + first]
            assert pulse == (None if true else s.index + first), (camera, absence)
        if s.complete:
            assert s.spread_ns == pytest.approx(5_000_000, abs=600_000)


def _with(stamp: FrameStamp, **changes) -> FrameStamp:
    from dataclasses import replace

    return replace(stamp, **changes)
