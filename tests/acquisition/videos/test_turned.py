"""Videos that are to be turned before they are shown, as telephones write them: as OpenCV shows them."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from acquisition.drivers.video_file import VideoFileCamera
from acquisition.videos.encoder import Encoder
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.into_matroska import into_matroska, scan_video
from acquisition.videos.remux import remux
from acquisition.videos.tools import crop, downsample, shorten
from acquisition.videos.video import open_video
from calibration.input_images import frames, recorded
from deploy.bench.frames import LoopedVideo as BenchFrames
from tests.acquisition.sessions import write_session
from training.projects.video_frames import VideoFrames

ONE = 1 << 16
MATRICES = {0: (ONE, 0, 0, ONE), 90: (0, ONE, -ONE, 0), 180: (-ONE, 0, 0, -ONE), 270: (0, -ONE, ONE, 0)}
NEAR = 12  # levels: one program's conversion of colours is not another's


def turned_film(path: Path, degrees: int, count: int = 6) -> Path:
    """64 x 48 as stored, a white square near the top left; the display matrix of ISO 14496-12, 8.3.2."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            image = np.full((48, 64, 3), 20 * number, np.uint8)
            image[4:12, 4:20] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version 0: flags, times, identity, duration, layer, volume
    a, b, c, d = MATRICES[degrees]
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.fixture(params=sorted(MATRICES))
def film(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    """A film and its pictures as OpenCV gives them, by which DeepLabCut reads."""
    path = turned_film(tmp_path / "film.mp4", request.param)
    capture = cv2.VideoCapture(str(path))
    pictures = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(6)]
    capture.release()
    assert pictures[0].shape[:2] == ((64, 48) if request.param % 180 else (48, 64))
    return path, pictures


def near(image: np.ndarray | None, expected: np.ndarray) -> bool:
    assert image is not None
    if image.ndim == 2:
        expected = cv2.cvtColor(expected, cv2.COLOR_RGB2GRAY)
    return image.shape == expected.shape and np.abs(image.astype(int) - expected).max() <= NEAR


def test_every_reader_shows_what_opencv_shows(film):
    path, pictures = film
    video = open_video(path)
    assert (video.info.height_px, video.info.width_px) == pictures[0].shape[:2]
    assert all(near(image, expected) for image, expected in zip(video, pictures, strict=True))
    indexed = IndexedVideo(path)
    assert near(indexed.image(3), pictures[3])
    indexed.close()
    assert near(next(iter(VideoFrames(path).images([2]))), pictures[2])
    assert near(dict(frames(path, [4]))[4], pictures[4])
    bench = BenchFrames(path)
    assert bench.size_px == (video.info.width_px, video.info.height_px)
    assert near(bench.read()[0], pictures[0])
    bench.close()
    camera = VideoFileCamera("top", f"file://{path}")
    info = camera.open({"pace": 0.0, "lead_s": 0.0})
    camera.start()
    assert (info.height_px, info.width_px) == pictures[0].shape[:2]
    assert near(camera.read(5000).image, pictures[0])
    camera.close()


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("part", [None, (2, 34, 0, 24)])
def test_small_pictures_are_upright_too(film, colour, part):
    path, pictures = film
    x1, x2, y1, y2 = part or (0, pictures[5].shape[1], 0, pictures[5].shape[0])
    small = next(iter(VideoFrames(path).small([5], 16, crop=part, colour=colour)))
    luma = small[..., 0] if colour else small
    expected = cv2.resize(pictures[5][y1:y2, x1:x2, 0], luma.shape[::-1], interpolation=cv2.INTER_AREA)
    # limited range: 16 to 235
    assert np.abs((luma.astype(float) - 16) * 255 / 219 - expected).max() < NEAR


def test_copies_stand_upright_by_themselves(film, tmp_path):
    path, pictures = film
    height, width = pictures[0].shape[:2]
    short = shorten(path, tmp_path / "short.mp4", start="2f")
    cropped = crop(path, tmp_path / "cropped.mp4", box=(2, 34, 0, 24))
    less = downsample(path, tmp_path / "less.mp4", every=2, turn=90)
    assert (short["width_px"], short["height_px"]) == (width, height)
    for copy, expected in (
        (short, pictures[2]), (cropped, pictures[0][0:24, 2:34]), (less, np.rot90(pictures[0], -1)),
    ):  # fmt: skip
        assert near(next(iter(open_video(Path(copy["output"])))), expected)
        with av.open(copy["output"]) as container:
            assert next(container.decode(video=0)).rotation == 0


def test_taken_into_matroska_and_joined_they_show_the_same(film, tmp_path):
    path, pictures = film
    target, joined = tmp_path / "taken.mkv", tmp_path / "joined.mkv"
    into_matroska(scan_video(path), target, [40 * number for number in range(6)], 25.0)
    assert all(near(image, expected) for image, expected in zip(open_video(target), pictures, strict=True))
    remux([(target, 3), (target, 3)], joined)
    shown = [*pictures[:3], *pictures[:3]]
    assert all(near(image, expected) for image, expected in zip(open_video(joined), shown, strict=True))


def test_a_recording_s_boards_are_upright(film, tmp_path):
    path, pictures = film
    write_session(tmp_path / "day1", pulses=6, loss=0, ignored=0)
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    video.unlink()
    into_matroska(scan_video(path), video, [40 * number for number in range(6)], 25.0)
    assert near(dict(recorded(tmp_path / "day1", "cam_0", [4]))[4], pictures[4])


def test_a_colon_in_a_bare_name_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turned_film(Path("plain.mp4"), 0)
    Path("plain.mp4").rename("2024-05-01T10:30:00.mp4")
    assert open_video(Path("2024-05-01T10:30:00.mp4")).info.width_px == 64
    assert shorten(Path("2024-05-01T10:30:00.mp4"), Path("10:30.mp4"), start="2f")["frames"] == 4
    encoder = Encoder(Path("10:31.mkv"), "x264", 64, 48, 1, 30)
    encoder.write(np.zeros((48, 64), np.uint8), 0)
    encoder.close()
    assert open_video(Path("10:31.mkv")).info.width_px == 64


@pytest.mark.parametrize("how", ["shorten", "crop"])
def test_odd_pictures_that_would_be_written_in_half_colours_are_refused(tmp_path, how):
    from acquisition.errors import RigposeError

    path = tmp_path / "raw.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 65, 49, "bgr24"
        for _ in range(3):
            image = np.zeros((49, 65, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
    with pytest.raises(RigposeError, match="even number of pixels"):
        if how == "shorten":
            shorten(path, tmp_path / "out.mp4")
        else:
            crop(path, tmp_path / "out.mp4", box=(0, 33, 0, 31))
    assert not (tmp_path / "out.mp4").exists()
