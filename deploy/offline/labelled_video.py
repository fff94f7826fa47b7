"""Videos with their poses drawn in: several views beside each other, 3D points in a box beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import track
from acquisition.videos.output import VideoOutput, check_new
from acquisition.videos.video import Video, open_video
from calibration.formats.anipose import load_calibration
from calibration.image_transform import ImageTransform
from deploy.figures import colours_of
from deploy.offline.drawing import Pen, write
from deploy.offline.joined_poses import camera_of
from deploy.offline.skeleton import load_skeleton
from deploy.offline.space import Space
from deploy.offline.views import NONE, View, line_up, pair, sort_files
from deploy.poses_io.anipose_csv import load_anipose_csv

Floats = npt.NDArray[np.float64]
RATE_HZ = 30.0  # of image folders
DOT = 1 / 160  # of a picture's diagonal
MOST_WIDE_PX = 1920  # several views together


@dataclass(frozen=True, slots=True)
class Look:
    """What a labelled video shows.

    Attributes
    ----------
    cutoff:
        Least confidence of a point that is drawn.
    trail:
        For so many instants back, where the points were.
    dot_px:
        Radius of a point; None: by the picture's size.
    black:
        Draw on black instead of the pictures.
    numbers:
        Write the number of the frame or frame set.
    """

    cutoff: float = 0.6
    trail: int = 0
    dot_px: float | None = None
    black: bool = False
    numbers: bool = False


@dataclass(slots=True, eq=False)
class _Cell:
    """A view's place in the whole, and what is drawn there."""

    view: View
    left: int
    top: int
    size: tuple[int, int]
    to_cell: ImageTransform
    pen: Pen
    points: Floats  # (T, K, 2) px of the cell
    rings: Floats | None
    images: Iterator[Image]
    video: Video
    number: int = NONE
    image: Image | None = None


def label_video(
    files: Sequence[Path], output: Path, look: Look, *, skeleton: Path | None = None,
    points: Path | None = None, calibration: Path | None = None, rate_hz: float | None = None,
    unequal: bool = False, overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Draw poses into their videos, one picture an instant, none left out.

    Parameters
    ----------
    files:
        Videos, image folders or one recording's folder, and their files of 2D poses, in any order.
    output:
        The video to make.
    skeleton:
        Where bones are listed (`deploy.offline.skeleton.load_skeleton`).
    points:
        3D points of the same frame sets, in a box beside the views.
    calibration:
        Of the views' rig: the 3D points are drawn into the views as rings.
    rate_hz:
        Of the output; None: the first video's.

    Returns
    -------
    dict
        `output`, `pictures`, size, rate, and per view under `views` its files, `frames`,
        `instants_without_frame`, `frames_without_pose` and `gap`, None or where its video broke off.

    Raises
    ------
    RigposeError
        Files that are missing or do not belong together, a video with another number of frames than its
        poses (unless `unequal`), an output that exists.
    """
    videos, poses = sort_files(files)
    check_new(output, tuple(videos), overwrite)
    if calibration is not None and points is None:
        raise RigposeError(
            "--calibration", expected="3D points to draw into the views", found="none",
            remedy="Give --points, which 'rigpose triangulate' makes",
        )  # fmt: skip
    index, views = line_up(pair(videos, poses), unequal=unequal)
    space = None if points is None else _space_of(points, index)
    rings = _rings(views, space, calibration)
    width, height, cells, box = _laid_out(views, look, skeleton, rings, space is not None)
    rate = Fraction(rate_hz or views[0].info.rate_hz or RATE_HZ).limit_denominator(1001)
    room = None
    if space is not None and box is not None:
        room = Space(space.points, box[2], box[3], _upwards(space, calibration))
        pen = _pen(space.keypoints, skeleton, look.dot_px or max(2.0, DOT * np.hypot(box[2], box[3])))
    with VideoOutput(output, width, height, rate=rate, time_base=1 / rate) as written:
        for t in track(range(len(index)), output.name):
            picture = np.zeros((height, width, 3), np.uint8)
            for cell in cells:
                place = picture[cell.top :, cell.left :][: cell.size[1], : cell.size[0]]
                _draw_view(place, cell, t, look)
            if room is not None and space is not None and box is not None:
                trail = space.points[max(0, t - look.trail) : t]
                left, top, wide, high = box
                picture[top : top + high, left : left + wide] = room.picture(pen, space.points[t], trail)
            if look.numbers:
                write(picture, f"{index[t]}", (6, height - 8), 0.5)
            written.write_image(picture, t)
    return {
        "output": str(output), "pictures": written.written, "width_px": width, "height_px": height,
        "rate_hz": float(rate), "points": None if points is None else str(points),
        "views": [_said(cell) for cell in cells],
    }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Spatial:
    keypoints: tuple[str, ...]
    points: Floats  # (T, K, 3) mm, by instant


def _space_of(path: Path, index: npt.NDArray[np.int64]) -> _Spatial:
    read = load_anipose_csv(path)
    points = np.full((len(index), len(read.keypoints), 3), np.nan)
    common, at, rows = np.intersect1d(index, read.index, return_indices=True)
    if not len(common):
        raise RigposeError(
            path, expected="3D points of the frame sets that the poses are of",
            found=f"frame sets {read.index.min()} to {read.index.max()}, none of them among"
            f" {index.min()} to {index.max()}" if len(read.index) else "no rows",
            remedy="Triangulate the poses of this recording",
        )  # fmt: skip
    points[at] = read.points[rows, :, :3]
    return _Spatial(read.keypoints, points)


def _upwards(space: _Spatial, calibration: Path | None) -> Floats:
    """Towards the cameras, which stand above an animal more often than below; without them, z."""
    there = space.points[np.isfinite(space.points).all(axis=2)]
    if calibration is None or not len(there):
        return np.array([0.0, 0.0, 1.0])
    centres = np.stack([camera.centre_mm for camera in load_calibration(calibration).cameras])
    return np.asarray(centres.mean(axis=0) - there.mean(axis=0), np.float64)


def _rings(views: Sequence[View], space: _Spatial | None, calibration: Path | None) -> list[Floats | None]:
    """Of each view (T, K, 2) px: the 3D points as its camera sees them, by the view's keypoints."""
    if space is None or calibration is None:
        return [None] * len(views)
    rig = load_calibration(calibration)
    rings: list[Floats | None] = []
    for view in views:
        camera = rig.names.index(camera_of(view.file, view.poses, rig.names))
        seen = rig.project(space.points)[camera]
        own = np.full((len(seen), len(view.poses.keypoints), 2), np.nan)
        for place, name in enumerate(view.poses.keypoints):
            if name in space.keypoints:
                own[:, place] = seen[:, space.keypoints.index(name)]
        rings.append(own)
    return rings


def _laid_out(
    views: Sequence[View], look: Look, skeleton: Path | None, rings: Sequence[Floats | None], with_space: bool
) -> tuple[int, int, list[_Cell], tuple[int, int, int, int] | None]:
    """Width and height of the whole, the views' cells, and left, top, width, height of the box's."""
    count = len(views) + with_space
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    wide, high = (max(getattr(view.info, side) for view in views) for side in ("width_px", "height_px"))
    shrink = min(1.0, MOST_WIDE_PX / (columns * wide)) if count > 1 else 1.0
    wide, high = round(wide * shrink), round(high * shrink)
    cells = []
    for place, (view, own_rings) in enumerate(zip(views, rings, strict=True)):
        scale = min(wide / view.info.width_px, high / view.info.height_px)
        size = round(view.info.width_px * scale), round(view.info.height_px * scale)
        to_cell = ImageTransform.resize(scale)
        both = view.poses.values.astype(np.float64)
        flat = both[..., :2]
        with np.errstate(invalid="ignore"):
            flat[~(both[..., 2] >= look.cutoff)] = np.nan
        points = np.full((len(view.row), *flat.shape[1:]), np.nan)
        points[view.row != NONE] = flat[view.row[view.row != NONE]]
        video = open_video(view.video)
        dot_px = look.dot_px or max(2.0, DOT * float(np.hypot(*size)))
        cells.append(
            _Cell(
                view, place % columns * wide + (wide - size[0]) // 2,
                place // columns * high + (high - size[1]) // 2, size, to_cell,
                _pen(view.poses.keypoints, skeleton, dot_px), to_cell.apply(points),
                None if own_rings is None else to_cell.apply(own_rings), iter(video), video,
            )
        )  # fmt: skip
    box = None
    if with_space:
        place = len(views)
        rest = columns - place % columns  # of the last row
        box = place % columns * wide, place // columns * high, rest * wide, high
    return columns * wide + columns * wide % 2, rows * high + rows * high % 2, cells, box


def _pen(keypoints: tuple[str, ...], skeleton: Path | None, dot_px: float) -> Pen:
    bones = () if skeleton is None else load_skeleton(skeleton, keypoints)
    colours = tuple(
        (round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours_of(len(keypoints))
    )
    return Pen(colours, tuple((keypoints.index(a), keypoints.index(b)) for a, b in bones), dot_px)


def _draw_view(place: Image, cell: _Cell, t: int, look: Look) -> None:
    """Draw a view at instant t into its place, uint8 (h, w, 3), black so far."""
    wanted = int(cell.view.frame[t])
    while cell.number < wanted:
        cell.image = next(cell.images, None)
        if cell.image is None:
            break
        cell.number += 1
    shown = wanted != NONE and cell.image is not None and cell.number == wanted
    if shown and not look.black and cell.image is not None:
        image = cell.image
        if (image.shape[1], image.shape[0]) != cell.size:
            image = np.asarray(cv2.resize(image, cell.size, interpolation=cv2.INTER_AREA), np.uint8)
        place[:] = image if image.ndim == 3 else image[..., None]
    if not shown:
        write(place, "no frame", (6, place.shape[0] - 26))
    canvas = np.ascontiguousarray(place)
    cell.pen.pose(canvas, cell.points[t], cell.points[max(0, t - look.trail) : t])
    if cell.rings is not None:
        cell.pen.rings(canvas, cell.rings[t])
    place[:] = canvas


def _said(cell: _Cell) -> dict[str, Any]:
    view = cell.view
    for _ in cell.images:  # what nobody asked for may still break off
        cell.number += 1
    gap = cell.video.gap
    if gap is None and cell.number + 1 < view.frames:
        gap = f"{view.video}: {cell.number + 1} frames decode, {view.frames} are in the file"
    return {
        "video": str(view.video), "poses": str(view.file), "frames": view.frames,
        "instants_without_frame": int((view.frame == NONE).sum()),
        "frames_without_pose": int(((view.frame != NONE) & (view.row == NONE)).sum()), "gap": gap,
    }  # fmt: skip
