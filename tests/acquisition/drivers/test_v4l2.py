"""Video4Linux: formats and names here; the driver itself in QEMU, on cameras of the kernel's module vivid."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.drivers.v4l2 import V4L2Camera
from acquisition.drivers.v4l2_controls import Controls, control_name
from acquisition.drivers.v4l2_formats import FOURCCS, is_grey, picture
from acquisition.errors import RigposeError
from tests.equipment.guest import linux

COLOUR = (200, 100, 50)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("White Balance, Auto", "white_balance_auto"),
        ("Exposure Time, Absolute", "exposure_time_absolute"),
        ("Power Line Frequency", "power_line_frequency"),
        ("LED1 Mode (on/off)", "led1_mode_on_off"),
    ],
)
def test_controls_are_named_as_v4l2_ctl_names_them(label, name):
    assert control_name(label) == name


@given(st.text())
def test_names_of_controls_are_words(label):
    name = control_name(label)
    assert control_name(name) == name and all(part.isalnum() for part in name.split("_") if name)


class Control:
    """A control as linuxpy gives it, of a webcam: vivid has none for the exposure."""

    is_writeable, is_flagged_write_only = True, False

    def __init__(self, label, kind, value, data=(), step=1):
        self.name, self.type, self.value, self.data = label, kind, value, dict(data)
        self.minimum, self.maximum, self.step = 1, 5000, step


def test_exposure_of_a_webcam_is_manual_and_in_its_steps():
    linuxpy = pytest.importorskip("linuxpy.video.device", reason="no linuxpy: pip install 'rigpose[v4l2]'")
    kinds = linuxpy.ControlType
    auto = Control("Auto Exposure", kinds.MENU, 3, {1: "Manual Mode", 3: "Aperture Priority Mode"})
    exposure = Control("Exposure Time, Absolute", kinds.INTEGER, 156)
    device = SimpleNamespace(controls={1: auto, 2: exposure})
    controls = Controls(device, "top", linuxpy)
    assert controls.exposure_us() is None  # whatever the camera chooses
    assert controls.set_exposure_us(4000.0) == controls.exposure_us() == 4000.0
    assert (auto.value, exposure.value) == (1, 40)
    assert controls.set("auto_exposure", "Aperture Priority Mode") == "Aperture Priority Mode"
    with pytest.raises(RigposeError, match="steps of 100 us"):
        controls.set_exposure_us(250.0)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("fourcc", ["YUYV", "UYVY", "NV12"])
def test_yuv_of_either_range_is_the_colour_it_was(fourcc, full_range):
    """BT.601 from its definition: Y = 0.299 R + 0.587 G + 0.114 B, chroma by difference."""
    r, g, b = COLOUR
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    values = [luma, 128 + (b - luma) / 1.772, 128 + (r - luma) / 1.402]
    if not full_range:
        values = [16 + luma * 219 / 255, *(128 + (value - 128) * 224 / 255 for value in values[1:])]
    y, u, v = (round(value) for value in values)
    order = {"YUYV": [y, u, y, v], "UYVY": [u, y, v, y]}
    data = bytes(order[fourcc]) * 8 if fourcc in order else bytes([y] * 16 + [u, v] * 4)
    image = picture(data, fourcc, (4, 4), full_range=full_range)
    assert image.shape == (4, 4, 3) and np.abs(image.astype(int) - COLOUR).max() <= 3
    grey = picture(data, fourcc, (4, 4), full_range=full_range, grey=True)
    assert grey.shape == (4, 4) and np.abs(grey.astype(int) - luma).max() <= 3


@pytest.mark.parametrize(("fourcc", "bits"), [("Y10", 10), ("Y12", 12), ("Y16", 16)])
def test_deep_grey_keeps_its_high_bits_and_padding_is_left_out(fourcc, bits):
    wanted = np.arange(12, dtype=np.uint16).reshape(3, 4) * 20
    padded = np.full((3, 6), 0xFFFF, np.uint16)
    padded[:, :4] = wanted << (bits - 8)
    assert np.array_equal(picture(padded.tobytes(), fourcc, (4, 3), 12), wanted)
    assert is_grey(fourcc) and not is_grey("YUYV") and not is_grey("MJPG")


def test_jpeg():
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = COLOUR
    data = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    decoded = picture(data + bytes(100), "MJPG", (64, 48))  # webcams pad
    assert np.abs(decoded[24, [4, 60]].astype(int) - [COLOUR, (0, 0, 0)]).max() < 8
    assert picture(data, "MJPG", (64, 48), grey=True).shape == (48, 64)
    for broken, size in (
        (data[: len(data) // 2], (64, 48)),
        (b"", (64, 48)),
        (data, (64, 40)),
        (data[2:], (64, 48)),
    ):
        with pytest.raises(ValueError, match="JPEG"):
            picture(broken, "MJPG", size)


@pytest.mark.parametrize("fourcc", [*FOURCCS, "H264"])
def test_a_buffer_that_is_too_short_is_refused(fourcc):
    with pytest.raises(ValueError):
        picture(bytes(20), fourcc, (64, 48))


@pytest.mark.parametrize("uri", ["v4l2:///dev/video98", "v4l2://usb-0000:00:14.0-9", "v4l2://usb-1#3"])
def test_camera_that_is_not_there(uri):
    pytest.importorskip("linuxpy", reason="no linuxpy: pip install 'rigpose[v4l2]'")
    with pytest.raises(RigposeError, match="camera 'top'"):
        V4L2Camera("top", uri).open({})


def guest(test):
    """Runs in the guest, whose cameras are live: with nothing else beside it."""
    return pytest.mark.long(pytest.mark.alone(pytest.mark.equipment(test)))


# 75 % colour bars: white, yellow, cyan, green, magenta, red, blue, black.
BARS = [
    tuple(191 * on for on in bar)
    for bar in ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0))
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `v4l2_guest.py` found in the guest, by piece of work: one start of QEMU for all."""
    pytest.importorskip("linuxpy", reason="no linuxpy: pip install 'rigpose[v4l2]'")
    lines = linux.run(
        tmp_path_factory.mktemp("guest"),
        [Path(__file__).with_name("v4l2_guest.py")],
        # Two webcams: capture devices (node type 1) whose only input is of type webcam (0).
        {"vivid": "n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x0,0x0"},
    )
    told = [json.loads(line) for line in lines]
    return {one.pop("work"): one for one in told}


@guest
def test_found_by_place_and_set_and_read_back(found):
    told = found["identity"]
    assert [uri for uri, _, _ in told["found"]] == [f"v4l2://platform:vivid-00{n}" for n in range(2)]
    assert told["serial"] == told["found"][0][2] and told["same"]
    assert told["rate_hz"] == told["set"]["rate_hz"] == 30.0 and told["silence_s"] == pytest.approx(
        10 / 30 + 0.5
    )
    assert (
        told["set"]["pixelformat"] == "GREY" and told["set"]["width"] == 320 and told["set"]["channels"] == 1
    )
    assert told["set"]["brightness"] == 99 and told["set"]["test_pattern"] == "100% Colorbar"
    assert told["features"]["brightness"][:3] == [99, 0, 255]
    assert "Noise" in told["features"]["test_pattern"][3] and "YUYV" in told["features"]["pixelformat"][3]
    assert "nobody else uses" in told["busy"]


@guest
def test_what_it_cannot_be_is_one_line(found):
    says = {
        "no_such": "brightness", "too_much": "0 to 255", "no_word": "16x16 Checkers", "format": "GREY",
        "size": "640x480", "rate": "nearest is",
        "word": "a number for 'width'", "exposure": "Leave exposure_us out", "nobody": "vivid-001",
    }  # fmt: skip
    for mistake, said in found["mistakes"].items():
        assert mistake in says and said.startswith("camera 'top'") and says[mistake] in said, said


@guest
def test_every_dropped_buffer_is_counted(found):
    """The kernel's count, and its clock, tell independently how many frames there were."""
    told = found["gaps"]
    seqs, stamps_ns, losses = told["seqs"], told["stamps_ns"], told["losses"]
    assert told["id_start"] == 0 and sum(losses) > 3
    assert len(seqs) + sum(losses) == seqs[-1] + 1
    periods = np.diff(stamps_ns) * told["rate_hz"] / 1e9
    assert np.abs(periods - np.diff(seqs)).max() < 2  # vivid stamps when it gets round to it
    assert (stamps_ns[-1] - stamps_ns[0]) * told["rate_hz"] / 1e9 == pytest.approx(seqs[-1] - seqs[0], abs=2)
    assert 0 <= told["late_min_ns"] <= told["late_median_ns"] < 1e9  # on our clock
    assert told["emptied"] and told["again"] < 5


@guest
def test_damaged_frames_and_a_count_that_wraps(found):
    assert found["damage"] == {"damaged": 3, "frames": 63}
    wrap = found["wrap"]
    assert wrap["first"] > 2**32 - 200 and wrap["last"] < 200
    assert wrap["frames"] + wrap["lost"] == wrap["seq"] + 1 == 2**32 + wrap["last"] - wrap["first"] + 1


@guest
def test_stamps_mean_what_the_kernel_says(found):
    """Of cameras that do not tell their exposure: half a period is added to the uncertainty."""
    end, start = (found["stamps"]["meanings"][source] for source in ("End of Frame", "Start of Exposure"))
    assert "end of the frame" in end[2] and end[1] == pytest.approx(1.5e9 / 30, abs=10)
    assert "start of exposure" in start[2] and start[1] == pytest.approx(0.5e9 / 30, abs=2000)


@guest
def test_colour_bars_in_every_format(found):
    bars, grey = found["formats"]["bars"], [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in BARS]
    for fourcc in ("RGB3", "YUYV", "UYVY", "NV12", "RGGB"):
        assert np.abs(np.array(bars[fourcc]) - BARS).max() <= 4, fourcc
    assert np.abs(np.array(found["formats"]["grey"]) - grey).max() <= 3 and found["formats"]["channels"] == 1
    assert bars["GREY"] == bars["Y16"] == sorted(bars["GREY"], reverse=True)


@guest
def test_unplugged_camera_is_gone_and_comes_back(found):
    told = found["unplugged"]
    assert "No such device" in told["gone"] and told["back"] < 5
