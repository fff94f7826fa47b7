"""Calibrations of other programs."""

import pickle  # noqa: TID251 - to write what DeepLabCut writes
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import load_calibration, save_toml
from calibration.formats.convert import convert
from calibration.formats.deeplabcut3d import load_deeplabcut_3d
from calibration.formats.lengths import IN_MM, in_mm
from calibration.formats.opencv_yaml import load_opencv, save_opencv
from calibration.world import scaled
from tests.calibration.synthetic import ring, with_lens


def mixed():
    rig = ring(3, seed=2)
    return CalibratedRig(
        (rig.cameras[0], *with_lens(rig, "rational").cameras[1:2], *with_lens(rig, "fisheye").cameras[2:])
    )


def test_opencvs_yaml_goes_there_and_back(tmp_path):
    rig = mixed()
    save_opencv(rig, tmp_path / "c.yaml")
    back = load_opencv(tmp_path / "c.yaml")
    assert back.names == rig.names
    np.testing.assert_allclose(back.lenses, rig.lenses, rtol=1e-14)
    np.testing.assert_allclose(back.translations, rig.translations, rtol=1e-14)
    np.testing.assert_allclose(back.rotations, rig.rotations, atol=1e-14)
    assert [camera.size_px for camera in back.cameras] == [camera.size_px for camera in rig.cameras]


def test_a_camera_of_opencvs_own_sample_reads(tmp_path):
    storage = cv2.FileStorage(str(tmp_path / "out_camera_data.yml"), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]]))
    storage.write("distortion_coefficients", np.array([[-0.2, 0.1, 1e-3, 2e-3, 0.05]]).T)
    storage.release()
    camera = load_opencv(tmp_path / "out_camera_data.yml").cameras[0]
    assert camera.name == "out_camera_data"
    assert camera.size_px == (640, 480)
    np.testing.assert_array_equal(camera.distortion, [-0.2, 0.1, 1e-3, 2e-3, 0.05])


def sample(path, coefficients, **keys):
    """A file as OpenCV's sample writes it."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    for key, value in keys.items():
        storage.write(key, value)
    storage.write("camera_matrix", np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]))
    storage.write("distortion_coefficients", np.array(coefficients)[:, None])
    storage.release()
    return path


@pytest.mark.parametrize("key", ["fisheye_model", "fisheye"])
def test_opencvs_fisheye_is_one(tmp_path, key):
    d = [0.05, -0.02, 0.008, -0.002]
    camera = load_opencv(sample(tmp_path / "c.yml", d, **{key: 1})).cameras[0]
    angle = np.radians(np.array([5.0, 25, 40, 55, 70]))
    points = 1000 * np.stack([np.sin(angle), 0.2 * np.sin(angle), np.cos(angle)], axis=-1)
    px = cv2.fisheye.projectPoints(points[None], np.zeros(3), np.zeros(3), camera.matrix, np.array(d))[0][0]
    np.testing.assert_allclose(camera.project(points), px, atol=1e-6)
    pinhole = load_opencv(sample(tmp_path / "p.yml", d, **{key: 0})).cameras[0]
    assert not pinhole.fisheye and pinhole.distortion.tolist() == [*d, 0.0]


def test_four_coefficients_of_nobody_knows_which_lens_are_refused(tmp_path):
    with pytest.raises(RigposeError, match=r"expected 'fisheye' beside the 4.*Write fisheye: 1 or"):
        load_opencv(sample(tmp_path / "c.yml", [0.05, -0.02, 0.008, -0.002]))
    assert not load_opencv(sample(tmp_path / "p.yml", [0.05, -0.02, 0, 0, 0])).cameras[0].fisheye


@pytest.mark.parametrize("key", ["fisheye_model", "fisheye"])
@pytest.mark.parametrize("value", ["True", "yes", "False", '"1"', "[ 1 ]"])
def test_a_fisheye_that_is_no_number_is_refused(tmp_path, key, value):
    path = sample(tmp_path / "c.yml", [0.05, -0.02, 0.008, -0.002], **{key: 1})
    text = path.read_text()
    path.write_text(text.replace(f"{key}: 1", f"{key}: {value}"))
    with pytest.raises(RigposeError, match=rf"expected a number as '{key}'.*Write {key}: 1 or {key}: 0"):
        load_opencv(path)
    path.write_text(text.replace(f"{key}: 1", f"{key}: 1.0"))
    assert load_opencv(path).cameras[0].fisheye


@pytest.mark.parametrize("read", [load_calibration, load_opencv])
def test_a_rig_in_metres_is_not_taken_for_one_in_mm(tmp_path, read):
    rig = ring(3, seed=2)
    small = scaled(rig, 1e-3)
    path = tmp_path / "metres.toml"
    if read is load_opencv:
        path = tmp_path / "metres.yaml"
        save_opencv(small, path)
        path.write_text(path.read_text().replace("units: mm\n", ""))
    else:
        save_toml(small, path)
        (tmp_path / "metres.json").unlink()
        path.write_text(path.read_text().replace('units = "mm"\n', ""))
    with pytest.raises(RigposeError, match=r"as if in m or cm.*--unit m or cm, whichever its board was"):
        read(path)
    with pytest.raises(RigposeError, match=r"as if in m or cm"):
        convert(path, tmp_path / "mm.toml")
    convert(path, tmp_path / "mm.toml", unit="cm")
    np.testing.assert_allclose(load_calibration(tmp_path / "mm.toml").translations, rig.translations / 100)
    convert(path, tmp_path / "mm.toml", unit="m")
    np.testing.assert_allclose(load_calibration(tmp_path / "mm.toml").translations, rig.translations)
    convert(path, tmp_path / "tiny.yaml", unit="mm")
    np.testing.assert_allclose(load_opencv(tmp_path / "tiny.yaml").translations, small.translations)


@pytest.mark.parametrize("widest_mm", [12.0, 30.0])
def test_cameras_that_have_no_room_beside_each_other_are_not_in_mm(widest_mm):
    rig = ring(2)
    apart_mm = np.linalg.norm(rig.cameras[1].centre_mm - rig.cameras[0].centre_mm)
    small = scaled(rig, widest_mm / apart_mm)
    if widest_mm > 20:
        assert in_mm(small, Path("c.toml")) is small
    else:
        with pytest.raises(RigposeError, match="found cameras 12 mm from each other at most, and no unit"):
            in_mm(small, Path("c.toml"))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["mm", "cm", "m"]), st.floats(0.03, 3000))
def test_a_unit_that_is_stated_is_kept_to(unit, apart):
    rig = scaled(ring(3, seed=2), apart / 500)
    for stated, given_unit in ((unit, None), (None, unit), (unit, unit)):
        found = in_mm(rig, Path("c.toml"), stated, given_unit)
        np.testing.assert_allclose(found.translations, rig.translations * IN_MM[unit])
    for other in {"mm", "cm", "m"} - {unit}:
        with pytest.raises(RigposeError, match=rf"--unit {other}: .*found {unit} there"):
            in_mm(rig, Path("c.toml"), unit, other)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_unit_is_known_by_its_sign_and_its_words_in_any_case(data):
    rig, unit = ring(2), data.draw(st.sampled_from(["mm", "cm", "m"]))
    word = {"mm": "milli", "cm": "centi", "m": ""}[unit] + data.draw(st.sampled_from(["meter", "metre"]))
    drawn = data.draw(st.sampled_from([unit, word, word + "s"]))
    stated = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in drawn)
    for given_unit in (None, unit):
        found = in_mm(rig, Path("c.toml"), stated, given_unit)
        np.testing.assert_allclose(found.translations, rig.translations * IN_MM[unit])


@pytest.mark.parametrize("units", ['"inch"', "3", '["mm"]', '""'])
def test_a_unit_that_nobody_knows_is_refused(tmp_path, units):
    save_toml(ring(2), tmp_path / "c.toml")
    (tmp_path / "c.json").unlink()
    text = (tmp_path / "c.toml").read_text()
    (tmp_path / "c.toml").write_text(text.replace('units = "mm"', f"units = {units}"))
    with pytest.raises(RigposeError, match=r'expected units of mm, cm, m.*for instance units = "mm"'):
        load_calibration(tmp_path / "c.toml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%YAML:1.0\n---\na: 1\n", "neither a list of cameras"),
        ("%YAML:1.0\n---\ncamera_matrix: 3\nimage_width: 4\n", "without distortion_coefficients"),
        ("nothing of the kind", "does not read"),
    ],
)
def test_other_yaml_is_refused(tmp_path, text, found):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RigposeError, match=found):
        load_opencv(tmp_path / "c.yaml")
    with pytest.raises(RigposeError, match="no file"):
        load_opencv(tmp_path / "none.yaml")


@pytest.fixture
def project(tmp_path):
    """A DeepLabCut 3D project as its calibrate_cameras leaves it, and the rig it is of; squares of 25 mm."""
    rig = ring(2, seed=3, arc=0.8)
    first, second = rig.cameras
    relative = second.rotation_matrix @ first.rotation_matrix.T
    shift = (second.translation - relative @ first.translation) / 25.0
    lenses = [camera.distortion[None] for camera in rig.cameras]
    r1, r2, p1, p2, q, *_ = cv2.stereoRectify(
        first.matrix, lenses[0], second.matrix, lenses[1], (640, 480), relative, shift[:, None], alpha=0.4
    )
    found = {
        "cameraMatrix1": first.matrix, "cameraMatrix2": second.matrix, "distCoeffs1": lenses[0],
        "distCoeffs2": lenses[1], "R": relative, "T": shift[:, None], "R1": r1, "R2": r2, "P1": p1, "P2": p2,
        "Q": q, "image_shape": [(640, 480), (640, 480)],
    }  # fmt: skip
    folder = tmp_path / "rig-3d"
    (folder / "camera_matrix").mkdir(parents=True)
    (folder / "config.yaml").write_text("Task: rig\ncamera_names:\n- camera-1\n- camera-2\n")
    (folder / "camera_matrix" / "stereo_params.pickle").write_bytes(
        pickle.dumps({"camera-1-camera-2": found})
    )
    return folder, rig, found


def test_a_deeplabcut_project_gives_deeplabcuts_own_points(project):
    folder, true, stereo = project
    rig = load_deeplabcut_3d(folder, 25.0)
    assert rig.names == ("camera-1", "camera-2")
    world = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    px = true.project(world)
    # as DeepLabCut triangulates: undistorted into the rectified images, then linear
    flat = [
        cv2.undistortPoints(
            px[c][:, None], stereo[f"cameraMatrix{c + 1}"], stereo[f"distCoeffs{c + 1}"], None,
            stereo[f"R{c + 1}"], stereo[f"P{c + 1}"],
        )[:, 0].T
        for c in range(2)
    ]  # fmt: skip
    points = cv2.triangulatePoints(stereo["P1"], stereo["P2"], *flat)
    points = (points[:3] / points[3]).T * 25.0
    np.testing.assert_allclose(rig.project(points), px, atol=1e-3)


def test_a_pickle_with_code_in_it_is_refused(project):
    folder, _, _ = project
    path = folder / "camera_matrix" / "stereo_params.pickle"
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(RigposeError, match=r"would run os\.system"):
        load_deeplabcut_3d(folder, 25.0)
    assert not (folder / "ran").exists()
    path.unlink()
    with pytest.raises(RigposeError, match="calibrate_cameras"):
        load_deeplabcut_3d(folder, 25.0)


def test_convert_reads_and_writes_what_the_names_say(project, tmp_path):
    folder, _, _ = project
    with pytest.raises(RigposeError, match="--square-mm"):
        convert(folder, tmp_path / "c.toml")
    with pytest.raises(RigposeError, match="--square-mm alone"):
        convert(folder, tmp_path / "c.toml", square_mm=25.0, unit="m")
    figures = convert(folder, tmp_path / "c.toml", square_mm=25.0)
    assert figures["cameras"]["camera-1"] == {"size_px": [640, 480], "lens": "pinhole"}
    convert(tmp_path / "c.toml", tmp_path / "c.yaml")
    convert(tmp_path / "c.yaml", tmp_path / "again.toml")
    one, two = load_calibration(tmp_path / "c.toml"), load_calibration(tmp_path / "again.toml")
    np.testing.assert_allclose(one.lenses, two.lenses, rtol=1e-14)
    save_toml(mixed(), tmp_path / "mixed.toml")
    lenses = [c["lens"] for c in convert(tmp_path / "mixed.toml", tmp_path / "m.yaml")["cameras"].values()]
    assert lenses == ["pinhole", "rational", "fisheye"]
    with pytest.raises(RigposeError, match=r"\.yaml \(OpenCV\)"):
        convert(tmp_path / "c.toml", tmp_path / "c.json")
