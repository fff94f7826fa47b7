"""The synchronisation report of sessions whose truth is known."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace

import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from acquisition.proof.chart import draw
from acquisition.proof.figures import measure
from acquisition.proof.report import JSON, PAGE, PICTURE, write_report
from acquisition.proof.verdict import judge
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.recording import Recording
from tests.acquisition.sessions import write_session


def findings(report) -> dict[str, str]:
    return {f"{found['whose']}: {found['found']}": found["level"] for found in report["findings"]}


def test_every_absence_is_counted_and_listed_with_its_cause(tmp_path):
    line = write_session(tmp_path / "day1", pulses=90, loss=0.1, ignored=0.05)
    report = write_report(tmp_path / "day1")
    sets = report["frame_sets"]
    for camera in line.cameras:
        truth = Counter(line.expected[camera, i].value for i in range(sets) if line.expected[camera, i])
        found = report["cameras"][camera]
        assert found["absent"] == truth
        assert found["in_sets"] == found["frames"] == sets - sum(truth.values())
        assert sum(gap["sets"] for gap in found["gaps"]) == sum(truth.values())
        for gap in found["gaps"]:
            for pulse in range(gap["first"], gap["first"] + gap["sets"]):
                assert line.expected[camera, pulse].value == gap["cause"]
    assert report["uncertain_sets"] == 0 and report["uncertain"] == []
    assert report["verdict"] == "WARN"
    named = findings(report)
    assert any("cam_0" in found and found.endswith(": lost") for found in named)
    assert any("cam_1" in found and found.endswith("trigger ignored") for found in named)


def test_clean_session_passes_and_its_files_say_so(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0, pulses=120)
    report = write_report(tmp_path / "day1")
    assert report["verdict"] == "PASS" and report["findings"] == []
    assert report["complete_sets"] == report["frame_sets"] == 120
    for camera in report["cameras"].values():
        assert abs(camera["drift_ppm"]) < 50 + 3 * camera["drift_uncertainty_ppm"]
        assert camera["gaps"] == [] and camera["device_clock"]
    assert report["spread_ms"]["max"] < 2.5
    on_disk = json.loads((tmp_path / "day1" / JSON).read_text())
    assert {**on_disk, "files": report["files"]} == report
    page = (tmp_path / "day1" / PAGE).read_text()
    assert "<span class=PASS>PASS</span>" in page and "<svg" in page and "rigpose check-sync" in page
    ElementTree.fromstring((tmp_path / "day1" / PICTURE).read_text())


def test_session_that_was_cut_off_is_measured_all_the_same(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0, ended=False)
    table = tmp_path / "day1" / "day1_cam_0.frames"
    table.write_bytes(table.read_bytes()[: -5 * 48 - 11])
    report = write_report(tmp_path / "day1")
    assert report["ended"] is None and report["verdict"] == "WARN"
    assert findings(report)["session: it was cut off"] == "WARN"
    assert report["cameras"]["cam_0"]["gaps"] == [{"first": 54, "sets": 6, "cause": "ended"}]


def test_what_the_events_tell_is_in_the_report(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0)
    events = EventsWriter(tmp_path / "day1")
    for second, realtime_ms in enumerate((0, 1000, 2250, 3250)):
        events.append("clock", second * 10**9, realtime_ns=realtime_ms * 10**6)
    events.append("camera gone", camera="cam_1")
    for offset_ns in (-300.0, 500.0, 900.0):
        events.append("ptp", role="SLAVE", grandmaster="aa", offset_ns=offset_ns, announcing=True)
    events.append("ptp lost", why="silent")
    events.close()
    report = write_report(tmp_path / "day1")
    assert report["events"] == {"camera gone": 1, "ptp lost": 1}
    assert report["clock_steps_ms"] == [250.0]
    assert report["ptp"] == {
        "roles": ["SLAVE"], "grandmasters": ["aa"], "offset_us_median": 0.5, "offset_us_max": 0.9, "lost": 1,
    }  # fmt: skip
    assert "offset 0.5 us" in (tmp_path / "day1" / PAGE).read_text()
    assert {f["whose"] for f in report["findings"]} == {"calendar's clock", "PTP"}


def test_verdicts_name_camera_and_remedy(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0)
    with Recording.open(tmp_path / "day1") as recording:
        clean = measure(recording)

    def with_camera(**changes):
        return replace(clean, cameras={**clean.cameras, "cam_1": replace(clean.cameras["cam_1"], **changes)})

    assert judge(clean) == []
    for wrong, level, words in [
        (
            with_camera(absent={Absence.RING_FULL.value: 30}),
            "FAIL",
            "absent from 30 of 60 sets (50.0%): ring full",
        ),
        (with_camera(absent={Absence.UNMATCHED.value: 3}), "WARN", "unmatched"),
        (with_camera(frames=0), "FAIL", "no frame at all"),
        (with_camera(restarts=2), "WARN", "came back 2 times"),
        (with_camera(repeated_stamps=1), "WARN", "1 stamps are not later"),
        (with_camera(offset_ms=-3.0), "WARN", "exposed 3.00 ms before the others"),
        (with_camera(drift_ppm=900.0, drift_uncertainty_ppm=5.0), "WARN", "off by +900 ppm"),
        (with_camera(uncertainty_ms=30.0), "WARN", "known to 30.00 ms only"),
        (replace(clean, uncertain=30), "FAIL", "30 of 60 are uncertain"),
        (replace(clean, frame_sets=0), "FAIL", "no frame set"),
    ]:
        (found,) = judge(wrong)
        assert found.level == level and words in str(found) and found.remedy, found
        assert ("cam_1" in found.whose) == (wrong.cameras is not clean.cameras)
    assert "uncertain" in draw(replace(clean, uncertain=1, doubtful=~clean.doubtful))


def test_repeated_stamps_are_reported_as_they_are(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0)
    table = tmp_path / "day1" / "day1_cam_0.frames"
    content = bytearray(table.read_bytes())
    row = 512 + 30 * 48
    content[row + 8 : row + 24] = content[row - 48 + 8 : row - 48 + 24]  # both stamps of row 30 are row 29's
    table.write_bytes(content)
    report = write_report(tmp_path / "day1")
    assert report["cameras"]["cam_0"]["repeated_stamps"] == 1
    assert report["cameras"]["cam_0"]["in_sets"] == report["cameras"]["cam_0"]["frames"] - 1


def test_a_folder_that_is_no_session_is_one_line(tmp_path):
    with pytest.raises(RigposeError, match=r"expected a recorded session"):
        write_report(tmp_path)
