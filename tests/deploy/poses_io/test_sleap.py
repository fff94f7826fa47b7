"""SLEAP's files, written by sleap-io itself, are read as poses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.poses_io.readers import load_poses

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sleap_io = pytest.importorskip("sleap_io")
    from sleap_io.io import analysis_h5

NODES = ("snout", "tail")


def labels(values: np.ndarray, *, tracks: int = 1, videos: int = 1) -> Any:
    """(frames, K, 3) as SLEAP's predictions of one animal, or the same for several."""
    skeleton = sleap_io.Skeleton(list(NODES))
    films = [
        sleap_io.Video(f"/nowhere/top_{n}.mp4", backend_metadata={"shape": [len(values), 480, 640, 1]},
                       open_backend=False)
        for n in range(videos)
    ]  # fmt: skip
    names = [sleap_io.Track(f"mouse_{n}") for n in range(tracks)]
    frames = []
    for film in films:
        for number, points in enumerate(values):
            if np.isnan(points[:, 0]).all():
                continue
            instances = [
                sleap_io.PredictedInstance.from_numpy(
                    points[:, :2].astype(float), skeleton, points[:, 2].astype(float), 0.9, track=track
                )
                for track in names
            ]
            frames.append(sleap_io.LabeledFrame(film, number, instances))
    return sleap_io.Labels(frames, films, [skeleton], tracks=names)


@pytest.fixture
def values() -> np.ndarray:
    found = np.random.default_rng(0).uniform(10, 400, (6, 2, 3)).astype(np.float32)
    found[..., 2] = np.linspace(0.2, 0.9, 12).reshape(6, 2)
    found[2, 1] = np.nan
    found[4] = np.nan
    return found


def write(content: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".slp":
            sleap_io.save_slp(content, str(path), embed=False, verbose=False)
        else:
            analysis_h5.write_labels(content, str(path), video=content.videos[0])
    return path


@pytest.mark.parametrize("name", ["top_0.slp", "top_0.analysis.h5"])
def test_what_sleap_wrote_is_read(tmp_path: Path, values: np.ndarray, name: str) -> None:
    poses = load_poses(write(labels(values), tmp_path / name))
    assert poses.keypoints == NODES
    np.testing.assert_allclose(poses.values, values[: len(poses.values)], rtol=1e-6)
    assert len(poses.values) == len(values)
    np.testing.assert_array_equal(poses.frame, np.arange(len(values)))
    assert str(poses.about["video"]).endswith("top_0.mp4")


@pytest.mark.parametrize("name", ["top_0.slp", "top_0.analysis.h5"])
def test_points_that_a_person_set_are_sure(tmp_path: Path, values: np.ndarray, name: str) -> None:
    content = labels(values)
    (frame,) = [each for each in content.labeled_frames if each.frame_idx == 2]
    by_hand = np.array([[12.0, 20.0], [np.nan, np.nan]])
    track = content.tracks[0]
    frame.instances = [sleap_io.Instance.from_numpy(by_hand, content.skeletons[0], track=track)]
    poses = load_poses(write(content, tmp_path / name))
    np.testing.assert_array_equal(poses.values[2, 0], [12, 20, 1])
    assert np.isnan(poses.values[2, 1]).all() and np.isnan(poses.values[4]).all()
    np.testing.assert_allclose(poses.values[3], values[3], rtol=1e-6)


@pytest.mark.parametrize("name", ["two.slp", "two.analysis.h5"])
def test_two_animals_are_refused(tmp_path: Path, values: np.ndarray, name: str) -> None:
    with pytest.raises(RigposeError, match="2 animals"):
        load_poses(write(labels(values, tracks=2), tmp_path / name))


def test_two_videos_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(RigposeError, match="one camera's video"):
        load_poses(write(labels(values, videos=2), tmp_path / "two.slp"))


@pytest.mark.parametrize("name", ["torn.slp", "torn.analysis.h5", "torn.h5"])
def test_a_torn_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(RigposeError, match="a file of poses"):
        load_poses(tmp_path / name)
