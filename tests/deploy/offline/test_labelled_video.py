"""Labelled videos, decoded again: the right picture, the points where the poses say, nothing left out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from acquisition.videos.video import open_video
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from deploy.figures import colours_of
from deploy.offline.labelled_video import Look, label_video
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.acquisition.clips import clip
from tests.acquisition.sessions import write_session

RED, CYAN = (np.round(255 * np.array(colour)) for colour in colours_of(2))


def poses(rows: int, confidence: float = 1.0) -> Poses:
    """Two points on a dark part of the picture that walk to the right."""
    values = np.zeros((rows, 2, 3))
    values[:, 0, :2] = np.stack([10 + np.arange(rows), np.full(rows, 60.0)], 1)
    values[:, 1, :2] = values[:, 0, :2] + (0, 20)
    values[..., 2] = confidence
    return Poses.of_video(("a", "b"), values, {"camera": "v"})


def made(tmp_path, rows=25, look=None, pose_rows=None, confidence=1.0, **options):
    video = clip(tmp_path / "v.mp4", range(0, 40 * rows, 40), shape=(96, 128))
    save_columns(poses(pose_rows or rows, confidence), tmp_path / "vS.poses.npz")
    output = tmp_path / "o.mp4"
    files = [video, tmp_path / "vS.poses.npz"]
    said = label_video(files, output, look or Look(), overwrite=True, **options)
    return said, list(open_video(output))


def at(image: np.ndarray, x: float, y: float) -> np.ndarray:
    return image[round(y), round(x)].astype(float)


def test_points_are_drawn_where_the_poses_are_in_every_frame(tmp_path):
    said, images = made(tmp_path)
    assert said["pictures"] == len(images) == 25
    assert said["rate_hz"] == 25 and said["views"][0]["gap"] is None
    for number, image in enumerate(images):
        assert np.abs(at(image, 10 + number, 60) - RED).mean() < 45
        assert np.abs(at(image, 10 + number, 80) - CYAN).mean() < 45
    bits = [image[12, 2:60:8, 0] > 120 for image in images]  # the number that the clip carries
    assert len({tuple(bit) for bit in bits}) > 20


def test_doubtful_points_trails_bones_and_black(tmp_path):
    _, images = made(tmp_path, confidence=0.5)
    assert np.ptp(images[5][60].astype(int), axis=0).max() < 40  # nothing but the picture
    _, images = made(tmp_path, look=Look(trail=10, black=True, numbers=True))
    row = images[20][60].astype(int)
    drawn = np.flatnonzero(row.max(axis=1) > 60)
    assert 18 <= drawn[0] <= 22 and 28 <= drawn[-1] <= 34
    assert images[20][30:50].max() < 20
    (tmp_path / "config.yaml").write_text("skeleton: [[a, b]]")
    _, images = made(tmp_path, skeleton=tmp_path, look=Look(black=True, dot_px=3))
    assert at(images[10], 20, 70).min() > 120


def test_unequal_counts_are_drawn_to_the_end_when_asked_for(tmp_path):
    with pytest.raises(RigposeError, match="--unequal"):
        made(tmp_path, pose_rows=20)
    assert not (tmp_path / "o.mp4").exists()
    said, images = made(tmp_path, pose_rows=20, unequal=True)
    assert len(images) == 25 and said["views"][0]["frames_without_pose"] == 5
    said, images = made(tmp_path, pose_rows=30, unequal=True)
    assert len(images) == 30 and said["views"][0]["instants_without_frame"] == 5
    assert images[29][:40].max() < 60 and np.abs(at(images[29], 39, 60) - RED).mean() < 45


def test_a_recording_s_views_show_one_instant_and_lost_frames_are_black(tmp_path):
    line = write_session(tmp_path / "day1", pulses=40)
    with Recording.open(tmp_path / "day1") as recording:
        sets = recording.frame_sets()
    files = [tmp_path / "day1"]
    for place, camera in enumerate(line.cameras):
        frame = np.array([-1 if each.payloads[place] is None else each.payloads[place] for each in sets])
        values = np.full((len(sets), 1, 3), np.nan, np.float32)
        values[frame >= 0] = (50, 36, 1)
        files.append(tmp_path / f"day1_{camera}S.poses.npz")
        index = np.array([each.index for each in sets])
        save_columns(Poses(("a",), values, frame, index, np.full(len(sets), NO_TIME_NS)), files[-1])
    said = label_video(files, tmp_path / "o.mkv", Look(cutoff=1.1))
    images = list(open_video(tmp_path / "o.mkv"))
    assert len(images) == len(sets) == 40
    assert (said["width_px"], said["height_px"]) == (128, 48)
    lost = 0
    for number, image in enumerate(images):
        for place, camera in enumerate(line.cameras):
            part = image[:, 64 * place : 64 * place + 64, 0]
            if line.truth[camera][number] is None:
                bits = [
                    part[24 * r + 8 : 24 * r + 16, 8 * c + 3 : 8 * c + 6].mean() > 125
                    for r in (0, 1)
                    for c in range(8)
                ]
                assert sum(1 << bit for bit, one in enumerate(bits) if one) == number
            else:
                lost += 1
                assert part[:10].max() < 40
    assert lost > 3
    assert sum(view["instants_without_frame"] for view in said["views"]) == lost


def test_3d_points_beside_the_views_and_as_rings_in_them(tmp_path):
    matrix = np.array([[100.0, 0, 63.5], [0, 100, 47.5], [0, 0, 1]])
    camera = CameraModel("v", (128, 96), matrix, np.zeros(5), np.zeros(3), np.array([0, 0, 100.0]))
    save_toml(CalibratedRig((camera,)), tmp_path / "c.toml")
    points = np.full((25, 2, 11), np.nan, np.float32)
    points[:, 0, :3] = np.stack([np.arange(25) - 12.0, np.full(25, 20.0), np.zeros(25)], 1)
    save_anipose_csv(tmp_path / "3d.csv", ("a", "other"), points)
    look = Look(cutoff=1.1, black=True, dot_px=3)
    said, images = made(tmp_path, look=look, points=tmp_path / "3d.csv", calibration=tmp_path / "c.toml")
    assert (said["width_px"], said["height_px"]) == (256, 96)
    ring = at(images[12], 63.5 - 6, 47.5 + 20)  # (0, 20, 0) is seen there; its ring has a radius of 6 px
    assert ring[0] > ring[2] + 40
    assert images[12][:, 128:].max() > 150
    assert np.abs(images[3][:, 128:].astype(int) - images[20][:, 128:]).max() > 100
    save_anipose_csv(tmp_path / "other.csv", ("a", "other"), points, frames=np.arange(25) + 1000)
    with pytest.raises(RigposeError, match="none of them among"):
        made(tmp_path, points=tmp_path / "other.csv")
    with pytest.raises(RigposeError, match="--points"):
        made(tmp_path, calibration=tmp_path / "c.toml")


def test_image_folders_mono_and_odd_sizes(tmp_path):
    (tmp_path / "stills").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "stills" / f"{number}.png"), np.full((97, 129), 40, np.uint8))
    save_columns(poses(4), tmp_path / "stillsS.poses.npz")
    said = label_video([tmp_path / "stills", tmp_path / "stillsS.poses.npz"], tmp_path / "o.mp4", Look())
    assert (said["pictures"], said["width_px"], said["height_px"], said["rate_hz"]) == (4, 130, 98, 30)


def test_a_video_that_breaks_off_is_drawn_to_the_end_and_said(tmp_path):
    video = clip(tmp_path / "v.mp4", range(0, 1000, 40), shape=(96, 128))
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + int.from_bytes(content[start - 8 : start - 4], "big") * 2 // 3
    content[middle : middle + 60] = b"\xa5" * 60
    video.write_bytes(bytes(content))
    save_columns(poses(25), tmp_path / "vS.poses.npz")
    said = label_video([video, tmp_path / "vS.poses.npz"], tmp_path / "o.mp4", Look())
    assert said["pictures"] == 25 == len(list(open_video(tmp_path / "o.mp4")))
    assert str(video) in said["views"][0]["gap"]


def test_outputs_that_exist_are_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(RigposeError, match="--overwrite"):
        label_video([tmp_path / "v.mp4", tmp_path / "vS.poses.npz"], tmp_path / "o.mp4", Look())
    with pytest.raises(RigposeError, match="no input"):
        label_video(
            [tmp_path / "v.mp4", tmp_path / "vS.poses.npz"], tmp_path / "v.mp4", Look(), overwrite=True
        )
