"""The bench as a picture: an SVG drawn without any plotting package, so that an edge device draws it too."""

from __future__ import annotations

from html import escape
from typing import Any

from deploy.bench.stages import END_TO_END

COLOURS = {
    "crop_and_resize": "#4c8bb8", "inference": "#e0803c", "decode_heatmaps": "#5aa469", "filter": "#b07aa1",
    "triangulate": "#d4a72c", "publish": "#8c6d5a",
}  # fmt: skip
_LEFT, _WIDTH, _RIGHT, _ROW, _TOP = 190, 500, 290, 26, 80
_INK, _FAINT = "#343a40", "#ced4da"


def draw(measured: dict[str, Any]) -> str:
    """A bar a row, of what `deploy.bench.bench.bench` returns: medians of the stages, and p99 end to end."""
    rows = sorted(measured["rows"], key=lambda row: (row["cameras"], row[END_TO_END]["p50_ms"]))
    longest = max(row[END_TO_END]["p99_ms"] for row in rows)
    scale = _WIDTH / longest
    height = _TOP + _ROW * len(rows) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _RIGHT}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12" fill="{_INK}">'
        f'<rect width="100%" height="100%" fill="#fff"/>',
        _text(10, 20, f"{measured['network']}, {measured['bundle']}, input {_by(measured['input_wh'])}", 14),
        _text(10, 38, f"{measured['machine']['processor']}, inference on {_threads(measured)}"),
        _text(10, 54, "A frame set in memory to its poses: medians of the stages, a line to p99 of it all"),
    ]  # fmt: skip
    parts += [_bar(row, _TOP + _ROW * number, scale) for number, row in enumerate(rows)]
    parts += [_axis(longest, scale, _TOP + _ROW * len(rows)), _legend(height - 8), "</svg>"]
    return "\n".join(parts) + "\n"


def _bar(row: dict[str, Any], y: int, scale: float) -> str:
    cameras = "1 camera" if row["cameras"] == 1 else f"{row['cameras']} cameras"
    whole = row[END_TO_END]
    parts = [_text(10, y + 15, f"{row['runtime']} {row['precision']}, {cameras}")]
    at = float(_LEFT)
    for stage, colour in COLOURS.items():
        if stage in row["stages"]:
            width = row["stages"][stage]["p50_ms"] * scale
            title = f"{stage.replace('_', ' ')}: {row['stages'][stage]['p50_ms']:.3f} ms"
            parts.append(
                f'<rect x="{at:.1f}" y="{y + 4}" width="{width:.1f}" height="15" fill="{colour}">'
                f"<title>{escape(title)}</title></rect>"
            )
            at += width
    end = _LEFT + whole["p99_ms"] * scale
    parts.append(f'<path d="M{at:.1f} {y + 11.5}H{end:.1f}m0 -5v10" stroke="{_INK}" fill="none"/>')
    held_out = "" if row["held_out_px"] is None else f", {row['held_out_px']:.2f} px held out"
    figures = f"{whole['p50_ms']:.2f} ms, p99 {whole['p99_ms']:.2f}{held_out}"
    parts.append(_text(_LEFT + _WIDTH + 10, y + 15, figures))
    return "".join(parts)


def _axis(longest: float, scale: float, y: int) -> str:
    step = next(s for s in _steps() if longest / s <= 8)
    parts = []
    for tick in range(int(longest / step) + 1):
        x = _LEFT + tick * step * scale
        parts.append(f'<path d="M{x:.1f} {_TOP}V{y + 4}" stroke="{_FAINT}" stroke-width=".6"/>')
        parts.append(_text(x - 4, y + 17, f"{tick * step:g}"))
    return "".join(parts) + _text(_LEFT - 28, y + 17, "ms")


def _steps() -> Any:
    size = 0.01
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def _legend(y: int) -> str:
    parts, x = [], 10
    for stage, colour in COLOURS.items():
        name = stage.replace("_", " ")
        parts.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" fill="{colour}"/>')
        parts.append(_text(x + 16, y, name))
        x += 34 + 7 * len(name)
    return "".join(parts)


def _text(x: float, y: float, words: str, size: int = 12) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}">{escape(words)}</text>'


def _by(pair: list[int]) -> str:
    return f"{pair[0]} x {pair[1]}"


def _threads(measured: dict[str, Any]) -> str:
    threads = measured["options"]["threads"]
    return "1 thread" if threads == 1 else f"{threads} threads"
