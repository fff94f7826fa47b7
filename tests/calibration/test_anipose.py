import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import details_path, load_calibration, load_toml, save_toml
from tests.calibration.synthetic import ring, with_lens


def test_a_rig_survives_bit_for_bit_in_its_order(tmp_path):
    rig = ring(12, seed=5)  # more than ten: the keys are sorted as text
    save_toml(rig, tmp_path / "c.toml", {"report": {"verdict": "PASS"}})
    back = load_calibration(tmp_path / "c.toml")
    assert back.names == rig.names
    for name in ("lenses", "rotations", "translations"):
        np.testing.assert_array_equal(getattr(back, name), getattr(rig, name))
    assert [camera.size_px for camera in back.cameras] == [camera.size_px for camera in rig.cameras]
    assert json.loads((tmp_path / "c.json").read_text())["report"] == {"verdict": "PASS"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "c.toml"]


@pytest.mark.parametrize("model", ["rational", "fisheye"])
def test_other_lenses_survive_too(tmp_path, model):
    rig = with_lens(ring(2), model)
    save_toml(rig, tmp_path / "c.toml")
    back = load_calibration(tmp_path / "c.toml")
    np.testing.assert_array_equal(back.lenses, rig.lenses)
    assert {camera.lens_model for camera in back.cameras} == {model}


def test_names_that_toml_would_stumble_over(tmp_path):
    camera = ring(1).cameras[0]
    odd = CameraModel(
        'a "b" \\ ü', camera.size_px, camera.matrix, camera.distortion, camera.rotation, camera.translation
    )
    save_toml(CalibratedRig((odd,)), tmp_path / "c.toml")
    assert load_toml(tmp_path / "c.toml").names == ('a "b" \\ ü',)


def test_aniposes_own_file_reads(tmp_path):
    (tmp_path / "calibration.toml").write_text(
        '[cam_0]\nname = "A"\nsize = [ 1280, 1024,]\n'
        "matrix = [ [ 1500.0, 0.0, 639.5,], [ 0.0, 1500.0, 511.5,], [ 0.0, 0.0, 1.0,],]\n"
        "distortions = [ -0.1, 0.0, 0.0, 0.0, 0.0,]\nrotation = [ 0.1, 0.2, 0.3,]\n"
        "translation = [ 1.0, 2.0, 3.0,]\nfisheye = false\n\n[metadata]\nadjusted = true\nerror = 0.3\n"
    )
    rig = load_calibration(tmp_path / "calibration.toml")
    assert rig.names == ("A",)
    assert rig.cameras[0].distortion[0] == -0.1


def test_a_changed_toml_is_noticed(tmp_path):
    path = tmp_path / "c.toml"
    save_toml(ring(2), path)
    path.write_text(path.read_text().replace("640", "641", 1))
    with pytest.raises(RigposeError, match="found a changed one"):
        load_calibration(path)
    details_path(path).unlink()
    assert load_calibration(path).cameras[0].size_px == (641, 480)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[cam_0]\nname = ", "Invalid value"),
        ("[metadata]\na = 1\n", "found none"),
        ("[cam_0]\nname = 'A'\n", "no key 'distortions'"),
        (
            "[cam_0]\nname = 'A'\nfisheye = true\ndistortions = [0, 0, 0, 0, 0]\n",
            "5 distortion coefficients, at most 4",
        ),
        ("title = 'mine'\n", "'title' with name"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, text, found):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(RigposeError, match=found):
        load_calibration(path)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(RigposeError, match="rigpose calibrate"):
        load_calibration(tmp_path / "none.toml")


def test_a_json_of_a_newer_rigpose_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    save_toml(ring(1), path, {"schema": 99})
    with pytest.raises(RigposeError, match="schema 99"):
        load_calibration(path)
