"""Images of a frame set in, keypoints in each image's own pixels out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import pixel_error
from deploy.bundles.accuracy import VIEWS, measure_bundle
from deploy.bundles.bundle import Bundle, Check
from deploy.bundles.predictor import Predictor

GOLDEN = Path(__file__).parents[1] / "golden" / "schema1.bundle"


@pytest.fixture(scope="module")
def check() -> Check:
    found = Bundle.load(GOLDEN).check()
    assert found is not None
    return found


def test_a_missing_camera_is_nan_and_the_others_are_untouched(check: Check) -> None:
    predictor = Predictor(GOLDEN, cameras=3)
    whole = predictor.predict(check.images[:3])
    assert whole.shape == (3, 2, 3)
    assert np.isfinite(whole).all()
    partial = predictor.predict([check.images[0], None, check.images[2]])
    assert np.isnan(partial[1]).all()
    np.testing.assert_array_equal(partial[[0, 2]], whole[[0, 2]])
    np.testing.assert_array_equal(predictor.predict(check.images[:3]), whole)


def test_keypoints_are_those_of_the_image_given(check: Check) -> None:
    predictor = Predictor(GOLDEN, runtime="onnx")
    for image, label in zip(check.images, check.labels, strict=True):
        found = predictor.predict([image])[0]
        assert np.linalg.norm(found[:, :2] - label, axis=1).max() < 0.7
        flipped = predictor.predict([np.ascontiguousarray(image[::-1])])[0]
        assert np.abs(flipped[:, 1] + found[:, 1] - (image.shape[0] - 1)).max() < 0.3


def test_another_image_size_needs_no_setting(check: Check) -> None:
    predictor = Predictor(GOLDEN, runtime="onnx")
    doubled = cv2.resize(check.images[0], None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    to_doubled = ImageTransform.resize(2.0)
    found = predictor.predict([doubled])[0]
    expected = to_doubled.apply(predictor.predict([check.images[0]])[0][:, :2])
    assert np.abs(found[:, :2] - expected).max() < 0.2


def test_a_given_transform_is_undone(check: Check) -> None:
    predictor = Predictor(GOLDEN, runtime="onnx")
    corner = ImageTransform.crop(10.25, 7.5)
    crop = corner.then(ImageTransform.resize(0.5))
    found = predictor.predict([check.images[0]], [crop])[0]
    assert np.abs(found[:, :2] - predictor.predict([check.images[0]])[0][:, :2]).max() < 0.4


def test_images_of_another_kind_are_refused(check: Check) -> None:
    predictor = Predictor(GOLDEN)
    with pytest.raises(RigposeError, match="uint16"):
        predictor.predict([check.images[0].astype(np.uint16)])
    with pytest.raises(ValueError, match="2 images for a predictor of 1"):
        predictor.predict(check.images[:2])


def test_it_says_what_runs(check: Check) -> None:
    said = Predictor(GOLDEN, precision="fp32", runtime="onnx", cameras=2, threads=1).describe()
    assert said["bundle_sha256"] == Bundle.load(GOLDEN).sha256
    assert (said["runtime"], said["precision"], said["batch"], said["threads"]) == ("onnx", "fp32", 2, 1)
    assert said["reason"]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_no_view_of_the_image_shifts_the_keypoints(check: Check, view: str, precision: str) -> None:
    error = measure_bundle(GOLDEN, check.images, check.labels, view, precision=precision)
    assert error is not None
    bound_px = 1.2 if view == "cropped" else 0.4  # this network knows dots of one size only
    assert error.median_px < bound_px
    assert abs(error.bias_x_px) < 0.25
    assert abs(error.bias_y_px) < 0.25


def test_pixel_error_counts_labelled_points_only() -> None:
    labels = np.array([[[1.0, 2.0], [np.nan, np.nan]], [[5.0, 5.0], [0.0, 0.0]]])
    found = np.array([[[4.0, 6.0, 1.0], [7.0, 7.0, 1.0]], [[5.0, 5.0, 1.0], [0.0, -1.0, 1.0]]])
    error = pixel_error(found, labels)
    assert error is not None
    assert error.points == 3
    assert error.mean_px == pytest.approx(2.0)
    assert error.median_px == pytest.approx(1.0)
    assert (error.bias_x_px, error.bias_y_px) == (pytest.approx(1.0), pytest.approx(1.0))
    assert pixel_error(found, np.full_like(labels, np.nan)) is None
