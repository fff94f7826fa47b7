"""A recording that was switched off for a time: what was asked for is whole, and what was not is no loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.proof.report import PAGE, write_report
from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from acquisition.recordings.switch import NOT_ASKED, OFF, ON, LetGo, Stretches, seam_after
from tests.acquisition.sessions import number_of, write_session
from tests.acquisition.timelines import Timeline

TIMES_NS = st.integers(0, 10**15)


def paused_session(folder: Path, off: int, on: int, **line_settings) -> Timeline:
    """As a recorder leaves it that was switched off before pulse `off`, and on before pulse `on`."""
    line = write_session(folder, cut_at=(on,), not_recorded=range(off, on), **line_settings)
    events = EventsWriter(folder)
    for kind, pulse in ((OFF, off), (ON, on)):
        seam_ns = min(stamp.t_exposure_ns for stamp, at in line.frames if at == pulse) - line.period_ns // 2
        events.append(kind, seam_ns, asked_ns=seam_ns, by="page")
    let_go = {camera: LetGo(events.append) for camera in line.cameras}
    for stamp, pulse in line.frames:
        if off <= pulse < on:
            let_go[stamp.camera].add(stamp)
        elif pulse >= on:
            let_go[stamp.camera].end()
    events.close()
    return line


@pytest.mark.parametrize(
    ("pulses", "settings"),
    [
        (1000, {"drift_ppm": 90.0}),
        (1000, {"restart": True, "period_error": 5e-5}),
        (7060, {"device_clock": False, "period_error": 2e-5, "loss": 0.05, "ignored": 0.02}),
    ],
)
def test_sets_keep_the_numbers_of_their_pulses_and_nothing_is_absent_in_between(tmp_path, pulses, settings):
    off, on = 60, pulses - 60  # longer than a clock is trusted over
    settings = {"pulses": pulses, "loss": 0.1, "ignored": 0.04, **settings}
    line = paused_session(tmp_path / "day1", off, on, **settings)
    told = [event for event in read_events(tmp_path / "day1") if event["kind"] == NOT_ASKED]
    assert len(told) < 0.08 * sum(off <= pulse < on for _, pulse in line.frames)
    with Recording.open(tmp_path / "day1") as recording:
        sets = {one.index: one for one in recording.frame_sets()}
        expected, last = line.expected, max(pulse for _, pulse in line.frames)
        assert list(sets) == [*range(off), *range(on, last + 1)]
        for place, camera in enumerate(line.cameras):
            images = list(recording.images(camera))
            for index, one in sets.items():
                assert one.absences[place] is expected[camera, index]
                if one.payloads[place] is not None:
                    assert number_of(images[one.payloads[place]]) == index
        # Of arrivals alone the last may be in doubt: no later one agrees with it.
        assert not any(one.uncertain for one in list(sets.values())[:-5])


def test_a_free_running_rig_has_the_sets_it_would_have_had(tmp_path):
    settings = {"pulses": 400, "loss": 0.1, "ignored": 0}
    write_session(tmp_path / "whole", cut_at=(330,), **settings)
    paused_session(tmp_path / "paused", 60, 330, **settings)
    found = []
    for name in ("whole", "paused"):
        file = tmp_path / name / "session.json"
        facts = json.loads(file.read_text())
        facts["rig"]["trigger"], facts["pulses"] = None, {"period_ns": None, "first_exposure_ns": None}
        file.write_text(json.dumps(facts))
        with Recording.open(tmp_path / name) as recording:
            found.append(recording.frame_sets())
            stretches = recording.stretches()
    whole, paused = found
    assert [(one.index, one.absences, one.stamps) for one in paused] == [
        (one.index, one.absences, one.stamps) for one in whole if stretches.asked(one.t_exposure_ns)
    ]
    assert 100 < len(paused) < 140


def test_the_report_of_a_paused_session_passes(tmp_path):
    line = paused_session(tmp_path / "day1", 40, 100, pulses=160, loss=0, ignored=0)
    report = write_report(tmp_path / "day1")
    assert report["verdict"] == "PASS" and report["findings"] == []
    assert report["frame_sets"] == report["complete_sets"] == 100
    assert report["stretches"] == 2
    assert report["paused_s"] == pytest.approx(60 * line.period_ns * 1e-9, abs=2e-3)
    assert "It recorded 2 times, and was switched off for 2.0 s" in (tmp_path / "day1" / PAGE).read_text()
    assert NOT_ASKED not in report["events"] and report["events"][OFF] == report["events"][ON] == 1


def test_its_segments_are_joined_as_any_others(tmp_path):
    paused_session(tmp_path / "day1", 40, 100, pulses=160, loss=0, ignored=0)
    assert recover(tmp_path / "day1")["finished"] == []
    assert recover(tmp_path / "day1", join=True)["joined"] == {"cam_0": 2, "cam_1": 2}
    with Recording.open(tmp_path / "day1") as recording:
        numbers = [*range(40), *range(100, 160)]
        assert [one.index for one in recording.frame_sets()] == numbers
        assert [number_of(image) for image in recording.images("cam_1")] == numbers


def test_a_session_that_was_never_switched_on_is_no_failure_of_the_rig(tmp_path):
    write_session(tmp_path / "day1", pulses=5)
    for file in [*(tmp_path / "day1").glob("*.mkv"), *(tmp_path / "day1").glob("*.frames")]:
        file.unlink()
    events = EventsWriter(tmp_path / "day1")
    events.append(OFF, 1, asked_ns=1, by="--record-paused")
    events.close()
    report = write_report(tmp_path / "day1")
    assert report["verdict"] == "WARN" and report["stretches"] == 0
    assert [found["found"] for found in report["findings"]] == ["its recording was never switched on"]


def test_stretches_are_what_the_events_say():
    events = [
        {"kind": ON, "t_ns": 5}, {"kind": OFF, "t_ns": 10}, {"kind": "clock", "t_ns": 11},
        {"kind": ON, "t_ns": 20}, {"kind": ON, "t_ns": 25}, {"kind": OFF, "t_ns": 30},
    ]  # fmt: skip
    found = Stretches.of(events)
    assert found.seams_ns == [10, 20, 30] and not found.on
    assert [t for t in (0, 9, 10, 19, 20, 29, 30, 99) if found.asked(t)] == [0, 9, 20, 29]
    assert [found.number(t) for t in (0, 10, 20, 30)] == [0, 1, 2, 3]
    assert [found.from_seam_ns(t) for t in (0, 10, 14, 16, 1000)] == [10, 0, 4, 4, 970]
    assert found.off_ns(37) == 10 + 7 and Stretches().off_ns(37) == 0
    assert found.turn(3) == 31  # no seam lies before another
    assert found.off_ns(37) == 11


@given(newest_ns=TIMES_NS, period_ns=st.integers(2, 10**9), asked_ns=TIMES_NS)
def test_a_seam_lies_between_two_pulses_after_both_the_asking_and_the_newest_frame(
    newest_ns: int, period_ns: int, asked_ns: int
) -> None:
    seam_ns = seam_after(newest_ns, period_ns, asked_ns)
    assert seam_ns > newest_ns and seam_ns >= asked_ns
    assert (seam_ns - newest_ns) % period_ns == period_ns // 2
    assert seam_ns - max(newest_ns, asked_ns) <= period_ns
    assert seam_after(None, period_ns, asked_ns) == asked_ns


def test_of_what_is_let_go_a_few_stamps_are_kept_and_the_last_of_every_count():
    told: list[dict] = []
    let_go = LetGo(lambda kind, **facts: told.append({"kind": kind, **facts}), frames=1000)
    frame = FrameStamp("cam", 0, 5, 6, 7, 8, 0)
    for seq in range(250):
        let_go.add(replace(frame, seq=seq))
    let_go.add(replace(frame, seq=7, lost_before=NEW_COUNT))
    let_go.end()
    let_go.end()
    assert [one["seq"] for one in told] == [*range(8), *range(25, 250, 25), 249, 7]
    assert [one["frames"] for one in told[-2:]] == [1250, 1251]
    assert let_go.frames == 1251
    assert {**told[8], "seq": 0} == {
        "kind": NOT_ASKED, "camera": "cam", "frames": 1026, "seq": 0, "t_device_ns": 5, "t_exposure_ns": 6,
        "uncertainty_ns": 7, "t_arrival_ns": 8, "lost_before": 0,
    }  # fmt: skip
