"""`evaluate` and `compare` as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rigpose.chain import describe
from tests.rigpose.calling import run
from tests.training.dots import dot_project
from tests.training.runs import random_run
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project
from training.projects.splits import everything, k_fold

SMALL = ["--epochs", 1, "--input-size", "96x64", "--stride", 8, "--device", "cpu"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dot_project(tmp_path_factory.mktemp("project"), count=6).root


@pytest.fixture(scope="module")
def runs(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: `one` and `two` on one split, `all` with nothing held out."""
    folder, opened = tmp_path_factory.mktemp("runs"), Project.open(project)
    labels = read_labels(opened)
    split = k_fold(opened, labels, folds=3, fold=0)
    for seed, name in enumerate(("one", "two")):
        random_run(folder / name, opened, split, seed)
    random_run(folder / "all", opened, everything(labels))
    return folder


def test_evaluate_says_what_the_report_holds(runs: Path, tmp_path: Path, capsys) -> None:
    assert run("evaluate", runs / "one", "-o", tmp_path / "report", "--json", tmp_path / "x.json") == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "bias x",
        "train part",
        "Within 2 px",
        "of the animal's size",
        "expected calibration error",
    ):
        assert words in said
    measured = json.loads((tmp_path / "x.json").read_text())
    assert measured == json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert "Leave-one-video-out" not in said  # there is one video only
    shown = describe(tmp_path / "report")
    assert (shown["kind"], shown["facts"]["part"]) == ("evaluation", "test")
    assert describe(tmp_path / "report" / "predictions.csv")["kind"] == "predictions"


def test_images_that_were_trained_on_are_not_passed_off_as_held_out(project: Path, tmp_path, capsys) -> None:
    moved = Path(shutil.copytree(project, tmp_path / "old"))
    trained = random_run(tmp_path / "run", Project.open(moved))
    moved = moved.rename(tmp_path / "new")
    assert run("evaluate", trained) == 2
    assert "--project" in capsys.readouterr().err
    assert run("evaluate", trained, "--project", moved) == 0
    assert "NOT HELD OUT" not in capsys.readouterr().out
    opened = Project.open(moved)
    labels = read_labels(opened)
    write_labels(opened, "a", [name.split("/")[2] for name in labels.images], labels.points + 1)
    assert run("evaluate", trained, "--project", moved) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NOT HELD OUT: the run was trained on 4 of these 6 images" in said


def test_compare_trains_each_network_on_each_fold(project: Path, tmp_path: Path, capsys) -> None:
    words = ["compare", project, "-o", tmp_path / "c", "--networks", "residual-8", "--folds", 2, *SMALL]
    assert run(*words, "--json", tmp_path / "x.json") == 0
    said = capsys.readouterr().out
    assert "residual-8, fold-1: training" in said
    assert "over 2 folds" in said
    measured = json.loads((tmp_path / "x.json").read_text())
    assert [row["points"] for row in measured["rows"]] == [11]
    shown = describe(tmp_path / "c")
    assert (shown["kind"], shown["facts"]["finished"]) == ("comparison of networks", True)
    assert measured["dataset_sha256"][:12] in shown["chain"][0]
    assert describe(tmp_path / "c" / "plan.json")["kind"] == "plan of a comparison"
    assert run(*words) == 0
    assert "fold-1: was trained before" in capsys.readouterr().out


def test_compare_measures_runs_on_one_split(project: Path, runs: Path, tmp_path: Path, capsys) -> None:
    assert run("compare", project, "-o", tmp_path / "c", "--runs", runs / "one", runs / "two") == 0
    assert "two" in capsys.readouterr().out
    assert "| two |" in (tmp_path / "c" / "table.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "{runs}/all", "-o", "x"], "--part train"),
        (["evaluate", "{runs}/one", "--comparison", "nowhere"], "readable JSON"),
        (["compare", "{project}", "-o", "c", "--networks", "residual-8,vgg-16"], "vgg-16"),
        (["compare", "{project}", "-o", "c", "--networks", ","], "names of networks"),
        (["compare", "{project}", "-o", "c", "--leave-one-video-out"], "--folds 5"),
        (["compare", "{project}", "-o", "c", "--folds", "7"], "at least 7"),
        (["compare", "{project}", "-o", "c", "--split", "{runs}/one/split.json"], "--runs"),
        (["compare", "{project}", "-o", "c", "--runs", "{runs}/all"], "test part"),
        (["compare", "{project}", "-o", "c", "--runs", "{runs}/one", "{runs}/all"], "not trained on"),
        (["compare", "{project}", "-o", "c", "--runs", "nowhere"], "rigpose train"),
        (["compare", "nowhere", "-o", "c"], "config.yaml"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    project, runs, tmp_path, monkeypatch, capsys, words, says
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*[str(word).format(project=project, runs=runs) for word in words]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert says in said
    assert "Traceback" not in said
    assert not any(tmp_path.iterdir())
