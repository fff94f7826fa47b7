"""From the LED to the output on the simulated rig: real processes, real rings, real network."""

from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from acquisition.settings import read_yaml
from acquisition.simulation.scene import write_scene
from deploy.bench.loop import LoopOptions, measure_loop
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.live.live import LiveOptions
from deploy.stream.settings import StreamSettings

BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"


def rig_of(folder: Path, **scene: object) -> RigSettings:
    content = read_yaml(
        write_scene(folder, kind="animal", seed=5, frame_sets=20, cameras=2, size=(160, 120), **scene)  # type: ignore[arg-type]
    )
    for camera in content["cameras"].values():
        camera["uri"] = camera["uri"].replace("sim://", f"sim://{folder}/")
    content["trigger"]["port"] = content["trigger"]["port"].replace("sim://", f"sim://{folder}/")
    return RigSettings.model_validate(content)


@pytest.mark.long
@pytest.mark.alone
def test_every_flash_is_answered_and_timed_from_its_light(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, led={"brightness": 100.0, "radius_mm": 14.0})
    options = LoopOptions(LiveOptions(BUNDLE, seconds=6.0, runtime="onnx"))
    measured = measure_loop(rig, StreamSettings(endpoint=f"ipc://{tmp_path}/stream"), {}, options)
    seen, figures = measured["seen"], measured["light_to_ttl"]
    assert measured["uri"] == "log:" and measured["refused"] == {}
    assert seen["wrong"] <= 1 < 20 < seen["right"]
    assert measured["flashes"] > 10
    assert 0 <= 2 * measured["flashes"] - figures["count"] <= 1  # light going off is answered, too
    # Light begins half an exposure before its middle, and a set cannot be answered before it has arrived.
    assert figures["p50_ms"] > measured["exposure_us"] / 1e3
    assert figures["p50_ms"] > measured["stages"]["exposure_to_publish"]["p50_ms"] / 2
    assert figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]


@pytest.mark.long
@pytest.mark.alone
def test_a_picture_without_the_led_is_one_clear_error(tmp_path: Path) -> None:
    options = LoopOptions(LiveOptions(BUNDLE, seconds=4.0, runtime="onnx"), camera="cam_1")
    with pytest.raises(RigposeError, match="camera 'cam_1': expected the trigger's LED"):
        measure_loop(rig_of(tmp_path), StreamSettings(endpoint=f"ipc://{tmp_path}/stream"), {}, options)


def test_what_cannot_be_measured_is_refused_at_once(tmp_path: Path) -> None:
    rig, stream = rig_of(tmp_path), StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    options = LoopOptions(LiveOptions(BUNDLE), output="laser")
    with pytest.raises(RigposeError, match="one of reward, found 'laser'"):
        measure_loop(rig, stream, {"reward": OutputSettings(uri="log:")}, options)
    with pytest.raises(RigposeError, match="found a free-running rig"):
        measure_loop(rig.model_copy(update={"trigger": None}), stream, {}, options)


@pytest.mark.long
@pytest.mark.alone
def test_flashes_that_are_all_answered_too_late_are_one_clear_error(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, led={"brightness": 100.0, "radius_mm": 14.0})
    options = LoopOptions(LiveOptions(BUNDLE, seconds=5.0, runtime="onnx"))
    late = OutputSettings(uri="log:", max_age_ms=1)
    with pytest.raises(RigposeError, match=r"output 'reward': expected flashes answered .* \(age"):
        measure_loop(rig, StreamSettings(endpoint=f"ipc://{tmp_path}/stream"), {"reward": late}, options)
