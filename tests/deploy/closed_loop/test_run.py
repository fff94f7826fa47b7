"""`live` with a processor and outputs, on the simulated rig: real processes all the way."""

from pathlib import Path
from typing import Any

import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.events import read_events
from acquisition.rig import RigSettings
from acquisition.settings import read_yaml
from acquisition.simulation.scene import write_scene
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.run import Loop
from deploy.live.live import LiveOptions, live
from deploy.poses_io.pose_table import read_pose_tables
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings

BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"
EXAMPLES = Path(__file__).parents[3] / "examples" / "processors"
ANYTHING = {"min_confidence": 0.0, "max_age_ms": 5000.0, "silence_ms": 5000.0, "max_on_ms": 5000.0}

HANGS = """
import time
class Hangs:
    calls = 0
    def process(self, pose, outputs, **kwargs):
        self.calls += 1
        outputs["laser"].set(True)
        if self.calls == 5:
            time.sleep(1000)
        return pose
    def save(self, file):
        pass
"""
DIES = """
import os, signal
class Dies:
    calls = 0
    def process(self, pose, outputs, **kwargs):
        self.calls += 1
        outputs["laser"].set(True)
        if self.calls == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return pose
    def save(self, file):
        pass
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> RigSettings:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(
        folder, kind="animal", seed=2, frame_sets=20, cameras=2, size=(96, 64),
        rig={"recording": {"codec": "ffv1"}},
    )  # fmt: skip
    content = read_yaml(folder / "rig.yaml")
    for camera in content["cameras"].values():
        camera["uri"] = camera["uri"].replace("sim://", f"sim://{folder}/")
    content["trigger"]["port"] = content["trigger"]["port"].replace("sim://", f"sim://{folder}/")
    return RigSettings.model_validate(content)


def run(rig: RigSettings, folder: Path, loop: Loop, seconds: float = 3, **options: Any) -> dict[str, Any]:
    stream = StreamSettings(endpoint=f"ipc://{folder}/stream")
    wished = LiveOptions(
        BUNDLE, seconds=seconds, runtime="onnx", record=folder / "day1", loop=loop, **options
    )  # fmt: skip
    return live(rig, stream, wished)


def laser(**changes: float) -> dict[str, OutputSettings]:
    return {"laser": OutputSettings(uri="log:", **{**ANYTHING, **changes})}


@pytest.mark.long
@pytest.mark.alone
def test_a_zone_switches_an_output_and_the_recording_says_on_which_set(
    rig: RigSettings, tmp_path: Path
) -> None:
    options = {"output": "laser", "keypoint": "red", "centre_px": [48, 32], "radius_px": 1000}
    loop = Loop(EXAMPLES / "zone_entry.py", "ZoneEntry", options, "cam_1", outputs=laser(max_on_ms=200))
    measured = run(rig, tmp_path, loop, tracking=TrackingSettings(predict=True))
    assert measured["died"] == {} and measured["restarts"] == {} and measured["balanced"]
    processor, output = measured["processor"], measured["outputs"]["laser"]
    assert 10 < processor["calls"] <= measured["published"]
    assert processor["calls"] + processor["skipped"] <= measured["published"]
    # Inside all the time: it went on once, fell after its longest time, and was not let up again.
    assert (output["on"], output["cut"]) == (1, {"longest time": 1}) and output["refused"]["cut before"] > 0
    assert output["exposure_to_output"]["p50_ms"] > 0

    (table,) = read_pose_tables(tmp_path / "day1")
    exposure_ns = dict(
        zip(table.records["index"].tolist(), table.records["t_exposure_ns"].tolist(), strict=True)
    )
    events = [event for event in read_events(tmp_path / "day1") if event["kind"].startswith("output")]
    (on,) = [event for event in events if event["kind"] == "output"]
    assert on["on"] is True and on["output"] == "laser"
    age_ms = (on["t_ns"] - exposure_ns[on["frame_set"]]) / 1e6
    assert on["exposure_age_ms"] == pytest.approx(age_ms, abs=0.01)
    assert on["pose_age_ms"] == on["exposure_age_ms"]
    (cut,) = [event for event in events if event["kind"] == "output cut"]
    assert cut["why"] == "longest time" and cut["t_ns"] - on["t_ns"] >= 200e6
    assert (
        (tmp_path / "day1" / "day1_ZoneEntry_PROC.csv").read_text().startswith("frame_set,t_exposure_ns,x,y")
    )


@pytest.mark.long
@pytest.mark.alone
def test_a_processor_that_hangs_costs_its_output_and_nothing_else(rig: RigSettings, tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    loop = Loop(tmp_path / "hangs.py", "Hangs", outputs=laser(silence_ms=300))
    measured = run(rig, tmp_path, loop)
    assert measured["outputs"]["laser"]["cut"] == {"silence": 1}
    assert measured["balanced"] and measured["recording"]["ended"] == "stopped"
    assert "was killed" in measured["died"]["processor"] and set(measured["died"]) == {"processor"}
    events = [event for event in read_events(tmp_path / "day1") if event["kind"].startswith("output")]
    assert [event["kind"] for event in events] == ["output", "output cut"]
    frames = list(measured["recording"]["frames"].values())
    assert min(frames) >= 0.9 * measured["pulses"]


@pytest.mark.long
@pytest.mark.alone
def test_a_processor_that_is_killed_is_started_again_and_its_output_falls_meanwhile(
    rig: RigSettings, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    loop = Loop(tmp_path / "dies.py", "Dies", outputs=laser())
    measured = run(rig, tmp_path, loop, seconds=8)
    assert measured["restarts"]["processor"] >= 1 and measured["balanced"]
    assert measured["outputs"]["laser"]["cut"]["processor gone"] >= 1
    whys = [e["why"] for e in read_events(tmp_path / "day1") if e["kind"] == "output cut"]
    assert "processor gone" in whys


LOOP = Loop(EXAMPLES / "zone_entry.py", "ZoneEntry", {"output": "laser", "centre_px": [0, 0], "radius_px": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": Path("nowhere.py")}, "no such file"),
        ({"camera": "cam_9"}, "processor-camera: expected one of cam_0, cam_1"),
        ({"kind": "predicted"}, "Add --predict"),
        ({"kind": "filtered"}, "Add --smooth kalman"),
        ({"outputs": {"laser": OutputSettings(uri="log:", keypoints=("nose",))}}, "keypoints of the network"),
        ({"outputs": {"laser": OutputSettings(uri="trigger:line")}}, "a trigger without one"),
        ({"outputs": dict.fromkeys("ab", OutputSettings(uri="trigger:line"))}, "a uri of its own"),
    ],
)
def test_a_loop_that_cannot_work_is_refused_before_the_cameras_are_opened(
    rig: RigSettings, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    fields = {name: getattr(LOOP, name) for name in LOOP.__slots__}
    with pytest.raises(RigposeError, match=message):
        run(rig, tmp_path, Loop(**{**fields, **change}))
    assert not (tmp_path / "day1").exists()


@pytest.mark.long
@pytest.mark.alone
def test_a_processor_that_cannot_be_made_ends_the_start_in_one_line(rig: RigSettings, tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="give centre_mm and radius_mm"):
        run(rig, tmp_path, Loop(EXAMPLES / "zone_entry.py", "ZoneEntry", {"output": "laser"}))
    assert not (tmp_path / "day1").exists()
