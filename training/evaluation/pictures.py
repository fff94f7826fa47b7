"""Pictures of an evaluation: the images with the largest errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from training.files import write_bytes
from training.images import read_image
from training.labels import Labels


def draw_worst(
    folder: Path, root: Path, labels: Labels, predicted: npt.NDArray[np.float32],
    skeleton: Sequence[tuple[str, str]], count: int = 12,
) -> list[Path]:  # fmt: skip
    """Write pictures of the images with the largest errors; returns their paths.

    Labels are crosses, predictions rings, with the error in the file's name.
    """
    distance = np.linalg.norm(predicted[..., :2] - labels.points, axis=-1)
    worst = np.nanmax(np.where(np.isfinite(distance), distance, 0.0), axis=1)
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for rank, row in enumerate(np.argsort(-worst)[:count]):
        image = read_image(root / labels.images[row])
        picture = draw(image, labels.points[row], predicted[row], labels.keypoints, skeleton)
        done, content = cv2.imencode(".png", picture[..., ::-1])
        assert done
        _, of, file = labels.images[row].split("/")
        written.append(Path(folder) / f"{rank:02d}_{worst[row]:.1f}px_{of}_{Path(file).stem}.png")
        write_bytes(written[-1], content.tobytes())
    return written


def draw(
    image: Image, points: npt.ArrayLike, predicted: npt.ArrayLike, keypoints: Sequence[str],
    skeleton: Sequence[tuple[str, str]] = (),
) -> Image:  # fmt: skip
    """The image, twice as large, with labels as crosses and predictions as rings: uint8 (2H, 2W, 3) RGB."""
    colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    picture = cv2.resize(colour, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    twice = ImageTransform.resize(2.0)
    label, found = (twice.apply(np.asarray(p, dtype=np.float64)[..., :2]) for p in (points, predicted))

    def at(point: npt.NDArray[np.float64]) -> tuple[int, int]:
        return round(float(point[0])), round(float(point[1]))

    for a, b in skeleton:
        ends = found[keypoints.index(a)], found[keypoints.index(b)]
        if np.isfinite(ends).all():
            cv2.line(picture, at(ends[0]), at(ends[1]), (170, 170, 170), 1, cv2.LINE_AA)
    for k in range(len(keypoints)):
        hue = np.array([[[round(180 * k / len(keypoints)), 200, 255]]], np.uint8)
        red, green, blue = (int(level) for level in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
        if np.isfinite(found[k]).all():
            cv2.circle(picture, at(found[k]), 5, (red, green, blue), 1, cv2.LINE_AA)
        if np.isfinite(label[k]).all():
            cv2.drawMarker(picture, at(label[k]), (red, green, blue), cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)
