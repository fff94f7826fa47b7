"""A trained network as a predictor on whole images, with the resampling that live uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from acquisition.frame import Image
from acquisition.progress import track
from calibration.image_transform import ImageTransform
from deploy.bundles.decode import decode
from deploy.bundles.preprocess import to_network
from training.evaluation.pictures import ScoreMaps
from training.images import read_image
from training.networks.table import PoseNetwork
from training.run import RunSettings

# Images in, keypoints (N, K, 3) out: x, y in px of each image, confidence.
Predict = Callable[[Sequence[Image]], npt.NDArray[np.float32]]

PREDICTED_AT_ONCE = 8


def network_predictor(network: PoseNetwork, settings: RunSettings) -> Predict:
    """The trained network as a predictor on whole images, with the resampling that live uses."""
    device = next(network.parameters()).device

    def predict(images: Sequence[Image]) -> npt.NDArray[np.float32]:
        transforms = [ImageTransform.fit((i.shape[1], i.shape[0]), settings.input_size_px) for i in images]
        inputs = [to_network(i, t, settings.input_size_px) for i, t in zip(images, transforms, strict=True)]
        with torch.inference_mode():
            heatmap, offset = network(torch.from_numpy(np.stack(inputs)).to(device))
        keypoints = decode(heatmap.cpu().numpy(), offset.cpu().numpy(), settings.stride)
        for found, transform in zip(keypoints, transforms, strict=True):
            found[:, :2] = transform.inverse().apply(found[:, :2])
        return keypoints

    return predict


def predict_images(
    predict: Predict, images: Sequence[Image] | Sequence[Path], label: str = "images"
) -> npt.NDArray[np.float32]:
    """Predictions (N, K, 3) of images, or of image files read one after another."""
    parts = []
    for first in track(range(0, len(images), PREDICTED_AT_ONCE), label):
        some = images[first : first + PREDICTED_AT_ONCE]
        parts.append(predict([read_image(i) if isinstance(i, Path) else i for i in some]))
    return np.concatenate(parts)


def network_score_maps(network: PoseNetwork, settings: RunSettings) -> ScoreMaps:
    """What the trained network sees of whole images, before the best cell is chosen."""
    device = next(network.parameters()).device

    def see(image: Image) -> tuple[npt.NDArray[np.float32], ImageTransform]:
        transform = ImageTransform.fit((image.shape[1], image.shape[0]), settings.input_size_px)
        given = to_network(image, transform, settings.input_size_px)
        with torch.inference_mode():
            heatmap, _ = network(torch.from_numpy(given[None]).to(device))
        probability = torch.sigmoid(heatmap[0]).cpu().numpy().astype(np.float32)
        return probability, ImageTransform.resize(settings.stride).then(transform.inverse())

    return see
