"""What a person names, as jobs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.offline.jobs import left_out, plan, read_list, source_state
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.tracking_settings import TrackingSettings
from tests.acquisition.sessions import write_session


def test_a_folder_of_videos_and_sessions_gives_all_of_them(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.AVI", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    write_session(tmp_path / "day1", pulses=3)
    assert [job.stem for job in plan([tmp_path])] == ["a", "b", "day1_cam_0", "day1_cam_1"]


def test_a_folder_of_images_is_one_job_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "1.png").write_bytes(b"")
    assert [job.stem for job in plan([tmp_path / "stills"])] == ["stills"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RigposeError, match="images, videos or recordings in the folder, found none"):
        plan([tmp_path / "empty"])


def test_pictures_beside_videos_or_sessions_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    for folder, name in (("videos", "b.mp4"), ("stills", "1.png"), ("both", "a.mp4")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"")
    (tmp_path / "both" / "cover.jpg").write_bytes(b"")
    (tmp_path / "both" / ".hidden.png").write_bytes(b"")
    write_session(tmp_path / "days" / "day1", pulses=3)
    (tmp_path / "days" / "board.png").write_bytes(b"")
    inputs = [tmp_path / name for name in ("videos", "stills", "both", "days", "days/day1")]
    jobs = plan(inputs[:4])
    assert [job.stem for job in jobs] == ["b", "stills", "a", "day1_cam_0", "day1_cam_1"]
    said = left_out(inputs, jobs)
    assert [line.split(":")[0] for line in said] == [str(tmp_path / "both"), str(tmp_path / "days")]
    assert "(1, such as cover.jpg)" in said[0]


def test_a_list_is_relative_to_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "videos.txt"
    file.write_text(f"# two videos\n\n../a b.mp4\n{tmp_path}/c.mp4\n")
    assert read_list(file) == [tmp_path / "lists" / ".." / "a b.mp4", tmp_path / "c.mp4"]


@pytest.mark.parametrize("content", [None, b"# nothing\n\n", b"\xff\xfe\x00"])
def test_a_list_that_names_nothing_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "videos.txt").write_bytes(content)
    with pytest.raises(RigposeError, match="one video a line"):
        read_list(tmp_path / "videos.txt")


def test_the_state_of_a_source_changes_with_any_of_its_files(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", pulses=3)
    job, other = plan([tmp_path / "day1"])
    before, others = source_state(job), source_state(other)
    assert source_state(job) == before
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    os.utime(video, ns=(0, video.stat().st_mtime_ns + 1000))
    assert source_state(job) != before
    assert source_state(other) == others
    table = tmp_path / "day1" / "day1_cam_0.frames"  # it makes the frame sets of both
    os.utime(table, ns=(0, table.stat().st_mtime_ns + 1000))
    assert source_state(other) != others


def test_the_windows_of_the_live_tracker_are_those_of_the_session(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", pulses=3)
    assert [(job.window, job.followed) for job in plan([tmp_path / "day1"])] == [(None, False)] * 2
    settings = TrackingSettings(crop={"cam_1": (8, 4, 40, 30)}, follow=["cam_0"])
    facts = {"tracking": settings.model_dump(mode="json")}
    PoseTableWriter(tmp_path / "day1", "s", ("cam_0", "cam_1"), ("a",), facts).close()
    jobs = plan([tmp_path / "day1"])
    assert [(job.window, job.followed) for job in jobs] == [(None, True), ((8, 4, 40, 30), False)]
    assert np.all(np.array(jobs[1].window) > 0)


def test_a_session_that_cannot_be_read_is_a_job_that_fails_among_others(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", pulses=3)
    write_session(tmp_path / "day2", pulses=3)
    write_session(tmp_path / "day3", pulses=3)
    said = (tmp_path / "day2" / "session.json").read_text()
    (tmp_path / "day2" / "session.json").write_text(said[:40])
    facts = {"tracking": {"crop": {"cam_1": [8, 4]}}}
    PoseTableWriter(tmp_path / "day3", "s", ("cam_0", "cam_1"), ("a",), facts).close()
    jobs = plan([tmp_path])
    assert [job.stem for job in jobs] == ["day1_cam_0", "day1_cam_1", "day2", "day3"]
    with pytest.raises(RigposeError, match="expected a rigpose session, version 1"):
        jobs[2].require_sound()
    with pytest.raises(RigposeError, match=r"the settings of its live tracker: expected .*crop\.cam_1"):
        jobs[3].require_sound()
    before = source_state(jobs[2])
    (tmp_path / "day2" / "session.json").write_text(said)
    assert source_state(jobs[2]) != before
    for name in ("day2", "day3"):  # what is named itself must be sound
        (tmp_path / name / "session.json").write_text(said.replace('"rig": {', '"other": {', 1))
        with pytest.raises(RigposeError):
            plan([tmp_path / name])
