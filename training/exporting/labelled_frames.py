"""Labelled images, and the keypoints that an artifact or the network itself finds on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.accuracy import predict_each
from deploy.bundles.preprocess import to_network


@dataclass(frozen=True, slots=True)
class LabelledFrames:
    """Images, uint8 (H, W) or (H, W, 3) RGB, and labels, float64 (N, K, 2) px, NaN where there is none."""

    images: Sequence[Image]
    labels: npt.NDArray[np.float64]


def keypoints_on(
    infer: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    frames: LabelledFrames,
    input_wh: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """Keypoints float32 (N, K, 3) in px of the images; `infer` takes a batch as the network is fed it."""

    def predict(image: Image, to_input: ImageTransform) -> npt.NDArray[np.float32]:
        keypoints: npt.NDArray[np.float32] = infer(to_network(image, to_input, input_wh)[None])[0]
        keypoints[:, :2] = to_input.inverse().apply(keypoints[:, :2])
        return keypoints

    return predict_each(predict, frames.images, frames.labels, input_wh)


def network_px_per_px(image: Image, input_wh: tuple[int, int]) -> float:
    """Network-input px per px of the image, whole frame."""
    return ImageTransform.fit((image.shape[1], image.shape[0]), input_wh).scale
