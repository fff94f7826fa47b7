"""`rigpose frames`, `refine find`, `refine merge` as a person calls them; frames of a simulated rig."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rigpose
from acquisition.recordings.recording import Recording
from acquisition.simulation.scene import write_scene
from acquisition.simulation.timeline import Cause
from acquisition.simulation.truth import Truth
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from rigpose.front_door import main
from tests.training.films import write_film
from training.images import read_image
from training.projects.labels import write_labels
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import Project
from training.projects.saved_frames import existing_frames

S = "DLC_Resnet50_reachOct30shuffle1_snapshot_200"


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose",))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", 40)


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    """The nose jumps in frame 20."""
    values = np.full((40, 1, 3), (10, 20, 0.9), np.float32)
    values[20, 0, :2] = (60, 40)
    save_csv(Poses.of_video(("nose",), values), S, tmp_path / f"film{S}.csv")
    return tmp_path / f"film{S}.csv"


def test_frames_are_chosen_listed_and_counted(project, film, tmp_path, capsys) -> None:
    figures = tmp_path / "figures.json"
    assert run("frames", project.root, film, "--count", 5, "--json", figures) == 0
    measured = json.loads(figures.read_text())
    assert measured["mode"] == "kmeans"
    assert len(measured["videos"][0]["frames"]) == 5
    assert measured["peak_memory_mb"] > 10
    out = capsys.readouterr().out
    assert "film: 5 of 40 instants" in out
    assert "rigpose label" in out
    assert run("frames", project.root, "--list", "1,2", "--quiet") == 0
    assert {1, 2} <= set(existing_frames(project, "film"))


def test_found_frames_are_reviewed_and_merged(project, film, poses, capsys) -> None:
    assert run("refine", "find", project.root, film, "--poses", poses, "--by", "jump") == 0
    assert "2 of 40 found, 2 taken" in capsys.readouterr().out
    assert run("refine", "merge", project.root) == 2
    assert "2 wait for a person" in capsys.readouterr().err
    notes = read_notes(project, "film")
    write_labels(project, "film", ["img0020.png"], np.full((1, 1, 2), 12.0))
    write_notes(project, "film", {**notes, "img0020.png": {"nose": PointNote(Origin.MODEL, "Ada")}})
    assert rigpose.refine_merge(project.root)["iteration"] == 1
    assert "1 unreviewed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["frames", "nowhere"], "config.yaml"),
        (["frames", "{project}"], "video_sets"),
        (["frames", "{project}", "{film}", "no.mp4"], "no.mp4"),
        (["frames", "{project}", "{film}", "--mode", "best"], "--mode"),
        (["frames", "{project}", "{film}", "--count", "41"], "at least 41 frames to choose from, found 40"),
        (["frames", "{project}", "{film}", "--list", "1,99"], "frames 0 to 39, found 99"),
        (["frames", "{project}", "{film}", "--list", "one"], "whole numbers"),
        (["frames", "{project}", "{film}", "--crop", "0,1"], "x1, x2, y1, y2"),
        (["refine", "find", "{project}", "{film}"], "one of the two"),
        (["refine", "find", "{project}", "{film}", "--bundle", "no.bundle"], "no.bundle"),
        (["refine", "find", "{project}", "{film}", "--poses", "{poses}", "--by", "reprojection"], "--calib"),
        (["refine", "find", "{project}", "{film}", "--poses", "no.csv"], "no.csv"),
        (["refine", "merge", "{project}"], "rigpose refine find"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    project, film, poses, tmp_path, monkeypatch, capsys, words, says
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    names = {"project": project.root, "film": film, "poses": poses}
    assert run(*[word.format(**names) for word in words]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert says in said
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.long
@pytest.mark.alone
def test_images_of_a_simulated_rig_are_those_of_their_pulse(tmp_path: Path) -> None:
    """A tenth of the frames is lost, in each camera others: equal names still are equal instants."""
    rig = write_scene(
        tmp_path / "scene", kind="animal", seed=3, cameras=3, size=(128, 96), frame_sets=60, loss_rate=0.1
    )
    rigpose.record(rig, output=tmp_path / "day1", seconds=4)
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose",))
    (video,) = rigpose.frames(project.root, tmp_path / "day1", mode="kmeans", count=15)["videos"]
    assert len(video["frames"]) == 15
    truth = Truth.load(tmp_path / "scene" / "world")
    shifted = 0
    with Recording.open(tmp_path / "day1") as recording:
        for camera in recording.cameras:
            delivered = np.flatnonzero(truth.causes[camera] == Cause.DELIVERED)
            assert len(delivered) < len(truth.causes[camera])
            names = existing_frames(project, f"day1_{camera}")
            assert sorted(names) == video["frames"]
            for pulse, name in names.items():
                row = int(np.searchsorted(delivered, pulse))
                assert delivered[row] == pulse
                shifted += row != pulse
                image = read_image(project.root / "labeled-data" / f"day1_{camera}" / name)
                np.testing.assert_array_equal(image, recording.image(camera, row))
    assert shifted > 20  # by frame number they would have shown other instants
