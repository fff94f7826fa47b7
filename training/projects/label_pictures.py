"""A picture of every labelled frame, to look through: whole frames, labels on them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import track
from calibration.image_transform import ImageTransform
from training.files import write_bytes
from training.images import read_image
from training.projects.collected_data import Points
from training.projects.hygiene import FolderCheck
from training.projects.origins import Origin, PointNote
from training.projects.project import LABELED_DATA, Project

# Small frames are enlarged, so that a label can be told from its neighbour pixel; none is made smaller.
AT_LEAST_PX = 640
LINE_PX = 20
GREY = (150, 150, 150)
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def draw_folder(project: Project, check: FolderCheck, output: Path) -> int:
    """Write a PNG of every frame of a folder that has labels or proposals; returns how many.

    Labels are crosses in the colours of their names, hidden ones with a ring around them; proposals
    that nobody has looked at are squares. Frames that do not read are left out.
    """
    shown = [
        file for file in check.images
        if np.isfinite(check.rows.get(file, np.nan)).any() or check.notes.get(file)
    ]  # fmt: skip
    folder = output / check.folder
    written = 0
    for file in track(shown, f"draw {check.folder}"):
        try:
            image = read_image(project.root / LABELED_DATA / check.folder / file)
        except RigposeError:
            continue
        nothing = np.full((len(project.keypoints), 2), np.nan)
        points, notes = check.rows.get(file, nothing), check.notes.get(file, {})
        picture = draw_labels(image, points, project.keypoints, project.skeleton, notes)
        folder.mkdir(parents=True, exist_ok=True)
        content = cv2.imencode(".png", picture[..., ::-1], _PNG)[1]
        write_bytes(folder / f"{Path(file).stem}.png", content.tobytes())
        written += 1
    return written


def draw_labels(
    image: Image, points: Points, keypoints: Sequence[str], skeleton: Sequence[tuple[str, str]] = (),
    notes: Mapping[str, PointNote] | None = None,
) -> Image:  # fmt: skip
    """The whole image with its labels and their names below it, uint8 (H, W, 3) RGB.

    It is enlarged by a whole number where it is small.

    Parameters
    ----------
    points:
        (K, 2) px, NaN where there is no label.
    notes:
        By keypoint; of proposals their place, too.
    """
    notes = notes or {}
    scale = max(1, round(AT_LEAST_PX / max(image.shape[:2])))
    to_picture = ImageTransform.resize(scale)
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    picture: Image = np.repeat(np.repeat(colour, scale, axis=0), scale, axis=1)
    at = to_picture.apply(points)
    for a, b in skeleton:
        ends = at[keypoints.index(a)], at[keypoints.index(b)]
        if np.isfinite(ends).all():
            cv2.line(picture, _pixel(ends[0]), _pixel(ends[1]), GREY, 1, cv2.LINE_AA)
    size = max(5, max(picture.shape[:2]) // 160)
    for k, name in enumerate(keypoints):
        note = notes.get(name)
        place = at[k]
        proposal = note is not None and note.origin is Origin.UNREVIEWED and not np.isfinite(place).all()
        if proposal and note is not None:
            place = to_picture.apply(np.array(note.at_px))
        if not np.isfinite(place).all():
            continue
        x, y = _pixel(place)
        for shade, thick in (((0, 0, 0), 3), (_colour(k, len(keypoints)), 1)):
            if proposal:
                cv2.rectangle(picture, (x - size, y - size), (x + size, y + size), shade, thick)
            else:
                cv2.drawMarker(picture, (x, y), shade, cv2.MARKER_CROSS, 2 * size + 1, thick)
            if note is not None and note.occluded:
                cv2.circle(picture, (x, y), 2 * size, shade, thick, cv2.LINE_AA)
    return np.vstack([picture, _legend(keypoints, picture.shape[1])])


def _legend(keypoints: Sequence[str], width_px: int) -> Image:
    """The names in their colours, on as many lines as they need."""
    placed, x, line = [], 4, 0
    for name in keypoints:
        plain = name.encode("ascii", "replace").decode()
        length = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0]
        if x > 4 and x + length > width_px:
            x, line = 4, line + 1
        placed.append((plain, (x, 14 + LINE_PX * line)))
        x += length + 14
    strip = np.zeros((LINE_PX * (line + 1), width_px, 3), np.uint8)
    for k, (plain, spot) in enumerate(placed):
        colour = _colour(k, len(keypoints))
        cv2.putText(strip, plain, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return strip


def _colour(index: int, count: int) -> tuple[int, int, int]:
    hue = np.array([[[round(180 * index / count), 200, 255]]], np.uint8)
    red, green, blue = (int(level) for level in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def _pixel(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
