"""What a training is made of: a project's labelled images, divided, and the sizes that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from training.images import ImageStore
from training.learning.input_size import choose_crop, choose_input_size
from training.projects.labels import Labels, dataset_hash, read_labels
from training.projects.project import Project
from training.projects.splits import Split, k_fold

DEFAULT_FOLDS = 5
# Of the training part, kept aside to say when to stop: one of so many folds.
INNER_FOLDS = 10
# A label so little outside its image, as a share of the longer side, was meant for its edge.
OUTSIDE_SHARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A project, ready to be learned from.

    Attributes
    ----------
    project, labels, dataset_sha256:
        The project, all of its labels that lie in their images, and the hash of labels and images.
    outside:
        Labels left out because they lie just outside their image.
    store:
        The images.
    split:
        Which images train, and which measure.
    training, inner, held_out:
        Labels of what is learned from, of what is kept aside to say when to stop (may be none), and of
        what measures.
    input_wh, crop_px:
        Network input, and the side of the training crops in it, px.
    """

    project: Project
    labels: Labels
    dataset_sha256: str
    outside: int
    store: ImageStore
    split: Split
    training: Labels
    inner: Labels
    held_out: Labels
    input_wh: tuple[int, int]
    crop_px: int


def gather(
    project: Path, split: Split | Path | None, *, input_size: tuple[int, int] | None, crop: int | None,
    aside: bool, seed: int,
) -> Material:  # fmt: skip
    """Read a project's labels and images, divide them, and choose the sizes that are not given.

    Parameters
    ----------
    split:
        A split or its file; None: a fifth is held out in blocks of neighbouring instants.
    input_size, crop:
        Network input (width, height) and side of the crops; None: by the size of the labelled animals.
    aside:
        Whether a part of the training images is kept aside (`inner`).

    Raises
    ------
    RigposeError
        If project, labels, an image or the split cannot be used.
    """
    opened = Project.open(project)
    written = read_labels(opened)
    divided = _divided(opened, written, split)
    store = ImageStore(opened.root, written.images)
    labels = _inside(written, store)
    training, inner = labels.select(divided.train), labels.select(())
    if aside:
        kept = k_fold(opened, training, folds=INNER_FOLDS, fold=0, seed=seed)
        training, inner = labels.select(kept.train), labels.select(kept.test)
    sizes = [store.sizes_px[name] for name in training.images]
    input_wh = input_size or choose_input_size(list(training.points), sizes)
    return Material(
        project=opened,
        labels=labels,
        dataset_sha256=dataset_hash(opened, written),
        outside=_placed(written) - _placed(labels),
        store=store,
        split=divided,
        training=training,
        inner=inner,
        held_out=labels.select(divided.test),
        input_wh=input_wh,
        crop_px=crop or choose_crop(list(training.points), sizes, input_wh),
    )


def _divided(project: Project, labels: Labels, split: Split | Path | None) -> Split:
    if split is None:
        return k_fold(project, labels, folds=DEFAULT_FOLDS, fold=0)
    divided = split if isinstance(split, Split) else Split.load(split)
    divided.check(labels, "the split" if isinstance(split, Split) else split, "train")
    return divided


def _inside(labels: Labels, store: ImageStore) -> Labels:
    """The labels, without those a little outside their image, which a network could not point at.

    Further outside, it is a slip of the hand, or the label belongs to an image of another size: refused.
    """
    points = labels.points.copy()
    for row, name in enumerate(labels.images):
        size = np.array(store.sizes_px[name])
        beyond = np.maximum(-0.5 - points[row], points[row] - (size - 0.5)).max(axis=1)  # NaN stays NaN
        if (far := beyond > OUTSIDE_SHARE * size.max()).any():
            k = int(np.flatnonzero(far)[0])
            raise RigposeError(
                name, expected=f"labels within its {size[0]}x{size[1]} px",
                found=f"{labels.keypoints[k]} at ({points[row, k, 0]:.1f}, {points[row, k, 1]:.1f})",
                remedy="Mend the label, or put back the image it was made on",
            )  # fmt: skip
        points[row, beyond > 0] = np.nan
    return replace(labels, points=points)


def _placed(labels: Labels) -> int:
    return int(np.isfinite(labels.points).all(axis=2).sum())
