"""`rigpose cameras` as a person runs it, and the search behind it."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

from acquisition import find_cameras as search_module
from acquisition.camera import DRIVERS
from acquisition.find_cameras import DriverSearch, find_cameras
from acquisition.simulation.scene import write_scene
from tests.equipment.cameras.gige import fake_cameras
from tests.rigpose.calling import run


def outcome(process) -> tuple[int, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out + err


@pytest.mark.long
@pytest.mark.equipment
def test_cameras_and_what_can_be_set(tmp_path):
    with fake_cameras(2) as cameras:
        code, said = outcome(cameras.rigpose("cameras", "--json", "all.json", cwd=tmp_path))
        assert code == 0 and "aravis://GV01" in said and "Aravis Fake" in said
        found = json.loads((tmp_path / "all.json").read_text())
        assert {"uri": "aravis://GV02", "model": "Aravis Fake", "serial": "GV02"} in found["cameras"]
        assert set(found["drivers"]) == set(DRIVERS) and found["drivers"]["aravis"] == ""
        code, said = outcome(cameras.rigpose("cameras", "aravis://GV02", "--json", "one.json", cwd=tmp_path))
        assert code == 0 and "serial GV02: 512x512 Mono8" in said and "BayerRG8" in said
        one = json.loads((tmp_path / "one.json").read_text())
        assert one["camera"]["serial"] == "GV02"
        (rate,) = [feature for feature in one["features"] if feature["name"] == "rate_hz"]
        assert (rate["value"], rate["low"], rate["high"], rate["unit"]) == (25, 0.1, 1000, "Hz")
        code, said = outcome(cameras.rigpose("cameras", "aravis://GV03", cwd=tmp_path))
        assert code == 2 and "expected a camera at aravis://GV03, found none (there: GV01, GV02)" in said
        assert len(said.strip().splitlines()) == 1


def test_simulated_camera_says_what_it_is(tmp_path, capsys):
    rig = write_scene(tmp_path / "scene", kind="animal", seed=1, frame_sets=4, cameras=2, size=(96, 64))
    uri = f"sim://{rig.parent / 'scene.yaml'}#cam_1"
    assert run("cameras", uri) == 0
    assert "serial SIM-1-1: 96x64 Mono8" in capsys.readouterr().out


def test_unknown_driver_is_one_line(capsys):
    assert run("cameras", "nikon://7") == 2
    assert "expected a URI beginning with sim://" in capsys.readouterr().err


def test_driver_whose_extra_is_missing_says_which_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gi", None)  # as where PyGObject is not installed
    monkeypatch.setattr(search_module, "DRIVERS", {"aravis": DRIVERS["aravis"], "sim": DRIVERS["sim"]})
    assert run("cameras") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("aravis: ")]
    assert "pip install 'rigpose[aravis]'" in line


class Slow:
    @staticmethod
    def find():
        threading.Event().wait(30)


class Broken:
    @staticmethod
    def find():
        raise OSError("the SDK is of another age\nand more")


def test_one_driver_in_trouble_does_not_hide_the_others(monkeypatch):
    monkeypatch.setattr(
        search_module, "DRIVERS",
        {"slow": f"{__name__}:Slow", "broken": f"{__name__}:Broken", "sim": DRIVERS["sim"]},
    )  # fmt: skip
    began = time.monotonic()
    found = find_cameras(limit_s=0.3)
    assert time.monotonic() - began < 20
    assert found == [
        DriverSearch("slow", trouble="no answer within 0.3 s"),
        DriverSearch("broken", trouble="OSError: the SDK is of another age"),
        DriverSearch("sim"),
    ]
