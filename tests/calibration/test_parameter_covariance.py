import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.anchor import anchor
from calibration.boards import BoardSettings
from calibration.bundle import DELAY, LENS
from calibration.formats.anipose import save_toml
from calibration.ground import on_ground
from calibration.known_length import scale_by
from calibration.parameter_covariance import covariance_details, load_covariance, stepped, steps_between
from calibration.placing import AS_SOLVED, World, board_places, board_row, placed_covariance
from calibration.rotation import rotation_matrix
from calibration.solve import solve
from calibration.world import moved, on_board
from tests.calibration.synthetic import SQUARE_MM, board_poses, bumped, observe, ring
from tests.calibration.test_triangulation_covariance import drawn

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)
TRUE = ring(3, seed=2, arc=2.1)


def solved(seed=0, count=12):
    return solve(observe(TRUE, board_poses(count, seed=1), 0.3, seed), BOARD, lens="pinhole")


@pytest.fixture(scope="module")
def solution():
    return solved()


def marks(rig, points):
    """What a person clicked, half a pixel wrong."""
    px = rig.project(points) + np.random.default_rng(4).normal(0, 0.5, (len(rig.cameras), len(points), 2))
    return [{name: px[c, k].tolist() for c, name in enumerate(rig.names)} for k in range(len(points))]


def scatter(placed, at):
    """Standard deviations (C, 18) of rigs about one."""
    return np.sqrt(np.mean([steps_between(at, rig) ** 2 for rig in placed], axis=0))


def stated(covariance):
    return np.sqrt([np.diag(covariance[c, :, c]) for c in range(len(covariance))])


@pytest.mark.parametrize(
    "kind", ["ground", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("length", "anchor"))]
)
def test_deviations_are_those_of_rigs_drawn_and_placed(solution, tmp_path, kind):
    points = TRUE.cameras[0].to_camera([[10.0, 5, -40], [80, 5, -40], [10, 90, -40], [60, -60, -38]])
    old = None
    if kind == "ground":
        (tmp_path / "ground.yaml").write_text(json.dumps({"points": marks(solution.rig, points)}))
        world = World(ground=tmp_path / "ground.yaml")

        def place(rig):
            return on_ground(rig, tmp_path / "ground.yaml").rig
    elif kind == "length":
        ends = {n: [m[n] for m in marks(solution.rig, points[:2])] for n in solution.rig.names}
        (tmp_path / "length.yaml").write_text(json.dumps({"length_mm": 72.0, "ends": ends}))
        world = World(length=tmp_path / "length.yaml")

        def place(rig):
            return scale_by(rig, tmp_path / "length.yaml")[0]
    else:
        old = bumped(moved(solution.rig, rotation_matrix([0.3, -0.2, 0.9]), np.array([90.0, 20, -50])), 2)
        world = World(anchor=tmp_path / "old.toml")

        def place(rig):
            return anchor(rig, old, board_places(solution, BOARD)).rig

    covariance = placed_covariance(solution, BOARD, world, old, None)
    before = solution.adjusted.covariance[:, :DELAY, :, :DELAY]
    there = [place(rig) for rig in drawn(solution.rig, before, 60)]
    found, expected = stated(covariance), scatter(there, place(solution.rig))
    np.testing.assert_allclose(found, expected, rtol=0.3, atol=1e-8)
    np.testing.assert_allclose(found[:, :LENS], stated(before)[:, :LENS], rtol=1e-6)
    # the first camera was exact in its own frame; with only the scale changed it still is
    assert (found[0, LENS:] > 0).all() == (kind != "length")


@pytest.mark.long
def test_on_a_board_deviations_are_those_of_calibrations_made_again():
    """The board that is the world is seen as noisily as the others: calibrated again with other noise."""
    true = on_board(TRUE, *board_poses(12, seed=1)[5])
    scores = []
    for seed in range(10):
        again = solved(seed)
        row, bundle = board_row(again, 5, "input"), again.adjusted.bundle
        rig = on_board(again.rig, bundle.board_rotations[row], bundle.board_translations[row])
        sd = stated(placed_covariance(again, BOARD, World(frame_set=5), None, row))
        scores.append(steps_between(true, rig)[:, LENS:] / sd[:, LENS:])
    assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.25


def test_in_the_first_cameras_frame_it_is_as_solved(solution):
    found = placed_covariance(solution, BOARD, AS_SOLVED, None, None)
    np.testing.assert_array_equal(found, solution.adjusted.covariance[:, :DELAY, :, :DELAY])
    assert (stated(found)[0, LENS:] == 0).all()


def test_steps_lead_where_they_say():
    steps = np.random.default_rng(0).normal(0, 0.01, (3, DELAY))
    steps[:, 9:LENS] = 0  # pinholes and k3
    np.testing.assert_allclose(steps_between(TRUE, stepped(TRUE, steps)), steps, atol=1e-10)


def test_the_file_holds_it_and_gives_that_of_any_cameras(solution, tmp_path):
    covariance = solution.adjusted.covariance[:, :DELAY, :, :DELAY]
    details = {"covariance": covariance_details(solution.rig.names, covariance)}
    save_toml(solution.rig, tmp_path / "c.toml", details)
    np.testing.assert_allclose(
        load_covariance(tmp_path / "c.toml", solution.rig.names), covariance, rtol=1e-12
    )
    part = load_covariance(tmp_path / "c.toml", ("cam_2", "cam_1"))
    np.testing.assert_allclose(part, covariance[[2, 1]][:, :, [2, 1]], rtol=1e-12)
    save_toml(solution.rig, tmp_path / "none.toml")
    assert load_covariance(tmp_path / "none.toml", solution.rig.names) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda held: held["rows"].pop(),
        lambda held: held["rows"].__setitem__(0, "cam_0/colour"),
        lambda held: held["rows"].__setitem__(1, held["rows"][0]),
        lambda held: held["lower_triangle"].__setitem__(0, -1.0),
        lambda held: held["lower_triangle"].__setitem__(1, 1e9),
        lambda held: held["lower_triangle"].__setitem__(0, None),
        lambda held: held.pop("lower_triangle"),
    ],
)
def test_a_damaged_one_is_refused(solution, tmp_path, damage):
    covariance = solution.adjusted.covariance[:, :DELAY, :, :DELAY]
    held = covariance_details(solution.rig.names, covariance)
    damage(held)
    save_toml(solution.rig, tmp_path / "c.toml", {"covariance": held})
    with pytest.raises(RigposeError, match="a damaged one"):
        load_covariance(tmp_path / "c.toml", solution.rig.names)
