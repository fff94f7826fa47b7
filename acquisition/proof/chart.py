"""The report's picture: where each camera's frames are absent, and how exposures lie within their sets."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from acquisition.frame import Absence
from acquisition.proof.figures import PRESENT, Synchrony

WIDTH, _LEFT, _RIGHT = 1000, 110, 10
_BINS = 600
_ROW, _PLOT = 18, 150
_THERE, _UNCERTAIN, _OTHER = "#d3ecd9", "#8250df", "#57606a"
_COLOURS = {
    Absence.LOST.value: "#cf222e",
    Absence.IGNORED.value: "#e16f24",
    Absence.RING_FULL.value: "#bf8700",
    Absence.UNMATCHED.value: "#a40e26",
    Absence.NOT_STARTED.value: "#afb8c1",
    Absence.ENDED.value: "#6e7781",
}
_LINES = ("#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#1b7c83", "#bc4c00", "#57606a")


def draw(measured: Synchrony) -> str:
    """The picture as SVG text; it stands by itself and needs no fonts, scripts or files."""
    cameras = list(measured.cameras)
    strips = len(cameras) * (_ROW + 4)
    legend_at = 34 + strips
    plot_at = legend_at + 46
    height = plot_at + _PLOT + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'font-family="system-ui,sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="16" font-weight="600">Frames of each camera over the session</text>',
    ]
    bins = _bins(measured)
    for row, name in enumerate(cameras):
        top = 26 + row * (_ROW + 4)
        parts.append(f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>')
        parts += _strip(measured, row, bins, top)
    parts += _legend(measured, legend_at)
    parts += _offsets(measured, bins, plot_at)
    return "".join(parts) + "</svg>\n"


def _bins(measured: Synchrony) -> npt.NDArray[np.int64]:
    """Rows of the sets at which each of the picture's columns begins, and the end."""
    count = max(1, min(_BINS, measured.frame_sets))
    return np.linspace(0, measured.frame_sets, count + 1).astype(np.int64)


def _x(measured: Synchrony, row: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * row / max(measured.frame_sets, 1)


def _strip(measured: Synchrony, column: int, bins: npt.NDArray[np.int64], top: int) -> list[str]:
    """One camera: a column is as high in a cause's colour as its share, a quarter of the strip at least."""
    width = _x(measured, measured.frame_sets) - _LEFT
    parts = [f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_ROW}" fill="{_THERE}"/>']
    for a, b in pairwise(bins):
        causes = measured.causes[a:b, column]
        x, w = _x(measured, a), max(1.0, _x(measured, b) - _x(measured, a))
        bottom = float(top + _ROW)
        for cause in np.unique(causes[causes != PRESENT]):
            high = max(_ROW / 4, _ROW * float((causes == cause).mean()))
            bottom = max(bottom - high, top)
            colour = _COLOURS.get(measured.cause_names[cause], _OTHER)
            parts.append(
                f'<rect x="{x:.1f}" y="{bottom:.1f}" width="{w:.1f}" height="{high:.1f}" fill="{colour}"/>'
            )
        if measured.doubtful[a:b, column].any():
            parts.append(f'<rect x="{x:.1f}" y="{top - 3}" width="{w:.1f}" height="4" fill="{_UNCERTAIN}"/>')
    return parts


def _legend(measured: Synchrony, top: int) -> list[str]:
    entries = [("there", _THERE)]
    entries += [(name, _COLOURS.get(name, _OTHER)) for name in measured.cause_names]
    if measured.uncertain:
        entries.append(("uncertain", _UNCERTAIN))
    parts, x = [], float(_LEFT)
    for name, colour in entries:
        parts.append(f'<rect x="{x:.0f}" y="{top}" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16:.0f}" y="{top + 10}">{escape(name)}</text>')
        x += 34 + 7 * len(name)
    if measured.frame_sets:
        seconds = (int(measured.t_ns[-1]) - int(measured.t_ns[0])) * 1e-9
        parts.append(
            f'<text x="{WIDTH - _RIGHT}" y="{top + 10}" text-anchor="end">pulse {measured.index[0]} to '
            f"{measured.index[-1]}, {seconds:.1f} s</text>"
        )
    return parts


def _offsets(measured: Synchrony, bins: npt.NDArray[np.int64], top: int) -> list[str]:
    """Per camera: how far its exposures lie from the sets' middles, median and 5th to 95th percentile."""
    parts = [
        f'<text x="{_LEFT}" y="{top - 8}" font-weight="600">Exposures from the middle of their set, ms: '
        "median, band of 90 %</text>"
    ]
    coarse = bins[:: max(1, len(bins) // 120)]
    if coarse[-1] != bins[-1]:
        coarse = np.append(coarse, bins[-1])
    lines = []
    for column in range(len(measured.cameras)):
        points = []
        for a, b in pairwise(coarse):
            off_ms = measured.off_ns[a:b, column][measured.causes[a:b, column] == PRESENT] * 1e-6
            if len(off_ms):
                points.append((_x(measured, (a + b) / 2), *np.percentile(off_ms, [5, 50, 95])))
        lines.append(points)
    every = [abs(value) for points in lines for _, *values in points for value in values]
    reach = float(max([*every, 0.01])) * 1.1

    def y(off_ms: float) -> float:
        return float(top + _PLOT / 2 * (1 - off_ms / reach))

    for value in (-reach / 1.1, 0.0, reach / 1.1):
        at = f"{y(value):.1f}"
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+.3f}</text>'
        )
    for column, (name, points) in enumerate(zip(measured.cameras, lines, strict=True)):
        colour = _LINES[column % len(_LINES)]
        above = " ".join(f"{x:.1f},{y(high):.1f}" for x, _, _, high in points)
        below = " ".join(f"{x:.1f},{y(low):.1f}" for x, low, _, _ in reversed(points))
        middle = " ".join(f"{x:.1f},{y(median):.1f}" for x, _, median, _ in points)
        parts.append(f'<polygon points="{above} {below}" fill="{colour}" fill-opacity="0.12"/>')
        parts.append(f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(
            f'<text x="{_LEFT + column * 110}" y="{top + _PLOT + 24}" fill="{colour}">{escape(name)}</text>'
        )
    return parts
