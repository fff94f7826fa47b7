"""Errors in px as a table in the terminal, one row a keypoint or a network."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_errors(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Rows by label, each as `training.evaluation.measures.measure` returns them."""
    table = Table(title=f"{title}: errors in px")
    table.add_column("", overflow="fold")
    for heading in ("points", "mean", "RMSE", "median", "95 %", "bias x", "bias y"):
        table.add_column(heading, justify="right")
    names = ("mean_px", "rmse_px", "median_px", "p95_px", "bias_x_px", "bias_y_px")
    for label, row in rows.items():
        cells = ("-" if row[name] is None else f"{row[name]:.2f}" for name in names)
        table.add_row(label, str(row["points"]), *cells)
    Console().print(table)
