"""`new`, `add-videos`, `open` as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.rigpose.calling import run
from tests.training.dots import dot_project
from tests.training.on_disk import everything, video
from training.projects.labels import write_labels
from training.projects.project import Project


def said(file: Path, *words: object) -> dict:
    assert run(*words, "--json", file) == 0
    return json.loads(file.read_text())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return dot_project(tmp_path / "project", count=10).root


def test_a_new_project_is_opened_once_it_has_labels(tmp_path: Path, capsys) -> None:
    assert run("new", "reach", "--keypoints", "hand_l, hand_r", "--scorer", "Ada", "--folder", tmp_path) == 0
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("reach-Ada-")
    assert run("open", made) == 2
    assert "Label some frames first" in capsys.readouterr().err


def test_open_says_what_is_labelled(project: Path, tmp_path: Path, capsys) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert run("open", project, "--json", tmp_path / "x.json") == 0
    said = json.loads((tmp_path / "x.json").read_text())
    assert said["labels"] == {"light": 10, "dark": 9}
    assert said["images"] == 10
    assert said["image_sizes_px"] == [[96, 64]]
    assert "rigpose train" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_a_new_project_takes_videos_in(tmp_path: Path, capsys) -> None:
    paths = [video(tmp_path / name) for name in ("one.mkv", "two.mkv")]
    words = ["new", "reach", *paths, "--keypoints", "a,b", "--folder", tmp_path / "p", "--crop", "0,8,0,9"]
    made = said(tmp_path / "x.json", *words)
    assert made["videos"] == [str(path) for path in paths]
    project = Project.open(Path(made["project"]))
    assert set(project.videos_by_folder()) == {"one", "two"}
    assert "Next: rigpose frames" in capsys.readouterr().out
    assert run("add-videos", project.root, paths[0]) == 2
    assert "name that no other video has" in capsys.readouterr().err
    third = video(tmp_path / "three.mkv")
    added = said(tmp_path / "x.json", "add-videos", project.root, third, "--copy", "--crop", "1,9,2,9")
    assert added["videos"] == [{"video": str(third), "folder": "three", "crop": [1, 9, 2, 9]}]
    assert not (project.root / "videos" / "three.mkv").is_symlink()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "x", "no.mkv", "--keypoints", "a"], "nothing there"),
        (["new", "x", "{file}", "--keypoints", "a", "--crop", "1,2,3"], "x1, x2, y1, y2"),
        (["new", "x", "--keypoints", " , "], "at least one name"),
        (["add-videos", "{project}"], "found none"),
        (["add-videos", "{project}", "no.mkv"], "nothing there"),
        (["add-videos", "nowhere", "no.mkv"], "config.yaml"),
        (["open", "nowhere"], "config.yaml"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(
    tmp_path, project, capsys, monkeypatch, words, says
) -> None:
    monkeypatch.chdir(tmp_path)
    file = video(tmp_path / "file.mkv")
    before = everything(tmp_path)
    assert run(*(word.format(project=project, file=file) for word in words)) == 2
    message = capsys.readouterr().err.strip()
    assert says in message
    assert len(message.splitlines()) == 1
    assert everything(tmp_path) == before


def test_open_warns_of_what_would_spoil_a_training(tmp_path: Path, capsys) -> None:
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("a", "never"))
    project.enter_videos({"/one/clip.mp4": (0, 8, 0, 8)}, {})
    config = project.root / "config.yaml"
    entry = "  /one/clip.mp4:\n    crop: 0, 8, 0, 8\n"
    assert entry in config.read_text()
    config.write_text(config.read_text().replace(entry, entry + entry.replace("one", "two")))
    (project.root / "labeled-data" / "clip").mkdir()
    cv2.imwrite(str(project.root / "labeled-data" / "clip" / "img0.png"), np.zeros((8, 8), np.uint8))
    write_labels(project, "clip", ["img0.png"], [[[70, 2], [np.nan, np.nan]]])
    found = said(tmp_path / "x.json", "open", project.root)
    assert found["labels"] == {"a": 1, "never": 0}
    assert len(found["warnings"]) == 3
    out = capsys.readouterr().out
    for words in ("/one/clip.mp4 and /two/clip.mp4 have one name", "1 points lie outside", "label of never"):
        assert words in out


def test_check_labels_draws_reports_and_mends(project: Path, tmp_path: Path, capsys) -> None:
    clean = said(tmp_path / "x.json", "check-labels", project)
    assert clean["folders"] == {"a": {"images": 10, "labelled": 10, "points": 19, "problems": 0}}
    assert clean["problems"] == {}
    assert clean["pictures_drawn"] == len(list((project / "label-pictures" / "a").iterdir())) == 10
    assert "--fix" not in capsys.readouterr().out
    (project / "labeled-data" / "a" / "img0004.png").unlink()
    before = everything(project / "labeled-data")
    found = said(tmp_path / "x.json", "check-labels", project, "--no-pictures")
    assert found["problems"] == {
        "row without an image": [{"where": "labeled-data/a/img0004.png", "detail": "2 points"}]
    }
    assert found["pictures"] is None
    assert "--fix" in capsys.readouterr().out
    assert everything(project / "labeled-data") == before
    mended = said(tmp_path / "x.json", "check-labels", project, "--fix", "-o", tmp_path / "pictures")
    assert mended["problems"] == {}
    assert len(mended["mended"]) == 1
    assert Path(mended["kept"]).is_dir()
    assert len(list((tmp_path / "pictures" / "a").iterdir())) == 9
    assert run("open", project) == 0


SEVERAL = """scorer,,,Ada,Ada,Ada,Ada,Ada,Ada
individuals,,,m1,m1,m2,m2,single,single
bodyparts,,,nose,nose,nose,nose,corner,corner
coords,,,x,y,x,y,x,y
labeled-data,clip,img0.png,1,2,3,4,5,6
labeled-data,clip,img1.png,1,2,,,,
"""


def test_a_project_of_several_animals_is_read_and_its_training_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").write_text(
        "Task: t\nscorer: Ada\ndate: Mar1\nmultianimalproject: true\nbodyparts: MULTI!\n"
        "individuals: [m1, m2]\nuniquebodyparts: [corner]\nmultianimalbodyparts: [nose]\nskeleton: []\n"
        "video_sets: {}\n"
    )
    folder = tmp_path / "labeled-data" / "clip"
    folder.mkdir(parents=True)
    (folder / "CollectedData_Ada.csv").write_text(SEVERAL)
    found = said(tmp_path / "x.json", "open", tmp_path)
    assert found["individuals"] == ["m1", "m2"]
    assert found["labels"] == {"m1": {"nose": 2}, "m2": {"nose": 1}, "single": {"corner": 1}}
    assert found["images"] == 2
    assert "single animal for now" in capsys.readouterr().out
    assert run("train", tmp_path, "-o", tmp_path / "run") == 2
    assert "single-animal" in capsys.readouterr().err
