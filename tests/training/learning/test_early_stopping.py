"""Training ends when the inner images gain nothing more, with the weights that served them best."""

from __future__ import annotations

import pytest

from tests.training.dots import dot_project
from tests.training.learning.test_trainer import SMALL
from training.evaluation import measure, network_predictor
from training.images import read_image
from training.learning import early_stopping, learner, trainer
from training.learning.trainer import train
from training.projects.labels import read_labels
from training.projects.splits import Split, k_fold
from training.run import load_network


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return dot_project(tmp_path_factory.mktemp("dots"), count=24)


def inner_error(project, run) -> float:
    """Of the run's weights on the images it kept aside."""
    labels = read_labels(project)
    training = labels.select(Split.load(run / "split.json").train)
    inner = labels.select(k_fold(project, training, folds=10, fold=0, seed=0).test)
    network, settings = load_network(run)
    found = network_predictor(network, settings)([read_image(project.root / name) for name in inner.images])
    return measure(found, inner.points, inner.keypoints)["all"]["mean_px"]


def test_a_training_that_gains_nothing_ends_with_its_best_weights(project, tmp_path, monkeypatch):
    monkeypatch.setattr(early_stopping, "LEAST_GAIN", 0.9)  # hardly anything is a gain
    run = tmp_path / "run"
    measured = train(project.root, run, epochs=12, early_stopping=True, **SMALL)
    errors = [row["inner_mean_px"] for row in measured["learning_curve"]]
    assert measured["stopped_early"]
    assert measured["steps"] < 12 * 3
    assert len(errors) == 1 + early_stopping.PATIENCE_LOOKS
    assert inner_error(project, run) == pytest.approx(errors[0], rel=1e-3)
    assert not (run / early_stopping.BEST_FILE).exists()


def test_a_kill_in_the_last_evaluation_does_not_cost_the_best_weights(project, tmp_path, monkeypatch):
    monkeypatch.setattr(early_stopping, "LEAST_GAIN", 0.9)
    monkeypatch.setattr(learner, "CHECKPOINT_EVERY_S", 0.0)
    run = tmp_path / "run"
    with monkeypatch.context() as killed:
        killed.setattr(trainer, "predict_images", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(project.root, run, epochs=12, early_stopping=True, **SMALL)
    errors = [row["inner_mean_px"] for row in train(
        project.root, run, epochs=12, early_stopping=True, **SMALL)["learning_curve"]]  # fmt: skip
    assert inner_error(project, run) == pytest.approx(errors[0], rel=1e-3)


def test_a_training_that_gains_to_the_end_spends_its_budget(project, tmp_path, monkeypatch):
    monkeypatch.setattr(early_stopping, "PATIENCE_LOOKS", 1000)
    measured = train(project.root, tmp_path / "run", epochs=2, early_stopping=True, **SMALL)
    assert not measured["stopped_early"]
    # 24 images, five of them held out, two of the rest kept aside: three batches of eight an epoch
    assert (measured["inner_images"], measured["steps"]) == (2, 6)
    assert measured["images"] + measured["inner_images"] + measured["held_out_images"] == 24
