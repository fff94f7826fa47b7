"""`rigpose check-sync`, `sync-report` and `record --check-sync`, as a person runs them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import pytest

from acquisition.simulation.scene import Scene, write_scene
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from rigpose.chain import describe
from tests.acquisition.proof.filmed import film_session
from tests.rigpose.calling import run


def call(capsys, *words: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = run(*words)
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sessions") / "day1"
    film_session(folder, led={}, pictures_off_by={"cam_1": 1}, loss=0.0)
    return folder


def test_session_with_a_camera_off_by_one_exits_with_1_and_says_which(session, capsys, tmp_path):
    code, out, err = call(capsys, "check-sync", session, "--json", tmp_path / "found.json")
    assert code == 1
    assert "optical proof: FAIL" in out and re.search(r"cam_1 +\d+ +\+1 ", out)
    assert "camera 'cam_1': its pictures are 1 pulse later than every counter says" in err
    assert json.loads((tmp_path / "found.json").read_text())["cameras"]["cam_1"]["off_by"] == [1]
    code, out, err = call(capsys, "sync-report", session)
    assert code == 1 and "synchronisation of day1: FAIL" in out and "FAIL for day1" in err
    shown = describe(session / "optical_proof.json")
    assert shown["kind"] == "optical proof of synchrony"
    assert shown["facts"]["camera cam_1"].endswith(" words, off by 1")
    assert describe(session / "synchronisation.json")["facts"]["optical proof"] == "FAIL"


def true_calibration(scene: Scene, path: Path) -> Path:
    cameras = [
        CameraModel(
            view.name, view.size_px, view.lens.matrix, view.lens.distortion,
            cv2.Rodrigues(view.rotation)[0].ravel(), view.translation_mm,
        )
        for view in scene.views
    ]  # fmt: skip
    save_toml(CalibratedRig(tuple(cameras)), path)
    return path


def test_exchanged_cameras_are_found_with_a_calibration(capsys, tmp_path):
    exchanged = {"cam_0": "cam_2", "cam_2": "cam_0"}
    scene = film_session(tmp_path / "a" / "day1", led={}, names=exchanged)
    calibration = true_calibration(scene, tmp_path / "calibration.toml")
    code, out, _ = call(capsys, "check-sync", tmp_path / "a" / "day1")
    assert code == 0 and "optical proof: PASS" in out  # the LED alone is the same in all cameras
    code, _, err = call(capsys, "check-sync", tmp_path / "a" / "day1", "--calibration", calibration)
    assert code == 1 and "cameras 'cam_0' and 'cam_2': exchanged" in err
    film_session(tmp_path / "b" / "day2", led={})
    assert call(capsys, "check-sync", tmp_path / "b" / "day2", "--calibration", calibration)[0] == 0


def test_report_of_a_session_nobody_checked(session, capsys, tmp_path):
    unchecked = tmp_path / "day1"
    shutil.copytree(
        session, unchecked, ignore=shutil.ignore_patterns("synchronisation.*", "optical_proof.json")
    )
    code, out, err = call(capsys, "sync-report", unchecked)
    assert (code, err) == (0, "") and "synchronisation of day1:" in out
    assert {file.suffix for file in unchecked.glob("synchronisation.*")} == {".html", ".json", ".svg"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sync-report"], "Parameter SESSIONS requires an argument"),
        (["sync-report", "."], "expected a recorded session"),
        (["check-sync", "SESSION", "--region", "cam_0"], "expected CAMERA=X,Y,WIDTH,HEIGHT, found 'cam_0'"),
        (["check-sync", "SESSION", "--region", "cam_0=1,2,3"], "expected 4 whole numbers"),
        (["check-sync", "SESSION", "--region", "top=1,2,3,4"], "expected a camera of cam_0, cam_1, cam_2"),
        (["check-sync", "SESSION", "--keep", "x"], "expected a rig file beside it, found a session"),
        (["check-sync", "nothing.yaml"], "expected a readable YAML file"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(session, capsys, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, *(session if word == "SESSION" else word for word in words))
    assert code == 2 and line in err and len(err.strip().splitlines()) == 1


def test_rig_without_a_trigger_is_refused_before_anything_runs(capsys, tmp_path):
    rig = write_scene(tmp_path, kind="animal", seed=1, frame_sets=8, cameras=2, size=(96, 64))
    text = rig.read_text()
    rig.write_text(text[: text.index("trigger:")] + text[text.index("sync:") :])
    code, _, err = call(capsys, "check-sync", rig)
    assert code == 2 and "expected a rig with a trigger" in err


@pytest.mark.long
@pytest.mark.alone
def test_recording_is_proved_before_and_after(capsys, tmp_path):
    scene = {"kind": "animal", "seed": 1, "frame_sets": 8, "size": (96, 64), "rate_hz": 60, "led": {}}
    rig = write_scene(tmp_path / "scene", cameras=2, exposures_us=[2000.0], **scene)
    code, out, _ = call(
        capsys, "record", rig, "-o", tmp_path / "day1", "--seconds", "3", "--check-sync",
        "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert code == 0, out
    assert out.count("optical proof: PASS") == 2
    figures = json.loads((tmp_path / "figures.json").read_text())
    for when in ("optical_before", "optical_after"):
        assert all(camera["off_by"] == [0] for camera in figures[when]["cameras"].values())
    report = json.loads((tmp_path / "day1" / "synchronisation.json").read_text())
    assert report["optical"]["verdict"] == "PASS" and f"synchronisation: {report['verdict']}" in out
    assert report["verdict"] != "FAIL" and report["uncertain_sets"] == 0
    assert report["pulses"] >= report["frame_sets"] == figures["frame_sets"]

    write_scene(tmp_path / "scene", cameras=2, exposures_us=[2000.0], pictures_off_by={"cam_1": -1}, **scene)
    code, out, err = call(capsys, "record", rig, "-o", tmp_path / "day2", "--seconds", "3", "--check-sync")
    assert code == 1 and "nothing was recorded" in err and "1 pulse earlier" in err
    assert not (tmp_path / "day2").exists()
