"""Comparing networks: one split for all, finished folds kept, other comparisons left alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from tests.training.dots import dot_project
from tests.training.runs import random_run
from training.comparison.compare import compare, compare_runs
from training.comparison.measured import FoldResult, pooled_rows
from training.evaluation import evaluate
from training.learning.initialisation import seen_by
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project
from training.projects.splits import Split, everything, k_fold

SMALL = {"epochs": 1, "input_size": (96, 64), "crop": 64, "stride": 8, "device": "cpu"}
MODULE = sys.modules["training.comparison.compare"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return dot_project(tmp_path_factory.mktemp("dots"), count=6)


@pytest.fixture(scope="module")
def compared(project, tmp_path_factory):
    output = tmp_path_factory.mktemp("compared") / "c"
    return output, compare(project.root, output, networks=["residual-8", "residual-12"], folds=2, **SMALL)


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory) -> Project:
    """Two recordings, one of which has a name that no folder can have."""
    project = dot_project(tmp_path_factory.mktemp("two"), count=3)
    labels = read_labels(project)
    project = project.add_labelled_folder("b", size_px=(96, 64))
    names = [name.split("/")[2] for name in labels.images]
    for name in names:
        (project.root / "labeled-data" / "b" / name).write_bytes(
            (project.root / "labeled-data" / "a" / name).read_bytes()
        )
    write_labels(project, "b", names, labels.points)
    return project.add_labelled_folder("a", size_px=(96, 64), recording="a/1")


@pytest.fixture
def trainings(monkeypatch):
    """Counts trainings, and puts a network of random weights in their place."""
    done = []

    def stand_in(root, output, *, network, split, seed, **options):
        done.append((network, split.name, options))
        random_run(output, Project.open(root), split, seed)
        return {}

    monkeypatch.setattr(MODULE, "train", stand_in)
    return done


def test_every_network_is_measured_on_every_fold(compared, project):
    output, content = compared
    assert [(row["network"], row["folds"]) for row in content["rows"]] == [
        ("residual-8", 2),
        ("residual-12", 2),
    ]
    labels = read_labels(project)
    for row in content["rows"]:
        assert row["images"] == 6
        assert row["points"] == 11
        assert row["input_size_px"] == [96, 64]
        single = [fold for fold in content["folds"] if fold["network"] == row["network"]]
        pooled = sum(fold["points"] * fold["mean_px"] for fold in single) / 11
        assert row["mean_px"] == pytest.approx(pooled)
        means = [fold["mean_px"] for fold in single]
        assert row["between_folds_px"] == pytest.approx(np.std(means, ddof=1))
        assert all(fold["seconds"] > 0 and fold["parameters"] > 1000 for fold in single)
    held_out = [
        name
        for fold in (0, 1)
        for name in Split.load(output / "residual-8" / f"fold-{fold}" / "split.json").test
    ]
    assert sorted(held_out) == sorted(labels.images)
    assert json.loads((output / "comparison.json").read_text()) == content
    table = (output / "table.md").read_text()
    assert table.count("| residual-8 |") == 3
    assert "96x64" in table
    for picture in content["pictures"]:
        assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_a_folds_run_is_an_ordinary_run(compared):
    output, content = compared
    run = output / "residual-12" / "fold-1"
    (row,) = [row for row in content["folds"] if row["run"] == str(run)]
    assert evaluate(run)["all"]["mean_px"] == pytest.approx(row["mean_px"])


def test_finished_folds_are_not_trained_again_and_a_network_may_join(project, trainings, tmp_path):
    once = compare(project.root, tmp_path / "c", networks=["residual-8"], folds=3)
    assert [name for name, _, _ in trainings] == ["residual-8"] * 3
    again = compare(project.root, tmp_path / "c", networks=["residual-8"], folds=3)
    assert len(trainings) == 3
    assert again == once
    more = compare(project.root, tmp_path / "c", networks=["residual-8", "residual-12"], folds=3)
    assert [name for name, _, _ in trainings[3:]] == ["residual-12"] * 3
    assert more["rows"][0] == once["rows"][0]
    assert more["rows"][1]["against_first"]["difference_px"] == pytest.approx(0)


def test_a_comparison_that_broke_off_goes_on_where_it_was(project, trainings, tmp_path, monkeypatch):
    train = MODULE.train

    def dies(*positional, **named):
        if len(trainings) == 2:
            (positional[1]).mkdir()
            raise KeyboardInterrupt
        train(*positional, **named)

    monkeypatch.setattr(MODULE, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        compare(project.root, tmp_path / "c", networks=["residual-8"], folds=3)
    assert not (tmp_path / "c" / "comparison.json").exists()
    monkeypatch.setattr(MODULE, "train", train)
    assert compare(project.root, tmp_path / "c", networks=["residual-8"], folds=3)["rows"][0]["folds"] == 3
    assert len(trainings) == 3


def test_a_run_that_learned_to_round_stands_beside_what_it_was_before(
    project, trainings, tmp_path, monkeypatch
):
    stand_in = MODULE.train

    def rounds(root, output, *, split, seed, **options):
        stand_in(root, output, split=split, seed=seed, **options)
        random_run(output / "float", Project.open(root), split, seed + 1)

    monkeypatch.setattr(MODULE, "train", rounds)
    content = compare(project.root, tmp_path / "c", networks=["residual-8", "residual-12"], folds=2)
    assert [(row["network"], row["precision"]) for row in content["rows"]] == [
        ("residual-8", "fp32"), ("residual-8", "fp32 before rounding"),
        ("residual-12", "fp32"), ("residual-12", "fp32 before rounding"),
    ]  # fmt: skip


def test_one_video_is_left_out_at_a_time(two_videos, trainings, tmp_path):
    content = compare(two_videos.root, tmp_path / "c", networks=["residual-8"], folds=None)
    assert content["held_out_by"] == "video"
    assert [row["fold"] for row in content["folds"]] == ["without-a_1", "without-b"]
    run = tmp_path / "c" / "residual-8" / "without-b"
    assert {name.split("/")[1] for name in Split.load(run / "split.json").test} == {"b"}
    quoted = evaluate(run)["leave_one_video_out"]
    assert quoted["mean_px"] == content["rows"][0]["mean_px"]
    assert quoted["videos"] == 2


def test_the_fold_stands_in_options(project, trainings, tmp_path):
    for fold in range(2):
        split = k_fold(project, read_labels(project), folds=2, fold=fold)
        random_run(tmp_path / "teachers" / f"fold-{fold}", project, split)
    each = str(tmp_path / "teachers" / "{fold}")
    compare(
        project.root, tmp_path / "c", networks=["residual-8"], folds=2, stride=8, teacher=[each], init=each
    )
    assert [options["teacher"] for _, _, options in trainings] == [
        [str(tmp_path / "teachers" / fold)] for fold in ("fold-0", "fold-1")
    ]
    assert trainings[1][2]["init"].endswith("fold-1")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"networks": ["residual-8", "vgg-16"]}, "trunk"),
        ({"networks": ["residual-8", "residual-8"]}, "each once"),
        ({"networks": []}, "none"),
        ({"folds": 1}, "N >= 2"),
        ({"folds": 40}, "at least 40"),
        ({"folds": None}, "several videos"),
        ({"init": "nowhere.tflite"}, "nowhere"),
        ({"init": "runs/{fold}"}, "runs/fold-0"),
        ({"teacher": ["runs/{fold}"]}, r"--teacher runs/fold-0.*fold-0, fold-1"),
        ({"stride": 16}, "4 or 8"),
        ({"epochs": 0}, "more than 0"),
        ({"minutes": 1.0}, "one budget"),
        ({"device": "abacus"}, "device of this machine"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(project, tmp_path, changes, says):
    options = {"networks": ["residual-8"], "folds": 2} | SMALL | changes
    with pytest.raises(RigposeError, match=says):
        compare(project.root, tmp_path / "c", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"folds": 2}, "another splits"),
        ({"seed": 1}, "another seed .0, now 1"),
        ({"epochs": 7}, "another epochs .1, now 7"),
        ({"project": "other"}, "another project"),
    ],
)
def test_the_folder_of_another_comparison_is_left_alone(project, trainings, tmp_path, changes, says):
    options = {"networks": ["residual-8"], "folds": 3, "epochs": 1}
    compare(project.root, tmp_path / "c", **options)
    before = {path: path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file()}
    root = project.root
    if "project" in changes:
        root = dot_project(tmp_path, count=6, name=changes.pop("project"), seed=5).root
    with pytest.raises(RigposeError, match=says):
        compare(root, tmp_path / "c", **(options | changes))
    assert {path: path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(project, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("x")
    with pytest.raises(RigposeError, match="something else"):
        compare(project.root, tmp_path / "c", networks=["residual-8"], folds=2, **SMALL)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["thesis.tex"]


def test_changed_labels_are_another_comparison(trainings, tmp_path):
    project = dot_project(tmp_path, count=6)
    compare(project.root, tmp_path / "c", networks=["residual-8"], folds=2)
    image = project.root / "labeled-data" / "a" / "img0000.png"
    image.write_bytes((project.root / "labeled-data" / "a" / "img0001.png").read_bytes())
    with pytest.raises(RigposeError, match="another dataset"):
        compare(project.root, tmp_path / "c", networks=["residual-8"], folds=2)


def test_runs_are_measured_on_one_split(project, tmp_path):
    labels = read_labels(project)
    split = k_fold(project, labels, folds=3, fold=1)
    runs = [random_run(tmp_path / name, project, split, seed) for seed, name in enumerate(("one", "two"))]
    content = compare_runs(project.root, tmp_path / "c", runs)
    assert [row["network"] for row in content["rows"]] == ["one", "two"]
    assert content["rows"][0]["mean_px"] == pytest.approx(evaluate(runs[0])["all"]["mean_px"])
    assert content["rows"][1]["against_first"]["low_px"] <= content["rows"][1]["against_first"]["high_px"]
    with pytest.raises(RigposeError, match="new folder"):
        compare_runs(project.root, tmp_path / "c", runs)


def test_a_run_that_has_seen_the_held_out_images_is_refused(project, tmp_path):
    labels = read_labels(project)
    runs = [random_run(tmp_path / str(k), project, k_fold(project, labels, folds=3, fold=k)) for k in (0, 1)]
    with pytest.raises(RigposeError, match=r"1: expected a run that was not trained.*2 of them"):
        compare_runs(project.root, tmp_path / "c", runs)
    moved = tmp_path / "elsewhere"  # the same project: its images have the same names
    shutil.copytree(project.root, moved)
    with pytest.raises(RigposeError, match=r"1: expected a run that was not trained"):
        compare_runs(moved, tmp_path / "c", runs)
    unmeasured = random_run(tmp_path / "2", project, everything(labels))
    with pytest.raises(RigposeError, match="test part"):
        compare_runs(project.root, tmp_path / "c", [unmeasured])
    assert not (tmp_path / "c").exists()


def test_folds_that_begin_with_weights_that_saw_them_are_refused(project, tmp_path):
    labels = read_labels(project)
    run = random_run(tmp_path / "run", project, k_fold(project, labels, folds=3, fold=1))
    assert len(seen_by(str(run), k_fold(project, labels, folds=3, fold=0))) == 2
    assert seen_by(str(run), k_fold(project, labels, folds=3, fold=1)) == []
    assert seen_by("imagenet", k_fold(project, labels, folds=3, fold=0)) == []
    with pytest.raises(RigposeError, match=r"weights that never saw what is held out in fold-0"):
        compare(project.root, tmp_path / "c", networks=["residual-8"], folds=3, init=str(run), **SMALL)
    assert not (tmp_path / "c").exists()


def result(network: str, precision: str, fold: str, error_px: float, images: int = 20) -> FoldResult:
    random = np.random.default_rng(len(fold))
    points = random.uniform(0, 100, (images, 2, 2))
    predicted = np.concatenate([points, np.ones((images, 2, 1))], axis=2)
    predicted[..., 0] += error_px
    names = tuple(f"labeled-data/{fold}/{k}.png" for k in range(images))
    facts = {"seconds": 60.0, "input_size_px": [64, 64], "stride": 4, "parameters": 10}
    return FoldResult(network, precision, fold, Path(), names, predicted, points, facts)


def test_folds_pool_by_their_points_and_int8_is_paired_with_its_network():
    results = [
        result("n", "fp32", "a", 1.0, 30), result("n", "fp32", "bb", 4.0, 10),
        result("n", "int8", "a", 1.25, 30), result("n", "int8", "bb", 4.25, 10),
    ]  # fmt: skip
    whole, int8 = pooled_rows(results, ("l", "r"))
    assert whole["mean_px"] == pytest.approx(1.75)
    assert whole["mean_of_folds_px"] == pytest.approx(2.5)
    assert whole["between_folds_px"] == pytest.approx(np.std([1, 4], ddof=1))
    assert whole["bias_x_px"] == pytest.approx(1.75)
    assert whole["seconds_per_fold"] == 60
    assert whole["against_first"] is None
    for name in ("difference_px", "low_px", "high_px"):
        assert int8["against_fp32"][name] == pytest.approx(0.25)


def test_rows_of_other_images_are_not_paired():
    first, second = pooled_rows([result("n", "fp32", "a", 1.0), result("m", "fp32", "b", 1.0)], ("l", "r"))
    assert first["against_first"] is second["against_first"] is None
    assert second["between_folds_px"] is None


@pytest.mark.long
def test_bundles_and_their_int8_stand_in_the_table(project, tmp_path):
    options = {"networks": ["residual-8"], "folds": 2, "export": True} | SMALL | {"epochs": 60}
    said = []
    content = compare(project.root, tmp_path / "c", **options, say=said.append)
    assert [row["precision"] for row in content["rows"]] == ["fp32", "int8"]
    refused = [line for line in said if "refused" in line]  # a network that learned too little to be rounded
    assert len(content["folds"]) == 4 - len(refused)
    hashes = {row["bundle_sha256"] for row in content["folds"]}
    assert len(hashes) == 2
    assert all(len(digest) == 64 for digest in hashes)
    table = (tmp_path / "c" / "table.md").read_text()
    assert all(f"`{digest[:12]}`" in table for digest in hashes)
    assert content["rows"][1]["against_fp32"]["images"] == content["rows"][1]["images"]
    said.clear()
    assert compare(project.root, tmp_path / "c", **options, say=said.append) == content
    assert not any("exporting" in line or "training" in line for line in said)
