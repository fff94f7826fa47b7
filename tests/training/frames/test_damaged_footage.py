"""Frames of damaged videos and recordings: those before the damage are there, what is missing is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from tests.acquisition.sessions import number_of, rewrite_packets, write_session
from tests.rigpose.calling import run
from tests.training.films import write_film
from training.frames.extraction import extract_frames
from training.frames.footage import open_footage
from training.images import read_image
from training.projects.project import Project
from training.projects.saved_frames import existing_frames

MODES = ("uniform", "kmeans", "motion")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose",))


def numbers_in(project: Project, folder: str) -> dict[int, int]:
    """Number in an image's name -> number in its picture."""
    place = project.root / "labeled-data" / folder
    return {n: number_of(read_image(place / name)) for n, name in existing_frames(project, folder).items()}


def cut(video: Path) -> None:
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])


def overwrite(video: Path, length: int) -> None:
    content = bytearray(video.read_bytes())
    half = len(content) // 2
    content[half : half + length] = bytes(length)
    video.write_bytes(content)


@pytest.mark.parametrize("mode", MODES)
def test_a_film_cut_short_gives_the_frames_before_the_cut(project, tmp_path, mode):
    film = write_film(tmp_path / "film.mkv", 120)
    cut(film)
    (video,) = extract_frames(project, [film], mode=mode, count=10)["videos"]
    there = video["available"]
    assert 20 < there < 100
    found = numbers_in(project, "film")
    assert len(found) == 10
    assert all(number == said < there for number, said in found.items())
    (note,) = video["notes"]
    assert note.startswith(f"{film}: ends after {there} frames, ")
    assert note.endswith(" s short of its header's length")
    assert open_footage(write_film(tmp_path / "whole.mkv", 120)).notes == ()


@pytest.mark.parametrize("mode", MODES)
def test_pictures_that_do_not_decode_give_way_to_others(project, tmp_path, mode):
    film = write_film(tmp_path / "film.mkv", 60, "intra")
    rewrite_packets(film, range(20, 30), b"\0" * 40)
    (video,) = extract_frames(project, [film], mode=mode, count=30)["videos"]
    found = numbers_in(project, "film")
    assert len(found) == 30
    assert not set(found) & {*range(20, 30)}
    assert all(number == said for number, said in found.items())
    (note,) = video["notes"]
    assert "instants that do not decode were left out, the first of them number 2" in note


def test_too_few_that_decode_or_one_asked_for_by_number_are_refused(project, tmp_path):
    film = write_film(tmp_path / "film.mkv", 20, "intra")
    rewrite_packets(film, range(5, 15), b"\0" * 40)
    with pytest.raises(RigposeError, match="expected frame 7, found pictures that do not decode there"):
        extract_frames(project, [film], mode="list", numbers=[3, 7])
    for mode in MODES:
        with pytest.raises(RigposeError, match="expected at least 12 frames to choose from, found 1"):
            extract_frames(project, [film], mode=mode, count=12)
    assert not (project.root / "labeled-data" / "film").exists()


@pytest.mark.long
@pytest.mark.parametrize("mode", ["uniform", "kmeans"])
@pytest.mark.parametrize("damage", [cut, lambda video: overwrite(video, 1500)], ids=["cut", "overwritten"])
def test_views_of_a_damaged_recording_show_one_instant(project, tmp_path, damage, mode):
    write_session(tmp_path / "day1", loss=0.1, pulses=120)
    damage(tmp_path / "day1" / "day1_cam_0.mkv")
    (video,) = extract_frames(project, [tmp_path / "day1"], mode=mode, count=12)["videos"]
    first, second = (numbers_in(project, f"day1_cam_{n}") for n in (0, 1))
    assert list(first) == list(second) == video["frames"]
    assert second == {index: index for index in second}
    concealed = [index for index, said in first.items() if said != index]
    assert len(concealed) <= 4  # of the group that the damage fell into: the decoder mends as it can
    gone, *left_out = video["notes"]
    assert gone.startswith("cam_0: ")
    assert "pictures do not decode, the first of them number" in gone
    assert len(left_out) <= (damage is not cut)  # what is still there, and does not decode


def test_packets_that_are_gone_shift_no_view(project, tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0)
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.mkv", (28, 29), None)
    wanted = [27, 30, 45, 59]
    extract_frames(project, [tmp_path / "day1"], mode="list", numbers=wanted)
    for camera in ("cam_0", "cam_1"):
        assert numbers_in(project, f"day1_{camera}") == {number: number for number in wanted}
    with pytest.raises(RigposeError, match=r"found none in day1_cam_0 \(its picture is gone\)"):
        extract_frames(project, [tmp_path / "day1"], mode="list", numbers=[28])


def test_the_command_says_it_in_one_line(project, tmp_path, capsys):
    film = write_film(tmp_path / "film.mkv", 60)
    cut(film)
    assert run("frames", project.root, film, "--mode", "uniform", "--count", 5) == 0
    assert capsys.readouterr().out.count("short of its header's length") == 1
