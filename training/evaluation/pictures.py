"""Pictures of an evaluation: the images with the largest errors, and what the network sees in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from training.evaluation.measures import distances
from training.files import write_bytes
from training.images import read_image
from training.projects.labels import Labels

# What the network sees of one image: probabilities float32 (K, h, w), and from their cells to the image.
ScoreMaps = Callable[[Image], tuple[npt.NDArray[np.float32], ImageTransform]]

Floats = npt.NDArray[np.float64]

WORST = 12
SHOWN_MAPS = 6
# A picture shows a window around the animal, so large that a pixel of the image can be told.
PICTURE_SIDE_PX = 640
SMALLEST_WINDOW_PX = 96
PANEL_SIDE_PX = 240
CAPTION_PX = 20
WHITE = (255, 255, 255)


def draw_worst(
    folder: Path, root: Path, labels: Labels, predicted: npt.NDArray[np.float32],
    skeleton: Sequence[tuple[str, str]], count: int = WORST,
) -> list[Path]:  # fmt: skip
    """Write pictures of the images with the largest errors; returns their paths.

    Labels are crosses, predictions rings, with the largest error in the file's name.
    """
    distance = distances(predicted, labels.points)
    largest = _largest(distance)
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for rank, row in enumerate(np.argsort(-largest)[:count]):
        image = read_image(root / labels.images[row])
        window = window_around(image, labels.points[row], predicted[row])
        picture = draw(image, labels.points[row], predicted[row], labels.keypoints, skeleton, window)
        caption = ", ".join(
            f"{labels.keypoints[k]} {distance[row, k]:.1f}"
            for k in np.argsort(-np.nan_to_num(distance[row], nan=-1.0))[:3]
            if not np.isnan(distance[row, k])
        )
        _, of, file = labels.images[row].split("/")
        name = f"{rank:02d}_{largest[row]:.1f}px_{of}_{Path(file).stem}.png"
        written.append(Path(folder) / name)
        _write(written[-1], _captioned(picture, f"{of}/{file}: {caption} px"))
    return written


def draw_score_maps(
    folder: Path, root: Path, labels: Labels, predicted: npt.NDArray[np.float32], maps: ScoreMaps,
    count: int = SHOWN_MAPS,
) -> list[Path]:  # fmt: skip
    """Write, for images from the best to the worst, what the network sees of each keypoint.

    One picture an image, one panel a keypoint: the image in grey, probability from dark to yellow over
    it, the label a cross, the prediction a ring, the confidence beside the keypoint's name.
    """
    largest = _largest(distances(predicted, labels.points))
    order = np.argsort(largest)
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for row in order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]:
        image = read_image(root / labels.images[row])
        probability, to_image = maps(image)
        window = window_around(image, labels.points[row], predicted[row])
        panels = []
        for k, name in enumerate(labels.keypoints):
            picture = _blended(image, probability[k], to_image, window)
            to_panel = _to_picture(window, PANEL_SIDE_PX)
            _mark(
                picture, to_panel.apply(labels.points[row, k]), to_panel.apply(predicted[row, k, :2]), WHITE
            )
            panels.append(_captioned(picture, f"{name} {predicted[row, k, 2]:.2f}"))
        columns = max(1, round(np.sqrt(len(panels) * 1.5)))
        blank = np.zeros_like(panels[0])
        panels += [blank] * (-len(panels) % columns)
        rows = [np.hstack(panels[at : at + columns]) for at in range(0, len(panels), columns)]
        _, of, file = labels.images[row].split("/")
        written.append(Path(folder) / f"{of}_{Path(file).stem}_{largest[row]:.1f}px.png")
        _write(written[-1], np.vstack(rows))
    return written


def window_around(image: Image, *points: npt.ArrayLike) -> tuple[int, int, int]:
    """The square (x, y, side) px around these points (..., 2 or more), twice as wide as they lie apart.

    It reaches over the image's border only where the image is smaller. The whole image where there is
    no point.
    """
    height, width = image.shape[:2]
    flat = [np.asarray(p, np.float64)[..., :2].reshape(-1, 2) for p in points]
    xy = np.concatenate([np.empty((0, 2)), *flat])
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        side = max(width, height)
        return (width - side) // 2, (height - side) // 2, side
    low, high = xy.min(axis=0), xy.max(axis=0)
    side = min(round(max(SMALLEST_WINDOW_PX, 2 * float((high - low).max()))), max(width, height))
    middle = (low + high) / 2
    x, y = (
        round(min(max(centre - side / 2, 0), length - side)) if side <= length else (length - side) // 2
        for centre, length in zip(middle.tolist(), (width, height), strict=True)
    )
    return x, y, side


def draw(
    image: Image, points: npt.ArrayLike, predicted: npt.ArrayLike, keypoints: Sequence[str],
    skeleton: Sequence[tuple[str, str]] = (), window: tuple[int, int, int] | None = None,
) -> Image:  # fmt: skip
    """A window of the image with labels as crosses and predictions as rings: uint8 (S, S, 3) RGB.

    Parameters
    ----------
    window:
        As `window_around` returns it; None: the whole image.
    """
    window = window or window_around(image)
    to_picture = _to_picture(window, PICTURE_SIDE_PX)
    picture = _windowed(image, window, PICTURE_SIDE_PX)
    label, found = (to_picture.apply(np.asarray(p, dtype=np.float64)[..., :2]) for p in (points, predicted))
    for a, b in skeleton:
        ends = found[keypoints.index(a)], found[keypoints.index(b)]
        if np.isfinite(ends).all():
            cv2.line(picture, _at(ends[0]), _at(ends[1]), (170, 170, 170), 1, cv2.LINE_AA)
    for k in range(len(keypoints)):
        hue = np.array([[[round(180 * k / len(keypoints)), 200, 255]]], np.uint8)
        red, green, blue = (int(level) for level in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
        _mark(picture, label[k], found[k], (red, green, blue))
    return picture


def _mark(
    picture: Image, label: Floats, found: Floats, colour: tuple[int, int, int], radius_px: int = 7
) -> None:
    """A cross for the label, a ring for the prediction, a line between the two; large ones on a dark rim."""
    rim = [((0, 0, 0), 3)] if radius_px > 5 else []
    for shade, thick in (*rim, (colour, 1)):
        if np.isfinite(label).all() and np.isfinite(found).all():
            cv2.line(picture, _at(label), _at(found), shade, thick, cv2.LINE_AA)
        if np.isfinite(found).all():
            cv2.circle(picture, _at(found), radius_px, shade, thick, cv2.LINE_AA)
        if np.isfinite(label).all():
            cv2.drawMarker(
                picture, _at(label), shade, cv2.MARKER_CROSS, 2 * radius_px - 1, thick, cv2.LINE_AA
            )


def _at(point: Floats) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _to_picture(window: tuple[int, int, int], side_px: int) -> ImageTransform:
    x, y, side = window
    return ImageTransform.crop(x, y).then(ImageTransform.resize(side_px / side))


def _windowed(image: Image, window: tuple[int, int, int], side_px: int) -> Image:
    """The window of the image as uint8 (side_px, side_px, 3) RGB, dark where there is no image."""
    colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    matrix = _to_picture(window, side_px).matrix
    return np.asarray(cv2.warpAffine(colour, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR), np.uint8)


def _blended(
    image: Image, probability: npt.NDArray[np.float32], to_image: ImageTransform,
    window: tuple[int, int, int],
) -> Image:  # fmt: skip
    """Probability (h, w) over the window of the image: the more of it, the more of its colour."""
    grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    under = _windowed(grey, window, PANEL_SIDE_PX).astype(np.float32)
    matrix = to_image.then(_to_picture(window, PANEL_SIDE_PX)).matrix
    over = cv2.warpAffine(probability, matrix, (PANEL_SIDE_PX, PANEL_SIDE_PX), flags=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(np.clip(255 * over, 0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = np.clip(2 * over, 0, 0.8)[..., None]
    return np.asarray((1 - share) * under + share * colours[..., ::-1], np.uint8)


def _captioned(picture: Image, text: str) -> Image:
    strip = np.zeros((CAPTION_PX, picture.shape[1], 3), np.uint8)
    plain = text.encode("ascii", "replace").decode()
    size = min(0.45, 0.45 * (picture.shape[1] - 8) / max(1, 8 * len(plain)))
    cv2.putText(strip, plain, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, size, WHITE, 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def _largest(distance: Floats) -> Floats:
    """The largest error of each image, px; 0 where there is none, infinite ones left out."""
    return np.asarray(np.where(np.isfinite(distance), distance, 0.0).max(axis=1, initial=0.0))


def _write(path: Path, picture: Image) -> None:
    done, content = cv2.imencode(".png", picture[..., ::-1])
    assert done
    write_bytes(path, content.tobytes())
