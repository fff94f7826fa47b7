"""The calibration's report: one HTML page for a person, drawn without any plotting package."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.camera_model import CalibratedRig
from calibration.solve import Solution

Array = npt.NDArray[np.float64]

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:1.8rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}
.PASS{color:#1a7f37}.WARN{color:#9a6700}.FAIL{color:#cf222e}
figure{display:inline-block;margin:.4rem}figcaption{font-size:.85rem;color:#555}
svg{background:#f6f8fa;border:1px solid #ddd}
"""
MEANING = {
    "PASS": "Good to measure with.",
    "WARN": "Usable; what is listed below would make it better.",
    "FAIL": "Do not measure with this.",
}
WIDTH = 300


def write_report(rig: CalibratedRig, solution: Solution, figures: dict[str, Any], path: Path) -> None:
    """Write the page; `figures` as `Calibrated.figures`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(render(rig, solution, figures), encoding="utf-8")
    temporary.replace(path)


def render(rig: CalibratedRig, solution: Solution, figures: dict[str, Any]) -> str:
    """The page as text."""
    verdict = figures["verdict"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Calibration: {verdict}</title>",
        f"<style>{STYLE}</style><h1>Calibration: <span class={verdict}>{verdict}</span></h1>",
        f"<p>{MEANING[verdict]} {figures['frame_sets']} frame sets, {figures['views']} views of the board, "
        f"{figures['rms_px']:.3f} px RMS reprojection error (median {figures['median_px']:.3f}).</p>",
        _findings(figures["findings"]),
        "<h2>Held out</h2>", _held_out(figures["held_out"]),
        "<h2>Cameras</h2>", _cameras(figures["cameras"]),
        "<p>Errors at the corners (green to red: 0 to three times the median); grey cells saw no board.</p>",
        *(_picture(solution, c) for c in range(len(rig.cameras))),
    ]  # fmt: skip
    if len(rig.cameras) > 1:
        parts += ["<h2>Rig</h2>", _plan(rig, solution), _shared(rig.names, figures["shared_views"])]
    if figures["since_anchor"] is not None:
        parts += ["<h2>Since the old calibration</h2>", _since(figures)]
    parts += ["<h2>Scale</h2>", f"<p>{_scale(figures)}</p></html>"]
    return "\n".join(parts)


def _since(figures: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(c['name'])}<td>{c['shift_px']:.2f}<td>{c['moved_mm']:.2f}<td>{c['turned_deg']:.3f}"
        f"<td class={'PASS' if c['stayed'] else 'WARN'}>{'stayed' if c['stayed'] else 'moved'}"
        for c in figures["since_anchor"]
    )
    return (
        f"<table><tr><th>camera<th>image shifted, px<th>moved, mm<th>turned, degrees<th>{rows}</table>"
        "<p>The old world is kept: by the cameras that stayed it fits to "
        f"{figures['anchor_rms_mm']:.2f} mm RMS over the working volume.</p>"
    )


def _scale(figures: dict[str, Any]) -> str:
    checked, factor = figures["known_length"], figures["scale_factor"]
    if factor is not None:
        words = f"Scale comes from a known length: {factor:.5f} times what the board file says."
    else:
        words = "Scale comes from the square size in the board file."
    if checked is not None:
        return (
            f"{words} An independent length of {checked['length_mm']:g} mm measures "
            f"<b>{checked['measured_mm']:.2f} mm</b> ({checked['error']:+.2%})."
        )
    return (
        f"{words} <b>Scale unverified</b>: a board printed at 97 % passes every test on this page. Measure "
        "something else with --check-length."
    )


def _findings(findings: list[dict[str, str]]) -> str:
    rows = [
        f"<tr><td class={f['level']}>{f['level']}<td style='text-align:left'>{escape(f['whose'])}: "
        f"{escape(f['found'])}<td style='text-align:left'>{escape(f['remedy'])}"
        for f in findings
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _held_out(held_out: dict[str, Any] | None) -> str:
    if held_out is None:
        return "<p>Too few frame sets to hold any out.</p>"
    text = (
        f"<p>Fitted without each of {held_out['folds']} parts of the recording in turn, and measured there: "
        f"{held_out['rms_px']:.3f} px RMS reprojection error"
    )
    distances = held_out["distances"]
    if distances is not None:
        text += (
            f"; distances between triangulated corners are off by <b>{distances['rms_mm']:.3f} mm RMS</b> "
            f"(median {distances['median_mm']:.3f}), lengths by {distances['scale_bias']:+.3%}, "
            f"over {distances['pairs']} pairs"
        )
    return text + ".</p>"


def _cameras(cameras: dict[str, dict[str, Any]]) -> str:
    head = (
        "camera", "views", "shared", "corners", "left out", "RMS px", "median", "p95", "max", "coverage",
        "focal px", "&plusmn;", "centre &plusmn; px", "delay ms",
    )  # fmt: skip
    rows = [
        f"<tr><td>{escape(name)}<td>{c['views']}<td>{c['shared']}<td>{c['corners']}<td>{c['left_out']}"
        f"<td>{c['rms_px']:.3f}<td>{c['median_px']:.3f}<td>{c['p95_px']:.3f}<td>{c['max_px']:.2f}"
        f"<td>{c['coverage']:.0%}<td>{c['focal_px'][0]:.1f}, {c['focal_px'][1]:.1f}<td>{c['focal_sd']:.2%}"
        f"<td>{c['centre_sd_px']:.1f}<td>{c['delay_ms']:.1f}"
        for name, c in cameras.items()
    ]
    return f"<table><tr>{''.join(f'<th>{h}' for h in head)}{''.join(rows)}</table>"


def _picture(solution: Solution, camera: int) -> str:
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
    name = escape(solution.observations.cameras[camera])
    return (
        f'<figure><svg width="{WIDTH}" height="{height * scale:.0f}">{empty}{dots}</svg>'
        f"<figcaption>{name}, {width} x {height}</figcaption></figure>"
    )


def _plan(rig: CalibratedRig, solution: Solution) -> str:
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


def _shared(names: tuple[str, ...], shared: list[list[int]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in names)
    rows = "".join(
        f"<tr><td>{escape(name)}" + "".join(f"<td>{count}" for count in row)
        for name, row in zip(names, shared, strict=True)
    )
    return (
        f"<figure><table><tr><th>{head}{rows}</table>"
        "<figcaption>Views that two cameras share</figcaption></figure>"
    )
