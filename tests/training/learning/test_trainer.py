"""Training: it learns, it repeats, it goes on after a kill, and it refuses what it cannot use."""

from __future__ import annotations

import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acquisition.errors import RigposeError
from tests.training.dots import dot_project
from training.evaluation import evaluate
from training.images import read_image
from training.learning import learner, trainer
from training.learning.augmentation import NONE
from training.learning.initialisation import initialise
from training.learning.trainer import train
from training.networks.table import build_network
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project
from training.projects.saved_frames import save_images
from training.projects.splits import Split, k_fold
from training.run import load_network

SMALL = {"network": "residual-8", "input_size": (96, 64), "crop": 64, "stride": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return dot_project(tmp_path_factory.mktemp("dots"))


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "run"
    return output, train(project.root, output, epochs=4, seed=3, **SMALL)


def test_a_run_holds_what_made_it(run, project):
    output, result = run
    assert sorted(path.name for path in output.iterdir()) == [
        "learning_curve.csv", "settings.json", "split.json", "training.json", "weights.safetensors",
    ]  # fmt: skip
    assert json.loads((output / "training.json").read_text()) == result
    _, settings = load_network(output)
    assert settings.keypoints == ("light", "dark")
    assert settings.project == str(project.root)
    assert len(settings.dataset_sha256) == 64
    split = Split.load(output / "split.json")
    assert (len(split.train), len(split.test)) == (result["images"], result["held_out_images"])
    header, *rows = (output / "learning_curve.csv").read_text().splitlines()
    assert header == "step,seconds,loss,learning_rate,held_out_mean_px,held_out_median_px"
    assert len(rows) == len(result["learning_curve"])


def test_samples_are_mirrored_where_every_side_has_its_partner(tmp_path, monkeypatch):
    """Two of four paired: a mirrored sample would teach left for right, so none is made, and that is said."""
    said, mirrors, samples = [], [], trainer.TrainingSet

    def heard(*material, mirror, **options):
        mirrors.append(mirror)
        return samples(*material, mirror=mirror, **options)

    monkeypatch.setattr(trainer, "TrainingSet", heard)
    dots = dot_project(tmp_path / "dots", count=5)
    for task, others in (("whole", ("LF_paw", "RF_paw")), ("half", ("LF_paw", "forepaw_2"))):
        keypoints = ("left_ear", "right_ear", *others)
        project = Project.create(tmp_path, task=task, scorer="Ada", keypoints=keypoints)
        names = save_images(project, "a", [(n, read_image(p)) for n, p in enumerate(_images(dots))])
        write_labels(project, "a", names, np.tile(read_labels(dots).points, (1, 2, 1)))
        run = tmp_path / f"run {task}"
        options = SMALL | {"augmentation": replace(NONE, flip=1.0)}
        result = train(project.root, run, epochs=1, say=said.append, **options)
        assert load_network(run)[1].symmetric_pairs == project.symmetric_pairs
        mirrored = [["left_ear", "right_ear"], ["LF_paw", "RF_paw"]] if task == "whole" else []
        assert result["mirrored_pairs"] == mirrored
    assert mirrors[0].tolist() == [1, 0, 3, 2] and mirrors[1:] == [None]
    assert said[0] == "Samples are mirrored, too: left_ear with right_ear, LF_paw with RF_paw change places"
    assert said[1].startswith("No sample is mirrored: LF_paw seem")
    assert len(said) == 2


def _images(project):
    return [project.root / name for name in read_labels(project).images]


def test_evaluating_the_run_gives_the_error_that_training_measured(run):
    output, result = run
    assert evaluate(output)["all"] == pytest.approx(result["held_out"])
    assert evaluate(output, part="train")["images"] == result["images"]


def test_evaluation_draws_the_worst_and_measures_any_predictor(run, tmp_path):
    output, _ = run

    def nowhere(images):
        return np.full((len(images), 2, 3), np.nan, np.float32)

    report = evaluate(output, pictures=tmp_path / "worst", predict=nowhere)
    assert report["all"]["points"] == 0
    assert len(list((tmp_path / "worst").glob("*.png"))) == report["images"]


def test_the_same_seed_gives_the_same_weights(run, project, tmp_path):
    again = tmp_path / "again"
    train(project.root, again, epochs=4, seed=3, **SMALL)
    assert (again / "weights.safetensors").read_bytes() == (run[0] / "weights.safetensors").read_bytes()
    other = tmp_path / "other"
    train(project.root, other, epochs=4, seed=4, **SMALL)
    assert (other / "weights.safetensors").read_bytes() != (run[0] / "weights.safetensors").read_bytes()


class Killed(Exception):
    """Stands for whatever ends a training early."""


def test_a_killed_training_goes_on_where_it_was(run, project, tmp_path, monkeypatch):
    output = tmp_path / "run"
    monkeypatch.setattr(learner, "CHECKPOINT_EVERY_S", -1.0)
    step = learner.Learner._step

    def dies(self, replicas, batch, spent, number):
        if number == 2:
            raise Killed
        return step(self, replicas, batch, spent, number)

    monkeypatch.setattr(learner.Learner, "_step", dies)
    with pytest.raises(Killed):
        train(project.root, output, epochs=4, seed=3, **SMALL)
    assert (output / "checkpoint.safetensors").exists()
    assert not (output / "weights.safetensors").exists()
    with pytest.raises(RigposeError, match=r"found another .*seed"):
        train(project.root, output, epochs=4, seed=5, **SMALL)
    other = k_fold(project, read_labels(project), folds=5, fold=1)
    other = replace(other, name=Split.load(output / "split.json").name)  # edited by hand
    with pytest.raises(RigposeError, match=r"found another .*split_sha256"):
        train(project.root, output, epochs=4, seed=3, split=other, **SMALL)
    monkeypatch.setattr(learner.Learner, "_step", step)
    result = train(project.root, output, epochs=4, seed=3, **SMALL)
    assert result["steps"] == run[1]["steps"]
    mine, whole = (load_file(folder / "weights.safetensors") for folder in (output, run[0]))
    for name, tensor in whole.items():
        torch.testing.assert_close(mine[name], tensor, rtol=0, atol=0)
    assert not (output / "checkpoint.safetensors").exists()


def test_a_full_disk_leaves_the_last_good_checkpoint(run, project, tmp_path, monkeypatch):
    """The kernel itself refuses to write more, as it does where a quota ends."""
    output = tmp_path / "run"
    monkeypatch.setattr(learner, "CHECKPOINT_EVERY_S", -1.0)
    step = learner.Learner._step
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    good = b""

    def fills_the_disk(self, replicas, batch, spent, number):
        nonlocal good
        if number == 2:
            good = (output / "checkpoint.safetensors").read_bytes()
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, before[1]))
        return step(self, replicas, batch, spent, number)

    monkeypatch.setattr(learner.Learner, "_step", fills_the_disk)
    try:
        with pytest.raises(RigposeError, match=r"room for a checkpoint of .* MB, found File too large"):
            train(project.root, output, epochs=4, seed=3, **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (output / "checkpoint.safetensors").read_bytes() == good
    assert not list(output.glob(".checkpoint*"))
    monkeypatch.setattr(learner.Learner, "_step", step)
    assert train(project.root, output, epochs=4, seed=3, **SMALL)["steps"] == run[1]["steps"]


def test_a_damaged_checkpoint_is_refused(project, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half")
    with pytest.raises(RigposeError, match="checkpoint"):
        train(project.root, tmp_path, epochs=4, **SMALL)


def test_a_budget_of_minutes_is_kept(project, tmp_path):
    result = train(project.root, tmp_path / "run", minutes=0.01, **SMALL)
    assert result["steps"] >= 1
    assert result["seconds"] >= 0.6


def test_a_previous_run_can_be_the_beginning(run, project, tmp_path):
    output, _ = run
    network = build_network("residual-8", 5, stride=8)
    initialise(network, str(output))
    trained, _ = load_network(output, folded=False)
    torch.testing.assert_close(network.trunk.stem.conv.weight, trained.trunk.stem.conv.weight)
    result = train(project.root, tmp_path / "run", epochs=1, init=str(output), **SMALL)
    assert result["initialisation"] == str(output)
    with pytest.raises(RigposeError, match="trunk"):
        initialise(build_network("residual-12", 2, stride=8), str(output))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"network": "vgg-16"}, "trunk"),
        ({"input_size": (100, 64)}, "128x64"),
        ({"stride": 16}, "4 or 8"),
        ({"minutes": 1.0}, "one budget"),
        ({"epochs": 0}, "more than 0"),
        ({"missing": "maybe"}, "ignore or absent"),
        ({"init": "nowhere.tflite"}, "no such file"),
        ({"device": "abacus"}, "device of this machine"),
        ({"split": Split("s", ("labeled-data/a/img9999.png",), ())}, "img9999"),
        ({"split": Split("s", (), ("labeled-data/a/img0000.png",))}, "train part"),
    ],
)
def test_options_that_cannot_be_used_write_nothing(project, tmp_path, options, says):
    with pytest.raises(RigposeError, match=says):
        train(project.root, tmp_path / "run", **({"epochs": 1} | SMALL | options))
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_written_over(run, project):
    with pytest.raises(RigposeError, match="finished run"):
        train(project.root, run[0], epochs=1, **SMALL)


@pytest.mark.parametrize("harm", ["missing", "truncated", "of another size"])
def test_an_image_that_does_not_serve_writes_nothing(tmp_path, harm):
    project = dot_project(tmp_path, count=6)
    image = project.root / "labeled-data" / "a" / "img0003.png"
    if harm == "missing":
        image.unlink()
    elif harm == "truncated":
        image.write_bytes(image.read_bytes()[:500])
    else:
        small = dot_project(tmp_path, 1, (32, 16), name="small")
        image.write_bytes((small.root / "labeled-data" / "a" / "img0000.png").read_bytes())
    with pytest.raises(RigposeError, match=r"img0003\.png"):
        train(project.root, tmp_path / "run", epochs=1, **SMALL)
    assert not (tmp_path / "run").exists()


def test_images_of_several_sizes_train_together(tmp_path):
    project = dot_project(tmp_path, count=6)
    other = dot_project(tmp_path, 5, (160, 160), name="other", seed=1).root / "labeled-data" / "a"
    (project.root / "labeled-data" / "b").mkdir()
    for path in other.iterdir():
        content = path.read_bytes()
        if path.suffix == ".csv":
            content = content.replace(b"labeled-data,a,", b"labeled-data,b,")
        if path.suffix != ".h5":
            (project.root / "labeled-data" / "b" / path.name).write_bytes(content)
    result = train(project.root, tmp_path / "run", epochs=1, network="residual-8", crop=64, stride=8)
    assert result["images"] + result["held_out_images"] == 11


@pytest.mark.long
@pytest.mark.parametrize("network", ["residual-8", "mobilenetv2-0.35"])
def test_a_few_hundred_steps_find_the_blobs_without_bias(tmp_path, network):
    project = dot_project(tmp_path, count=120)
    result = train(
        project.root, tmp_path / "run", network=network, epochs=30, input_size=(96, 64), crop=64, stride=4
    )
    assert result["held_out"]["mean_px"] < 1.5
    assert abs(result["held_out"]["bias_x_px"]) < 0.15
    assert abs(result["held_out"]["bias_y_px"]) < 0.15


@pytest.mark.parametrize(("x", "taken"), [(95.4, True), (96.2, True), (110.0, False)])
def test_a_label_just_outside_its_image_is_left_out_and_one_far_outside_refused(tmp_path, x, taken):
    project = dot_project(tmp_path)
    labels = read_labels(project)
    points = labels.points.copy()
    points[0, 0, 0] = x
    write_labels(project, "a", [name.split("/")[2] for name in labels.images], points)
    if taken:
        measured = train(project.root, tmp_path / "run", epochs=1, **SMALL)
        assert measured["labels_outside_their_image"] == (x > 95.5)
    else:
        with pytest.raises(RigposeError, match=r"labels within its 96x64 px.*110\.0"):
            train(project.root, tmp_path / "run", epochs=1, **SMALL)
        assert not (tmp_path / "run").exists()
