"""The optical proof on filmed sessions: in step, off by one, saturated, hidden, cut off, swapped."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from acquisition.proof.led import find_led
from acquisition.proof.optical import _windows, check_session
from acquisition.proof.report import write_report
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.recording import Recording
from acquisition.recordings.switch import OFF, ON
from acquisition.synchronisation.pulse_code import CYCLE_SLOTS, led, words
from tests.acquisition.proof.filmed import film_session
from tests.acquisition.sessions import write_session


def faults(report) -> dict[str, str]:
    return {found["whose"]: found["found"] for found in report["findings"] if found["level"] == "FAIL"}


def test_rig_in_step_passes_and_the_led_is_found_where_it_is(tmp_path):
    scene = film_session(tmp_path / "day1", led={})
    found = check_session(tmp_path / "day1")
    assert found["verdict"] == "PASS" and found["findings"] == []
    for view in scene.views:
        camera = found["cameras"][view.name]
        assert camera["off_by"] == (0,) and camera["words"] >= 2 and camera["unread"] == 0
        x, y, width, height = camera["region"]
        centre = np.array([x + (width - 1) / 2, y + (height - 1) / 2])
        assert np.abs(centre - view.project(np.array(scene.settings.led.position_mm))).max() <= 1.5
    page = write_report(tmp_path / "day1")
    assert page["optical"]["verdict"] == "PASS"
    assert "Optical proof: <span class=PASS>" in (tmp_path / "day1" / "synchronisation.html").read_text()


@pytest.mark.parametrize("off", [1, *(pytest.param(off, marks=pytest.mark.long) for off in (-1, 40))])
def test_camera_off_by_some_from_the_start_is_named_though_all_counters_agree(tmp_path, off):
    film_session(tmp_path / "day1", led={}, pictures_off_by={"cam_1": off})
    counters = write_report(tmp_path / "day1")
    assert counters["verdict"] == "WARN"  # losses: of the fault the counters know nothing
    assert not any("off" in found["found"] for found in counters["findings"])
    found = check_session(tmp_path / "day1")
    assert found["verdict"] == "FAIL" and set(faults(found)) == {"camera 'cam_1'"}
    assert found["cameras"]["cam_1"]["off_by"] == (off,)
    assert f"{abs(off)} pulse" in faults(found)["camera 'cam_1'"]
    assert ("later" if off > 0 else "earlier") in faults(found)["camera 'cam_1'"]
    assert write_report(tmp_path / "day1")["verdict"] == "FAIL"
    assert json.loads((tmp_path / "day1" / "optical_proof.json").read_text())["verdict"] == "FAIL"


@pytest.mark.long
def test_saturating_led_is_read_and_said(tmp_path):
    film_session(tmp_path / "day1", led={"brightness": 2000, "radius_mm": 10})
    found = check_session(tmp_path / "day1")
    assert found["verdict"] == "WARN" and not faults(found)
    assert {f["found"] for f in found["findings"]} == {"the LED saturates the sensor"}
    assert all(camera["off_by"] == (0,) for camera in found["cameras"].values())


def test_led_that_one_camera_does_not_see_is_said_and_the_others_are_proved(tmp_path):
    film_session(tmp_path / "day1", led={"hidden_from": ["cam_2"]}, pictures_off_by={"cam_0": 1})
    found = check_session(tmp_path / "day1")
    assert faults(found) == {
        "camera 'cam_0'": "its pictures are 1 pulse later than every counter says",
        "camera 'cam_2'": "the LED was not found",
    }
    assert found["cameras"]["cam_2"]["region"] is None and found["cameras"]["cam_1"]["off_by"] == (0,)


def test_region_given_by_hand_is_used_and_checked(tmp_path):
    scene = film_session(tmp_path / "day1", led={})
    x, y = (round(float(v)) for v in scene.view("cam_1").project(np.array(scene.settings.led.position_mm)))
    found = check_session(tmp_path / "day1", {"cam_1": (x - 3, y - 3, 7, 7)})
    assert found["verdict"] == "PASS" and found["cameras"]["cam_1"]["region"] == (x - 3, y - 3, 7, 7)
    elsewhere = check_session(tmp_path / "day1", {"cam_1": (0, 0, 6, 6)})
    assert set(faults(elsewhere)) == {"camera 'cam_1'"}
    with pytest.raises(RigposeError, match=r"--region cam_1: expected a part of 160 x 120 px"):
        check_session(tmp_path / "day1", {"cam_1": (155, 0, 6, 6)})
    with pytest.raises(RigposeError, match=r"expected a camera of cam_0, cam_1, cam_2, found 'top'"):
        check_session(tmp_path / "day1", {"top": (0, 0, 6, 6)})


@pytest.mark.long
def test_all_cameras_off_by_the_same_is_said_of_the_sets(tmp_path):
    film_session(tmp_path / "day1", led={}, pictures_off_by={f"cam_{n}": 2 for n in range(3)})
    assert "all cameras are off by the same" in faults(check_session(tmp_path / "day1"))["frame sets"]


@pytest.mark.long
def test_every_place_after_a_camera_came_back_is_read(tmp_path):
    film_session(tmp_path / "day1", led={}, sets=400, restart=True)
    found = check_session(tmp_path / "day1")
    assert len(found["windows"]) == 3 and found["windows"][1][0] == 220
    assert found["cameras"]["cam_1"]["off_by"] == (0,)


def test_stretch_too_short_for_a_word_is_said(tmp_path):
    film_session(tmp_path / "day1", led={}, sets=240)
    assert check_session(tmp_path / "day1")["short_stretches"] == 0
    with Recording.open(tmp_path / "day1") as recording:
        times_ns = [one.t_exposure_ns for one in recording.frame_sets()]
    events = EventsWriter(tmp_path / "day1")
    for kind, row in ((OFF, 130), (ON, 190)):
        events.append(kind, (times_ns[row - 1] + times_ns[row]) // 2)
    events.close()
    found = check_session(tmp_path / "day1")
    assert found["short_stretches"] == 1
    assert found["verdict"] == "WARN" and "(50 sets)" in found["findings"][0]["found"]


def test_session_too_short_or_free_running_is_one_line(tmp_path):
    write_session(tmp_path / "short", loss=0, ignored=0, pulses=60)
    with pytest.raises(RigposeError, match=r"expected 64 frame sets, .* found 60. Record for longer"):
        check_session(tmp_path / "short")
    facts = json.loads((tmp_path / "short" / "session.json").read_text())
    facts["rig"]["trigger"] = None
    (tmp_path / "short" / "session.json").write_text(json.dumps(facts))
    with pytest.raises(RigposeError, match=r"expected a session of a triggered rig"):
        check_session(tmp_path / "short")


def test_blinking_that_is_not_the_code_is_no_led():
    """A lamp at half the frame rate, and one that flickers at random, beside no LED."""
    rng = np.random.default_rng(3)
    pictures = [rng.integers(90, 110, (80, 96), dtype=np.uint8) for _ in range(128)]
    for k, picture in enumerate(pictures):
        picture[8:16, 8:16] += 60 * (k % 2)
        picture[40:48, 60:70] += 60 * int(rng.integers(2))
    assert all(words(seen.states) == [] for seen in find_led(pictures, list(range(128))))


def test_faint_small_led_beside_stronger_lamps_is_found():
    rng = np.random.default_rng(4)
    start = 5 * CYCLE_SLOTS - 40  # the count comes round on the way
    pictures = []
    for k in range(128):
        picture = rng.normal(100, 2, (120, 160))
        picture[8:24, 8:24] += 80 * (k // 16 % 2)  # a light that is switched
        picture[60:100, 20:60] += 20 * np.sin(k / 5)  # something that moves slowly
        picture[70:73, 120:123] += 14 * led(start + k)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    seen = find_led(pictures, list(range(start, start + 128)))[0]
    assert [(word.slot - word.index - start) % CYCLE_SLOTS for word in words(seen.states)] == [0, 0, 0]
    x, y, width, height = seen.region
    assert x <= 121 < x + width and y <= 71 < y + height


def test_windows_lie_in_one_stretch_and_each_stretch_has_one():
    """Of a recording that was switched off twenty times, the last stretch of a hundred sets among them."""
    stretches = [*range(0, 20 * 1000, 1000)]
    numbers = [start + n for start in stretches for n in range(200)] + [30_000 + n for n in range(100)]
    sets = [SimpleNamespace(index=number, absences=(None,)) for number in numbers]
    recording = SimpleNamespace(session={"trains": [{"first_index": 0}]}, cameras=("top",), folder="day1")
    found = _windows(recording, sets)
    assert len(found) == 21
    assert (found[0][0], found[-1]) == (0, (4000, 4100))
    for start, end in found:
        assert end - start >= 100
        assert numbers[end - 1] - numbers[start] == end - 1 - start


def test_every_return_of_a_camera_is_looked_at_however_many():
    away = [n for n in range(20_000) if 400 <= n % 1000 < 450]
    sets = [SimpleNamespace(index=n, absences=(None, None)) for n in range(20_000)]
    for n in away:
        sets[n].absences = (None, Absence.ENDED)
    recording = SimpleNamespace(session={}, cameras=("top", "side"), folder="day1")
    found = _windows(recording, sets)
    returns = range(450, 20_000, 1000)
    assert [at for at in returns if not any(start <= at < end for start, end in found)] == []
    assert len(found) == len(returns) + 2  # and the start, and the end


def test_the_end_of_one_long_stretch_is_looked_at():
    sets = [SimpleNamespace(index=n, absences=(None,)) for n in range(1000)]
    recording = SimpleNamespace(session={}, cameras=("top",), folder="day1")
    assert _windows(recording, sets) == [(0, 128), (872, 1000)]
    assert _windows(recording, sets[:100]) == [(0, 100)]
