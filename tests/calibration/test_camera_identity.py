"""A calibration is of devices, not of names."""

from __future__ import annotations

import pytest

from acquisition.errors import RigposeError
from calibration.camera_identity import device_of, require_same_devices
from calibration.formats.anipose import save_toml
from tests.calibration.synthetic import ring

INFO = {"serial": "GV01", "offset_px": (8, 16), "binning": (1, 1), "flip": (False, False), "width_px": 640}


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calibration.toml"
    save_toml(ring(2), path, {"cameras": {"cam_0": {"size_px": [640, 480], **device_of(INFO)}, "cam_1": {}}})
    return path


def test_the_same_cameras_pass_and_so_does_what_nobody_knows(calibration, tmp_path):
    require_same_devices(calibration, {"cam_0": INFO, "cam_1": {"serial": "GV02"}, "cam_2": INFO})
    require_same_devices(calibration, {"cam_0": {"serial": ""}})
    foreign = tmp_path / "anipose.toml"
    foreign.write_text(calibration.read_text())
    require_same_devices(foreign, {"cam_0": {**INFO, "serial": "another"}})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("serial", "GV02", "serial number GV01"),
        ("offset_px", (0, 16), "place of the image on the sensor"),
        ("binning", (2, 2), "binning"),
        ("flip", (True, False), "mirroring in x and y"),
    ],
)
def test_another_device_or_another_part_of_its_sensor_is_refused(calibration, key, value, says):
    with pytest.raises(RigposeError, match=says) as refused:
        require_same_devices(calibration, {"cam_0": {**INFO, key: value}})
    assert "cam_0" in str(refused.value)
