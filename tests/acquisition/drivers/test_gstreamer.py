"""GStreamer's pipelines, on its live test picture."""

from __future__ import annotations

import time

import numpy as np
import pytest

from acquisition.camera import CameraGone, CameraTimeout
from acquisition.drivers.gstreamer import GStreamerCamera
from acquisition.errors import RigposeError

try:
    import gi

    gi.require_version("GstApp", "1.0")
except (ImportError, ValueError) as error:
    pytest.skip(
        f"{error}: install gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base, pip install PyGObject",
        allow_module_level=True,
    )

GREY = "gstreamer://videotestsrc is-live=true ! video/x-raw,width=62,height=48,framerate=50/1,format=GRAY8"


@pytest.fixture
def camera():
    opened = []

    def make(uri=GREY, **wished):
        opened.append(GStreamerCamera("csi", uri))
        return opened[-1], opened[-1].open(wished)

    yield make
    for one in opened:
        one.close()
        one.close()


def test_what_a_pipeline_negotiates(camera):
    made, info = camera(rate_hz=50.0, pattern="ball", **{"background-color": 0xFF000000})
    assert (info.width_px, info.height_px, info.channels, info.rate_hz) == (62, 48, 1, 50.0)
    assert (info.model, info.pixel_format) == ("videotestsrc", "GRAY8")
    assert info.features == {"pattern": "ball", "background-color": 0xFF000000}
    features = {feature.name: feature for feature in made.features()}
    assert features["pattern"].value == "ball" and "smpte" in features["pattern"].choices
    made.start()
    image = made.read(2000).image
    assert image.shape == (48, 62) and image.max() > 200 and image[0, 0] < 30


def test_stamps_are_on_our_clock_and_frames_counted(camera):
    made, info = camera()
    assert info.has_device_clock and info.stamp_uncertainty_ns == 20_000_000
    for _ in range(2):  # stopped and started, it counts anew
        started_ns = time.monotonic_ns()
        made.start()
        frames = [made.read(2000) for _ in range(12)]
        made.stop()
        assert [frame.frame_id for frame in frames] == list(range(12))
        assert all(started_ns < frame.t_device_ns <= frame.t_arrival_ns for frame in frames)
        assert np.diff([frame.t_device_ns for frame in frames]).tolist() == pytest.approx([2e7] * 11, abs=2)


@pytest.mark.parametrize("identity", ["", " ! identity drop-buffer-flags=0 ! videoscale"])
def test_frames_nobody_reads_are_lost_and_counted(camera, identity):
    made, _ = camera(GREY.replace("50/1", "400/1") + identity)
    made.start()
    first = made.read(2000)
    time.sleep(0.5)
    frames = [made.read(2000) for _ in range(30)]
    steps = np.diff([frame.frame_id for frame in [first, *frames]])
    # The number and the clock tell of the same gap, and it is one.
    lost = [
        round((b.t_device_ns - a.t_device_ns) / 2.5e6) for a, b in zip([first, *frames], frames, strict=False)
    ]
    assert steps.tolist() == lost and (steps > 1).sum() >= 1 and steps.max() > 20


def test_colours_and_lines_that_are_padded(camera):
    """62 x 3 bytes a line are padded to 188."""
    made, info = camera(
        "gstreamer://videotestsrc is-live=true pattern=solid-color foreground-color=0xff3264c8\n"
        "  ! video/x-raw,width=62,height=48,framerate=30/1,format=NV12"
    )
    assert (info.channels, info.pixel_format) == (3, "NV12")
    made.start()
    image = made.read(2000).image.astype(int)
    assert image.shape == (48, 62, 3)
    assert np.abs(image - [0x32, 0x64, 0xC8]).max() <= 6


def test_offsets_that_count_no_frames_are_not_taken_for_numbers(camera):
    """A source of bytes puts its position there."""
    made, _info = camera(
        "gstreamer://videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=50/1,format=GRAY8"
        " ! jpegenc ! jpegdec"
    )
    made.start()
    assert [made.read(2000).frame_id for _ in range(5)] == list(range(5))


def test_a_pipeline_that_ends_or_breaks_is_gone(camera):
    made, _ = camera(GREY.replace("is-live=true", "is-live=true num-buffers=4"))
    made.start()
    with pytest.raises(CameraGone, match="ended"):
        for _ in range(10):
            made.read(2000)
    # Opened again, as the capture process does, it is back.
    made.close()
    made.open({})
    made.start()
    made.read(2000)
    made, _ = camera(GREY + " ! identity error-after=6 name=cable")
    made.start()
    with pytest.raises(CameraGone, match="cable: Failed"):
        for _ in range(10):
            made.read(2000)


def test_no_frame_in_time(camera):
    made, _ = camera(GREY.replace("50/1", "2/1"))
    made.start()
    made.read(2000)
    with pytest.raises(CameraTimeout):
        made.read(20)


@pytest.mark.parametrize(
    ("uri", "wished", "says"),
    [
        ("gstreamer://nosuchsrc device=3", {}, "nosuchsrc"),
        ("gstreamer://videotestsrc is-live=true !", {}, "gst-launch"),
        ("gstreamer://videotestsrc num-buffers=1", {}, "ended"),
        ("gstreamer://filesrc location=/nowhere ! decodebin", {}, "filesrc0: Resource not found"),
        (GREY, {"rate_hz": "fast"}, "a number for 'rate_hz'"),
        (GREY, {"rate_hz": 60.0}, "one of 50"),
        (GREY, {"exposure_us": 900.0}, "nvarguscamerasrc"),
        (GREY, {"pattren": "ball"}, "gst-inspect-1.0 videotestsrc"),
        (GREY, {"pattern": "Mona Lisa"}, "when read back"),
        (GREY, {"nobody.method": 3}, "nobody.method"),
    ],
)
def test_what_cannot_be_is_one_line(uri, wished, says):
    camera = GStreamerCamera("csi", uri)
    with pytest.raises(RigposeError, match="camera 'csi'") as caught:
        camera.open(wished)
    assert says in str(caught.value) and "\n" not in str(caught.value)
