"""The report's figures: what each camera saw, where it is sure, how the cameras stand and what links them."""

from __future__ import annotations

from html import escape
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.drawing import WIDTH, arrow_map, figure, heat_map, picture, scatter
from calibration.residuals import residual_field
from calibration.solve import Solution
from calibration.uncertainty import projection_sd, volume_map

Array = npt.NDArray[np.float64]

WIDEST_RAY = 1.7  # of an undistorted picture: 60 degrees off the axis, beyond which it is all stretch
PICTURE_WIDTH = 300


def camera_figures(solution: Solution, camera: int, shown: Image | None) -> str:
    """Corners and coverage, the residual field, the projection's uncertainty, an undistorted picture."""
    size = solution.observations.sizes_px[camera]
    name = solution.observations.cameras[camera]
    height = round(WIDTH * size[1] / size[0])
    parts = [
        figure(_corners(solution, camera), f"{name}, {size[0]} x {size[1]}: corners by their error"),
        figure(arrow_map(residual_field(solution, camera), size), "mean residual by place, enlarged"),
        figure(
            heat_map(projection_sd(solution, camera), WIDTH, height),
            "how well the lens is known: px, standard deviation",
        ),
    ]
    if shown is not None:
        straight = undistorted(solution.rig.cameras[camera], shown)
        parts.append(figure(picture(straight, PICTURE_WIDTH), "a picture without its distortion"))
    return "".join(parts)


def undistorted(model: CameraModel, image: Image) -> Image:
    """The picture as a pinhole would have taken it, as wide as is sensible: edges must be straight."""
    height, width = image.shape
    ends = np.array([[0, height / 2], [width - 1, height / 2], [width / 2, 0], [width / 2, height - 1]])
    rays = np.nan_to_num(np.abs(model.undistort(ends)), nan=WIDEST_RAY)
    reach = min(max(rays[:2, 0].max(), 1e-3), WIDEST_RAY), min(max(rays[2:, 1].max(), 1e-3), WIDEST_RAY)
    focal = min(width / 2 / reach[0], height / 2 / reach[1])
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    flat = np.stack([x - (width - 1) / 2, y - (height - 1) / 2], -1) / focal
    place = model.to_pixels(model.distort(flat)).astype(np.float32)
    return np.asarray(cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=200))


def _corners(solution: Solution, camera: int) -> str:
    """Corners of one camera over its image, coloured by residual."""
    width, height = solution.observations.sizes_px[camera]
    scale = WIDTH / width
    mine = [k for k, view in enumerate(solution.observations.views) if view.camera == camera]
    px = np.concatenate([solution.observations.views[k].px for k in mine]) * scale
    count = [len(solution.observations.views[k].ids) for k in mine]
    error = np.concatenate(
        [
            np.linalg.norm(solution.adjusted.residuals[k, :n], axis=-1)
            for k, n in zip(mine, count, strict=True)
        ]
    )
    step = max(1, len(px) // 1500)  # a page, not a data set
    top = 3 * float(np.median(error)) + 1e-9
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="hsl({120 * (1 - min(e / top, 1)):.0f},80%,40%)"/>'
        for (x, y), e in zip(px[::step], error[::step], strict=True)
    )
    cells = np.zeros((6, 8), dtype=bool)
    cells[
        np.clip(px[:, 1] * 6 / (height * scale), 0, 5).astype(int),
        np.clip(px[:, 0] * 8 / WIDTH, 0, 7).astype(int),
    ] = True
    w, h = WIDTH / 8, height * scale / 6
    empty = "".join(
        f'<rect x="{x * w:.1f}" y="{y * h:.1f}" width="{w:.1f}" height="{h:.1f}" fill="#d0d4d9"/>'
        for y, x in np.argwhere(~cells)
    )
    return f'<svg width="{WIDTH}" height="{height * scale:.0f}">{empty}{dots}</svg>'


def plan(rig: CalibratedRig, solution: Solution) -> str:
    """Cameras and board positions, seen along the axis in which they spread least."""
    centres = np.stack([camera.centre_mm for camera in rig.cameras])
    forward = np.stack([camera.rotation_matrix[2] for camera in rig.cameras])
    # boards are known in the first camera's frame
    first = rig.cameras[0]
    boards = (solution.adjusted.bundle.board_translations - first.translation) @ first.rotation_matrix
    everything = np.concatenate([centres, boards])
    middle = everything.mean(axis=0)
    axes = np.linalg.svd(everything - middle, full_matrices=False)[2][:2]
    flat = (everything - middle) @ axes.T
    low, high = flat.min(0), flat.max(0)
    scale = 420 / max(float((high - low).max()), 1e-9)
    place = (flat - low) * scale + 40
    size = (high - low) * scale + 80
    arrows = forward @ axes.T * 30
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="#8aa"/>' for x, y in place[len(centres) :]]
    for (x, y), (dx, dy), name in zip(place, arrows, rig.names, strict=False):
        marks.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x + dx:.1f}" y2="{y + dy:.1f}" stroke="#0969da"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0969da"/>'
            f'<text x="{x + 6:.1f}" y="{y - 6:.1f}" font-size="12">{escape(name)}</text>'
        )
    bar = 10 ** np.floor(np.log10(300 / scale))
    marks.append(
        f'<line x1="10" y1="{size[1] - 10:.0f}" x2="{10 + bar * scale:.1f}" y2="{size[1] - 10:.0f}" '
        f'stroke="#222"/><text x="10" y="{size[1] - 15:.0f}" font-size="11">{bar:.0f} mm</text>'
    )
    return (
        f'<figure><svg width="{size[0]:.0f}" height="{size[1]:.0f}">{"".join(marks)}</svg>'
        "<figcaption>Cameras (blue, looking along the line) and board positions</figcaption></figure>"
    )


def view_graph(names: tuple[str, ...], shared: list[list[int]]) -> str:
    """Cameras on a circle, linked by lines as thick as they share views."""
    size, radius = 260, 90
    angle = 2 * np.pi * np.arange(len(names)) / len(names) - np.pi / 2
    place = size / 2 + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    most = max((shared[a][b] for a in range(len(names)) for b in range(a)), default=0) or 1
    marks = []
    for a in range(len(names)):
        for b in range(a):
            (x, y), (u, v), count = place[a], place[b], shared[a][b]
            if not count:
                continue
            marks.append(
                f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{u:.0f}" y2="{v:.0f}" stroke="#8ab" '
                f'stroke-width="{1 + 7 * count / most:.1f}"/>'
                f'<text x="{(x + u) / 2:.0f}" y="{(y + v) / 2 + 4:.0f}" font-size="11" text-anchor="middle">'
                f"{count}</text>"
            )
    for (x, y), name in zip(place, names, strict=True):
        marks.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="6" fill="#0969da"/>'
            f'<text x="{x:.0f}" y="{y - 9:.0f}" font-size="12" text-anchor="middle">{escape(name)}</text>'
        )
    drawing = f'<svg width="{size}" height="{size}">{"".join(marks)}</svg>'
    return figure(drawing, "Views that two cameras share")


def volume_figures(solution: Solution) -> str:
    """The Cramer-Rao bound in three slices of the volume in which the board was."""
    found = volume_map(solution.rig, solution.adjusted.bundle.board_translations)
    width, height, depth = found.extent_mm
    parts = []
    for number, (slice_mm, seen) in enumerate(zip(found.sd_mm, found.views, strict=True)):
        known = np.isfinite(slice_mm)
        if not known.any():
            continue
        where = f"slice {number + 1} of {len(found.sd_mm)}, {depth / len(found.sd_mm):.0f} mm thick"
        parts.append(
            figure(
                heat_map(slice_mm, WIDTH),
                f"{where}; {width:.0f} x {height:.0f} mm; median {np.median(slice_mm[known]):.3g} mm, "
                f"{int(seen.max())} cameras at most",
            )
        )
    return "".join(parts)


def relative_figures(checks: dict[str, Any]) -> str:
    """Relative camera poses over the recording, and against the board's speed."""
    over, against = {}, {}
    for each in checks["relative"]:
        name = f"{each['second']} to {each['first']}"
        moved = np.array(each["moved_mm"])
        sets = np.array(each["frame_sets"], dtype=np.float64)
        over[name] = (sets - sets.min(), moved)
        speed = np.array(each["speed_px_s"], dtype=np.float64)
        if np.isfinite(speed).any():
            against[name] = (speed[np.isfinite(speed)], moved[np.isfinite(speed)])
    parts = []
    if over:
        parts.append(figure(scatter(over, "frame set", "mm"), "Disagreement of two cameras about the board"))
    if against:
        parts.append(figure(scatter(against, "board's speed, px/s", "mm"), "The same against speed"))
    return "".join(parts)
