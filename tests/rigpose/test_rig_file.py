from pathlib import Path

import pytest
import yaml

from acquisition.errors import RigposeError
from rigpose.rig_file import load_rig

RIG = {
    "name": "arena",
    "cameras": {
        "top": {"uri": "sim://scene.yaml#cam_0", "settings": "cameras/mono8.yaml"},
        "side": {"uri": "sim://sub/scene.yaml#cam_1"},
    },
    "trigger": {"port": "sim://scene.yaml", "rate_hz": 30, "exposure_us": 2000},
    "recording": {"directory": "recordings"},
    "calibration": "calibration.toml",
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump({**RIG, **changes}, sort_keys=False))
    return path


def test_paths_are_relative_to_the_rig_file_not_to_the_working_directory(tmp_path, monkeypatch):
    rig_folder = tmp_path / "rig"
    rig_folder.mkdir()
    write(rig_folder)
    monkeypatch.chdir(tmp_path)

    rig = load_rig(Path("rig/rig.yaml"))

    assert rig.path == rig_folder / "rig.yaml"
    assert rig.acquisition.cameras["top"].uri == f"sim://{rig_folder}/scene.yaml#cam_0"
    assert rig.acquisition.cameras["side"].uri == f"sim://{rig_folder}/sub/scene.yaml#cam_1"
    assert rig.acquisition.cameras["top"].settings == rig_folder / "cameras/mono8.yaml"
    assert rig.acquisition.trigger.port == f"sim://{rig_folder}/scene.yaml"
    assert rig.acquisition.recording.directory == rig_folder / "recordings"
    assert rig.calibration == rig_folder / "calibration.toml"


def test_absolute_paths_devices_and_the_order_of_cameras_stay(tmp_path):
    cameras = {"z": {"uri": "aravis://GV01"}, "a": {"uri": "sim:///abs/scene.yaml#cam_0"}}
    trigger = {"port": "/dev/ttyACM0", "rate_hz": 30, "exposure_us": 2000}

    rig = load_rig(write(tmp_path, cameras=cameras, trigger=trigger, calibration="/abs/c.toml"))

    assert list(rig.acquisition.cameras) == ["z", "a"]
    assert [camera.uri for camera in rig.acquisition.cameras.values()] == [
        "aravis://GV01",
        "sim:///abs/scene.yaml#cam_0",
    ]
    assert rig.acquisition.trigger.port == "/dev/ttyACM0"
    assert rig.calibration == Path("/abs/c.toml")


def test_files_and_recordings_are_relative_to_the_rig_file(tmp_path):
    cameras = {"a": {"uri": "file://videos/m1 #2.mp4"}, "b": {"uri": "replay://day1#top"}}
    rig = load_rig(write(tmp_path, cameras=cameras))
    assert [camera.uri for camera in rig.acquisition.cameras.values()] == [
        f"file://{tmp_path}/videos/m1 #2.mp4", f"replay://{tmp_path}/day1#top",
    ]  # fmt: skip


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    cameras = {
        "a": {"uri": "file://~/videos/a.mp4", "settings": "~/cameras/mono8.yaml"},
        "b": {"uri": "replay://~/day1#top"},
        "c": {"uri": "sim://~/scene.yaml#cam_0"},
    }
    rig = load_rig(
        write(
            tmp_path, cameras=cameras, recording={"directory": "~/recordings"}, calibration="~/c.toml",
            trigger={"port": "sim://~/scene.yaml", "rate_hz": 30, "exposure_us": 2000},
            stream={"keys": "~/keys"}, sync={"ptp_socket": "~/ptp4l"},
        )
    )  # fmt: skip
    home = Path("/home/anna")
    assert rig.acquisition.recording.directory == home / "recordings"
    assert (rig.calibration, rig.stream.keys) == (home / "c.toml", home / "keys")
    assert rig.acquisition.cameras["a"].settings == home / "cameras/mono8.yaml"
    assert [camera.uri for camera in rig.acquisition.cameras.values()] == [
        f"file://{home}/videos/a.mp4", f"replay://{home}/day1#top", f"sim://{home}/scene.yaml#cam_0",
    ]  # fmt: skip
    assert rig.acquisition.trigger.port == f"sim://{home}/scene.yaml"
    assert rig.acquisition.sync.ptp_socket == home / "ptp4l"


def test_a_tilde_of_nobody_is_a_name_like_others(tmp_path):
    rig = load_rig(write(tmp_path, calibration="~no-such-user/c.toml"))
    assert rig.calibration == tmp_path / "~no-such-user/c.toml"


def test_two_cameras_of_one_name_are_refused_with_their_lines(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(
        "name: twice\ncameras:\n  top: {uri: 'basler://111'}\n  side: {uri: 'basler://222'}\n"
        "  top: {uri: 'basler://333'}\n"
    )
    with pytest.raises(RigposeError, match=r"rig\.yaml: .* found 'top' in line 3 and again in line 5"):
        load_rig(path)


def test_sections_that_are_absent_get_their_defaults(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text("name: bare\ncameras:\n  one: {uri: 'sim://scene.yaml#cam_0'}\n")

    rig = load_rig(path)

    assert rig.acquisition.trigger is None
    assert rig.calibration is None
    assert rig.stream.endpoint == "tcp://127.0.0.1:5555"
    assert rig.stream.keys is None


def test_the_keys_are_beside_the_rig_file(tmp_path):
    rig = load_rig(write(tmp_path, stream={"endpoint": "tcp://*:5555", "keys": "keys"}))
    assert rig.stream.keys == tmp_path / "keys"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"calibraton": "x"}, ["calibraton", "Did you mean 'calibration'"]),
        ({"stream": {"endpont": "x"}}, ["stream.endpont", "Did you mean 'endpoint'"]),
        ({"stream": {"endpoint": "tcp://0.0.0.0:5555"}}, ["stream.endpoint"]),
        ({"cameras": {"top": {"url": "x"}}}, ["cameras.top.u"]),
        ({"trigger": {"port": "x", "rate_hz": -1, "exposure_us": 1}}, ["trigger.rate_hz"]),
    ],
)
def test_a_wrong_key_is_named(tmp_path, changes, names):
    with pytest.raises(RigposeError) as caught:
        load_rig(write(tmp_path, **changes))
    for name in names:
        assert name in str(caught.value)


def test_a_missing_rig_file_is_named(tmp_path):
    with pytest.raises(RigposeError, match=r"nothing\.yaml"):
        load_rig(tmp_path / "nothing.yaml")


def test_tracking_and_outputs_are_sections_of_their_own(tmp_path):
    tracking = {
        "crop": {"top": [10, 20, 300, 200]},
        "follow": ["side"],
        "smooth": "one-euro",
        "predict": True,
    }
    outputs = {"reward": {"uri": "trigger:line", "keypoints": ["nose"], "max_on_ms": 40}}

    rig = load_rig(write(tmp_path, tracking=tracking, outputs=outputs))

    assert rig.tracking.crop == {"top": (10, 20, 300, 200)} and rig.tracking.follow == ("side",)
    assert rig.tracking.smooth == "one-euro" and rig.tracking.predict and rig.tracking.lead_ms == 0
    assert rig.outputs["reward"].scheme == "trigger" and rig.outputs["reward"].max_on_ms == 40


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("tracking", {"crop": {"top": [0, 0, 4, 4]}}, "width, height >= 8 px"),
        ("tracking", {"smoothing": "kalman"}, "Did you mean 'smooth'"),
        ("tracking", {"smooth": "median"}, "tracking.smooth"),
        ("outputs", {"reward": {"uri": "gpio:4"}}, "must begin with trigger:"),
        ("outputs", {"reward": {"uri": "log:", "max_on_ms": 0}}, "greater than 0"),
    ],
)
def test_what_cannot_be_in_them_is_named(tmp_path, section, value, message):
    with pytest.raises(RigposeError, match=message):
        load_rig(write(tmp_path, **{section: value}))
