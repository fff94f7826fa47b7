"""GenICam producers, on the simulated one in the package genicam: three cameras without time stamps."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.camera import CameraTimeout
from acquisition.drivers.genicam import GenICamCamera
from acquisition.errors import RigposeError

genicam = pytest.importorskip("genicam", reason="no genicam: pip install 'rigpose[genicam]'")
pytest.importorskip("harvesters", reason="no harvesters: pip install 'rigpose[genicam]'")

PRODUCER = Path(genicam.__file__).with_name("viky.cti")
SMALL = {"PixelFormat": "Mono8", "Width": 160, "Height": 120, "rate_hz": 100.0}


def camera_of(serial: object) -> GenICamCamera:
    return GenICamCamera("side", f"genicam://{PRODUCER}#{serial}")


def test_found_where_the_installers_say(monkeypatch):
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"/nowhere:{PRODUCER.parent}")
    assert [found.uri for found in GenICamCamera.find()] == [f"genicam://{PRODUCER}#{n}" for n in range(3)]


def test_cameras_of_one_producer_at_once():
    """Opening one more must leave those alone that stream already; so must closing one."""
    cameras = [camera_of(n) for n in range(3)]
    try:
        infos = []
        for camera in cameras:
            infos.append(camera.open({**SMALL, "BouncingBallSize": 12}))
            camera.start()
        info = infos[0]
        assert (info.width_px, info.height_px, info.channels, info.rate_hz) == (160, 120, 1, 100.0)
        assert info.features["BouncingBallSize"] == 12 and info.serial == "0"
        assert not info.has_device_clock and "arrival" in info.stamp_meaning
        for camera in cameras:
            frames = [camera.read(2000) for _ in range(8)]
            assert [frame.frame_id for frame in frames] == list(range(1, 9))
            assert all(frame.image.shape == (120, 160) and not frame.damaged for frame in frames)
            assert frames[0].image.min() < frames[0].image.max()
        cameras[1].close()
        cameras[0].read(2000)
        assert cameras[1].open(SMALL).serial == "1"
        cameras[2].read(2000)
        assert cameras[0].counts()["underruns"] >= 0
        with pytest.raises(CameraTimeout):
            for _ in range(1000):
                cameras[0].read(0)
        cameras[0].stop()
        cameras[0].start()
        assert cameras[0].read(2000).frame_id == 1
    finally:
        for camera in cameras:
            camera.close()
            camera.close()


@pytest.mark.parametrize(
    ("wished", "says"),
    [
        ({"Widht": 3}, "nearest: Width"),
        ({"Width": 7}, "Width: 100 to 800"),
        ({"PixelFormat": "Mono7"}, "one of RGBa8, Mono8"),
        ({"PayloadSize": 3}, "can be set"),
        ({"rate_hz": 9000.0}, "1 to 200 Hz"),
        ({"exposure_us": 100.0}, "Leave exposure_us out"),
    ],
)
def test_what_it_cannot_be_is_one_line(wished, says):
    camera = camera_of(0)
    with pytest.raises(RigposeError, match="camera 'side'") as caught:
        camera.open(wished)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_what_it_can_be():
    camera = camera_of(2)
    camera.open({"PixelFormat": "RGBa8", "Width": 160, "Height": 120})
    features = {feature.name: feature for feature in camera.features()}
    camera.start()
    assert camera.read(2000).image.shape == (120, 160, 3)
    camera.close()
    assert features["PixelFormat"].choices == ("RGBa8", "Mono8")
    assert (features["Width"].low, features["Width"].high) == (100, 800)
    assert features["AcquisitionFrameRate"].unit == "Hz"
    assert "TLParamsLocked" not in features  # not for people


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (f"genicam://{PRODUCER}#9", "it has 0, 1, 2"),
        (f"genicam://{PRODUCER}", "it has 0, 1, 2"),
        ("genicam:///nowhere/maker.cti#0", "which is not there"),
        (f"genicam://{__file__}#0", "which cannot be loaded"),
    ],
)
def test_camera_that_is_not_there(uri, says):
    with pytest.raises(RigposeError, match="camera 'side'") as caught:
        GenICamCamera("side", uri).open({})
    assert says in str(caught.value)
