import json
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration import calibrate as module
from calibration.boards import BoardSettings
from calibration.calibrate import calibrate, calibrate_to
from calibration.camera_model import CalibratedRig
from calibration.choose_sets import choose_sets
from calibration.detection import Pattern
from calibration.find_views import Found, find_views
from calibration.formats.anipose import load_calibration, load_details, save_toml
from calibration.inputs import open_input
from calibration.placing import World
from calibration.rotation import rotation_matrix, rotation_vector
from calibration.world import moved
from tests.calibration.synthetic import SQUARE_MM, board_poses, observe, project, ring
from tests.calibration.test_detection import CHECKER, seen

BOARD = f"kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: {SQUARE_MM}\n"


@pytest.fixture
def synthetic(tmp_path, monkeypatch):
    """Calibrate from synthetic corners: (rig, board poses, function that runs with some noise)."""
    rig, poses = ring(3, seed=2), board_poses(36, seed=1)
    (tmp_path / "board.yaml").write_text(BOARD)
    for name in rig.names:
        write_picture(tmp_path / "in" / name / "1.png", np.zeros((4, 4), np.uint8))

    def with_noise(noise_px, count=36):
        observations = observe(rig, poses[:count], noise_px)
        found = Found(observations, Pattern(), (36, 36, 36), 0)
        monkeypatch.setattr(module, "find_views", lambda *_, **__: found)

    return rig, poses, with_noise


def write_picture(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


class Tags(HTMLParser):
    """Fails where a page's figures are not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("figure", "svg", "table"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("figure", "svg", "table"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_good_recording_passes_and_everything_is_written(synthetic, tmp_path):
    _, _, with_noise = synthetic
    with_noise(0.15)
    figures = calibrate_to(tmp_path / "in", tmp_path / "board.yaml", tmp_path / "out" / "c.toml")
    assert figures["verdict"] == "PASS", figures["findings"]
    assert figures["rms_px"] == pytest.approx(0.15 * np.sqrt(2), rel=0.1)
    assert figures["held_out"]["distances"]["rms_mm"] < 0.4
    assert abs(figures["held_out"]["distances"]["scale_bias"]) < 1e-3
    json.dumps(figures)
    details = load_details(tmp_path / "out" / "c.toml")
    assert details["report"]["verdict"] == "PASS"
    assert details["board"]["inner_corners"] == [9, 6]
    assert 0 < details["cameras"]["cam_1"]["lens_sd"]["fx"] < 5
    assert load_calibration(tmp_path / "out" / "c.toml").names == ("cam_0", "cam_1", "cam_2")
    page = Tags()
    page.feed((tmp_path / "out" / "c.html").read_text())
    assert not page.open
    assert "Calibration: " in "".join(page.text)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["c.html", "c.json", "c.toml"]


def test_a_failed_calibration_is_not_written_unless_accepted(synthetic, tmp_path):
    _, _, with_noise = synthetic
    with_noise(4.0, count=20)
    with pytest.raises(RigposeError, match=r"reprojection error .* px RMS.*--accept"):
        calibrate_to(tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", lens="pinhole")
    assert not (tmp_path / "c.toml").exists()
    assert "FAIL" in (tmp_path / "c.html").read_text()
    figures = calibrate_to(
        tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", accept=True, lens="pinhole"
    )
    assert figures["verdict"] == "FAIL"
    assert load_details(tmp_path / "c.toml")["report"]["verdict"] == "FAIL"


def test_a_short_recording_is_warned_of(synthetic, tmp_path):
    _, _, with_noise = synthetic
    with_noise(0.15, count=12)
    result = calibrate(tmp_path / "in", tmp_path / "board.yaml")
    assert result.verdict == "WARN"
    assert any("views of the board" in finding.found for finding in result.findings)


def test_the_world_of_an_older_calibration_is_kept(synthetic, tmp_path):
    true, _, with_noise = synthetic
    with_noise(0.0)
    old = moved(true, rotation_matrix(np.array([0.3, -0.2, 0.9])), np.array([100.0, 20.0, -50.0]))
    save_toml(old, tmp_path / "old.toml")
    found = calibrate(
        tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=World(anchor=tmp_path / "old.toml")
    )
    for camera, expected in zip(found.rig.cameras, old.cameras, strict=True):
        np.testing.assert_allclose(camera.centre_mm, expected.centre_mm, atol=0.05)
    assert all(change.stayed for change in found.anchored.cameras)
    with pytest.raises(RigposeError, match="Leave out one of them"):
        World(anchor=tmp_path / "old.toml", frame_set=3)


def test_the_board_of_a_frame_set_can_be_the_world(synthetic, tmp_path):
    true, poses, with_noise = synthetic
    with_noise(0.0)
    rig = calibrate(tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=World(frame_set=5)).rig
    rotation, translation = poses[5]
    on_board = np.array([[0, 0, 0.0], [50, 0, 0], [0, 50, 0], [30, 20, -40]])  # z into the board
    in_world = on_board @ rotation.T + translation
    for camera, px in zip(rig.cameras, true.project(in_world), strict=True):
        np.testing.assert_allclose(camera.project(on_board * [1, -1, -1]), px, atol=1e-2)
    with pytest.raises(RigposeError, match=r"frame set 99.*, 34, 35"):
        calibrate(tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=World(frame_set=99))


def test_stills_without_numbers_are_named(synthetic, tmp_path):
    _, _, with_noise = synthetic
    with_noise(0.1)
    words = [f"{letter}{other}" for letter in "abcdef" for other in "uvwxyz"]
    for name in ("cam_0", "cam_1", "cam_2"):
        (tmp_path / "in" / name / "1.png").unlink()
        for word in words:
            write_picture(tmp_path / "in" / name / f"{word}.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(RigposeError, match=r"34 \(fy\), 35 \(fz\)"):
        calibrate(tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=World(frame_set=99))
    calibrate_to(tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", lens="pinhole")
    worst = (tmp_path / "c.html").read_text().split("worst views")[1]
    assert any(f"<td>{number} ({word})<td>" in worst for number, word in enumerate(words))


def test_a_known_length_scales_everything(synthetic, tmp_path):
    """Boards of squares that are 2 % smaller than the file says: places, deviations and the page follow."""
    true, _, with_noise = synthetic
    with_noise(0.1)
    ends = true.project(np.array([[-40.0, 0, 0], [60.0, 0, 0]]))
    length = {"length_mm": 98.0, "ends": {n: e.tolist() for n, e in zip(true.names, ends, strict=True)}}
    (tmp_path / "length.yaml").write_text(json.dumps(length))
    plain = calibrate(tmp_path / "in", tmp_path / "board.yaml", lens="pinhole")
    result = calibrate(
        tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=World(length=tmp_path / "length.yaml")
    )
    assert result.scale == pytest.approx(0.98, abs=2e-3)
    for ours, theirs in ((result.rig, plain.rig), (result.solution.rig, plain.solution.rig)):
        np.testing.assert_allclose(ours.translations, theirs.translations * result.scale, rtol=1e-9)
    ours, theirs = result.solution.adjusted, plain.solution.adjusted
    np.testing.assert_allclose(
        ours.bundle.board_translations, theirs.bundle.board_translations * result.scale, rtol=1e-9
    )
    moved_sd, plain_sd = (np.sqrt(a.camera_covariance[1].diagonal()[15:18]) for a in (ours, theirs))
    np.testing.assert_allclose(moved_sd, plain_sd * result.scale, rtol=1e-9)


def test_the_ground_can_be_the_world(synthetic, tmp_path):
    true, _, with_noise = synthetic
    with_noise(0.0)
    marked = np.array([[10.0, 5, -40], [80, 5, -40], [10, 90, -40], [60, -60, -40]])
    px = true.project(marked)
    points = [{n: px[c, k].tolist() for c, n in enumerate(true.names)} for k in range(4)]
    (tmp_path / "ground.yaml").write_text(json.dumps({"points": points}))
    how = {"lens": "pinhole", "world": World(ground=tmp_path / "ground.yaml")}
    result = calibrate(tmp_path / "in", tmp_path / "board.yaml", **how)
    assert result.grounded.rms_mm < 0.05 and result.grounded.marks == 4
    assert not [finding for finding in result.findings if finding.whose == "ground"]
    for camera, expected in zip(result.rig.cameras, true.cameras, strict=True):
        np.testing.assert_allclose(camera.centre_mm, expected.centre_mm - marked[0], atol=0.3)


def test_a_mark_that_is_not_on_the_ground_is_told(synthetic, tmp_path):
    """One of four on an object 40 mm high tilts the world by 20 degrees."""
    true, _, with_noise = synthetic
    with_noise(0.1)
    for height, level in ((40.0, "FAIL"), (9.0, "WARN"), (0.5, None)):
        px = true.project(np.array([[0.0, 0, 0], [100, 0, 0], [0, 80, 0], [90, 70, height]]))
        points = [{n: px[c, k].tolist() for c, n in enumerate(true.names)} for k in range(4)]
        (tmp_path / "ground.yaml").write_text(json.dumps({"points": points}))
        world = World(ground=tmp_path / "ground.yaml")
        figures = calibrate_to(
            tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", lens="pinhole", world=world,
            accept=True,
        )  # fmt: skip
        told = [finding["level"] for finding in figures["findings"] if finding["whose"] == "ground"]
        assert told == ([] if level is None else [level])
        page = (tmp_path / "c.html").read_text()
        assert f"4 marks lie {figures['ground_rms_mm']:.2f} mm RMS from a plane" in page


def test_lenses_that_are_known_stay(synthetic, tmp_path):
    true, _, with_noise = synthetic
    with_noise(0.1)
    save_toml(true, tmp_path / "before.toml")
    result = calibrate(tmp_path / "in", tmp_path / "board.yaml", lenses=tmp_path / "before.toml")
    np.testing.assert_allclose(result.rig.lenses, true.lenses, rtol=1e-12)
    found, expected = (
        [np.linalg.norm(c.centre_mm - rig.cameras[0].centre_mm) for c in rig.cameras]
        for rig in (result.rig, true)
    )
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert result.parameters()["cam_1"]["fx"] == (true.lenses[1, 0], 0.0)
    other = CalibratedRig(tuple(replace(camera, size_px=(320, 240)) for camera in true.cameras))
    save_toml(other, tmp_path / "other.toml")
    with pytest.raises(RigposeError, match="images of 640 x 480, found 320 x 240"):
        calibrate(tmp_path / "in", tmp_path / "board.yaml", lenses=tmp_path / "other.toml")


def test_files_are_read_before_the_search(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_views", lambda *_, **__: pytest.fail("searched first"))
    ends = "[[1, 2], [3, 4]]"
    (tmp_path / "length.yaml").write_text(f"length_mm: 9\nends: {{cam_0: {ends}, side: {ends}}}\n")
    for world, found in (
        (World(check_length=tmp_path / "length.yaml"), "found side"),
        (World(length=tmp_path / "none.yaml"), "none.yaml"),
        (World(anchor=tmp_path / "none.toml"), "none.toml"),
    ):
        with pytest.raises(RigposeError, match=found):
            calibrate(tmp_path / "in", tmp_path / "board.yaml", lens="pinhole", world=world)


def test_a_replaced_calibration_is_compared_with(synthetic, tmp_path):
    true, _, with_noise = synthetic
    with_noise(0.05)
    bumped = true.cameras[2]
    turned = rotation_vector(rotation_matrix(np.array([0.0, 0.03, 0.0])) @ bumped.rotation_matrix)
    before = CalibratedRig((*true.cameras[:2], bumped.looking_from(turned, bumped.translation)))
    save_toml(before, tmp_path / "c.toml")
    figures = calibrate_to(tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", lens="pinhole")
    assert [camera["stayed"] for camera in figures["since_previous"]] == [True, True, False]
    assert "Since the calibration that was here" in (tmp_path / "c.html").read_text()


def test_a_replaced_calibration_that_cannot_be_compared_with_is_said(synthetic, tmp_path):
    true, _, with_noise = synthetic
    with_noise(0.05)
    others = tuple(replace(camera, name=f"<{camera.name}>") for camera in true.cameras)
    save_toml(CalibratedRig(others), tmp_path / "c.toml")
    figures = calibrate_to(tmp_path / "in", tmp_path / "board.yaml", tmp_path / "c.toml", lens="pinhole")
    assert figures["since_previous"] is None
    assert figures["not_compared"].endswith("found one of <cam_0>, <cam_1>, <cam_2>")
    page = (tmp_path / "c.html").read_text()
    assert "<p>Not compared: " in page
    assert "found one of &lt;cam_0&gt;, &lt;cam_1&gt;, &lt;cam_2&gt;.</p>" in page


def test_the_output_must_be_a_toml(tmp_path):
    with pytest.raises(RigposeError, match=r"ends in \.toml"):
        calibrate_to(tmp_path, tmp_path / "board.yaml", tmp_path / "calibration.yaml")


def test_a_board_held_still_counts_little():
    rig = ring(2)
    poses = board_poses(1, seed=9) * 60 + board_poses(60, seed=1)
    chosen = choose_sets(observe(rig, poses, 0.05), most=30)
    still = sum(number < 60 for number in chosen.frame_sets)
    assert len(chosen.frame_sets) == 30
    assert still <= 3
    assert choose_sets(chosen, most=30) is chosen


def test_pictures_of_another_size_name_the_camera(tmp_path):
    image, _ = seen(CHECKER)
    write_picture(tmp_path / "in" / "top" / "1.png", image)
    write_picture(tmp_path / "in" / "top" / "2.png", image[:-10])
    with pytest.raises(
        RigposeError, match="camera 'top': expected images of one size, found 900 x 710 and 900 x 720"
    ):
        find_views(open_input(tmp_path / "in"), CHECKER)


def test_corners_move_to_their_sets_instant(tmp_path, monkeypatch):
    """Two cameras, one 4 ms later: a moving board is found where it was at the set's middle."""
    from calibration import find_views as views_module
    from calibration.detection import Corners
    from calibration.inputs import BoardInput

    rig = ring(2, seed=2)
    (rotation, start), speed = board_poses(1, seed=3)[0], np.array([300.0, -100, 50])
    times = np.arange(5)[:, None] / 30 + [0.0, 0.004]
    board = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)

    def at(camera, time_s):
        world = board.points_mm @ rotation.T + start + speed * time_s
        return project(rig.lenses[camera], rig.rotations[camera], rig.translations[camera], world)

    class Fake:
        def __init__(self, *_):
            pass

        def find(self, image, thorough=False):
            camera, row = int(image[0, 0]), int(image[0, 1])
            return Corners(np.arange(54), at(camera, times[row, camera]), 0.5)

    def images(self, camera, wanted):
        return ((row, np.array([[camera, row]], np.uint8)) for row in wanted)

    monkeypatch.setattr(views_module, "Detector", Fake)
    monkeypatch.setattr(views_module, "recognise", lambda *_: Pattern())
    monkeypatch.setattr(BoardInput, "images", images)
    rows = np.repeat(np.arange(5)[:, None], 2, axis=1)
    source = BoardInput(tmp_path, rig.names, np.arange(5), rows, times, False, ())
    found = find_views(source, board)
    for view in found.observations.views:
        middle = times[view.frame_set].mean()
        np.testing.assert_allclose(view.px, at(view.camera, middle), atol=0.05)
    apart = find_views(replace(source, free_running=True), board, max_spread_ms=1.0)
    assert apart.apart == 10
    assert len({view.instant for view in apart.observations.views}) == 10
