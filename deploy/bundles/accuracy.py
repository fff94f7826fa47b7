"""How far a bundle's keypoints are from labels, in px and with the sign, for every kind of input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import pixel_error
from deploy.bundles.bundle import Bundle
from deploy.bundles.manifest import PixelError
from deploy.bundles.predictor import Predictor
from deploy.bundles.runtimes.table import AUTO

View = Literal["full", "cropped", "resized"]
VIEWS: tuple[View, ...] = ("full", "cropped", "resized")

CROP_SHARE = 0.75
RESIZE_SCALE = 0.8


def seen_as(
    view: View, image: Image, label: npt.NDArray[np.float64], input_wh: tuple[int, int]
) -> tuple[Image, ImageTransform, ImageTransform]:
    """One labelled image as a bundle meets it: the image it is given, and two transforms.

    full: the image as it is. resized: a copy at `RESIZE_SCALE`, as from a camera of another size.
    cropped: the image as it is, but only a window of `CROP_SHARE` of each side, around the labels, is
    fitted into the network's input, as a tracker that follows the animal would do.

    Returns
    -------
    The image; from the original's pixels to its own; from its own to the network's input.
    """
    height, width = image.shape[:2]
    if view == "full":
        return image, ImageTransform.identity(), ImageTransform.fit((width, height), input_wh)
    if view == "resized":
        size = round(width * RESIZE_SCALE), round(height * RESIZE_SCALE)
        to_copy = ImageTransform.resize(size[0] / width, size[1] / height)
        resized = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return resized, to_copy, ImageTransform.fit(size, input_wh)
    window = round(width * CROP_SHARE), round(height * CROP_SHARE)
    seen = label[np.isfinite(label).all(axis=1)]
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2 if len(seen) else np.array([width, height]) / 2
    corner = np.clip(np.rint(centre - np.array(window) / 2), 0, [width - window[0], height - window[1]])
    crop = ImageTransform.crop(float(corner[0]), float(corner[1]))
    return image, ImageTransform.identity(), crop.then(ImageTransform.fit(window, input_wh))


def predict_each(
    predict: Callable[[Image, ImageTransform], npt.NDArray[np.float32]],
    images: Sequence[Image],
    labels: npt.NDArray[np.float64],
    input_wh: tuple[int, int],
    view: View = "full",
) -> npt.NDArray[np.float32]:
    """Keypoints float32 (N, K, 3) in px of the original images, seen as `view`.

    `predict` takes one image and its transform to the network's input, and returns (K, 3) in px of
    that image.
    """
    found = []
    for image, label in zip(images, labels, strict=True):
        given, from_original, to_input = seen_as(view, image, label, input_wh)
        keypoints = predict(given, to_input).copy()
        keypoints[:, :2] = from_original.inverse().apply(keypoints[:, :2])
        found.append(keypoints)
    return np.stack(found)


def measure_bundle(
    bundle: Bundle | Path | str,
    images: Sequence[Image],
    labels: npt.NDArray[np.float64],
    view: View = "full",
    *,
    runtime: str = AUTO,
    precision: str = AUTO,
) -> PixelError | None:
    """Error of a bundle on labelled images.

    Parameters
    ----------
    images:
        uint8 (H, W) or (H, W, 3) RGB, N of them; sizes may differ.
    labels:
        float64 (N, K, 2) px of the images; NaN where there is none.
    view:
        What the bundle is given: see `seen_as`.

    Returns
    -------
    The error in px of the images as given here; None where nothing is labelled.
    """
    predictor = Predictor(bundle, runtime=runtime, precision=precision)

    def predict(image: Image, to_input: ImageTransform) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = predictor.predict([image], [to_input])[0]
        return found

    return pixel_error(predict_each(predict, images, labels, predictor.bundle.input_wh, view), labels)
