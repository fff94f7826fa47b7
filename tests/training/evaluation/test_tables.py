"""DeepLabCut's own measures, from their definition."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.tables import object_keypoint_similarity, read_learning_curve


def test_perfect_poses_are_all_found():
    points = np.random.default_rng(0).uniform(0, 100, (5, 4, 2))
    predicted = np.concatenate([points, np.full((5, 4, 1), 0.9)], axis=2)
    assert object_keypoint_similarity(points, predicted) == (pytest.approx(100), pytest.approx(100))


def test_one_of_two_animals_is_missed():
    points = np.tile([[0.0, 0.0], [100.0, 100.0]], (2, 1, 1))
    predicted = np.concatenate([points, np.full((2, 2, 1), 0.9)], axis=2)
    predicted[1, :, 0] += 500
    predicted[1, :, 2] = 0.5
    # found first with full precision, up to half of the recalls: 51 of 101 levels
    assert object_keypoint_similarity(points, predicted) == (pytest.approx(100 * 51 / 101), pytest.approx(50))
    predicted[1, :, 2] = 0.99  # the wrong one comes first: precision 1/2 up to there
    assert object_keypoint_similarity(points, predicted)[0] == pytest.approx(50 * 51 / 101)


def test_images_without_two_labels_are_no_animals():
    points = np.full((1, 2, 2), np.nan)
    assert object_keypoint_similarity(points, np.zeros((1, 2, 3))) == (0.0, 0.0)


def test_a_learning_curve_may_have_empty_cells_or_no_row(tmp_path):
    path = tmp_path / "learning_curve.csv"
    path.write_text("step,seconds,held_out_mean_px\n1,0.5,\n2,1.5,4\n")
    curve = read_learning_curve(path)
    assert curve["seconds"].tolist() == [0.5, 1.5]
    assert np.isnan(curve["held_out_mean_px"][0])
    path.write_text("step,seconds\n")
    assert read_learning_curve(path) == {}
