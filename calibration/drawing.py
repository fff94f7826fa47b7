"""What a report is drawn with: heat maps, scatters and small tables as SVG and HTML text."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image

Array = npt.NDArray[np.float64]

WIDTH = 300
CHART = (420, 170)
LEFT, BELOW = 46, 30


def figure(drawing: str, caption: str) -> str:
    """A drawing with words below it; the caption is escaped."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; cells are escaped."""
    top = "".join(f"<th>{escape(str(cell))}" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row) for row in rows)
    return f"<table><tr>{top}{body}</table>"


def heat_map(values: Array, width: int = WIDTH, height: int | None = None, digits: int = 2) -> str:
    """Cells (rows, columns) from blue (least) to red (most); NaN stays grey. Least and most are written."""
    rows, columns = values.shape
    height = round(width * rows / columns) if height is None else height
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    # logarithmic: uncertainty grows by orders of magnitude towards an edge
    scaled = np.log(np.maximum(values, 1e-12) / max(low, 1e-12)) / max(np.log(high / max(low, 1e-12)), 1e-9)
    w, h = width / columns, height / rows
    cells = "".join(
        f'<rect x="{x * w:.1f}" y="{y * h:.1f}" width="{w + 0.5:.1f}" height="{h + 0.5:.1f}" '
        f'fill="{_heat(float(scaled[y, x]))}"><title>{values[y, x]:.{digits}f}</title></rect>'
        for y in range(rows)
        for x in range(columns)
        if np.isfinite(values[y, x])
    )
    marks = ""
    if len(known):
        for value in (low, high):
            y, x = np.argwhere(values == value)[0]
            marks += (
                f'<text x="{min((x + 0.5) * w, width - 16):.0f}" y="{max((y + 0.5) * h + 4, 11):.0f}" '
                f'font-size="11" text-anchor="middle">{value:.{digits}f}</text>'
            )
    return f'<svg width="{width}" height="{height}">{cells}{marks}</svg>'


def _heat(share: float) -> str:
    return f"hsl({220 * (1 - min(max(share, 0), 1)):.0f},75%,{78 - 20 * share:.0f}%)"


def arrow_map(values: Array, size_px: tuple[int, int], width: int = WIDTH) -> str:
    """A field (rows, columns, 2) px over an image, drawn many times too long; the factor is written."""
    rows, columns = values.shape[:2]
    height = width * size_px[1] / size_px[0]
    length = np.linalg.norm(values, axis=-1)
    longest = float(np.nanmax(length)) if np.isfinite(length).any() else 0.0
    scale = 0.9 * width / columns / max(longest, 1e-9)
    marks = []
    for y, x in np.argwhere(np.isfinite(length)):
        px, py = (x + 0.5) * width / columns, (y + 0.5) * height / rows
        dx, dy = values[y, x] * scale
        marks.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="1.5"/>'
            f'<line x1="{px:.1f}" y1="{py:.1f}" x2="{px + dx:.1f}" y2="{py + dy:.1f}" stroke="#0969da"/>'
        )
    note = f'<text x="4" y="{height - 5:.0f}" font-size="11">longest {longest:.2f} px</text>'
    return f'<svg width="{width}" height="{height:.0f}">{"".join(marks)}{note}</svg>'


def scatter(
    series: dict[str, tuple[Array, Array]], across: str, up: str, size: tuple[int, int] = CHART
) -> str:
    """Points of several series over two axes that begin at zero."""
    width, height = size
    every = [(x, y) for x, y in series.values() if len(x)]
    if not every:
        return ""
    most_x = max(float(np.nanmax(x)) for x, _ in every) or 1.0
    # one wild point is not to press all others onto the axis
    most_y = max(float(np.nanpercentile(y, 98)) for _, y in every) * 1.3 or 1.0
    w, h = width - LEFT - 10, height - BELOW - 10
    marks = [
        f'<line x1="{LEFT}" y1="{10 + h}" x2="{width - 10}" y2="{10 + h}" stroke="#888"/>'
        f'<line x1="{LEFT}" y1="10" x2="{LEFT}" y2="{10 + h}" stroke="#888"/>'
        f'<text x="{width - 10}" y="{height - 5}" font-size="11" text-anchor="end">{escape(across)}, '
        f"to {most_x:.4g}</text>"
        f'<text x="4" y="{height - 5}" font-size="11">{escape(up)}, to {most_y:.3g}</text>'
    ]
    for number, (name, (x, y)) in enumerate(series.items()):
        colour = f"hsl({number * 137 % 360},65%,40%)"
        for px, py in zip(x, y, strict=True):
            if np.isfinite(px) and np.isfinite(py):
                place = 10 + h * (1 - min(py / most_y, 1))
                marks.append(
                    f'<circle cx="{LEFT + w * px / most_x:.1f}" cy="{place:.1f}" r="1.8" fill="{colour}"/>'
                )
        marks.append(
            f'<text x="{width - 12}" y="{20 + 13 * number}" font-size="11" text-anchor="end" '
            f'fill="{colour}">{escape(name)}</text>'
        )
    return f'<svg width="{width}" height="{height}">{"".join(marks)}</svg>'


def picture(image: Image, width: int) -> str:
    """A grey picture inside the page, as JPEG."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    if not done:
        raise ValueError("OpenCV cannot write a JPEG")
    data = base64.b64encode(encoded.tobytes()).decode("ascii")
    return f'<img width="{width}" height="{height}" alt="" src="data:image/jpeg;base64,{data}">'
