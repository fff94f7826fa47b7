"""Every figure under its right name, and only labelled points count."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.measures import measure
from training.evaluation.pictures import draw


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


def test_a_picture_marks_prediction_and_label():
    image = np.full((40, 60), 90, np.uint8)
    picture = draw(image, [[10, 10], [np.nan, np.nan]], [[30, 20, 1], [50, 30, 1]], ("a", "b"), (("a", "b"),))
    assert picture.shape == (80, 120, 3)
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    assert coloured[14:28, 14:28].any()  # the label's cross
    assert coloured[34:48, 54:68].any()  # the prediction's ring
    assert coloured[54:68, 94:108].any()
    assert not coloured[:10].any()
