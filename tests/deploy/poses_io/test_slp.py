"""Poses in a .slp, read back by sleap-io."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.pack import pack
from acquisition.recordings.recording import Recording
from acquisition.videos.video import open_video
from deploy.offline.export_slp import export_slp
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.acquisition.clips import clip
from tests.acquisition.sessions import number_of, write_session


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sleap_io

        return sleap_io.load_slp(str(path))


def some(rows: int = 25) -> Poses:
    values = np.random.default_rng(0).uniform(0, 1, (rows, 3, 3)).astype(np.float32)
    values[..., :2] *= 60
    values[3], values[5, 1] = np.nan, np.nan
    return Poses.of_video(("snout", "ear", "tail"), values)


def test_points_scores_and_bones_come_back(tmp_path):
    video = clip(tmp_path / "v.mp4")
    save_csv(some(), "S", tmp_path / "vS.csv")
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, ear], [ear, tail]]")
    said = export_slp([tmp_path / "vS.csv", video], tmp_path / "o.slp", skeleton=tmp_path)
    assert (said["labelled_frames"], said["points"]) == (24, 71)
    labels = read(tmp_path / "o.slp")
    skeleton = labels.skeletons[0]
    assert skeleton.node_names == ["snout", "ear", "tail"]
    assert skeleton.edge_names == [["snout", "ear"], ["ear", "tail"]] or skeleton.edge_names == [
        ("snout", "ear"), ("ear", "tail"),
    ]  # fmt: skip
    assert labels.videos[0].filename == str(video)
    assert tuple(labels.videos[0].shape)[:3] == (25, 48, 64)
    assert [frame.frame_idx for frame in labels] == [n for n in range(25) if n != 3]
    values = some().values
    for frame in labels:
        (instance,) = frame.predicted_instances
        expected = values[frame.frame_idx]
        there = np.isfinite(expected[:, 0])
        np.testing.assert_allclose(instance.numpy(), expected[:, :2], atol=1e-5)
        np.testing.assert_allclose(instance.points["score"][there], expected[there, 2], atol=1e-5)
        assert instance.score == pytest.approx(expected[there, 2].mean(), abs=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert number_of(labels.videos[0][7]) == 7  # the reader finds and decodes the video


def test_the_video_that_the_poses_name_is_found(tmp_path):
    video = clip(tmp_path / "v.mp4")
    poses = some()
    poses.about["video"] = str(video)
    save_columns(poses, tmp_path / "vS.poses.npz")
    assert export_slp([tmp_path / "vS.poses.npz"], tmp_path / "o.slp")["labelled_frames"] == 24


def test_packed_copies_are_counted_by_frame_set(tmp_path):
    line = write_session(tmp_path / "day1", pulses=40)
    with Recording.open(tmp_path / "day1") as recording:
        sets = recording.frame_sets()
    frame = np.array([-1 if each.payloads[0] is None else each.payloads[0] for each in sets])
    values = np.full((len(sets), 1, 3), np.nan, np.float32)
    values[frame >= 0] = 1
    index = np.array([each.index for each in sets])
    save_columns(
        Poses(("a",), values, frame, index, np.full(len(sets), NO_TIME_NS)),
        tmp_path / "day1_cam_0S.poses.npz",
    )
    pack(tmp_path / "day1", tmp_path / "p")
    packed = tmp_path / "p" / "day1_cam_0.mp4"
    export_slp([packed, tmp_path / "day1_cam_0S.poses.npz"], tmp_path / "o.slp")
    numbers = [frame.frame_idx for frame in read(tmp_path / "o.slp")]
    assert numbers == [n for n in range(40) if line.truth["cam_0"][n] is None]
    images = list(open_video(packed))
    assert all(number_of(images[n]) == n for n in numbers)
    export_slp([tmp_path / "day1" / "day1_cam_0.mkv", tmp_path / "day1_cam_0S.poses.npz"], tmp_path / "q.slp")
    assert [frame.frame_idx for frame in read(tmp_path / "q.slp")] == list(range(len(numbers)))


def test_poses_of_a_packed_copy_are_of_its_own_pictures(tmp_path):
    """The recording begins with set 5; poses of the copy count its pictures, those of the recording sets."""
    line = write_session(tmp_path / "day1", loss=0, ignored=0, pulses=30, not_recorded=range(5))
    events = EventsWriter(tmp_path / "day1")
    events.append("recording off", line.first_exposure_ns - 10**9)
    events.append("recording on", line.first_exposure_ns + round(4.5 * line.period_ns))
    events.close()
    assert pack(tmp_path / "day1", tmp_path / "p")["first_index"] == 5
    numbers = np.arange(25, dtype=np.float32)
    values = np.stack([numbers, numbers, np.ones(25, np.float32)], axis=1)[:, None]
    own, ours = tmp_path / "day1_cam_0DLC_resnet50.csv", tmp_path / "day1_cam_0S.csv"
    save_csv(Poses.of_video(("a",), values), "DLC_resnet50", own)
    about = {"scorer": "S", "camera": "cam_0", "session": "day1", "rows": "frame sets"}
    poses = Poses(("a",), values, np.arange(25), np.arange(5, 30), np.full(25, NO_TIME_NS), about)
    save_columns(poses, tmp_path / "day1_cam_0S.poses.npz")
    save_csv(poses, "S", ours)
    sets = replace(poses, frame=poses.index)  # as in a recording whose first frame is of set 0
    save_columns(sets, tmp_path / "day1_cam_0T.poses.npz")
    for file in (own, ours, tmp_path / "day1_cam_0S.poses.npz", tmp_path / "day1_cam_0T.poses.npz"):
        export_slp([tmp_path / "p" / "day1_cam_0.mp4", file], tmp_path / "o.slp", overwrite=True)
        found = [(frame.frame_idx, frame.numpy()[0, 0, 0]) for frame in read(tmp_path / "o.slp")]
        assert found == [(n, n) for n in range(25)]


def test_mistakes_leave_nothing_behind(tmp_path, monkeypatch):
    video = clip(tmp_path / "v.mp4")
    save_csv(some(), "S", tmp_path / "vS.csv")
    save_csv(some(30), "S", tmp_path / "vlong.csv")
    tens = np.arange(0, 250, 10)
    save_csv(replace(some(), frame=tens, index=tens), "S", tmp_path / "vtens.csv")
    save_columns(
        Poses.of_video(("a",), np.zeros((2, 1, 3)), {"video": "/gone.mp4"}), tmp_path / "w.poses.npz"
    )
    (tmp_path / "there.slp").write_text("mine")
    before = sorted(tmp_path.iterdir())
    for files, output, says in (
        ([video, tmp_path / "vS.csv"], "o.h5", r"\.slp"),
        ([video, tmp_path / "vS.csv"], "there.slp", "--overwrite"),
        ([tmp_path / "vS.csv"], "o.slp", "no word of it"),
        ([tmp_path / "w.poses.npz"], "o.slp", "nothing at /gone"),
        ([video, tmp_path / "vlong.csv"], "o.slp", "at least 30 frames, of which its poses speak, found 25"),
        ([video, tmp_path / "vtens.csv"], "o.slp", r"at least 241 frames, .* \(rows named 0 to 240\), found"),
        ([], "o.slp", "at least one video"),
    ):
        with pytest.raises(RigposeError, match=says):
            export_slp(files, tmp_path / output)
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    with pytest.raises(RigposeError, match=r"rigpose\[slp\]"):
        export_slp([video, tmp_path / "vS.csv"], tmp_path / "o.slp")
    assert sorted(tmp_path.iterdir()) == before
