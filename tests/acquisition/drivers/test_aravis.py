"""GigE Vision cameras: the driver against Aravis's fake ones, over UDP."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from acquisition.camera import CameraGone, CameraTimeout
from acquisition.errors import RigposeError
from tests.acquisition.drivers import remote
from tests.equipment.cameras.gige import FakeCameras, fake_cameras

pytestmark = pytest.mark.equipment

SMALL = {"PixelFormat": "Mono8", "Width": 64, "Height": 48, "exposure_us": 1000, "rate_hz": 100}


@pytest.fixture(scope="module")
def cameras() -> Iterator[FakeCameras]:
    with fake_cameras(2) as running:
        yield running


@pytest.fixture(scope="module")
def host(cameras: FakeCameras) -> Callable[..., Any]:
    return cameras.program()


@pytest.fixture
def camera(host: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Calls a verb of camera GV01."""
    host(remote.call, "top", "new", "aravis://GV01")
    yield lambda verb, *arguments: host(remote.call, "top", verb, *arguments)
    host(remote.call, "top", "close")


def test_all_cameras_are_found_by_their_serial_numbers(host):
    found = sorted(host(remote.find, "aravis"), key=lambda one: one.uri)
    assert [(one.uri, one.model, one.serial) for one in found] == [
        ("aravis://GV01", "Aravis Fake", "GV01"), ("aravis://GV02", "Aravis Fake", "GV02"),
    ]  # fmt: skip


def test_features_are_set_in_order_and_read_back(camera):
    info = camera("open", {"BinningHorizontal": 1, **SMALL, "OffsetX": 8, "packet_size": 4000})
    assert (info.width_px, info.height_px, info.channels) == (64, 48, 1)
    assert (info.serial, info.model, info.pixel_format) == ("GV01", "Aravis Fake", "Mono8")
    assert (info.offset_px, info.binning) == ((8, 0), (1, 1))
    assert (info.id_modulus, info.id_first, info.id_start) == (65535, 1, None)
    assert info.exposure_us == 1000 and abs(info.rate_hz - 100) < 1
    assert info.stamp_to_middle_ns == 500_000 and info.stamp_uncertainty_ns == 1_000_001
    assert info.features["Width"] == 64 and info.features["packet_size"] == 4000
    assert list(info.features) == ["BinningHorizontal", *SMALL, "OffsetX", "packet_size", "TriggerMode"]
    settable = {feature.name: feature for feature in camera("features")}
    assert settable["PixelFormat"].choices == (
        "BayerBG8", "BayerGB8", "BayerGR8", "BayerRG8", "Mono16", "Mono8", "RGB8"
    )  # fmt: skip
    assert (settable["exposure_us"].low, settable["exposure_us"].high) == (10, 1e7)
    assert (settable["Width"].value, settable["Width"].high) == (64, 2048)
    assert "DeviceID" not in settable and "AcquisitionStart" not in settable


def test_address_and_id_name_the_same_camera(host):
    for uri in ("aravis://127.0.1.1", "aravis://Aravis-Fake-GV01"):
        host(remote.call, "side", "new", uri)
        assert host(remote.call, "side", "open", {}).serial == "GV01"
        host(remote.call, "side", "close")


def test_stamp_has_the_place_that_the_manual_says(camera):
    info = camera("open", {**SMALL, "stamp_marks": "exposure-end"})
    assert (info.stamp_to_middle_ns, info.stamp_uncertainty_ns) == (-500_000, 1)
    assert info.stamp_meaning == "end of exposure, camera clock"


def test_frames_count_on_through_the_wrap_and_a_restart(camera, host):
    camera("open", {**SMALL, "rate_hz": 500})
    camera("start")
    frames = host(remote.read, "top", 150)
    ids = [frame.frame_id for frame in frames]
    # Whatever ran before, the fake camera's first id is 65401: 150 frames on it has wrapped, or had.
    assert {(b - a) % 65535 for a, b in pairwise(ids)} == {1} and 0 not in ids
    assert not any(frame.damaged for frame in frames)
    stamps = np.array([frame.t_device_ns for frame in frames])
    assert (np.diff(stamps) > 0).all()
    assert frames[0].image.shape == (48, 64) and frames[0].image.dtype == np.uint8
    camera("stop")
    camera("start")
    again = host(remote.read, "top", 3)
    assert 1 <= (again[0].frame_id - ids[-1]) % 65535 < 200
    assert camera("counts")["failures"] == 0


@pytest.mark.parametrize(
    ("form", "channels"), [("Mono8", 1), ("Mono16", 1), ("RGB8", 3), ("BayerRG8", 3), ("BayerGB8", 3)]
)
def test_every_format_arrives_as_grey_or_rgb(camera, host, form, channels):
    info = camera("open", {**SMALL, "PixelFormat": form, "exposure_us": 50_000, "rate_hz": 50})
    camera("start")
    (frame,) = host(remote.read, "top", 1)
    assert info.pixel_format == form and info.channels == channels
    assert frame.image.shape == ((48, 64) if channels == 1 else (48, 64, 3))
    assert not frame.damaged
    # The fake camera shows a ramp; its 16-bit one is mostly within the lower byte.
    assert frame.image.std() > 5 or form == "Mono16"


@pytest.mark.parametrize(
    ("wished", "line"),
    [
        ({"Sharpness": 3}, r"expected features of a Fake, found 'Sharpness', which it has not"),
        ({"PixelFormat": "Mono99"}, r"PixelFormat: one of BayerBG8, .*RGB8, found Mono99"),
        ({"Width": 4000}, r"Width: a number from 1 to 2048, found 4000"),
        ({"Width": "broad"}, r"Width: a number from 1 to 2048, found broad"),
        ({"rate_hz": 5000}, r"rate_hz: a number from 0.1 to 1000, found 5000"),
        ({"exposure_us": 1}, r"exposure_us: a number from 10 to 1e\+07, found 1\."),
        ({"DeviceID": "GV07"}, r"DeviceID to be one that can be set, found one that can only be read"),
        ({"stamp_marks": "sometimes"}, r"stamp_marks: exposure-start or exposure-end, found sometimes"),
        ({"exposure_us": 3000, "ExposureTimeAbs": 50}, r"exposure_us to become 3000, found 50"),
    ],
)
def test_what_the_camera_does_not_take_is_one_line(camera, wished, line):
    with pytest.raises(RigposeError, match=r"camera 'top': .*" + line):
        camera("open", wished)
    assert camera("open", SMALL).serial == "GV01"  # the failed opening has undone itself


def test_yaml_words_on_and_off_are_understood(camera):
    assert camera("open", {"TriggerMode": True, "rate_hz": 50}).features["TriggerMode"] == "On"
    camera("close")
    assert camera("open", {"TriggerMode": False}).features["TriggerMode"] == "Off"


def test_triggered_camera_waits_and_is_not_limited(camera, host):
    wished = {**SMALL, "TriggerSource": "Line0", "TriggerMode": "On"}
    assert camera("open", wished).rate_hz == 100  # whichever comes first, rate or mode
    wished.pop("rate_hz")
    info = camera("open", {**wished, "rate_hz": 50})
    assert info.rate_hz == 50 and info.silence_s is None
    camera("start")
    with pytest.raises(CameraTimeout):
        camera("read", 300)
    camera("close")
    assert camera("open", {"TriggerMode": "Off"}).features["TriggerMode"] == "Off"


def test_camera_that_is_not_there_is_named_with_those_that_are(host):
    host(remote.call, "side", "new", "aravis://GV09")
    with pytest.raises(RigposeError, match=r"camera 'side': expected a camera at aravis://GV09, found none "):
        host(remote.call, "side", "open", {})


def test_two_cameras_of_a_rig_on_one_device_are_refused(camera, host):
    camera("open", SMALL)
    host(remote.call, "side", "new", "aravis://127.0.1.1")
    with pytest.raises(RigposeError, match=r"camera 'side' .*found camera 'top' of this rig on it"):
        host(remote.call, "side", "open", {})


_REGISTER = (
    '<IntReg Name="{}" NameSpace="Standard"><Address>{}</Address><Length>4</Length>'
    "<AccessMode>RW</AccessMode><pPort>Device</pPort><Sign>Unsigned</Sign><Endianess>BigEndian</Endianess></IntReg>"
)
_CHOICE = (
    '<Enumeration Name="ExposureAuto" NameSpace="Standard"><EnumEntry Name="Off"><Value>0</Value></EnumEntry>'
    '<EnumEntry Name="Continuous"><Value>1</Value></EnumEntry><pValue>Automatic</pValue></Enumeration>'
)
_WRONG = _REGISTER.format("TriggerDelayEnabled", "0x40c").replace("<pPort>Device</pPort>", "")


@pytest.fixture
def richer(cameras: FakeCameras, host: Callable[..., Any], tmp_path) -> Iterator[Callable[..., Any]]:
    """Camera GV02 with features more: TriggerDelay, ResultingFrameRate, ExposureAuto; and one that its
    description gets wrong, as if it were not there."""
    tool = cameras.popen(
        ["arv-tool-0.8", "-n", "Aravis-Fake-GV02", "genicam"], stdout=subprocess.PIPE, text=True
    )
    plain = tool.communicate(timeout=30)[0]
    names = {"TriggerDelay": "0x400", "ResultingFrameRate": "0x404", "Automatic": "0x408"}
    more = "".join(_REGISTER.format(name, address) for name, address in names.items()) + _CHOICE + _WRONG
    end = "</RegisterDescription>"
    assert plain.count(end) == 1
    (tmp_path / "richer.xml").write_text(plain.replace(end, more + end))
    cameras.kill(2)
    cameras.start(2, description=tmp_path / "richer.xml")
    host(remote.call, "side", "new", "aravis://GV02")
    yield lambda verb, *arguments: host(remote.call, "side", verb, *arguments)
    host(remote.call, "side", "close")
    cameras.kill(2)
    cameras.start(2)


def test_delay_automatic_exposure_and_a_rate_too_high_are_told(richer):
    info = richer("open", {**SMALL, "TriggerMode": "On", "TriggerDelay": 3000, "ExposureAuto": "Continuous"})
    assert info.trigger_delay_ns == 3_000_000 and info.features["TriggerActivation"] == "RisingEdge"
    assert info.stamp_uncertainty_ns == 1_000_001 + 5_000_000  # its exposure, and half the period
    assert "automatic" in info.stamp_meaning
    richer("close")
    with pytest.raises(RigposeError, match=r"rate_hz.*found 100 \(at most 33 Hz with this exposure"):
        richer("open", {**SMALL, "ResultingFrameRate": 33})
    info = richer("open", {"TriggerMode": "Off", "ExposureAuto": "Off", "rate_hz": 30})
    assert info.trigger_delay_ns == 0 and "automatic" not in info.stamp_meaning
    richer("close")
    info = richer("open", {**SMALL, "ResultingFrameRate": 200, "Automatic": 7})  # a value without a name
    assert info.stamp_uncertainty_ns == 1_000_001


@pytest.mark.long
def test_camera_of_another_program_is_refused_and_free_when_that_has_ended(camera, cameras):
    camera("open", SMALL)
    other = cameras.program()
    other(remote.call, "side", "new", "aravis://GV01")
    with pytest.raises(RigposeError, match=r"nobody else uses, found another program in control of it"):
        other(remote.call, "side", "open", {})
    camera("close")
    assert other(remote.call, "side", "open", {}).serial == "GV01"
    other(remote.call, "side", "close")


@pytest.mark.long
def test_lost_packets_are_damaged_frames(cameras, host):
    cameras.kill(2)
    cameras.start(2, loss_per_thousand=20)
    host(remote.call, "side", "new", "aravis://GV02")
    host(remote.call, "side", "open", {**SMALL, "Width": 640, "Height": 100, "frame_retention_ms": 30})
    host(remote.call, "side", "start")
    frames = host(remote.read, "side", 100)
    counts = host(remote.call, "side", "counts")
    host(remote.call, "side", "close")
    cameras.kill(2)
    cameras.start(2)
    whole = [n for n, frame in enumerate(frames) if not frame.damaged]
    damaged = sum(frame.damaged for frame in frames[whole[0] : whole[-1]])
    steps = [(frames[b].frame_id - frames[a].frame_id) % 65535 for a, b in pairwise(whole)]
    assert sum(step - 1 for step in steps) == damaged  # each is one hole in the count
    assert 20 < damaged < 95  # 47 packets a frame, two in a hundred lost
    assert counts["failures"] >= damaged and counts["missing_packets"] >= damaged


@pytest.mark.long
def test_killed_camera_is_gone_and_opens_again(cameras, host):
    host(remote.call, "side", "new", "aravis://GV02")
    host(remote.call, "side", "open", SMALL)
    host(remote.call, "side", "start")
    host(remote.read, "side", 3)
    cameras.kill(2)
    until = time.monotonic() + 30
    with pytest.raises(CameraGone):
        while time.monotonic() < until:
            try:
                host(remote.call, "side", "read", 500)
            except CameraTimeout:
                continue
    host(remote.call, "side", "close")
    cameras.start(2)
    host(remote.call, "side", "open", SMALL)
    host(remote.call, "side", "start")
    assert host(remote.read, "side", 1)[0].frame_id >= 65401
    host(remote.call, "side", "close")
