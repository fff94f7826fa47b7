"""Poses beside a recording: whole after any cut, and read back as written."""

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from calibration.poses import Pose3D, PoseSet
from deploy.poses_io.pose_table import PoseTableWriter, read_pose_table, read_pose_tables

CAMERAS, KEYPOINTS = ("top", "side"), ("nose", "tail", "paw")


def _write(folder: Path, session: str, indices: range) -> Path:
    writer = PoseTableWriter(folder, session, CAMERAS, KEYPOINTS, {"calibration_sha256": "ab"})
    for index in indices:
        poses = PoseSet(index, 1000 * index, np.full((2, 3, 3), index, np.float32))
        points = Pose3D(index, 1000 * index, np.full((3, 11), -index, np.float32)) if index % 2 else None
        absences = (None, Absence.IGNORED if index == 3 else None)
        writer.append(poses, points, (index + 1, index + 2, index + 3, index + 4), absences)
    assert writer.rows == len(indices)
    writer.close()
    writer.close()
    return folder / "poses" / f"{session}.poses"


def test_poses_return_with_stamps_and_causes(tmp_path: Path) -> None:
    table = read_pose_table(_write(tmp_path, "a", range(1, 6)))
    assert (table.cameras, table.keypoints) == (CAMERAS, KEYPOINTS)
    assert table.about["calibration_sha256"] == "ab"
    records = table.records
    np.testing.assert_array_equal(records["index"], range(1, 6))
    np.testing.assert_array_equal(records["t_publish_ns"], np.arange(1, 6) + 4)
    np.testing.assert_array_equal(records["pose2d"][:, 1, 2, 0], range(1, 6))
    assert np.isnan(records["pose3d"][1]).all() and (records["pose3d"][2] == -3).all()
    assert [table.about["absences"][code] for code in records["absence"][2]] == ["", "trigger ignored"]


def test_a_table_cut_anywhere_keeps_its_whole_records(tmp_path: Path) -> None:
    path = _write(tmp_path, "a", range(1, 6))
    content = path.read_bytes()
    size = read_pose_table(path).records.dtype.itemsize
    start = len(content) - 5 * size
    for end in range(start, len(content), 37):
        path.write_bytes(content[:end])
        assert len(read_pose_table(path).records) == (end - start) // size


def test_a_restarted_tracker_writes_another_table(tmp_path: Path) -> None:
    _write(tmp_path, "z-first", range(1, 3))
    _write(tmp_path, "a-second", range(7, 9))
    assert [table.records["index"][0] for table in read_pose_tables(tmp_path)] == [1, 7]
    with pytest.raises(FileExistsError):
        _write(tmp_path, "a-second", range(1))


@pytest.mark.parametrize(
    "content",
    [b"", b"no table\n", b'{"cameras": []}\n', b'{"cameras": ["a"], "keypoints": ["b"]}\n', b"\xff\n"],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.poses"
    path.write_bytes(content)
    with pytest.raises(RigposeError, match="a rigpose pose table, version 1"):
        read_pose_table(path)


def test_a_full_disk_leaves_no_torn_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    real_write = os.write
    writer = PoseTableWriter(tmp_path, "a", CAMERAS, KEYPOINTS, {})
    poses = PoseSet(1, 1, np.zeros((2, 3, 3), np.float32))
    writer.append(poses, None, (1, 2, 3, 4), (None, None))
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:50]))
    with pytest.raises(OSError, match="50 of"):
        writer.append(poses, None, (1, 2, 3, 4), (None, None))
    monkeypatch.undo()
    writer.append(PoseSet(2, 1, poses.keypoints), None, (1, 2, 3, 4), (None, None))
    writer.close()
    table = read_pose_table(tmp_path / "poses" / "a.poses")
    np.testing.assert_array_equal(table.records["index"], [1, 2])
