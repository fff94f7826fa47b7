"""A comparison to look at: tables in Markdown, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deploy.figures import INK, new_figure, png
from training.comparison.measured import FoldResult
from training.evaluation.measures import distances
from training.evaluation.tables import Floats, read_learning_curve
from training.learning.course import FLOAT_FOLDER

CURVE = "learning_curve.csv"
COLOURS = ("#e8590c", "#1c7ed6", "#2f9e44", "#9c36b5", "#f08c00", "#0c8599", "#c2255c", "#495057")


def markdown(rows: Sequence[dict[str, Any]], folds: Sequence[dict[str, Any]]) -> str:
    """Two tables: a row a network, and a row a fold with its time and its bundle."""
    return f"{markdown_rows(rows)}\n{markdown_folds(folds)}"


def markdown_rows(rows: Sequence[dict[str, Any]]) -> str:
    """A row a network: errors of all folds' points together, and how much the folds differ."""
    lines = [
        "| network | precision | input px | parameters | folds | mean px | +- between folds | RMSE px | "
        "median px | 95 % px | bias x, y px | to the first, px | int8 to fp32, px | s a fold |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row["network"], row["precision"], _size(row["input_size_px"]), _count(row["parameters"]),
            f"{row['folds']} ({row['images']} images, {row['points']} points)",
            f"**{_px(row['mean_px'])}**", _px(row["between_folds_px"]), _px(row["rmse_px"]),
            _px(row["median_px"]), _px(row["p95_px"]),
            f"{_px(row['bias_x_px'], '+')}, {_px(row['bias_y_px'], '+')}",
            _difference(row["against_first"]), _difference(row.get("against_fp32")),
            "-" if row["seconds_per_fold"] is None else f"{row['seconds_per_fold']:.0f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def markdown_folds(folds: Sequence[dict[str, Any]]) -> str:
    """A row a fold: its images, error, training time, input, and the bundle's hash."""
    lines = [
        "| network | precision | fold | images | mean px | bias x, y px | s | input px | bundle |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in folds:
        digest, seconds = row.get("bundle_sha256"), row.get("seconds")
        cells = (
            row["network"], row["precision"], row["fold"], str(row["images"]), _px(row["mean_px"]),
            f"{_px(row['bias_x_px'], '+')}, {_px(row['bias_y_px'], '+')}",
            "-" if seconds is None else f"{seconds:.0f}", _size(row.get("input_size_px")),
            f"`{digest[:12]}`" if digest else "-",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def comparison_chart(
    rows: Sequence[dict[str, Any]], folds: Sequence[dict[str, Any]], results: Sequence[FoldResult]
) -> bytes:
    """Left the mean error of each fold and of all together; right the share of points within t px."""
    figure = new_figure(10.4, 1.8 + 0.45 * max(4, len(rows)))
    means, shares = figure.subplots(1, 2, width_ratios=[1.2, 1])
    top = 1.0
    names = []
    for place, row in enumerate(rows):
        colour = COLOURS[place % len(COLOURS)]
        key = row["network"], row["precision"]
        names.append(f"{row['network']} {row['precision']}")
        single = [f["mean_px"] for f in folds if (f["network"], f["precision"]) == key and f["points"]]
        means.scatter(single, [place] * len(single), s=16, color=colour, alpha=0.55, linewidths=0)
        if row["mean_px"] is not None:
            means.scatter([row["mean_px"]], [place], s=130, color=colour, marker="|", linewidths=2)
            means.annotate(
                f"{row['mean_px']:.2f}", (row["mean_px"], place), xytext=(0, 9), fontsize=8, color=INK,
                textcoords="offset points", ha="center",
            )  # fmt: skip
        pooled = np.concatenate(
            [distances(r.predicted, r.points).ravel() for r in results if (r.network, r.precision) == key]
        )
        there = np.sort(pooled[~np.isnan(pooled)])
        if there.size:
            finite = there[np.isfinite(there)]
            top = max(top, 1.5 * float(np.quantile(finite, 0.95)) if finite.size else 1.0)
            share = np.arange(1, finite.size + 1) / there.size
            style = "--" if row["precision"] == "int8" else "-"
            shares.step(
                np.r_[0, finite], np.r_[0, share], where="post", color=colour, linewidth=1.1,
                linestyle=style, label=names[-1],
            )  # fmt: skip
    means.set_yticks(range(len(rows)), names)
    means.set_ylim(len(rows) - 0.5, -0.7)
    means.set_xlim(left=0)
    means.set_xlabel("mean error, px; dots: single folds")
    means.grid(axis="x", linewidth=0.3)
    shares.set_xlim(0, top)
    shares.set_ylim(0, 1.02)
    shares.set_xlabel("t, px of the image")
    shares.set_title("share of held-out points within t", loc="left", fontsize=9)
    shares.grid(linewidth=0.3)
    if shares.get_legend_handles_labels()[0]:
        shares.legend(loc="lower right")
    return png(figure)


def learning_curves_chart(results: Sequence[FoldResult]) -> bytes:
    """The held-out error of every fold while it was trained, a thin line each."""
    figure = new_figure(7.0, 3.4)
    axis = figure.subplots()
    networks = list(dict.fromkeys(result.network for result in results))
    lowest = []
    for result in results:
        minutes, errors = (
            _learning_curve(result.run) if result.precision == "fp32" else (np.array([]), np.array([]))
        )
        if np.isfinite(errors).any():
            lowest.append(float(np.nanmin(errors)))
            place = networks.index(result.network)
            axis.plot(
                minutes, errors, color=COLOURS[place % len(COLOURS)], linewidth=0.9,
                label=result.network,
            )  # fmt: skip
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("held-out mean error, px")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 4 * max(lowest, default=1.0))
    axis.grid(linewidth=0.3)
    once = {str(line.get_label()): line for line in axis.get_lines()}
    if once:
        axis.legend(once.values(), once.keys(), loc="upper right")
    return png(figure)


def _learning_curve(run: Path) -> tuple[Floats, Floats]:
    """Minutes and held-out errors, px: in float, then with int8's rounding if it was learned."""
    parts = [file for file in (run / FLOAT_FOLDER / CURVE, run / CURVE) if file.is_file()]
    minutes: list[Floats] = [np.array([])]
    errors: list[Floats] = [np.array([])]
    before_s = 0.0
    for file in parts:
        if curve := read_learning_curve(file):
            minutes.append((before_s + curve["seconds"]) / 60)
            errors.append(curve["held_out_mean_px"])
            before_s += curve["seconds"][-1]
    return np.concatenate(minutes), np.concatenate(errors)


def _px(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"


def _size(value: Sequence[int] | None) -> str:
    return "-" if value is None else f"{value[0]}x{value[1]}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f} M"


def _difference(value: dict[str, float] | None) -> str:
    return (
        "-" if value is None
        else f"{value['difference_px']:+.2f} [{value['low_px']:+.2f}, {value['high_px']:+.2f}]"
    )  # fmt: skip
