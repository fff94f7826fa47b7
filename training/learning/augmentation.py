"""Random views of a labelled image: geometry as one `ImageTransform`, then light, noise, blur, patches.

Whatever is drawn depends on the generator handed in and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform

Points = npt.NDArray[np.float64]
Random = np.random.Generator

LEAST_ROTATION_DEG = 25.0
# Fresh noise would cost as much as all the rest of a sample.
_NOISE = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)
# Rotation spans this many mean gaps between the directions that N labels show.
GAPS_FILLED = 15


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a training sample may differ from its image.

    Attributes
    ----------
    rotation_deg, scale:
        Rotation is uniform in plus or minus the one, the scale log-uniform in 1/scale..scale. A network
        is fed crops of three quarters of the image as well (1.33): beyond what it was shown, its errors
        lean to one side.
    jitter:
        The animal's centre lies within this part of the crop's size from the crop's centre.
    elsewhere:
        Share of samples whose centre is anywhere on the image.
    flip:
        Share of mirrored samples (only where the keypoints' symmetric pairs are known).
    gain, gamma, offset_levels:
        Light: levels are scaled and bent by up to these factors, and shifted by up to these levels.
    noise_levels:
        Largest standard deviation of added noise.
    blur:
        Share of blurred samples (a line as of motion, up to `blur_px` long).
    compressed, quality:
        Share of samples that went through JPEG, and the range of its quality: blocks and rings, as video
        compression leaves them.
    patches:
        Share of samples in which a rectangle is covered.
    """

    rotation_deg: float = 180.0
    scale: float = 1.4
    jitter: float = 0.3
    elsewhere: float = 0.1
    flip: float = 0.5
    gain: float = 1.3
    gamma: float = 1.25
    offset_levels: float = 20.0
    noise_levels: float = 6.0
    blur: float = 0.15
    blur_px: float = 5.0
    compressed: float = 0.1
    quality: tuple[int, int] = (20, 80)
    patches: float = 0.2


NONE = Augmentation(
    rotation_deg=0, scale=1, jitter=0, elsewhere=0, flip=0, gain=1, gamma=1, offset_levels=0, noise_levels=0,
    blur=0, compressed=0, patches=0,
)  # fmt: skip


def rotation_found_in(points: npt.ArrayLike) -> float:
    """How far to rotate, deg, from how far the labelled animals are turned against each other.

    An animal that always stands upright on the image must not be shown upside down: three times the
    circular standard deviation of its turns. Where the labels show every direction, a rotation has only
    to fill the gaps between them: the more labels, the less, and the less a camera that looks on
    aslant is shown what it will never see. Never less than 25.

    Parameters
    ----------
    points:
        (N, K, 2) px, NaN missing. The turn of each animal against the mean shape is the angle of the
        best fitting rotation (Kendall 1984).
    """
    xy = np.asarray(points, dtype=np.float64)
    shape = xy[..., 0] + 1j * xy[..., 1]
    seen = np.isfinite(shape)
    enough = seen.sum(axis=1) >= 2
    if enough.sum() < 2:
        return LEAST_ROTATION_DEG
    shape, seen = shape[enough], seen[enough]
    centred = np.where(seen, shape - np.nanmean(shape, axis=1, keepdims=True), 0.0)
    reference = centred[np.argmax(seen.sum(axis=1))]
    turn = np.ones(len(centred), dtype=complex)
    for _ in range(5):
        turn = (centred * reference.conj()).sum(axis=1)
        turn /= np.maximum(np.abs(turn), 1e-9)
        reference = (centred * turn.conj()[:, None]).sum(axis=0)
    agreement = float(np.clip(abs(turn.mean()), 1e-6, 1.0))
    found = 3 * np.degrees(np.sqrt(-2 * np.log(agreement)))
    filling = GAPS_FILLED * 360.0 / len(turn)
    return float(np.clip(min(found, filling), LEAST_ROTATION_DEG, 180.0))


def draw_transform(
    random: Random,
    to_network: ImageTransform,
    centre_px: npt.NDArray[np.float64],
    crop_wh: tuple[int, int],
    augmentation: Augmentation,
    *,
    jitter: float,
    mirrored: bool,
) -> ImageTransform:
    """From image to crop: to network scale, then mirrored, turned and scaled about a point.

    Parameters
    ----------
    to_network:
        From the image to the network's input.
    centre_px:
        (2,) px of the image: what comes to lie near the crop's centre.
    crop_wh:
        Size of the crop, network px.
    jitter:
        That point lies within this part of the crop's size from the crop's centre.
    """
    angle = np.radians(random.uniform(-augmentation.rotation_deg, augmentation.rotation_deg))
    scale = augmentation.scale ** random.uniform(-1.0, 1.0)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    size = np.array(crop_wh, dtype=np.float64)
    target = (size - 1) / 2 + random.uniform(-jitter, jitter, 2) * size
    about = ImageTransform(np.column_stack([linear, target - linear @ to_network.apply(centre_px)]))
    return to_network.then(about)


def alter_levels(random: Random, image: Image, augmentation: Augmentation) -> Image:
    """Light, blur, noise and compression on a uint8 crop (H, W) or (H, W, 3); returns a new array."""
    gain = augmentation.gain ** random.uniform(-1.0, 1.0)
    gamma = augmentation.gamma ** random.uniform(-1.0, 1.0)
    shift = random.uniform(-augmentation.offset_levels, augmentation.offset_levels)
    blurred = random.random() < augmentation.blur
    deviation = random.uniform(0.0, augmentation.noise_levels) if augmentation.noise_levels else 0.0
    levels = np.linspace(0.0, 1.0, 256) ** gamma * 255.0 * gain + shift
    altered = cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    if blurred:
        altered = cv2.filter2D(altered, -1, _line_kernel(random, augmentation.blur_px))
    if deviation > 0:
        noise = _noise(random, altered.size).reshape(altered.shape)
        altered = cv2.scaleAdd(noise, deviation, altered.astype(np.float32))
        altered = cv2.convertScaleAbs(np.maximum(altered, 0.0, out=altered))
    if random.random() < augmentation.compressed:
        quality = int(random.integers(augmentation.quality[0], augmentation.quality[1] + 1))
        _, content = cv2.imencode(".jpg", altered, [cv2.IMWRITE_JPEG_QUALITY, quality])
        altered = np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))
    return np.asarray(altered, np.uint8)


def cover(random: Random, image: Image, points: Points, augmentation: Augmentation) -> npt.NDArray[np.bool_]:
    """Cover a rectangle of the crop, in place; returns (K,) which of the points lie under it."""
    covered = np.zeros(len(points), dtype=bool)
    if random.random() < augmentation.patches:
        size = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        low = random.uniform(0.0, 0.9, 2) * size
        high = low + random.uniform(0.05, 0.25, 2) * size
        (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
        image[y0:y1, x0:x1] = random.integers(0, 256)
        inside = (points >= [x0 - 0.5, y0 - 0.5]) & (points < [x1 - 0.5, y1 - 0.5])
        covered |= inside.all(axis=1)
    return covered


def _noise(random: Random, count: int) -> npt.NDArray[np.float32]:
    """So many normal values from the bank, from anywhere in it; of a large image it comes round again."""
    if count < len(_NOISE):
        first = int(random.integers(len(_NOISE) - count))
        return _NOISE[first : first + count]
    return np.resize(np.roll(_NOISE, int(random.integers(len(_NOISE)))), count)


def _line_kernel(random: Random, longest_px: float) -> npt.NDArray[np.float32]:
    """A line through the centre, symmetric, so that no point moves."""
    length, angle = random.uniform(2.0, max(2.0, longest_px)), random.uniform(0.0, np.pi)
    reach = int(np.ceil(longest_px / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    weight = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(weight / weight.sum(), np.float32)
