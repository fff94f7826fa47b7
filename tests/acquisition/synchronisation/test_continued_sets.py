"""A process that makes frame sets is replaced: the numbers go on, whatever the period was thought to be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.frame import Absence
from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp
from acquisition.rig import SyncSettings
from acquisition.synchronisation.continued_sets import ContinuedSets, Count, Counter
from acquisition.synchronisation.synchronise import FrameSetMaker, StampSet, Synchroniser
from tests.acquisition.timelines import timeline

PERIOD_NS, T0_NS = 10_000_000, 10**12
SYNC = SyncSettings(tolerance_ms=2, max_delay_ms=40)
CAMERAS = ("a", "b")


def frames(first: int, count: int, ppm: float, *, device: bool = True) -> list[tuple[FrameStamp, int]]:
    """Of cameras whose true period is `ppm` longer than `PERIOD_NS`; with the pulse of each."""
    made = []
    for pulse in range(first, first + count):
        t_ns = T0_NS + round(pulse * PERIOD_NS * (1 + ppm * 1e-6))
        for camera in CAMERAS:
            clock_ns = t_ns if device else NO_DEVICE_STAMP
            made.append((FrameStamp(camera, pulse, clock_ns, t_ns, 1000, t_ns + 2_000_000, 0), pulse))
    return made


def fed(maker: FrameSetMaker, stamps: list[tuple[FrameStamp, int]]) -> list[StampSet]:
    """The sets that have a frame."""
    sets: list[StampSet] = []
    for stamp, pulse in stamps:
        maker.add(stamp, pulse)
        sets += maker.closed(stamp.t_arrival_ns)
    sets += maker.flush()
    return [one for one in sets if any(one.stamps)]


def from_pulse_0(now_ns: int) -> ContinuedSets:
    """Nothing is known but what the trigger says."""
    return ContinuedSets(CAMERAS, SYNC, PERIOD_NS, Count.of_trigger(PERIOD_NS, T0_NS), now_ns)


def off(sets: list[StampSet]) -> set[int]:
    return {one.index - pulse for one in sets for pulse in one.payloads if pulse is not None}


@pytest.mark.parametrize("device", [True, False])
@pytest.mark.parametrize(("ppm", "start_s"), [(50, 600), (100, 120), (20, 3600), (-80, 36_000), (3000, 7200)])
def test_who_knows_the_newest_set_goes_on_counting(ppm: float, start_s: int, device: bool) -> None:
    """A trigger's period is off by 20 to 3000 ppm: after an hour that is many pulses."""
    first = round(start_s * 1e9 / PERIOD_NS)
    counter = Counter(Count.of_trigger(PERIOD_NS, T0_NS))
    before = frames(0, 4000, ppm, device=device)
    for one in fed(Synchroniser(CAMERAS, SYNC, PERIOD_NS, T0_NS), before):
        counter.saw(one)
    t_ns = T0_NS + round(first * PERIOD_NS * (1 + ppm * 1e-6))
    known = counter.count
    assert known is not None and known.sure and known.error < 1e-4
    assert known.period_ns == pytest.approx(PERIOD_NS * (1 + ppm * 1e-6), rel=2e-6)
    told = Count(first, t_ns, known.period_ns, known.error)  # hours later
    after = frames(first + 300, 100, ppm, device=device)  # it took three seconds to start again
    maker = ContinuedSets(CAMERAS, SYNC, PERIOD_NS, told, after[0][0].t_arrival_ns)
    sets = fed(maker, after)
    assert maker.sure and off(sets) == {0} and not any(one.uncertain for one in sets)
    assert len(sets) == 100 and all(one.complete for one in sets)


@pytest.mark.parametrize(("ppm", "start_s"), [(50, 600), (100, 120), (20, 3600)])
def test_who_knows_only_pulse_0_says_that_its_numbers_are_uncertain(ppm: float, start_s: int) -> None:
    after = frames(round(start_s * 1e9 / PERIOD_NS), 100, ppm)
    pulse_0 = Count.of_trigger(PERIOD_NS, T0_NS)
    maker = ContinuedSets(CAMERAS, SYNC, PERIOD_NS, pulse_0, after[0][0].t_arrival_ns)
    sets = fed(maker, after)
    assert off(sets) != {0}  # the time alone cannot tell
    assert not maker.sure and all(one.uncertain == CAMERAS for one in sets)
    counter = Counter(Count(pulse_0.index, pulse_0.t_exposure_ns, PERIOD_NS, pulse_0.error, maker.sure))
    for one in sets:
        counter.saw(one)
    assert counter.count is not None and not counter.count.sure  # nor is who replaces this one


def test_soon_after_the_start_pulse_0_is_enough() -> None:
    after = frames(900, 100, 100)
    maker = from_pulse_0(after[0][0].t_arrival_ns)
    sets = fed(maker, after)
    assert maker.sure and off(sets) == {0} and not any(one.uncertain for one in sets)


def test_frames_that_were_in_the_ring_before_it_began_have_their_sets() -> None:
    waiting = frames(900, 40, 0)
    sets = fed(from_pulse_0(waiting[2 * 20][0].t_arrival_ns), waiting)
    assert [one.index for one in sets] == list(range(900, 940)) and off(sets) == {0}


def test_what_a_camera_lost_before_it_began_moves_no_frame() -> None:
    """Camera a delivers for the first time: all that it counted so far is lost, and older."""
    after = [
        (replace(stamp, seq=300 + pulse - 900) if stamp.camera == "a" else stamp, pulse)
        for stamp, pulse in frames(900, 40, 0)
    ]
    (first, pulse), *others = after
    sets = fed(from_pulse_0(first.t_arrival_ns), [(replace(first, lost_before=300), pulse), *others])
    assert off(sets) == {0}


def test_causes_that_become_known_later_have_the_numbers_of_their_sets() -> None:
    after = frames(900, 60, 0)
    maker, sets = from_pulse_0(after[0][0].t_arrival_ns), []
    for stamp, pulse in after:
        if stamp.camera == "b" and 910 <= pulse < 930:
            continue
        maker.add(replace(stamp, lost_before=20) if (stamp.camera, pulse) == ("b", 930) else stamp, pulse)
        sets += maker.closed(stamp.t_arrival_ns)
    sets += maker.flush()
    late = [one.index for one in sets if one.absences[1] is Absence.LATE]
    assert late and sorted(one.index for one in maker.resolved()) == late


def test_hours_that_have_gone_by_are_not_counted_one_by_one() -> None:
    after = frames(3_600_000, 6, 0)  # ten hours
    maker = from_pulse_0(after[0][0].t_arrival_ns)
    for stamp, pulse in after:
        maker.add(stamp, pulse)
    sets = maker.closed(after[-1][0].t_arrival_ns)
    assert len(sets) < 100
    assert [one.index for one in sets[-6:]] == list(range(3_600_000, 3_600_006))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rate_hz=st.sampled_from([30.0, 100.0]),
    period_error=st.floats(-1e-4, 1e-4),
    died=st.integers(60, 200),
    silent=st.integers(1, 150),
    late=st.integers(0, 40),
    lost=st.integers(0, 1000),
)
def test_no_frame_is_on_another_pulse_after_a_restart(
    seed: int, rate_hz: float, period_error: float, died: int, silent: int, late: int, lost: int
) -> None:
    """`late`: the count that is known is as many pulses old; `lost`: what a camera lost just then."""
    line = timeline(seed, cameras=3, rate_hz=rate_hz, period_error=period_error, pulses=450)
    sync = SyncSettings(tolerance_ms=2.0, max_delay_ms=10_000 / rate_hz)
    before = [(stamp, pulse) for stamp, pulse in line.frames if pulse < died]
    counter = Counter(Count.of_trigger(line.period_ns, line.first_exposure_ns))
    for one in fed(Synchroniser(line.cameras, sync, line.period_ns, line.first_exposure_ns), before):
        if one.index < died - late:
            counter.saw(one)
    assert counter.count is not None
    after = [(stamp, pulse) for stamp, pulse in line.frames if pulse >= died + silent]
    stamp, pulse = after[0]
    after[0] = _lost(stamp, lost), pulse
    maker = ContinuedSets(line.cameras, sync, line.period_ns, counter.count, stamp.t_arrival_ns)
    sets = fed(maker, after)
    assert maker.sure and off(sets) == {0}
    assert sum(pulse is not None for one in sets for pulse in one.payloads) == len(after)


def _lost(stamp: FrameStamp, lost: int) -> FrameStamp:
    return FrameStamp(stamp.camera, stamp.seq, stamp.t_device_ns, stamp.t_exposure_ns, stamp.uncertainty_ns,
                      stamp.t_arrival_ns, lost)  # fmt: skip


@pytest.mark.parametrize("ppm", [0, 400, -2000])
def test_a_free_running_rig_goes_on_by_time(ppm: float) -> None:
    free = SyncSettings(tolerance_ms=4, max_delay_ms=200)
    counter = Counter(None)
    sets = fed(Synchroniser(CAMERAS, free, None), frames(40, 3000, ppm, device=False))
    for one in sets:
        counter.saw(one)
    assert counter.count is not None and (counter.count.index, off(sets)) == (2999, {-40})
    after = frames(40 + 3000 + 500, 60, ppm, device=False)
    # The first to come is a frame of the second camera, of before.
    early = FrameStamp("b", 0, NO_DEVICE_STAMP, after[0][0].t_exposure_ns - PERIOD_NS, 1000, 0, NEW_COUNT)
    maker = ContinuedSets(CAMERAS, free, None, counter.count, after[0][0].t_arrival_ns)
    sets = fed(maker, [(early, -1), *after])
    assert maker.sure and off(sets) == {-40} and len(sets) == 60
    assert maker.counts["stray"] == 1


def test_no_count_before_a_period_is_known() -> None:
    counter = Counter(None)
    (one,) = fed(Synchroniser(CAMERAS, SyncSettings(), None), frames(0, 1, 0))
    counter.saw(one)
    assert counter.count is None


def test_the_period_is_that_of_the_last_minutes() -> None:
    """A resonator that warms up: half an hour ago it was 200 ppm slower."""
    counter, t_ns = Counter(Count.of_trigger(PERIOD_NS, T0_NS)), T0_NS
    frame = frames(0, 1, 0)[0][0]
    for index in range(0, 400_000, 100):
        t_ns += round(100 * PERIOD_NS * (1 + (200e-6 if index < 200_000 else 0)))
        counter.saw(StampSet(index, t_ns, 0, (frame, frame), (None, None), (0, 0)))
    assert counter.count is not None
    assert counter.count.period_ns == pytest.approx(PERIOD_NS, rel=1e-7) and counter.count.error < 2e-5
