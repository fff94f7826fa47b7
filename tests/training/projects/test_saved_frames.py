"""Frames of a video become images named by their index."""

from __future__ import annotations

import av
import numpy as np
import pytest

from acquisition.errors import RigposeError
from training.images import read_image
from training.projects.project import Project
from training.projects.saved_frames import extract_from_video, save_images


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=("a",))


def write_video(path, count):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), 10 * index, np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_the_frames_asked_for_are_the_frames_got(project, tmp_path):
    write_video(tmp_path / "clip.mkv", 8)
    assert extract_from_video(project, tmp_path / "clip.mkv", [5, 2, 5]) == ["img0002.png", "img0005.png"]
    image = read_image(project.root / "labeled-data" / "clip" / "img0005.png")
    assert image.shape == (48, 64)
    assert (image == 50).all()


def test_a_frame_that_is_not_there_writes_nothing(project, tmp_path):
    write_video(tmp_path / "clip.mkv", 3)
    with pytest.raises(RigposeError, match="at least 4 frames"):
        extract_from_video(project, tmp_path / "clip.mkv", [1, 3])
    assert not (project.root / "labeled-data" / "clip").exists()


def test_a_corrupt_video_is_refused(project, tmp_path):
    (tmp_path / "clip.mkv").write_bytes(b"no video" * 100)
    with pytest.raises(RigposeError, match="cannot be decoded"):
        extract_from_video(project, tmp_path / "clip.mkv", [0])


def test_colours_keep_their_order(project):
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200
    save_images(project, "red", [(3, image)])
    back = read_image(project.root / "labeled-data" / "red" / "img0003.png")
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_image_is_refused(project, share):
    save_images(project, "x", [(0, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))])
    path = project.root / "labeled-data" / "x" / "img0000.png"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RigposeError, match="cut off"):
        read_image(path)
    path.unlink()
    with pytest.raises(RigposeError, match="labels name"):
        read_image(path)
