"""A live session's poses and those of its lossless recording, analysed again, are the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.rig import RigSettings
from acquisition.settings import read_yaml
from acquisition.simulation.scene import write_scene
from deploy.live.live import LiveOptions, live
from deploy.offline.analyze import analyze
from deploy.poses_io.pose_table import read_pose_tables
from deploy.poses_io.readers import load_poses
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings
from tests.deploy.offline.dots import BUNDLE

BOUND_PX = 0.05


def lossless_rig(folder: Path) -> RigSettings:
    write_scene(
        folder, kind="animal", seed=5, frame_sets=20, cameras=2, size=(160, 120), loss_rate=0.04,
        rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": 2000.0}, "recording": {"codec": "ffv1"}},
    )  # fmt: skip
    content = read_yaml(folder / "rig.yaml")
    for camera in content["cameras"].values():
        camera["uri"] = camera["uri"].replace("sim://", f"sim://{folder}/")
    content["trigger"]["port"] = content["trigger"]["port"].replace("sim://", f"sim://{folder}/")
    return RigSettings.model_validate(content)


@pytest.mark.long
@pytest.mark.alone
def test_a_recording_analysed_again_agrees_with_the_live_poses(tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    options = LiveOptions(
        BUNDLE, seconds=3.0, record=tmp_path / "day1",
        tracking=TrackingSettings(crop={"cam_1": (30, 20, 100, 80)}),
    )  # fmt: skip
    measured = live(
        lossless_rig(tmp_path / "scene"), StreamSettings(endpoint=f"ipc://{tmp_path}/stream"), options
    )
    assert measured["published"] > 30
    (table,) = read_pose_tables(tmp_path / "day1")
    result = analyze(BUNDLE, [tmp_path / "day1"], tmp_path / "poses")
    assert result["runs"]["precision"] == table.about["announcement"]["network"]["precision"]
    compared = absent = 0
    for number, video in enumerate(result["videos"]):
        poses = load_poses(video["files"][0])
        assert poses.about["window"] == ([30, 20, 100, 80] if number == 1 else None)
        row_of = {int(index): row for row, index in enumerate(poses.index)}
        for record in table.records:
            again = poses.values[row_of[int(record["index"])]]
            if record["absence"][number]:
                absent += 1
                assert np.isnan(again).all()
                continue
            seen = record["pose2d"][number]
            np.testing.assert_allclose(again[:, :2], seen[:, :2], atol=BOUND_PX)
            np.testing.assert_allclose(again[:, 2], seen[:, 2], atol=0.01)
            compared += 1
    assert compared > 50
    assert absent > 0
