"""The network's input size, from the labelled animals' size, unless a person chooses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from training.networks.table import INPUT_MULTIPLE_PX

# Where nothing speaks against it: an edge device runs this in a millisecond or two.
LONG_SIDE_PX = 320
LONG_SIDE_RANGE_PX = (128, 640)
# Smaller, and neighbouring keypoints share a cell; larger, and pixels are spent on nothing.
ANIMAL_RANGE_PX = (44.0, 140.0)
CROP_RANGE_PX = (128, 256)


def animal_extent(points: npt.ArrayLike) -> float:
    """Median over images of the longer side of the labelled points' box, px; NaN without any."""
    xy = np.asarray(points, dtype=np.float64)
    several = np.isfinite(xy).all(axis=2).sum(axis=1) >= 2
    if not several.any():
        return float("nan")
    box = np.nanmax(xy[several], axis=1) - np.nanmin(xy[several], axis=1)
    return float(np.median(box.max(axis=1)))


def choose_input_size(
    points: Sequence[npt.NDArray[np.float64]], sizes_px: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Width and height of the network's input.

    The commonest image's longer side becomes 320 px, or more if the animal would be shorter than
    44 px then, or less if it would be longer than 140 px; never more pixels than the image has; both
    sides rounded up to a multiple of 32.

    Parameters
    ----------
    points:
        (K, 2) px, one per image.
    sizes_px:
        Width and height of each image.
    """
    (width, height), _ = Counter(sizes_px).most_common(1)[0]
    long_side = max(width, height)
    # animals relative to their own image: the sizes may be mixed
    share = animal_extent(np.stack([p / max(size) for p, size in zip(points, sizes_px, strict=True)]))
    wanted = float(LONG_SIDE_PX)
    if np.isfinite(share) and share > 0:
        wanted = float(np.clip(wanted, ANIMAL_RANGE_PX[0] / share, ANIMAL_RANGE_PX[1] / share))
    wanted = min(float(np.clip(wanted, *LONG_SIDE_RANGE_PX)), float(long_side))
    scale = wanted / long_side
    return _up(width * scale), _up(height * scale)


def choose_crop(
    points: Sequence[npt.NDArray[np.float64]], sizes_px: Sequence[tuple[int, int]], input_wh: tuple[int, int]
) -> int:
    """Side of the training crops, network px: nearly two animals wide, no larger than the input."""
    placed = [ImageTransform.fit(size, input_wh).apply(p) for p, size in zip(points, sizes_px, strict=True)]
    extent = animal_extent(np.stack(placed))
    wanted = 1.8 * extent if np.isfinite(extent) else CROP_RANGE_PX[1]
    return min(_up(float(np.clip(wanted, *CROP_RANGE_PX))), max(input_wh))


def check_input_size(input_wh: tuple[int, int]) -> None:
    """Refuse, with `RigposeError`, sides that are no multiple of 32 or out of bounds."""
    if any(side % INPUT_MULTIPLE_PX or not 32 <= side <= 2048 for side in input_wh):
        raise RigposeError(
            "--input-size", expected=f"multiples of {INPUT_MULTIPLE_PX} from 32 to 2048",
            found=f"{input_wh[0]}x{input_wh[1]}",
            remedy=f"Take {_up(input_wh[0])}x{_up(input_wh[1])}: images are padded to fit",
        )  # fmt: skip


def _up(side: float) -> int:
    return max(INPUT_MULTIPLE_PX, -(-round(side) // INPUT_MULTIPLE_PX) * INPUT_MULTIPLE_PX)
