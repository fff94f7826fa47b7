"""Training samples: crops at network scale, drawn from the cached full-size images by one resampling."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.preprocess import to_network
from training.learning.augmentation import Augmentation, alter_levels, cover, draw_transform
from training.projects.labels import Labels


class Known(IntEnum):
    """What a label says about a keypoint in a sample."""

    UNKNOWN = 0  # no label: neither presence nor absence is taught
    AT_POINT = 1  # it lies at the point (which may be outside the crop)
    ABSENT = 2  # it is not to be seen


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Training samples.

    Attributes
    ----------
    images:
        uint8 (B, H, W, 3) RGB.
    points:
        float32 (B, K, 2) px of the crop; 0 where nothing is known.
    known:
        uint8 (B, K), of `Known`.
    weight:
        float32 (B, K): how much each keypoint counts, 1 for a person's label.
    """

    images: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    known: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32]

    def parts(self, count: int) -> list[Batch]:
        """The batch cut into so many parts, nearly equal."""
        arrays = (self.images, self.points, self.known, self.weight)
        return [Batch(*part) for part in zip(*(np.array_split(a, count) for a in arrays), strict=True)]


Sample = tuple[Image, npt.NDArray[np.float64], npt.NDArray[np.uint8], npt.NDArray[np.float32]]


class Pictures(Protocol):
    """Images by name, and their sizes (width, height)."""

    sizes_px: dict[str, tuple[int, int]]

    def __getitem__(self, name: str) -> Image: ...


class TrainingSet:
    """Random crops of labelled images. Batch `step` depends on the seed and on `step` alone.

    Parameters
    ----------
    labels, store:
        What is labelled, and its images.
    input_wh:
        Network input; whole images are fitted into it, and crops taken at that scale.
    crop_px:
        Side of the crops, network px.
    batch:
        Crops of a step. Where the samples are whole images, as many as have twice the crops' pixels, one at
        least.
    mirror:
        For each keypoint the index of the one that takes its place in a mirror; None: never mirrored.
    missing_is_absent:
        Whether a keypoint without a label is known not to be seen (else nothing is known of it).
    weight:
        float32 (N, K): how much each label counts; None: all alike.
    """

    def __init__(
        self, labels: Labels, store: Pictures, *, input_wh: tuple[int, int], crop_px: int, batch: int,
        augmentation: Augmentation, mirror: npt.NDArray[np.intp] | None, missing_is_absent: bool, seed: int,
        weight: npt.NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        self._labels = labels
        self._weight = np.ones(labels.points.shape[:2], np.float32) if weight is None else weight
        self._store = store
        self._input_wh = input_wh
        self._crop_px = crop_px
        self._batch = batch
        self._whole_batch = min(batch, max(1, round(2 * batch * crop_px**2 / (input_wh[0] * input_wh[1]))))
        self._whole_every = 0
        self._augmentation = augmentation
        self._mirror = mirror
        self._unlabelled = Known.ABSENT if missing_is_absent else Known.UNKNOWN
        self._seed = seed
        self._shuffled: tuple[int, npt.NDArray[np.intp]] | None = None
        sizes = {name: store.sizes_px[name] for name in labels.images}
        fits = {size: ImageTransform.fit(size, input_wh) for size in set(sizes.values())}
        self._to_network = [fits[sizes[name]] for name in labels.images]

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every image comes once (the last batch may borrow from the next epoch)."""
        return -(-len(self._labels) // self._batch)

    def with_whole_images(self, every: int) -> TrainingSet:
        """The same, but every so many steps the samples are whole images, fewer of them."""
        mixed = copy.copy(self)
        mixed._whole_every = every
        return mixed

    def batch(self, step: int) -> Batch:
        """The samples of step `step`, counted from 0."""
        return joined(self.samples(step))

    def samples(self, step: int) -> list[Sample]:
        """The samples of step `step`, counted from 0, one by one."""
        whole = self._whole_every > 0 and step % self._whole_every == self._whole_every - 1
        count = self._whole_batch if whole else self._batch
        return [self.sample(step * self._batch + i, whole=whole) for i in range(count)]

    def sample(self, number: int, *, whole: bool = False) -> Sample:
        """Sample `number`: crop uint8 (H, W, 3), points (K, 2) px of the crop, known (K,), weight (K,)."""
        epoch, position = divmod(number, len(self._labels))
        row = int(self._order(epoch)[position])
        random = np.random.default_rng([self._seed, 2, number])
        image = self._store[self._labels.images[row]]
        points, weight = self._labels.points[row], self._weight[row]
        size_px = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        labelled = np.isfinite(points).all(axis=1)

        mirrored = self._mirror is not None and random.random() < self._augmentation.flip
        centre = (size_px - 1) / 2
        if labelled.any():
            centre = (points[labelled].min(axis=0) + points[labelled].max(axis=0)) / 2
        if random.random() < self._augmentation.elsewhere:
            centre = random.uniform(0.0, 1.0, 2) * size_px
        crop_wh, jitter = (self._crop_px, self._crop_px), self._augmentation.jitter
        if whole:
            centre, crop_wh, jitter = (size_px - 1) / 2, self._input_wh, 0.0
        transform = draw_transform(
            random, self._to_network[row], centre, crop_wh, self._augmentation, jitter=jitter,
            mirrored=mirrored,
        )  # fmt: skip
        if mirrored:
            assert self._mirror is not None
            points, labelled, weight = points[self._mirror], labelled[self._mirror], weight[self._mirror]
        crop = to_network(image, transform, crop_wh)
        if image.ndim == 2:  # a third of the work: the channels of a grey image stay equal
            crop = np.ascontiguousarray(crop[..., 0])
        crop = alter_levels(random, crop, self._augmentation)
        placed = transform.apply(points)
        covered = cover(random, crop, placed, self._augmentation)
        known = np.where(labelled, Known.AT_POINT, self._unlabelled).astype(np.uint8)
        known[covered] = Known.UNKNOWN
        placed[~labelled] = 0.0
        if crop.ndim == 2:
            crop = np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2RGB), np.uint8)
        return crop, placed, known, weight

    def _order(self, epoch: int) -> npt.NDArray[np.intp]:
        if self._shuffled is None or self._shuffled[0] != epoch:
            order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._labels))
            self._shuffled = epoch, order
        return self._shuffled[1]


def joined(samples: Sequence[Sample]) -> Batch:
    """Samples as one batch."""
    images, points, known, weight = (np.stack(arrays) for arrays in zip(*samples, strict=True))
    return Batch(images, points.astype(np.float32), known, weight.astype(np.float32))


def mirror_indices(
    keypoints: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
) -> npt.NDArray[np.intp] | None:
    """For each keypoint the index of its mirror image; None where no pair is known.

    Without a pair a mirrored animal would teach left for right if the names do not tell which is which.
    """
    if not pairs:
        return None
    indices = np.arange(len(keypoints))
    for left, right in pairs:
        a, b = keypoints.index(left), keypoints.index(right)
        indices[a], indices[b] = b, a
    return indices
