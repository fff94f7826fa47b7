"""Every figure under its right name, and only labelled points count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.measures import (
    animal_sizes,
    distances,
    measure,
    mirrored,
    pck,
    reliability,
)
from training.projects.labels import Labels


def test_the_figures_are_what_their_names_say():
    points = np.zeros((4, 2, 2))
    points[3, 1] = np.nan
    predicted = np.zeros((4, 2, 3))
    predicted[:, 0, 0] = [3, -3, 0, 0]
    predicted[:, 0, 1] = [4, 4, 0, 0]
    predicted[..., 2] = 0.9
    predicted[0, 0, 2] = 0.2
    predicted[3, 1, :2] = 1e6  # no label there: it must count nowhere
    report = measure(predicted, points, ("a", "b"), cutoff=0.5)
    of_a = report["keypoints"]["a"]["all"]
    assert of_a["points"] == 4
    assert of_a["mean_px"] == pytest.approx((5 + 5) / 4)
    assert of_a["rmse_px"] == pytest.approx(np.sqrt(50 / 4))
    assert of_a["median_px"] == pytest.approx(2.5)
    assert (of_a["bias_x_px"], of_a["bias_y_px"]) == (0.0, 2.0)
    assert report["all"]["points"] == 7
    assert report["confident"]["points"] == 6
    assert report["confident"]["share"] == pytest.approx(6 / 7)
    assert report["keypoints"]["b"]["all"]["mean_px"] == 0.0


def test_what_was_not_predicted_or_not_labelled_leaves_nothing_to_measure():
    report = measure(np.full((2, 1, 3), np.nan), np.zeros((2, 1, 2)), ("a",))
    assert report["all"]["points"] == 0
    assert report["all"]["mean_px"] is None
    assert report["confident"]["share"] == 0


def test_distances_tell_a_missing_label_from_a_missing_prediction():
    predicted = [[[3, 4, 0.9], [np.nan, np.nan, 0.1], [0, 0, 0.5]]]
    distance = distances(predicted, [[[0, 0], [1, 1], [np.nan, np.nan]]])
    assert distance[0, 0] == 5
    assert distance[0, 1] == np.inf
    assert np.isnan(distance[0, 2])


def test_pck_counts_what_is_labelled_and_a_missed_point_as_wrong():
    distance = np.array([[0.4, 3.0], [10.0, np.inf], [np.nan, np.nan]])
    curve = pck(distance, np.array([100.0, 100.0, 100.0]), ("a", "b"))
    at = dict(zip(curve["within_px"], curve["share"], strict=True))
    assert (at[0.5], at[3.0], at[10.0], at[50.0]) == (0.25, 0.5, 0.75, 0.75)
    assert dict(zip(curve["within_px"], curve["keypoints"]["b"], strict=True))[50.0] == 0.5
    of_animal = curve["of_animal"]
    assert dict(zip(of_animal["within"], of_animal["share"], strict=True))[0.03] == 0.5
    assert of_animal["animal_px"] == 100


def test_pck_of_nothing_is_nothing():
    curve = pck(np.full((2, 1), np.nan), np.full(2, np.nan), ("a",))
    assert curve["share"] is None
    assert curve["of_animal"]["animal_px"] is None


@given(
    distance=st.lists(st.floats(0, 100), min_size=1, max_size=40),
    scale=st.floats(0.1, 10),
    seed=st.integers(0, 9),
)
def test_pck_rises_and_the_animal_share_does_not_depend_on_the_images_scale(distance, scale, seed):
    px = np.array(distance)[:, None]
    size = np.random.default_rng(seed).uniform(50, 200, len(px))
    one, other = pck(px, size, ("a",)), pck(px * scale, size * scale, ("a",))
    assert (np.diff(one["share"]) >= 0).all()
    edges = np.abs(px / size[:, None] - np.array(one["of_animal"]["within"])).min()
    if edges > 1e-9:
        assert one["of_animal"]["share"] == other["of_animal"]["share"]


def test_an_animal_has_its_size_where_few_points_are_labelled():
    points = np.full((4, 3, 2), np.nan)
    points[0] = [[0, 0], [40, 10], [20, 5]]
    points[1, :2] = [[0, 0], [60, 0]]
    points[2, 0] = 5
    points[3, 0] = 5
    images = tuple(f"labeled-data/{name}" for name in ("v/0.png", "v/1.png", "v/2.png", "w/0.png"))
    assert animal_sizes(Labels(images, ("a", "b", "c"), points)).tolist() == [50, 50, 50, 50]
    assert np.isnan(animal_sizes(Labels(images[2:], ("a", "b", "c"), points[2:]))).all()


def test_confidence_that_keeps_its_word_has_no_calibration_error():
    confidence = np.repeat([0.25, 0.75, 0.95], [4, 4, 20])[:, None]
    right = np.r_[[1, 0, 0, 0], [1, 1, 1, 0], np.ones(19), 0].astype(bool)
    distance = np.where(right, 1.0, 9.0)[:, None]
    worth = reliability(confidence, distance, within_px=5)
    assert worth["expected_calibration_error"] == pytest.approx(0)
    assert worth["overconfidence"] == pytest.approx(0)
    assert worth["sure"] == {
        "from": 0.9, "points": 20, "confidence": pytest.approx(0.95), "share_within": pytest.approx(0.95),
    }  # fmt: skip
    assert [row["points"] for row in worth["bins"]] == [0, 0, 4, 0, 0, 0, 0, 4, 0, 20]
    boasting = reliability(np.ones((28, 1)), distance)
    assert boasting["expected_calibration_error"] == pytest.approx(1 - right.mean())
    assert boasting["overconfidence"] == pytest.approx(1 - right.mean())


def test_confidence_of_points_without_labels_counts_nowhere():
    worth = reliability([[0.9, 0.9]], np.array([[np.nan, np.nan]]))
    assert (worth["points"], worth["expected_calibration_error"]) == (0, None)


def test_left_and_right_exchanged_are_found():
    points = np.zeros((4, 3, 2))
    points[:, :2] = [[10, 0], [-10, 0]]
    points[3, :2] = [[1, 0], [-1, 0]]
    predicted = points + 0.5
    predicted[1, :2] = points[1, 1::-1] + 1
    predicted[3, :2] = [[0.2, 3], [-0.2, 3]]  # noise between points that lie close
    predicted[2, 0] = points[2, 1]  # both on one side: one of them is wrong, but they are not exchanged
    labels = Labels(tuple(f"labeled-data/v/{i}.png" for i in range(4)), ("l", "r", "t"), points)
    assert mirrored(labels, predicted, [("l", "r")]) == ["labeled-data/v/1.png"]
    assert mirrored(labels, predicted, []) == []
