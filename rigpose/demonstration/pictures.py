"""The demo's pictures, drawn with matplotlib from what was measured. Each returns PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.figures import INK, new_figure, png

Floats = npt.NDArray[np.floating[Any]]
FOUND, TRUTH = "#e8590c", "#1c7ed6"


def labelled_views(
    images: Sequence[npt.NDArray[np.uint8]],
    found: Floats,
    truth: Floats,
    skeleton: Sequence[tuple[int, int]],
    names: Sequence[str],
    confidence_cutoff: float,
) -> bytes:
    """The views of one frame set: what the network found (C, K, 3), and where the points are (C, K, 2)."""
    figure = new_figure(10.4, 7.8)
    axes = figure.subplots(2, (len(images) + 1) // 2, squeeze=False).ravel()
    for axis, image, pose, points, name in zip(axes, images, found, truth, names, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        seen = pose[:, 2] >= confidence_cutoff
        for a, b in skeleton:
            if seen[a] and seen[b]:
                axis.plot(pose[[a, b], 0], pose[[a, b], 1], color=FOUND, linewidth=0.9, alpha=0.8)
        axis.scatter(points[:, 0], points[:, 1], s=34, facecolors="none", edgecolors=TRUTH, linewidths=0.9)
        axis.scatter(pose[seen, 0], pose[seen, 1], s=7, color=FOUND)
        middle = np.nanmean(points, axis=0)
        half = max(60.0, float(np.nanmax(np.abs(points - middle))) + 25.0)
        axis.set_xlim(middle[0] - half * 4 / 3, middle[0] + half * 4 / 3)
        axis.set_ylim(middle[1] + half, middle[1] - half)
        axis.set_title(name, loc="left", fontsize=9)
        axis.set_axis_off()
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    return png(figure)


def whole_views(images: Sequence[npt.NDArray[np.uint8]], names: Sequence[str]) -> bytes:
    """What the cameras see, whole frames of one frame set side by side."""
    figure = new_figure(10.4, 2.3)
    for axis, image, name in zip(
        figure.subplots(1, len(images), squeeze=False)[0], images, names, strict=True
    ):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(name, loc="left", fontsize=9)
        axis.set_axis_off()
    return png(figure)


def rig_and_path(
    centres_mm: Floats,
    axes_of_view: Floats,
    names: Sequence[str],
    path_mm: Floats,
    truth_mm: Floats,
    pose_mm: Floats,
    skeleton: Sequence[tuple[int, int]],
) -> bytes:
    """Cameras (C, 3) looking along (C, 3); the animal's path live and true, (T, 3); its last pose (K, 3)."""
    figure = new_figure(10.4, 4.6)
    space = figure.add_subplot(1, 2, 1, projection="3d")
    for centre, direction, name in zip(centres_mm, axes_of_view, names, strict=True):
        tip = centre + 130.0 * direction
        space.plot(*np.stack([centre, tip], axis=1), color=INK, linewidth=1)
        space.scatter(*centre, color=INK, s=24, marker="s")
        space.text(*centre, f" {name}", fontsize=8, color=INK)
    space.plot(*path_mm.T, color=FOUND, linewidth=0.9)
    for a, b in skeleton:
        space.plot(*pose_mm[[a, b]].T, color=TRUTH, linewidth=1.6)
    space.set_xlabel("x mm")
    space.set_ylabel("y mm")
    space.set_zlabel("z mm")
    space.set_box_aspect(np.maximum(np.ptp(np.vstack([centres_mm, path_mm]), axis=0), 1.0))
    floor = figure.add_subplot(1, 2, 2)
    floor.plot(*truth_mm[:, :2].T, color=TRUTH, linewidth=2.4, alpha=0.5, label="where it was")
    floor.plot(*path_mm[:, :2].T, color=FOUND, linewidth=0.8, label="live, from the stream")
    floor.set_aspect("equal")
    floor.set_xlabel("x mm")
    floor.set_ylabel("y mm")
    floor.legend()
    return png(figure)


def error_histograms(panels: Sequence[tuple[str, Floats, float, str]]) -> bytes:
    """One histogram a panel: title, errors, bound of the median, unit. The last bin holds the rest."""
    figure = new_figure(10.4, 2.6)
    for axis, (title, errors, limit, unit) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        errors = errors[np.isfinite(errors)]
        top = 4 * limit
        axis.hist(np.minimum(errors, top), bins=48, range=(0, top), color="#ced4da")
        if errors.size:
            median = float(np.median(errors))
            axis.axvline(median, color=FOUND, linewidth=1.4, label=f"median {median:.2f} {unit}")
        axis.axvline(limit, color=INK, linewidth=0.9, linestyle="--", label=f"bound {limit:g} {unit}")
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_xlabel(unit)
        axis.set_yticks([])
        axis.legend()
    return png(figure)


def latency_breakdown(stages: dict[str, dict[str, float]], whole: dict[str, float]) -> bytes:
    """Each stage's p50 stacked from exposure to subscriber, with p95 and p99 of each, ms."""
    figure = new_figure(10.4, 3.2)
    stack, tails = figure.subplots(1, 2, width_ratios=[3, 2])
    colours = ["#a5d8ff", "#74c0fc", "#ffd8a8", "#ffa94d", "#ff8787", "#b2f2bb", "#8ce99a", "#d0bfff"]
    left = 0.0
    for (name, ms), colour in zip(stages.items(), colours * 2, strict=False):
        stack.barh(0, ms["p50"], left=left, color=colour, label=f"{name}  {ms['p50']:.2f}")
        left += ms["p50"]
    stack.set_yticks([])
    stack.set_ylim(-0.6, 2.2)
    stack.set_xlabel("ms, median of each stage")
    stack.legend(ncols=2, loc="upper left")
    rows = [*stages, "exposure to subscriber"]
    values = [*stages.values(), whole]
    places = np.arange(len(rows))[::-1]
    for label, colour, size in (("p50", TRUTH, 22), ("p95", "#fab005", 22), ("p99", FOUND, 22)):
        tails.scatter([value[label] for value in values], places, s=size, color=colour, label=label)
    tails.set_yticks(places, rows)
    tails.set_xscale("log")
    tails.set_xlabel("ms")
    tails.grid(axis="y", linewidth=0.4)
    tails.legend()
    return png(figure)


def learning_curve(minutes: Floats, error_px: Floats) -> bytes:
    """Held-out error against training time."""
    figure = new_figure(5.0, 2.6)
    axis = figure.subplots()
    axis.plot(minutes, error_px, color=FOUND, marker=".", linewidth=1)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("held-out error, px")
    axis.set_ylim(bottom=0)
    return png(figure)
