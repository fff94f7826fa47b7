import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.ground import on_ground
from calibration.rotation import rotation_matrix
from calibration.world import moved
from tests.calibration.synthetic import ring


def marks(rig, points, path, cameras=None):
    px = rig.project(points)
    chosen = cameras or range(len(rig.cameras))
    path.write_text(
        json.dumps(
            {"points": [{rig.names[c]: px[c, k].tolist() for c in chosen} for k in range(len(points))]}
        )
    )
    return path


def test_a_rig_from_anywhere_stands_on_the_ground(tmp_path):
    true = ring(3, arc=2.5)
    ground = np.array([[0.0, 0, 0], [90, 0, 0], [0, 70, 0], [-60, -40, 0], [50, 60, 0]])
    away = moved(true, rotation_matrix(np.array([0.7, -1.9, 0.4])), np.array([30.0, -400, 70]))
    found = on_ground(away, marks(true, ground, tmp_path / "g.yaml"))
    assert found.rms_mm < 1e-6 and found.marks == 5
    assert found.extent_mm == pytest.approx(np.hypot(150, 40))
    for camera, expected in zip(found.rig.cameras, true.cameras, strict=True):
        np.testing.assert_allclose(camera.centre_mm, expected.centre_mm, atol=1e-5)
    bumpy = on_ground(
        true,
        marks(
            true,
            ground + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 3.0], [0, 0, 0], [0, 0, 0]]),
            tmp_path / "b.yaml",
        ),
    )
    assert 0.3 < bumpy.rms_mm < 2


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([[0, 0, 0], [50, 0, 0], [90, 0, 0]], "points on a line"),
        ([[0, 0, 0], [0.1, 0, 0], [90, 0, 0], [0, 80, 0]], "the same place twice"),
        ([[0, 0, 0], [50, 0, 0]], "points"),
    ],
)
def test_points_that_make_no_plane_are_refused(tmp_path, points, found):
    rig = ring(3, arc=2.5)
    with pytest.raises(RigposeError, match=found):
        on_ground(rig, marks(rig, np.array(points, dtype=float), tmp_path / "g.yaml"))


def test_a_point_of_one_camera_or_of_a_stranger_is_refused(tmp_path):
    rig = ring(3, arc=2.5)
    ground = np.array([[0.0, 0, 0], [90, 0, 0], [0, 70, 0]])
    with pytest.raises(RigposeError, match="point 1 in 1"):
        on_ground(rig, marks(rig, ground, tmp_path / "g.yaml", [0]))
    with pytest.raises(RigposeError, match="found cam_2"):
        on_ground(rig.subset(["cam_0", "cam_1"]), marks(rig, ground, tmp_path / "g.yaml"))
    pair = rig.subset(["cam_0", "cam_1"])
    given = json.loads(marks(pair, ground, tmp_path / "g.yaml").read_text())
    given["points"][1]["cam_0"][1] += 60  # off the epipolar line, which is about level
    (tmp_path / "g.yaml").write_text(json.dumps(given))
    with pytest.raises(RigposeError, match="point 2, whose views are"):
        on_ground(pair, tmp_path / "g.yaml")
