"""The style that all charts share, and what makes them: matplotlib, without a display."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#343a40"
STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#868e96",
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "legend.frameon": False,
    "legend.fontsize": 8, "figure.dpi": 110,
}  # fmt: skip


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure in the project's style, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def picture(figure: Figure, kind: str) -> bytes:
    """The figure as `kind`: png, svg or pdf."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind)
    return stream.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    return picture(figure, "png")


def colours_of(count: int) -> list[tuple[float, float, float]]:
    """`count` colours, red, green and blue 0..1, that are told apart on white and on a dark image.

    Hues are evenly spaced; neighbours differ in lightness as well, which those see who see few hues.
    """
    import colorsys

    return [
        colorsys.hls_to_rgb(index / max(count, 1), 0.42 if index % 2 else 0.56, 0.85)
        for index in range(count)
    ]
