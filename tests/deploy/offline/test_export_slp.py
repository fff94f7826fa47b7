"""A camera recorded in segments: SLEAP's file has a video for each, and every frame is where it is shown."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from deploy.offline.export_slp import export_slp
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import NO_TIME_NS, Poses
from rigpose.chain import describe
from tests.acquisition.sessions import number_of, rewrite_packets, write_session
from tests.deploy.offline.free_session import write_free_session, write_poses

CUTS = (20, 41)


def read(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sleap_io

        return sleap_io.load_slp(str(path))


def save_poses(session: Path, camera: str, folder: Path) -> tuple[Path, Poses]:
    """Poses of a camera as rigpose analyze writes them, one row a frame set; x is the pulse, y the frame."""
    with Recording.open(session) as recording:
        place = recording.cameras.index(camera)
        sets = recording.frame_sets()
        videos = [str(path) for path in recording.video_paths(camera)]
    frame = np.array([-1 if each.payloads[place] is None else each.payloads[place] for each in sets])
    index = np.array([each.index for each in sets])
    values = np.full((len(sets), 1, 3), np.nan, np.float32)
    values[frame >= 0, 0] = np.stack([index, frame, np.ones(len(frame))], axis=1)[frame >= 0]
    about = {"video": videos[0], "videos": videos, "camera": camera, "session": session.name}
    about["bundle_sha256"] = "ab" * 32
    poses = Poses(("nose",), values, frame, index, np.full(len(sets), NO_TIME_NS), about)
    path = folder / f"{session.name}_{camera}S.poses.npz"
    save_columns(poses, path)
    return path, poses


def where(labels: Any) -> list[tuple[str, int, int]]:
    """(video, number of the frame in it, pulse) of every labelled frame, in the order of pulses."""
    found = [
        (Path(frame.video.filename).name, int(frame.frame_idx), round(float(frame.numpy()[0, 0, 0])))
        for frame in labels
    ]
    return sorted(found, key=lambda each: each[2])


@pytest.fixture
def session(tmp_path: Path) -> Path:
    write_session(tmp_path / "day1", cut_at=CUTS, loss=0.1)
    return tmp_path / "day1"


def expected(session: Path, camera: str, poses: Poses) -> list[tuple[str, int, int]]:
    """By the frame tables: frame n of a segment is its n-th row."""
    with Recording.open(session) as recording:
        rows = recording.rows_by_video(camera)
    names = [(path.name, number) for path, count in rows.items() for number in range(count)]
    pulses = poses.index[poses.frame >= 0].tolist()
    return [(*name, pulse) for name, pulse in zip(names, pulses, strict=True)]


@pytest.mark.long
def test_every_segment_is_a_video_of_the_file(session: Path, tmp_path: Path) -> None:
    files, all_of_them = [], []
    for camera in ("cam_0", "cam_1"):
        path, poses = save_poses(session, camera, tmp_path)
        files.append(path)
        all_of_them.append(expected(session, camera, poses))
    videos = sorted(session.glob("*.mkv"))
    assert len(videos) == 6
    firsts = [video for video in videos if video.stem.startswith("day1_cam") and "." not in video.stem]
    ways = {"named": [], "folder": [session], "segments": videos[::-1], "one each": firsts}
    for way, given in ways.items():
        output = tmp_path / f"{way}.slp"
        said = export_slp([*given, *files], output)
        labels = read(output)
        assert {Path(video.filename) for video in labels.videos} == set(videos)
        found = where(labels)
        for camera, right in zip(("cam_0", "cam_1"), all_of_them, strict=True):
            assert [each for each in found if camera in each[0]] == right
        assert said["labelled_frames"] == said["points"] == sum(map(len, all_of_them))
        assert [each["labelled_frames"] for each in said["videos"]] == [
            each["frames"] for each in said["videos"]
        ]
    shown = describe(tmp_path / "named.slp")
    assert (shown["kind"], shown["facts"]["keypoints"]) == ("SLEAP file", "nose")
    assert shown["facts"]["labelled frames"] == said["labelled_frames"]
    assert shown["chain"] == [
        "bundle (hash abababababab)",
        *(f"video {each['video']}" for each in said["videos"]),
    ]
    again = export_slp([videos[1], files[0]], tmp_path / "later.slp")  # any segment stands for the camera
    assert len(again["videos"]) == 3


def test_the_reader_finds_the_pictures(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", cut_at=CUTS, loss=0, ignored=0)
    path, _ = save_poses(tmp_path / "day1", "cam_0", tmp_path)
    export_slp([path], tmp_path / "o.slp")
    labels = read(tmp_path / "o.slp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for frame in list(labels)[::7]:
            pulse = round(float(frame.numpy()[0, 0, 0]))
            assert number_of(np.asarray(frame.video[int(frame.frame_idx)])) == pulse


def test_after_a_join_there_is_one_video(session: Path, tmp_path: Path) -> None:
    from acquisition.recordings.recover import recover

    path, poses = save_poses(session, "cam_0", tmp_path)
    recover(session, join=True)
    export_slp([path], tmp_path / "o.slp")
    labels = read(tmp_path / "o.slp")
    assert [Path(video.filename) for video in labels.videos] == [session / "day1_cam_0.mkv"]
    frames = int((poses.frame >= 0).sum())
    assert [number for _, number, _ in where(labels)] == list(range(frames))


def test_a_csv_beside_its_column_file_goes_where_that_goes(session: Path, tmp_path: Path) -> None:
    _, poses = save_poses(session, "cam_0", tmp_path)
    csv = tmp_path / "day1_cam_0S.csv"
    save_csv(poses, "S", csv)
    export_slp([session / "day1_cam_0.mkv", csv], tmp_path / "o.slp")
    assert where(read(tmp_path / "o.slp")) == expected(session, "cam_0", poses)


def test_a_segment_that_lost_pictures_has_the_numbers_that_are_left(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", cut_at=(30,), loss=0, ignored=0)
    path, _ = save_poses(tmp_path / "day1", "cam_0", tmp_path)
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.0001.mkv", (28, 29), None)
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    rewrite_packets(video, (10,), None)
    export_slp([path], tmp_path / "o.slp")
    first = [("day1_cam_0.mkv", pulse - (pulse > 10), pulse) for pulse in range(30) if pulse != 10]
    second = [("day1_cam_0.0001.mkv", pulse - 30, pulse) for pulse in range(30, 58)]
    assert where(read(tmp_path / "o.slp")) == first + second


def test_poses_of_another_recording_are_refused(session: Path, tmp_path: Path) -> None:
    write_session(tmp_path / "long" / "day1", cut_at=CUTS, loss=0, ignored=0, pulses=80)
    path, _ = save_poses(tmp_path / "long" / "day1", "cam_0", tmp_path / "long")
    with pytest.raises(RigposeError, match=r"expected poses of the \d+ frames of its recording, found of 80"):
        export_slp([session / "day1_cam_0.mkv", path], tmp_path / "o.slp")
    columns, poses = save_poses(session, "cam_1", tmp_path)
    columns.unlink()  # and with it all that is known of the CSV's rows
    save_csv(poses, "S", tmp_path / "day1_cam_1S.csv")
    with pytest.raises(RigposeError, match=r"of 60\. Give the \.poses\.npz, whose rows know their frames"):
        export_slp([session / "day1_cam_1.mkv", tmp_path / "day1_cam_1S.csv"], tmp_path / "o.slp")
    assert not (tmp_path / "o.slp").exists()


def test_rows_that_are_frame_sets_are_no_frames_of_the_video(tmp_path: Path) -> None:
    """As many of them as frames; without the column file nobody knows which is which."""
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    files = write_poses(session, tmp_path)["B"]
    files[".poses.npz"].unlink()
    with pytest.raises(RigposeError, match="rows that are frame sets"):
        export_slp([session / "day1_B.mkv", files[".csv"]], tmp_path / "o.slp")
    assert not (tmp_path / "o.slp").exists()
