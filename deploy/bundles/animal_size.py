"""Whether the animal is as large in the network's input as those it was trained on."""

from __future__ import annotations

from collections import deque
from statistics import median

import numpy as np
import numpy.typing as npt

from deploy.bundles.manifest import AnimalSize

SEEN = 0.5
"""Confidence from which on a keypoint counts as seen by the network."""

MARGIN = 1.25  # outside the range of training by this factor is worth a word
_ENOUGH = 2 / 3  # of the keypoints: the box around fewer is not the animal's
_LOOKS = 30


def box_of(keypoints: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], bool] | None:
    """The box around the keypoints seen, float64 (2, 2): low and high corner, px; None around fewer than two.

    `keypoints` is (K, 3) in any image's pixels. Second value: whether enough are seen for the box to be the
    whole animal's.
    """
    seen = keypoints[:, 2] >= SEEN  # False for NaN
    count = int(seen.sum())
    if count < 2:
        return None
    places = keypoints[seen, :2].astype(np.float64)
    return np.stack([places.min(axis=0), places.max(axis=0)]), count >= _ENOUGH * len(keypoints)


class AnimalSizeWatch:
    """Looks at an animal in one camera or video until it has seen enough of it, then speaks or is silent.

    Attributes
    ----------
    said:
        What it has said, "" so far.

    Parameters
    ----------
    trained:
        The manifest's; None: nothing is known, and nothing said.
    whose:
        Camera or video, for the sentence.
    closer:
        What one does there about an animal that is too small.
    """

    def __init__(self, trained: AnimalSize | None, whose: str, closer: str) -> None:
        self._trained = trained if trained is not None and trained.median_px > 0 else None
        self.said = ""
        self._whose, self._closer = whose, closer
        self._sizes_px: deque[float] = deque()

    def add(self, keypoints: npt.NDArray[np.float32], scale: float) -> str:
        """Keypoints (K, 3) px of an image that the network saw `scale` times as large.

        Returns a sentence, once, if the animal's median size is outside the range; "" else.
        """
        if self._trained is None:
            return ""
        box = box_of(keypoints)
        if box is None or not box[1]:
            return ""
        self._sizes_px.append(float(np.linalg.norm(box[0][1] - box[0][0])) * scale)
        if len(self._sizes_px) < _LOOKS:
            return ""
        trained, size_px = self._trained, median(self._sizes_px)
        self._trained = None
        if trained.p5_px / MARGIN <= size_px <= trained.p95_px * MARGIN:
            return ""
        larger = size_px > trained.p95_px
        self.said = (
            f"{self._whose}: the animal is {size_px:.0f} px {'large' if larger else 'small'} at the "
            f"network's input, in training it was {trained.p5_px:.0f} to {trained.p95_px:.0f} px; "
            + ("move the camera away" if larger else self._closer)
            + ", or train with images like these"
        )
        return self.said
