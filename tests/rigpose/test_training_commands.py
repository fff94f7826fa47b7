"""`train` and `evaluate` as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rigpose.chain import describe
from tests.rigpose.calling import run
from tests.training.dots import dot_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dot_project(tmp_path_factory.mktemp("project"), count=10).root


def test_train_then_evaluate(project: Path, tmp_path: Path, capsys) -> None:
    assert run(
        "train", project, "-o", tmp_path / "run", "--network", "residual-8", "--epochs", 1, "--stride", 8,
        "--input-size", "96x64", "--fold", "1/5", "--device", "cpu", "--json", tmp_path / "train.json",
    ) == 0  # fmt: skip
    trained = json.loads((tmp_path / "train.json").read_text())
    assert trained["held_out_images"] == 2
    for file in (tmp_path / "train.json", tmp_path / "run" / "training.json"):
        shown = describe(file)
        assert shown["kind"] == "record of a training"
        assert trained["dataset_sha256"][:12] in shown["chain"][0]
    assert "rigpose export" in capsys.readouterr().out
    pictures = tmp_path / "worst"
    figures = tmp_path / "evaluate.json"
    assert run("evaluate", tmp_path / "run", "--pictures", pictures, "--json", figures) == 0
    measured = json.loads(figures.read_text())
    assert measured["all"] == pytest.approx(trained["held_out"])
    assert set(measured["keypoints"]) == {"light", "dark"}
    assert len(list(pictures.iterdir())) == 2
    assert "RMSE" in capsys.readouterr().out
    assert run("evaluate", tmp_path / "run", "--project", project, "--json", figures) == 0
    assert json.loads(figures.read_text())["images"] == 2  # its own project, by whatever path
    assert run("train", project, "-o", tmp_path / "run", "--epochs", 1) == 2
    assert "finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "nowhere", "-o", "run"], "config.yaml"),
        (["train", "{project}", "-o", "run", "--fold", "5/5"], "0 <= K < N"),
        (["train", "{project}", "-o", "run", "--fold", "half"], "K/N"),
        (["train", "{project}", "-o", "run", "--fold", "0/5", "--hold-out", "a"], "one way"),
        (["train", "{project}", "-o", "run", "--hold-out", "b"], "one of a"),
        (["train", "{project}", "-o", "run", "--input-size", "large"], "WIDTHxHEIGHT"),
        (["train", "{project}", "-o", "run", "--init", "no.tflite"], "no such file"),
        (["train", "{project}", "-o", "run", "--split", "no.json"], "readable JSON"),
        (["train", "{project}", "-o", "run", "--teacher", "no.csv"], "no.csv"),
        (["evaluate", "nowhere"], "rigpose train"),
        (["new", "../x", "--keypoints", "a"], "letters"),
        (["new", "x", "--keypoints", ","], "at least one name"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(project, tmp_path, monkeypatch, capsys, words, says) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*[str(word).format(project=project) for word in words]) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert "Traceback" not in said
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["scorer", "image", "cut"])
def test_a_project_that_does_not_serve_is_said_in_one_line(
    project, tmp_path, monkeypatch, capsys, harm
) -> None:
    broken = tmp_path / "project"
    shutil.copytree(project, broken)
    if harm == "scorer":
        config = broken / "config.yaml"
        config.write_text(config.read_text().replace("scorer: Ada", "scorer: Bob\nnot_ours: 1"))
    image = broken / "labeled-data" / "a" / "img0002.png"
    if harm == "image":
        image.unlink()
    if harm == "cut":
        image.write_bytes(image.read_bytes()[:900])
    assert run("train", broken, "-o", tmp_path / "run", "--epochs", 1) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert {"scorer": "scorer 'Bob'", "image": "img0002.png", "cut": "cut off"}[harm] in said
    assert not (tmp_path / "run").exists()
