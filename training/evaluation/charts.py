"""Charts of an evaluation, drawn with matplotlib from what was measured. Each returns PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.figures import new_figure, png

Floats = npt.NDArray[np.float64]

HELD_OUT, TRAINED = "#e8590c", "#1c7ed6"


def error_curves(
    by_part: dict[str, Floats], animal_px: dict[str, Floats], keypoints: Sequence[str]
) -> bytes:  # fmt: skip
    """Share of points within t px, of each part and each keypoint, and within t of the animal's size.

    Parameters
    ----------
    by_part:
        Distances (N, K) px by part ("test", "train"), as `measures.distances` returns them; the first
        part's keypoints are drawn one by one.
    animal_px:
        (N,) by part.
    """
    figure = new_figure(11.0, 3.4)
    pixels, single, relative = figure.subplots(1, 3)
    colours = dict(zip(by_part, (HELD_OUT, TRAINED), strict=False))
    share = {part: distance / animal_px[part][:, None] for part, distance in by_part.items()}
    for part, distance in by_part.items():
        _steps(pixels, distance.ravel(), colour=colours[part], label=part)
        _steps(relative, share[part].ravel(), colour=colours[part], label=part)
    top, top_share = (max(_top(values) for values in of.values()) for of in (by_part, share))
    first = next(iter(by_part.values()))
    from matplotlib import colormaps

    for k, name in enumerate(keypoints):
        colour = colormaps["turbo"]((k + 0.5) / len(keypoints))
        _steps(single, first[:, k], colour=colour, label=name if len(keypoints) <= 12 else None)
    for axis, title, label in (
        (pixels, "share of points within t", "t, px of the image"),
        (single, f"by keypoint, {next(iter(by_part))} part", "t, px of the image"),
        (relative, "t as a share of the animal's size", "t / animal"),
    ):
        axis.set_ylim(0, 1.02)
        axis.set_xlim(0, top_share if axis is relative else top)
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_xlabel(label)
        axis.grid(linewidth=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="lower right")
    return png(figure)


def reliability_chart(reliability: dict[str, Any]) -> bytes:
    """Share of points within the limit against their confidence, and how many points each bin holds."""
    figure = new_figure(4.6, 4.2)
    share, count = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    rows = [row for row in reliability["bins"] if row["points"]]
    share.plot([0, 1], [0, 1], color="#adb5bd", linewidth=0.9, linestyle="--", label="what it says")
    share.plot(
        [row["confidence"] for row in rows], [row["share_within"] for row in rows],
        color=HELD_OUT, marker="o", markersize=4, linewidth=1, label="what it is worth",
    )  # fmt: skip
    error = reliability["expected_calibration_error"]
    share.set_title(
        f"expected calibration error {error:.3f}" if error is not None else "no labelled points",
        loc="left", fontsize=9,
    )  # fmt: skip
    share.set_ylabel(f"share within {reliability['within_px']:g} px")
    share.set_ylim(0, 1.02)
    share.legend(loc="upper left")
    every = reliability["bins"]
    count.bar(
        [(row["from"] + row["to"]) / 2 for row in every], [row["points"] for row in every],
        width=0.09, color="#ced4da",
    )  # fmt: skip
    count.set_ylabel("points")
    count.set_xlabel("confidence")
    count.set_xlim(0, 1)
    return png(figure)


def learning_curve_chart(curve: dict[str, Floats]) -> bytes:
    """Loss and errors against minutes, from the columns of a learning curve, NaN where a cell is empty."""
    figure = new_figure(6.0, 3.0)
    axis = figure.subplots()
    minutes = curve["seconds"] / 60
    errors = [name for name in curve if name.endswith("_px") and np.isfinite(curve[name]).any()]
    for name, colour in zip(errors, (HELD_OUT, TRAINED, "#2f9e44", "#9c36b5"), strict=False):
        label = name.removesuffix("_px").replace("_", " ")
        axis.plot(minutes, curve[name], color=colour, marker=".", linewidth=1, label=label)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("error, px")
    axis.set_xlim(left=0)
    if errors:
        lowest = min(float(np.nanmin(curve[name])) for name in errors)
        axis.set_ylim(0, max(6 * lowest, 1e-3))
    losses = axis.twinx()
    losses.plot(minutes, curve["loss"], color="#adb5bd", linewidth=1, label="loss (right)")
    losses.set_yscale("log")
    losses.spines["right"].set_visible(True)
    lines = [*axis.get_lines(), *losses.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], loc="upper right")
    return png(figure)


def _steps(axis: Any, values: Floats, *, colour: Any, label: str | None) -> None:
    """The empirical distribution of values; those that are infinite stay above every t."""
    there = np.sort(values[~np.isnan(values)])
    if there.size:
        share = np.arange(1, there.size + 1) / there.size
        finite = np.isfinite(there)
        axis.step(
            np.r_[0, there[finite]], np.r_[0, share[finite]], where="post", color=colour, linewidth=1.1,
            label=label,
        )  # fmt: skip


def _top(distance: Floats) -> float:
    """Where the axis ends: what 98 % of the points stay below, and half as much again."""
    there = distance[np.isfinite(distance)]
    return 1.5 * float(np.quantile(there, 0.98)) if there.size else 1.0
