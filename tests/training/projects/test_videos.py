"""Videos enter a project whole or not at all, and no two share a folder."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import yaml

from acquisition.errors import RigposeError
from tests.acquisition.sessions import write_session
from tests.training.on_disk import everything, video
from training.projects.project import Project
from training.projects.videos import add_videos, look_at_videos


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "projects", task="t", scorer="Ada", keypoints=("a", "b"))


def sets(project: Project) -> dict:
    return yaml.safe_load((project.root / "config.yaml").read_text())["video_sets"]


@pytest.mark.parametrize("copy", [False, True])
def test_videos_are_linked_or_copied_and_entered_with_their_crops(tmp_path, project, copy):
    paths = [video(tmp_path / name) for name in ("one.mkv", "two.mkv")]
    add_videos(project, look_at_videos(paths, [(0, 64, 0, 48), (8, 40, 4, 44)], project=project), copy=copy)
    for path in paths:
        there = project.root / "videos" / path.name
        assert there.is_symlink() != copy
        assert there.read_bytes() == path.read_bytes()
    assert sets(project) == {
        str(project.root / "videos" / "one.mkv"): {"crop": "0, 64, 0, 48"},
        str(project.root / "videos" / "two.mkv"): {"crop": "8, 40, 4, 44"},
    }
    assert sorted(path.name for path in (project.root / "videos").iterdir()) == ["one.mkv", "two.mkv"]


def test_without_a_crop_the_whole_picture_is_kept_and_comments_stay(tmp_path, project):
    config = project.root / "config.yaml"
    config.write_text("# mine\nnew_key: {a: 1}\n" + config.read_text())
    add_videos(project, look_at_videos([video(tmp_path / "one.mkv")], project=project))
    assert config.read_text().startswith("# mine\nnew_key: {a: 1}\n")
    assert next(iter(sets(project).values())) == {"crop": "0, 64, 0, 48"}


@pytest.mark.parametrize(
    ("make", "crops", "says"),
    [
        (lambda f: [f / "gone.mkv"], [], "nothing there"),
        (lambda f: [video(f / "a.mkv"), (f / "b.mkv", (f / "b.mkv").write_bytes(b"no"))[0]], [], "decoded"),
        (lambda f: [video(f / "a.mkv"), video(f / "x" / "a.mkv")], [], "name that no other video has"),
        (lambda f: [video(f / "a.mkv"), video(f / "a.avi")], [], "labeled-data/a"),
        (lambda f: [video(f / "a.mkv")], [(0, 65, 0, 48)], "64x48"),
        (lambda f: [video(f / "a.mkv")], [(0, 4, 0, 4)] * 3, "one crop for all"),
        (lambda f: [f], [], "another folder"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_before_anything_is_written(tmp_path, project, make, crops, says):
    paths = make(tmp_path / "given") if (tmp_path / "given").mkdir() is None else []
    before = everything(project.root)
    with pytest.raises(RigposeError, match=says):
        look_at_videos(paths, crops, project=project)
    assert everything(project.root) == before


def test_a_cut_off_video_is_refused(tmp_path, project):
    whole = video(tmp_path / "a.mkv", 30).read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[:300])
    with pytest.raises(RigposeError, match=r"a\.mkv"):
        look_at_videos([tmp_path / "a.mkv"], project=project)


def test_a_video_of_the_project_is_not_taken_in_again_but_a_lost_one_is(tmp_path, project):
    path = video(tmp_path / "a.mkv")
    add_videos(project, look_at_videos([path], project=project))
    with pytest.raises(RigposeError, match="name that no other video has"):
        look_at_videos([path], project=project)
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(path, tmp_path / "elsewhere" / "a.mkv"))
    add_videos(project, look_at_videos([moved], [(0, 8, 0, 8)], project=project))
    assert (project.root / "videos" / "a.mkv").samefile(moved)
    assert list(sets(project).values()) == [{"crop": "0, 8, 0, 8"}]


@pytest.mark.parametrize(("entered", "kept"), [("8, 40, 4, 44", True), ("8, 65, 4, 44", False), ("", False)])
def test_a_video_that_was_moved_keeps_its_crop_where_that_fits(tmp_path, project, entered, kept):
    path = video(tmp_path / "a.mkv")
    add_videos(project, look_at_videos([path], [(8, 40, 4, 44)], project=project))
    config = project.root / "config.yaml"
    config.write_text(config.read_text().replace("8, 40, 4, 44", entered or "''"))
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(path, tmp_path / "elsewhere" / "a.mkv"))
    add_videos(project, look_at_videos([moved, video(tmp_path / "b.mkv")], project=project))
    assert [entry["crop"] for entry in sets(project).values()] == [
        entered if kept else "0, 64, 0, 48", "0, 64, 0, 48"
    ]  # fmt: skip


def test_a_placeholder_gives_way_to_the_video_of_its_name(tmp_path, project):
    config = project.root / "config.yaml"
    config.write_text(
        config.read_text().replace(
            "video_sets: {}",
            "video_sets:\n  C:\\\\Users\\\\me\\\\m4s1.mkv: {crop: '0, 1, 0, 1'}\n  PLACEHOLDER: {crop: ''}",
        )
    )
    add_videos(project, look_at_videos([video(tmp_path / "m4s1.mkv")], project=project))
    assert list(sets(project)) == ["PLACEHOLDER", str(project.root / "videos" / "m4s1.mkv")]


def test_a_stranger_in_the_way_is_kept(tmp_path, project):
    other = video(project.root / "videos" / "a.mkv", 5)
    content = other.read_bytes()
    with pytest.raises(RigposeError, match=r"does not name"):
        add_videos(project, look_at_videos([video(tmp_path / "a.mkv")], project=project))
    assert other.read_bytes() == content
    add_videos(project, look_at_videos([other], project=project))  # the file itself may be given
    assert list(sets(project)) == [str(other)]


def test_a_full_disk_leaves_no_video_and_no_entry(tmp_path, project, monkeypatch):
    paths = [video(tmp_path / name) for name in ("a.mkv", "b.mkv")]
    found = look_at_videos(paths, project=project)
    before = everything(project.root)
    copy = shutil.copyfile

    def full(source, place):
        if "b.mkv" in str(source):
            Path(place).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(place))
        return copy(source, place)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RigposeError, match="No space left"):
        add_videos(project, found, copy=True)
    assert everything(project.root) == before


def test_a_recording_is_entered_where_it_lies(tmp_path, project):
    session = tmp_path / "day1"
    write_session(session)
    found = look_at_videos([session], project=project)
    changed = add_videos(project, found)
    assert [Path(key) for key in sets(changed)] == [video.source for video in found]
    assert {Path(key).parent for key in sets(changed)} == {session}
    assert set(changed.recordings.values()) == {"day1"}
    assert list((project.root / "videos").iterdir()) == []
    with pytest.raises(RigposeError, match="leave --copy out"):
        add_videos(project, found, copy=True)
    with pytest.raises(RigposeError, match="Give the recording"):
        look_at_videos([found[0].source])
    with pytest.raises(RigposeError, match="whole pictures"):
        look_at_videos([session], [(0, 8, 0, 8)])
