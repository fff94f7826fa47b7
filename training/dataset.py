"""Training samples: crops at network scale, drawn from the cached full-size images by one resampling."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.preprocess import to_network
from training.augmentation import Augmentation, alter_levels, cover, draw_transform
from training.images import ImageStore
from training.labels import Labels

PREFETCHED_BATCHES = 3


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
        uint8 (B, S, S, 3) RGB.
    points:
        float32 (B, K, 2) px of the crop; 0 where nothing is known.
    known:
        uint8 (B, K), of `Known`.
    """

    images: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    known: npt.NDArray[np.uint8]


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
    mirror:
        For each keypoint the index of the one that takes its place in a mirror; None: never mirrored.
    missing_is_absent:
        Whether a keypoint without a label is known not to be seen (else nothing is known of it).
    """

    def __init__(
        self, labels: Labels, store: ImageStore, *, input_wh: tuple[int, int], crop_px: int, batch: int,
        augmentation: Augmentation, mirror: npt.NDArray[np.intp] | None, missing_is_absent: bool, seed: int,
    ) -> None:  # fmt: skip
        self._labels = labels
        self._store = store
        self._crop_px = crop_px
        self._batch = batch
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

    def batch(self, step: int) -> Batch:
        """The samples of step `step`, counted from 0."""
        samples = [self.sample(step * self._batch + i) for i in range(self._batch)]
        return Batch(
            np.stack([image for image, _, _ in samples]),
            np.stack([points for _, points, _ in samples]).astype(np.float32),
            np.stack([known for _, _, known in samples]),
        )

    def sample(self, number: int) -> tuple[Image, npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """Sample `number`: crop uint8 (S, S, 3), points (K, 2) px of the crop, known (K,)."""
        epoch, position = divmod(number, len(self._labels))
        row = int(self._order(epoch)[position])
        random = np.random.default_rng([self._seed, 2, number])
        image = self._store[self._labels.images[row]]
        points = self._labels.points[row]
        size_px = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        labelled = np.isfinite(points).all(axis=1)

        mirrored = self._mirror is not None and random.random() < self._augmentation.flip
        centre = (points[labelled].min(axis=0) + points[labelled].max(axis=0)) / 2
        if random.random() < self._augmentation.elsewhere:
            centre = random.uniform(0.0, 1.0, 2) * size_px
        transform = draw_transform(
            random, self._to_network[row], centre, self._crop_px, self._augmentation, mirrored=mirrored
        )
        if mirrored:
            assert self._mirror is not None
            points, labelled = points[self._mirror], labelled[self._mirror]
        crop = to_network(image, transform, (self._crop_px, self._crop_px))
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
        return crop, placed, known

    def _order(self, epoch: int) -> npt.NDArray[np.intp]:
        if self._shuffled is None or self._shuffled[0] != epoch:
            order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._labels))
            self._shuffled = epoch, order
        return self._shuffled[1]

    def batches(self, first_step: int) -> Generator[Batch, None, None]:
        """Batches from `first_step` on, without end, prepared ahead in a thread.

        Resampling leaves Python's lock, so that it runs beside the network's own threads.
        """
        ready: queue.Queue[Batch | BaseException] = queue.Queue(PREFETCHED_BATCHES)
        stop = threading.Event()

        def work() -> None:
            step = first_step
            item: Batch | BaseException
            while not stop.is_set():
                try:
                    item = self.batch(step)
                except BaseException as error:  # handed over, and raised where the batch is wanted
                    item = error
                step += 1
                while not stop.is_set():
                    try:
                        ready.put(item, timeout=0.1)
                        break
                    except queue.Full:
                        continue
                if isinstance(item, BaseException):
                    return

        worker = threading.Thread(target=work, name="training samples", daemon=True)
        worker.start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            worker.join()


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
