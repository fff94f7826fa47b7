"""A dot lands where the transform says, on every path an image can take to the network."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.preprocess import PAD_LEVEL, to_network

SOURCE_WH = (320, 240)
BACKGROUND = PAD_LEVEL
SIGMA_PX = 6.0

CASES = {
    "full frame, letterboxed": (ImageTransform.fit(SOURCE_WH, (256, 256)), (256, 256)),
    "full frame, bars at the sides": (ImageTransform.fit(SOURCE_WH, (256, 96)), (256, 96)),
    "stretched": (ImageTransform.resize(128 / 320, 160 / 240), (128, 160)),
    "whole-pixel crop": (ImageTransform.crop(32, 24), (256, 192)),
    "whole-pixel crop, resized": (ImageTransform.crop(40, 20).then(ImageTransform.resize(0.5)), (128, 96)),
    "crop between pixels, resized": (
        ImageTransform.crop(31.37, 22.81).then(ImageTransform.resize(0.73)), (192, 160),
    ),
    "crop that leaves the image": (ImageTransform.crop(-20.4, -15.2), (352, 256)),
    "enlarged": (ImageTransform.crop(60, 40).then(ImageTransform.resize(1.3)), (256, 224)),
}  # fmt: skip


def dot(at: np.ndarray) -> np.ndarray:
    """A smooth dot at `at` (x, y) px on grey; uint8 (H, W)."""
    width, height = SOURCE_WH
    squared = (np.arange(width) - at[0]) ** 2 + ((np.arange(height) - at[1]) ** 2)[:, None]
    return np.rint(BACKGROUND + 120 * np.exp(-squared / (2 * SIGMA_PX**2))).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image.astype(np.float64) - BACKGROUND
    height, width = weight.shape
    return np.array([weight.sum(0) @ np.arange(width), weight.sum(1) @ np.arange(height)]) / weight.sum()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("colour", [False, True])
def test_a_dot_lands_where_the_transform_says(case: str, colour: bool) -> None:
    transform, input_wh = CASES[case]
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(30):
        at = rng.uniform([110, 90], [210, 150])
        image = dot(at)
        seen = to_network(np.dstack([image] * 3) if colour else image, transform, input_wh)
        assert seen.shape == (input_wh[1], input_wh[0], 3)
        errors.append(centroid(seen[:, :, 1]) - transform.apply(at))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02
    assert np.abs(errors).max() < 0.06  # cv2 places an affine sample to 1/32 px


def test_what_lies_outside_the_image_is_the_pad_level() -> None:
    image = np.full((240, 320), 9, np.uint8)
    letterboxed = to_network(image, ImageTransform.fit(SOURCE_WH, (256, 256)), (256, 256))
    assert (letterboxed[:32] == PAD_LEVEL).all()
    assert (letterboxed[-32:] == PAD_LEVEL).all()
    assert (letterboxed[32:-32] == 9).all()
    outside = to_network(image, ImageTransform.crop(400.5, 0), (64, 64))
    assert (outside == PAD_LEVEL).all()


def test_the_given_slot_is_written_in_place() -> None:
    batch = np.zeros((2, 96, 128, 3), np.uint8)
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    for transform in (ImageTransform.fit(SOURCE_WH, (128, 96)), ImageTransform.crop(3.5, 4.25)):
        expected = to_network(image, transform, (128, 96))
        to_network(image, transform, (128, 96), out=batch[1])
        np.testing.assert_array_equal(batch[1], expected)
        to_network(image[:, :, 0], transform, (128, 96), out=batch[1])
        np.testing.assert_array_equal(batch[1], np.dstack([expected[:, :, 0]] * 3))
    assert not batch[0].any()


def test_the_image_may_be_a_read_only_view() -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    view = image[::2, ::2]
    view.setflags(write=False)
    transform = ImageTransform.fit(SOURCE_WH, (128, 96))
    np.testing.assert_array_equal(
        to_network(view, transform, (128, 96)), to_network(view.copy(), transform, (128, 96))
    )


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((4, 4), np.uint16), "uint16"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros((0, 4), np.uint8), r"\(0, 4\)"),
    ],
)
def test_images_of_another_kind_are_refused(image: np.ndarray, found: str) -> None:
    with pytest.raises(RigposeError, match=found):
        to_network(image, ImageTransform.identity(), (4, 4))
