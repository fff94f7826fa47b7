"""What an artifact must pass: where it is made, and again where an engine is built from it.

**Parity**: it is run on real frames against the trained network; one that deviates by more than its
precision explains is a conversion gone wrong. It is not shipped, and an engine is not used. **int8 guard**:
int8 is not chosen by itself where its error on the held-out labels exceeds that of the trained network by
more than 5 % and by more than 0.15 px.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from acquisition.settings import Settings
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Check
from deploy.bundles.manifest import Parity, PixelError, Precision

PARITY_IMAGES_AT_MOST = 32
# Mean deviation from the trained network that a precision explains, in network-input px.
PARITY_BOUND_PX = {"fp32": 0.05, "fp16": 0.1, "int8": 1.0}
TOLERANCE_SHARE = 0.05
TOLERANCE_PX = 0.15
CONFIDENT = 0.5

FindKeypoints = Callable[
    [Sequence[Image | None], Sequence[ImageTransform | None]], npt.NDArray[np.float32]
]  # as `Runtime.infer_frames`


class Acceptance(Settings):
    """What an engine did on the bundle's check/ on the device that built it.

    Attributes
    ----------
    refused:
        Why it must not be used; "" where it does what the trained network does.
    within_tolerance:
        Whether `auto` may choose it; `verdict` says why in words.
    """

    parity: Parity
    held_out: PixelError | None
    refused: str
    within_tolerance: bool
    verdict: str


def accept(find: FindKeypoints, batch: int, check: Check, precision: Precision) -> Acceptance:
    """Run an engine on the frames a bundle carries.

    Parameters
    ----------
    find:
        From `batch` images and their transforms to the network's input, None where there is none, to
        keypoints float32 (batch, K, 3) in px of the network's input and confidence.
    """
    found = np.empty_like(check.keypoints)
    count = len(check.images)
    for first in range(0, count, batch):
        rows = range(first, min(first + batch, count))
        none = [None] * (batch - len(rows))
        images = [*(check.images[row] for row in rows), *none]
        transforms = [*(check.transforms[row] for row in rows), *none]
        for row, keypoints in zip(rows, find(images, transforms)[: len(rows)], strict=True):
            found[row] = keypoints
            found[row, :, :2] = check.transforms[row].inverse().apply(keypoints[:, :2])
    measured = parity(found, check.keypoints)
    scale = float(np.median([transform.scale for transform in check.transforms]))
    error = pixel_error(found, check.labels)
    within, verdict = judge(precision, error, pixel_error(check.keypoints, check.labels))
    return Acceptance(
        parity=measured, held_out=error, refused=deviates(measured, precision, scale),
        within_tolerance=within, verdict=verdict,
    )  # fmt: skip


def pixel_error(found: npt.ArrayLike, labels: npt.ArrayLike) -> PixelError | None:
    """Error of keypoints (..., 2 or more) against labels (..., 2), both px; None without a label.

    Points whose label is NaN do not count. Bias: found minus labelled, mean by axis.
    """
    difference = np.asarray(found, np.float64)[..., :2] - np.asarray(labels, np.float64)[..., :2]
    difference = difference[np.isfinite(difference).all(axis=-1)]
    if not len(difference):
        return None
    distance = np.linalg.norm(difference, axis=-1)
    bias_x, bias_y = difference.mean(axis=0)
    return PixelError(
        mean_px=float(distance.mean()),
        median_px=float(np.median(distance)),
        p95_px=float(np.quantile(distance, 0.95)),
        bias_x_px=float(bias_x),
        bias_y_px=float(bias_y),
        points=len(distance),
    )


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
    """Why an artifact is not shipped or used, in words; "" where it is.

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
