"""Any choice of frames comes out right, whatever was left undecoded, and cheaply."""

from __future__ import annotations

import av
import numpy as np
import pytest

import training.projects.video_frames
from acquisition.errors import RigposeError
from tests.acquisition.sessions import number_of
from tests.training.films import KINDS, write_film
from training.projects.video_frames import VideoFrames

COUNT = 150
CHOICES = [[0], [149], [77], [0, 149], [24, 25, 26], [5, 60, 61, 140], [*range(0, 150, 7)], [*range(150)]]
# MPEG-TS is sought by guessing; MP4 and MPEG-TS hold no FFV1
FORMATS = [(kind, end) for kind in KINDS for end in (".mkv", ".avi")]
FORMATS += [(kind, ".mp4") for kind in KINDS if kind not in ("lossless", "rgb")]
FORMATS += [(kind, ".ts") for kind in ("b-frames", "one group", "open groups", "mpeg4")]


def decoded(path):
    """Every frame in order, the plain way."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(("kind", "suffix"), FORMATS)
@pytest.mark.parametrize("seek_beyond", [1, 300])
def test_the_frames_asked_for_are_the_frames_got(tmp_path, monkeypatch, kind, suffix, seek_beyond):
    monkeypatch.setattr(training.projects.video_frames, "SEEK_BEYOND_PACKETS", seek_beyond)
    path = write_film(tmp_path / f"film{suffix}", COUNT, kind)
    truth = decoded(path)
    video = VideoFrames(path)
    assert (len(video), len(truth), video.gap) == (COUNT, COUNT, None)
    for choice in CHOICES:
        images = list(video.images(choice))
        assert [number_of(image) for image in images] == choice
        for number, image in zip(choice, images, strict=True):
            expected = truth[number] if image.ndim == 3 else truth[number][..., 0]
            np.testing.assert_array_equal(image, expected)


def test_frames_that_nobody_wants_cost_little(tmp_path):
    video = VideoFrames(write_film(tmp_path / "film.mp4", COUNT, "b-frames"))
    list(video.images([3]))
    assert video.decoded <= 24  # the group of pictures, not the film
    video.decoded = 0
    list(video.images(range(0, COUNT, 4)))
    assert video.decoded < 0.85 * COUNT  # pictures that no other one needs are passed over


def test_small_pictures_are_means_of_areas(tmp_path):
    video = VideoFrames(write_film(tmp_path / "film.mkv", 3, "lossless"))
    (whole,), (small,) = video.images([1]), video.small([1], 16)
    assert small.shape == (12, 16)
    np.testing.assert_allclose(small, whole.reshape(12, 4, 16, 4).mean(axis=(1, 3)), atol=2)
    (part,) = video.small([1], 8, crop=(0, 32, 0, 24))
    assert part.shape == (6, 8)
    np.testing.assert_allclose(part, whole[:24, :32].reshape(6, 4, 8, 4).mean(axis=(1, 3)), atol=2)


@pytest.mark.parametrize("kind", ["b-frames", "intra", "rgb"])
def test_colours_tell_small_pictures_apart_where_asked(tmp_path, kind):
    """Two colours of one brightness."""
    pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in ((200, 30, 60), (20, 120, 60))]
    pictures[1][:24, :, 0] = 255
    video = VideoFrames(write_film(tmp_path / "film.mkv", 2, kind, pictures))
    (red, green), (grey, alike) = video.small([0, 1], 8, colour=True), video.small([0, 1], 8)
    assert (red.shape, grey.shape) == ((6, 8, 3), (6, 8))
    assert np.abs(grey[4:].astype(int) - alike[4:]).max() < 10
    assert np.abs(red[4:].astype(int) - green[4:]).max() > 60
    assert np.ptp(green[3:].astype(int), axis=(0, 1)).max() < 12
    assert np.ptp(green.astype(int), axis=(0, 1)).max() > 60
    (part,) = video.small([1], 8, crop=(0, 64, 24, 48), colour=True)
    assert part.shape == (3, 8, 3)
    assert np.ptp(part.astype(int), axis=(0, 1)).max() < 12


@pytest.mark.parametrize("size", [(1600, 1200), (640, 480), (658, 500), (333, 97), (100, 80), (20, 400)])
def test_small_pictures_cover_pictures_of_any_size(tmp_path, size):
    width, height = size
    rng = np.random.default_rng(0)
    ramp = np.linspace(20, 220, height)[:, None] + np.linspace(-20, 20, width)
    picture = np.clip(ramp + rng.normal(0, 1, ramp.shape), 0, 255).astype(np.uint8)
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())
    (small,) = VideoFrames(tmp_path / "film.mkv").small([0], 30)
    rows, columns = small.shape
    assert min(30, width) <= columns <= 33
    assert rows == round(height * columns / width)
    middles = [(2 * np.arange(n) + 1) / (2 * n) for n in (rows, columns)]
    expected = 20 + 200 * middles[0][:, None] + 40 * middles[1] - 20
    np.testing.assert_allclose(small, expected, atol=9)


@pytest.mark.parametrize("numbers", [[-1], [3], [1, 1], [2, 1]])
def test_numbers_that_are_not_there_or_do_not_ascend_are_a_mistake(tmp_path, numbers):
    video = VideoFrames(write_film(tmp_path / "film.mkv", 3, "lossless"))
    with pytest.raises(ValueError, match="ascend"):
        list(video.frames(numbers))


@pytest.mark.parametrize("kind", ["lossless", "b-frames"])
@pytest.mark.parametrize("seek_beyond", [1, 300])
def test_a_film_cut_off_has_the_frames_before_the_cut(tmp_path, monkeypatch, kind, seek_beyond):
    monkeypatch.setattr(training.projects.video_frames, "SEEK_BEYOND_PACKETS", seek_beyond)
    path = write_film(tmp_path / "film.mkv", COUNT, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = VideoFrames(path)
    assert 10 < len(video) < COUNT - 10
    last = len(video) - 1
    images = list(video.images([0, last - 6, last]))
    assert [number_of(image) for image in images[:2]] == [0, last - 6]
    assert images[2] is None or number_of(images[2]) >= last


def test_damage_in_the_middle_leaves_the_other_frames(tmp_path):
    path = write_film(tmp_path / "film.mkv", COUNT, "intra")
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 300] = bytes(300)
    path.write_bytes(content)
    video = VideoFrames(path)
    images = list(video.images(range(len(video))))
    assert len(images) == len(video)
    numbers = [number_of(image) for image in images if image is not None]
    assert numbers[:40] == list(range(40))
    assert numbers[-20:] == list(range(COUNT - 20, COUNT))


@pytest.mark.parametrize("what", ["missing", "text", "empty", "folder"])
def test_what_is_no_video_is_refused(tmp_path, what):
    path = tmp_path / "film.mp4"
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(b"no video" * 100 if what == "text" else b"")
    with pytest.raises(RigposeError, match="expected a video"):
        VideoFrames(path)
