"""Projects as they should not be: a clear line and nothing written, or a training that gets over it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.rigpose.test_project_commands import run
from tests.training.dots import dot_project
from training.projects.labels import read_folder, write_labels
from training.projects.project import Project

TRAIN = (
    "--network", "residual-8", "--epochs", 1, "--stride", 8, "--input-size", "96x64", "--device", "cpu",
    "--fold", "1/5",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return dot_project(tmp_path, count=6)


def relabel(project: Project, change) -> None:
    labels = read_folder(project, "a")
    assert labels is not None
    names = [name.rsplit("/", 1)[1] for name in labels.images]
    points = labels.points.copy()
    names, points = change(names, points) or (names, points)
    write_labels(project, "a", names, points)


def no_labels(project: Project) -> None:
    relabel(project, lambda names, points: points.fill(np.nan))


def one_label(project: Project) -> None:
    def change(names, points):
        kept = points[0, 0].copy()
        points.fill(np.nan)
        points[0, 0] = kept

    relabel(project, change)


def one_row(project: Project) -> None:
    relabel(project, lambda names, points: (names[:1], points[:1]))


def truncated_image(project: Project) -> None:
    path = project.root / "labeled-data" / "a" / "img0002.png"
    path.write_bytes(path.read_bytes()[:-20])


def no_image(project: Project) -> None:
    (project.root / "labeled-data" / "a" / "img0002.png").unlink()


def empty_config(project: Project) -> None:
    (project.root / "config.yaml").write_text("")


def keypoint_twice(project: Project) -> None:
    config = project.root / "config.yaml"
    config.write_text(config.read_text().replace("- dark", "- light"))


def edited_in_one_file(project: Project) -> None:
    path = project.root / "labeled-data" / "a" / "CollectedData_Ada.csv"
    head, _, last = path.read_text().rpartition(",img0000.png,")
    path.write_text(f"{head},img0000.png,1{last}")


def outside(project: Project) -> None:
    def change(names, points):
        points[0] = [[-40, 5], [2000, 3000]]

    relabel(project, change)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (no_labels, "Label some frames first"),
        (one_label, "at least 5 labelled instants"),
        (one_row, "at least 5 labelled instants"),
        (truncated_image, "cut off"),
        (no_image, "Put the image back"),
        (empty_config, "an empty file"),
        (keypoint_twice, "'light' twice"),
        (edited_in_one_file, "in the h5"),
        (outside, "light at (-40.0, 5.0)"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_line(project, tmp_path, capsys, spoil, says):
    spoil(project)
    assert run("train", project.root, "-o", tmp_path / "run", *TRAIN) == 2
    message = capsys.readouterr().err.strip()
    assert says in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def unlabelled_keypoint(project: Project) -> None:
    relabel(project, lambda names, points: points[:, 1].fill(np.nan))


def half_labels(project: Project) -> None:
    def change(names, points):
        points[1, 0] = [np.nan, 7]
        points[2, 1] = [np.inf, 7]

    relabel(project, change)


def unknown_keys(project: Project) -> None:
    config = project.root / "config.yaml"
    config.write_text("bboxes_pcutoff: 0.6\n# note\n" + config.read_text() + "later: {key: [1, 2]}\n")


@pytest.mark.long
@pytest.mark.parametrize("spoil", [unlabelled_keypoint, half_labels, unknown_keys])
def test_what_a_training_gets_over(project, tmp_path, spoil):
    spoil(project)
    config = (project.root / "config.yaml").read_text()
    assert run("open", project.root) == 0
    assert run("train", project.root, "-o", tmp_path / "run", *TRAIN) == 0
    assert run("evaluate", tmp_path / "run", "--json", tmp_path / "x.json") == 0
    measured = json.loads((tmp_path / "x.json").read_text())
    assert measured["all"]["points"] >= 1
    assert np.isfinite(measured["all"]["mean_px"])
    assert (project.root / "config.yaml").read_text() == config


def test_unknown_keys_are_still_there_when_a_command_has_written(project, tmp_path):
    unknown_keys(project)
    project.enter_videos({"/x/b.mp4": (0, 8, 0, 8)}, {"b": "day1"})
    text = (project.root / "config.yaml").read_text()
    assert text.startswith("bboxes_pcutoff: 0.6\n# note\nTask: dots\n")
    assert yaml.safe_load(text)["later"] == {"key": [1, 2]}
    assert Project.open(project.root).recordings["b"] == "day1"


@pytest.mark.parametrize(
    ("line", "says"),
    [("video_sets: [a.mp4]", "a line for each video"), ("start: early", "expected a number, found 'early'")],
)
def test_odd_values_in_the_config_are_one_line(
    project: Project, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    config = project.root / "config.yaml"
    key = line.split(":")[0]
    kept = {name: value for name, value in yaml.safe_load(config.read_text()).items() if name != key}
    config.write_text(yaml.safe_dump(kept) + line + "\n")
    assert run("frames", project.root, "--mode", "uniform", "--count", 2) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
