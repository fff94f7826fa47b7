"""`rigpose calibrate` and `rigpose triangulate` as a person runs them."""

import json

import cv2
import numpy as np
import pytest

from calibration.formats.anipose import load_toml, save_toml
from calibration.parameter_covariance import covariance_details
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from rigpose.chain import describe
from rigpose.front_door import main
from tests.calibration.synthetic import board_points, board_poses, bumped, observe, ring, walk
from tests.calibration.test_detection import CHECKER, flat


def picture(rig, camera, pose, square_px=40):
    """A camera's view of the board: a fine grid of the print, looked up through the lens."""
    model = rig.cameras[camera]
    width, height = model.size_px
    v, u = np.mgrid[0:height, 0:width]
    rays = model.undistort(np.stack([u, v], axis=-1).reshape(-1, 2))
    rays = np.column_stack([rays, np.ones(len(rays))]) @ rig.rotations[camera]
    rotation, translation = pose
    origin = rotation.T @ (model.centre_mm - translation)
    directions = rays @ rotation
    depth = -origin[2] / directions[:, 2]
    on_board = origin[:2] + directions[:, :2] * depth[:, None]
    texel = (on_board / 25.0 + 2) * square_px - 0.5  # the first inner corner is 2 squares in
    image = cv2.GaussianBlur(flat(CHECKER, square_px), (0, 0), 0.8 * square_px / 15)
    place = texel.reshape(height, width, 2).astype(np.float32)
    return cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=128)


@pytest.mark.long
def test_calibrate_pictures_of_a_known_rig(tmp_path, capsys):
    rig = ring(2, seed=2, arc=1.0)
    poses = board_poses(30, seed=1, tilt=0.7)
    views = observe(rig, poses, 0.0).views
    whole = [view for view in views if len(view.ids) == len(board_points())]
    for view in whole:
        folder = tmp_path / "in" / rig.names[view.camera]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(folder / f"{view.frame_set:02d}.png"), picture(rig, view.camera, poses[view.frame_set])
        )
    (tmp_path / "board.yaml").write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 25\n")
    output, figures = tmp_path / "c.toml", tmp_path / "f.json"
    code = main([
        "calibrate", str(tmp_path / "in"), "--board", str(tmp_path / "board.yaml"), "-o", str(output),
        "--json", str(figures),
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0, said
    measured = json.loads(figures.read_text())
    assert measured["views"] >= 0.8 * len(whole)  # some reach the edge of the picture
    assert measured["rms_px"] < 0.15
    assert "px RMS" in said
    assert "held out: board distances" in said
    shown = describe(output.with_suffix(".json"))
    assert (shown["kind"], shown["facts"]["verdict"]) == ("details of a calibration", measured["verdict"])
    assert describe(figures)["chain"] == [f"calibration (hash {measured['sha256'][:12]}) at {output}"]
    assert describe(tmp_path / "board.yaml")["kind"] == "calibration board"
    found = load_toml(output)
    np.testing.assert_allclose(found.lenses[:, :2], rig.lenses[:, :2], rtol=3e-3)
    baseline = [np.linalg.norm(r.cameras[1].centre_mm - r.cameras[0].centre_mm) for r in (found, rig)]
    assert baseline[0] == pytest.approx(baseline[1], abs=0.5)


def test_triangulate_says_which_file_is_whose(tmp_path, capsys):
    rig = ring(2, arc=2.0)
    save_toml(rig, tmp_path / "c.toml")
    points = np.random.default_rng(0).uniform(-60, 60, (4, 1, 3))
    files = []
    for name, px in zip(rig.names, rig.project(points), strict=True):
        files.append(str(tmp_path / f"run_{name}.csv"))
        values = np.concatenate([px, np.ones((4, 1, 1))], axis=-1)
        save_csv(Poses.of_video(("nose",), values), "S", files[-1])
    code = main(["triangulate", str(tmp_path / "c.toml"), *files, "-o", str(tmp_path / "out.csv")])
    said = capsys.readouterr().out.replace("\n", "")
    assert code == 0
    assert f"cam_0: {files[0]}" in said
    assert f"cam_1: {files[1]}" in said
    assert "4 of 4 points in 4 frame sets" in said
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 5


def test_mistakes_end_with_one_line_and_code_two(tmp_path, capsys):
    (tmp_path / "board.yaml").write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 25\n")
    board = str(tmp_path / "board.yaml")
    for arguments, message in (
        (
            ["calibrate", str(tmp_path / "no"), "--board", board, "-o", str(tmp_path / "c.toml")],
            "nothing there",
        ),
        (["calibrate", str(tmp_path), "--board", board, "-o", str(tmp_path / "c.yaml")], "ends in .toml"),
        (
            ["triangulate", str(tmp_path / "c.toml"), "a.csv", "b.csv", "-o", str(tmp_path / "o.csv")],
            "calibrate",
        ),
    ):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert message in said.replace("\n", " ")
        assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.yaml"]


def test_a_board_is_made_to_print(tmp_path, capsys):
    settings = tmp_path / "board.yaml"
    settings.write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 20\n")
    figures = tmp_path / "figures.json"
    assert main(["board", str(settings), "-o", str(tmp_path / "board.pdf"), "--json", str(figures)]) == 0
    assert json.loads(figures.read_text())["size_mm"] == [200, 140]
    assert json.loads(figures.read_text())["paper"] == "A4"
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF-")
    settings.write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 60\n")
    assert main(["board", str(settings), "-o", str(tmp_path / "large.pdf"), "--paper", "A4"]) == 2
    assert "Take larger paper" in capsys.readouterr().err
    assert not (tmp_path / "large.pdf").exists()


def test_triangulate_says_what_its_covariances_are_worth(tmp_path, capsys):
    rig = ring(3, arc=2.0)
    save_toml(rig, tmp_path / "c.toml")
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 60, (60, 1, 3))
    files = []
    for name, px in zip(rig.names, rig.project(points), strict=True):
        files.append(str(tmp_path / f"run_{name}.csv"))
        values = np.concatenate([px + rng.normal(0, 1, px.shape), np.ones((60, 1, 1))], axis=-1)
        save_csv(Poses.of_video(("nose",), values), "S", files[-1])
    code = main(
        ["triangulate", str(tmp_path / "c.toml"), *files, "-o", str(tmp_path / "out.csv"), "--fit-noise"]
    )
    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "not the calibration's uncertainty" in said
    assert "within the 95 % ellipse" in said
    command = ["triangulate", str(tmp_path / "c.toml"), *files, "-o", str(tmp_path / "b.csv")]
    assert main([*command, "--calibration-uncertainty"]) == 2
    assert "no covariance beside" in " ".join(capsys.readouterr().err.split())
    known = np.einsum("cd,ij->cidj", np.eye(3), 1e-8 * np.eye(18))
    save_toml(rig, tmp_path / "c.toml", {"covariance": covariance_details(rig.names, known)})
    assert main([*command, "--calibration-uncertainty"]) == 0
    assert "noise of the keypoints and the calibration's uncertainty" in " ".join(
        capsys.readouterr().out.split()
    )


def session(folder, rig, seed=0):
    """Poses of a walk in front of a rig, a CSV a camera."""
    files = []
    for name, values in zip(rig.names, walk(rig, seed=seed).swapaxes(0, 1), strict=True):
        files.append(str(folder / f"run_{name}.csv"))
        keypoints = tuple(f"point_{k}" for k in range(values.shape[1]))
        save_csv(Poses.of_video(keypoints, values), "S", files[-1])
    return files


def test_refine_calibration_says_which_camera_was_moved_and_how_far(tmp_path, capsys):
    true = ring(3, seed=1, arc=2.1)
    save_toml(bumped(true, 1, degrees=2.0), tmp_path / "c.toml")
    files, new = session(tmp_path, true), str(tmp_path / "new.toml")
    figures = tmp_path / "f.json"
    command = ["refine-calibration", str(tmp_path / "c.toml"), *files, "--json", str(figures), "-o"]
    assert main([*command, new]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "cam_0: stays" in said
    assert "cam_1: moved " in said
    measured = json.loads(figures.read_text())
    assert measured["moved"] == ["cam_1"]
    assert measured["cameras"]["cam_1"]["turned_deg"] == pytest.approx(2, abs=0.3)
    command[1] = new
    assert main([*command, str(tmp_path / "newer.toml")]) == 1
    assert "no camera was clearly moved" in " ".join(capsys.readouterr().err.split())
    assert json.loads(figures.read_text())["written"] is None
    assert not (tmp_path / "newer.toml").exists()
    for options, message in (
        (["--hold", "left"], "left"),
        (["--min-confidence", "0"], "--min-confidence"),
        (["--hold", "cam_0,cam_1,cam_2"], "every camera held"),
    ):
        assert main([*command, str(tmp_path / "newer.toml"), *options]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_convert_calibration_to_opencv_and_back(tmp_path, capsys):
    save_toml(ring(2), tmp_path / "c.toml")
    assert main(["convert-calibration", str(tmp_path / "c.toml"), "-o", str(tmp_path / "c.yaml")]) == 0
    assert "cam_0 (pinhole), cam_1 (pinhole)" in " ".join(capsys.readouterr().out.split())
    assert main(["convert-calibration", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "d.toml")]) == 0
    assert load_toml(tmp_path / "d.toml").names == ("cam_0", "cam_1")
    theirs = (tmp_path / "c.toml").read_text().replace('units = "mm"\n', "")
    (tmp_path / "metres.toml").write_text(theirs)
    command = ["convert-calibration", str(tmp_path / "metres.toml"), "-o", str(tmp_path / "m.toml")]
    assert main([*command, "--unit", "m"]) == 0
    np.testing.assert_allclose(
        load_toml(tmp_path / "m.toml").translations, 1000 * load_toml(tmp_path / "d.toml").translations
    )
    assert main(["convert-calibration", str(tmp_path), "-o", str(tmp_path / "e.toml")]) == 2
