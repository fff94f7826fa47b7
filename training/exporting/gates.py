"""What an artifact must pass to be shipped, and to be chosen by itself.

**Parity**: it is run on real frames against the trained network; one that deviates by more than its
precision explains is a conversion gone wrong, and is not shipped. **int8 guard**: int8 is shipped but marked
beyond tolerance, and not chosen by itself, where its error on the held-out labels exceeds that of the
trained network by more than 5 % and by more than 0.15 px.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.accuracy import predict_each
from deploy.manifest import Parity, PixelError, Precision
from deploy.preprocess import to_network

PARITY_IMAGES_AT_MOST = 32
# Mean deviation from the trained network that a precision explains, in network-input px.
PARITY_BOUND_PX = {"fp32": 0.05, "fp16": 0.1, "int8": 1.0}
TOLERANCE_SHARE = 0.05
TOLERANCE_PX = 0.15
CONFIDENT = 0.5


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


def parity(found: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Parity:
    """Deviation where the network sees the keypoint; elsewhere the argmax of noise may flip freely.

    Parameters
    ----------
    found, reference:
        (N, K, 3) px of the images and confidence, of the artifact and of the trained network. Of more than
        `PARITY_IMAGES_AT_MOST` images as many, evenly spread, are compared.
    """
    rows = spread(len(found), PARITY_IMAGES_AT_MOST)
    found, reference = found[rows], reference[rows]
    distance = np.linalg.norm((found - reference)[..., :2].astype(np.float64), axis=-1)
    confident = distance[reference[..., 2] >= CONFIDENT]
    judged = confident if confident.size else distance
    return Parity(
        mean_px=float(judged.mean()),
        max_px=float(judged.max()),
        frames=len(found),
        points=int(judged.size),
        mean_all_px=float(distance.mean()),
        max_all_px=float(distance.max()),
    )


def deviates(measured: Parity, precision: Precision, network_px_per_px: float) -> str:
    """Why an artifact is not shipped, in words; "" where it is.

    `network_px_per_px` is the scale from the image to the network's input.
    """
    bound = PARITY_BOUND_PX[precision] / network_px_per_px
    if measured.mean_px <= bound:
        return ""
    return f"{measured.mean_px:.3f} px from the trained network, at most {bound:.3f}"


def judge(precision: Precision, error: PixelError | None, trained: PixelError | None) -> tuple[bool, str]:
    """Whether `auto` may choose an artifact of this error, and why in words."""
    if precision != "int8":
        return True, "follows the trained network"
    if error is None or trained is None:
        return False, "could not be measured: there are no held-out labels"
    allowed = trained.mean_px + max(TOLERANCE_SHARE * trained.mean_px, TOLERANCE_PX)
    within = error.mean_px <= allowed
    words = f"has {error.mean_px:.3f} px on the held-out labels, {allowed:.3f} px allowed"
    return within, words


def spread(count: int, at_most: int) -> list[int]:
    """At most so many row numbers, evenly spread."""
    return [int(row) for row in np.linspace(0, count - 1, min(count, at_most)).round()]


def network_px_per_px(image: Image, input_wh: tuple[int, int]) -> float:
    """Network-input px per px of the image, whole frame."""
    return ImageTransform.fit((image.shape[1], image.shape[0]), input_wh).scale
