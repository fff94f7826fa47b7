"""A region of a sensor that was moved gives images of the same size and other points."""

import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings import session as sessions
from calibration.formats.anipose import save_toml
from calibration.poses import PoseSet
from calibration.triangulation import TriangulationSettings
from deploy.offline.refine_calibration import refine_files
from deploy.offline.same_devices import require_devices_of
from deploy.offline.triangulate_files import triangulate_files
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.poses_io.poses import Poses
from tests.calibration.synthetic import ring, walk

NAMES = tuple("abcdef")
OTHER = "place of the image on the sensor .*found .*40, 0.*calibration of the rig as it was then"


def device(number, offset=(0, 0)):
    return {"serial": f"S{number}", "offset_px": list(offset), "binning": [1, 1], "flip": [False, False]}


@pytest.fixture
def scene(tmp_path):
    """(calibration, function that writes the poses of all cameras as column files of a device's offset)."""
    rig = ring(3, seed=1, arc=2.5)
    keypoints = walk(rig, seed=3)
    facts = {name: {"size_px": [640, 480], **device(n)} for n, name in enumerate(rig.names)}
    save_toml(rig, tmp_path / "c.toml", {"cameras": facts})

    def write(**about):
        files = []
        for n, name in enumerate(rig.names):
            said = {"camera": name, "size_px": [640, 480]}
            said |= {key: value(n) for key, value in about.items()}
            files.append(tmp_path / f"s_{name}DLC_x.poses.npz")
            save_columns(Poses.of_video(NAMES, keypoints[:, n], said), files[-1])
        return files

    return tmp_path, rig, keypoints, write


def test_poses_of_a_region_that_was_moved_are_refused(scene):
    folder, _, _, write = scene
    files, out = write(device=lambda n: device(n, (40, 0))), folder / "o.csv"
    with pytest.raises(RigposeError, match=rf"camera 'cam_0'.*{OTHER}"):
        triangulate_files(folder / "c.toml", files, out, TriangulationSettings())
    with pytest.raises(RigposeError, match=rf"camera 'cam_0'.*{OTHER}"):
        refine_files(folder / "c.toml", files, folder / "new.toml", min_confidence=0.6)
    assert not out.exists() and not (folder / "new.toml").exists()


@pytest.mark.parametrize("about", [{}, {"device": device}, {"device": lambda n: ["odd"]}])
def test_the_same_devices_and_those_that_nobody_knows_are_taken(scene, about):
    folder, _, _, write = scene
    figures = triangulate_files(
        folder / "c.toml", write(**about), folder / "o.csv", TriangulationSettings(noise_px=2.0)
    )
    assert figures["points"] > 0.9 * figures["possible"]


@pytest.mark.parametrize("beside", ["columns", "meta"])
@pytest.mark.parametrize("filtered", ["", "_filtered"])
def test_what_a_table_is_of_stands_beside_it(scene, beside, filtered):
    folder, rig, keypoints, write = scene
    columns, files = write(device=lambda n: device(n, (40, 0))), {}
    for n, name in enumerate(rig.names):
        files[name] = folder / f"s_{name}DLC_x{filtered}.csv"
        save_csv(Poses.of_video(NAMES, keypoints[:, n]), "S", files[name])
        if beside == "meta":
            columns[n].unlink()
            about = {"about": {"device": device(n, (40, 0))}}
            (folder / f"s_{name}DLC_x.meta.json").write_text(json.dumps(about))
    with pytest.raises(RigposeError, match=OTHER):
        require_devices_of(folder / "c.toml", files)
    for path in (*folder.glob("*.npz"), *folder.glob("*.meta.json")):
        path.write_text("damaged")
    require_devices_of(folder / "c.toml", files)


def test_a_table_of_a_live_session_is_of_its_cameras(scene):
    folder, rig, keypoints, _ = scene
    session = folder / "session"
    session.mkdir()
    writer = PoseTableWriter(session, "live", rig.names, NAMES, {})
    for number, one in enumerate(keypoints.astype(np.float32)):
        writer.append(PoseSet(number, number, one), None, (0, 0, 0, 0), (None,) * 3)
    writer.close()
    files = dict.fromkeys(rig.names, session / "poses" / "live.poses")
    require_devices_of(folder / "c.toml", files)  # a table that was copied out of its session
    for offset, refused in (((0, 0), False), ((40, 0), True)):
        cameras = {name: device(n, offset) for n, name in enumerate(rig.names)}
        facts = {"format": sessions.FORMAT, "version": sessions.VERSION, "name": "s", "rig": {}}
        (session / sessions.FILE).write_text(json.dumps({**facts, "cameras": cameras}))
        if refused:
            with pytest.raises(RigposeError, match=OTHER):
                require_devices_of(folder / "c.toml", files)
        else:
            require_devices_of(folder / "c.toml", files)
