"""The calibration's report: one HTML page for a person, drawn without any plotting package."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from acquisition.frame import Image
from acquisition.page_style import STYLE
from calibration.boards import BoardSettings
from calibration.camera_model import CalibratedRig
from calibration.drawing import figure, heat_map, table
from calibration.report_figures import camera_figures, plan, relative_figures, view_graph, volume_figures
from calibration.residuals import TILTS_DEG, corner_rms, tilts, view_errors
from calibration.solve import Solution

MEANING = {
    "PASS": "Good to measure with.",
    "WARN": "Usable; what is listed below would make it better.",
    "FAIL": "Do not measure with this.",
}
WORST_VIEWS = 8


def write_report(
    rig: CalibratedRig, solution: Solution, board: BoardSettings, figures: dict[str, Any], path: Path,
    pictures: tuple[Image | None, ...] = (),
) -> None:  # fmt: skip
    """Write the page; `figures` as `Calibrated.figures`, `pictures` one per camera."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(render(rig, solution, board, figures, pictures), encoding="utf-8")
    temporary.replace(path)


def render(
    rig: CalibratedRig, solution: Solution, board: BoardSettings, figures: dict[str, Any],
    pictures: tuple[Image | None, ...] = (),
) -> str:  # fmt: skip
    """The page as text."""
    verdict, checks = figures["verdict"], figures["cross_checks"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Calibration: {verdict}</title>",
        f"<style>{STYLE}</style><h1>Calibration: <span class={verdict}>{verdict}</span></h1>",
        f"<p>{MEANING[verdict]} {figures['frame_sets']} frame sets, {figures['views']} views of the board, "
        f"{figures['rms_px']:.3f} px RMS reprojection error (median {figures['median_px']:.3f}).</p>",
        _findings(figures["findings"]),
        "<h2>Held out</h2>", _held_out(figures["held_out"]),
        "<h2>Cameras</h2>", _cameras(figures["cameras"]), _lenses(figures),
        "<p>Corners are green to red for errors of 0 to three times the median; grey cells saw no board.</p>",
        *(
            "<div>" + camera_figures(solution, c, pictures[c] if c < len(pictures) else None) + "</div>"
            for c in range(len(rig.cameras))
        ),
        "<h2>Views</h2>", _views(solution, board, figures["frame_set_names"]),
    ]  # fmt: skip
    if len(rig.cameras) > 1:
        parts += [
            "<h2>Rig</h2>", plan(rig, solution), view_graph(rig.names, figures["shared_views"]),
            "<h2>Each camera against the others</h2>", _against(checks), relative_figures(checks),
            "<h2>Time or calibration?</h2>", _timing(checks["timing"], figures["free_running"]),
            "<h2>What a pixel costs</h2><p>With 1 px of noise in every view, a triangulated point is off by "
            "so many mm at least (Cramer-Rao bound), in the volume where the board was, seen in three slices:"
            "</p>", volume_figures(solution),
        ]  # fmt: skip
    if figures["since_anchor"] is not None:
        parts += ["<h2>Since the old calibration</h2>", _since(figures)]
    elif figures["since_previous"] is not None:
        parts += [
            "<h2>Since the calibration that was here</h2>", _changes(figures["since_previous"]),
            "<p>Both worlds laid onto each other by the cameras that stayed; the old world is not kept "
            "(--anchor does that).</p>",
        ]  # fmt: skip
    elif figures["not_compared"] is not None:
        parts += [
            "<h2>Since the calibration that was here</h2>",
            f"<p>Not compared: {escape(figures['not_compared'])}.</p>",
        ]
    if figures["ground_marks"] is not None:
        parts += ["<h2>Ground</h2>", f"<p>{ground_words(figures)}.</p>"]
    parts += ["<h2>Scale</h2>", f"<p>{_scale(figures)}</p></html>"]
    return "\n".join(parts)


def _lenses(figures: dict[str, Any]) -> str:
    rows = []
    for name, parameters in figures["parameters"].items():
        values = ", ".join(f"{key} {value:.6g} \u00b1 {sd:.2g}" for key, (value, sd) in parameters.items())
        lens = figures["lenses"][name]
        tried = ", ".join(
            f"{trial['model']} {trial['held_out_px']:.3f} px"
            for trial in lens["tried"]
            if trial["held_out_px"] is not None
        )
        rows.append((name, lens["model"], values, tried or "the simplest fits as well as any"))
    return table(("camera", "lens", "parameters", "held out"), rows)


def _views(solution: Solution, board: BoardSettings, names: dict[str, str]) -> str:
    views = view_errors(solution)
    worst = table(
        ("worst views", "frame set", "corners", "RMS px", "max px", "tilt"),
        [
            (
                v.camera,
                f"{v.frame_set} ({names[str(v.frame_set)]})" if names else v.frame_set,
                v.corners,
                f"{v.rms_px:.3f}",
                f"{v.max_px:.2f}",
                f"{v.tilt_deg:.0f}\u00b0",
            )
            for v in views[:WORST_VIEWS]
        ],
    )
    bounds = [f"{low} to {high}\u00b0" for low, high in pairwise(TILTS_DEG)]
    tilted = table(
        ("views by the board's tilt", *bounds),
        [(name, *tilts(views, name)) for name in solution.observations.cameras],
    )
    corners = figure(heat_map(corner_rms(solution, board), digits=3), "RMS px of each of the board's corners")
    return f"{worst}<br>{tilted}{corners}"


def _against(checks: dict[str, Any]) -> str:
    pairs = table(
        ("epipolar distance", "to", "corners", "RMS px", "p95"),
        [
            (p["first"], p["second"], p["corners"], f"{p['rms_px']:.3f}", f"{p['p95_px']:.3f}")
            for p in checks["pairs"]
        ],
    )
    left_out = ""
    if checks["left_out"]:
        left_out = (
            "<br>"
            + table(
                ("camera left out", "corners", "RMS px", "median"),
                [
                    (c["name"], c["corners"], f"{c['rms_px']:.3f}", f"{c['median_px']:.3f}")
                    for c in checks["left_out"]
                ],
            )
            + "<p>Its corners as triangulated by the other cameras predict them.</p>"
        )
    return pairs + left_out


def _timing(timing: dict[str, Any] | None, free_running: bool) -> str:
    if timing is None:
        return (
            "<p>The board hardly moved, or nobody knows when the pictures were taken: bad synchronisation "
            "could not be told from bad calibration here, and did no harm here.</p>"
        )
    rows = [
        (
            c["name"], c["moving_views"],
            "" if c["delay_ms"] is None
            else f"{c['delay_ms']:+.2f} \u00b1 {c['delay_sd_ms']:.2f}" if c["delay_sd_ms"] else "reference",
        )
        for c in timing["cameras"]
    ]  # fmt: skip
    words = (
        "These delays are part of the calibration." if free_running else
        f"With every camera free to be late, views in motion fit to {timing['timed_px']:.3f} px instead of "
        f"{timing['rms_px']:.3f}: what goes away is time, what stays is calibration (or a bent board)."
    )  # fmt: skip
    return (
        table(("camera", "views in motion", "late by ms"), rows)
        + f"<p>{words} Residuals of the slower half of the views {timing['slow_px']:.3f} px RMS, of the "
        f"faster half {timing['fast_px']:.3f}.</p>"
    )


def _since(figures: dict[str, Any]) -> str:
    return (
        f"{_changes(figures['since_anchor'])}<p>The old frame is kept: by the cameras that stayed it fits to "
        f"{figures['anchor_rms_mm']:.2f} mm RMS where the board was.</p>"
    )


def _changes(cameras: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(c['name'])}<td>{c['shift_px']:.2f}<td>{c['moved_mm']:.2f}<td>{c['turned_deg']:.3f}"
        f"<td class={'PASS' if c['stayed'] else 'WARN'}>{'stayed' if c['stayed'] else 'moved'}"
        for c in cameras
    )
    return f"<table><tr><th>camera<th>image shifted, px<th>moved, mm<th>turned, degrees<th>{rows}</table>"


def ground_words(figures: dict[str, Any]) -> str:
    """How well the marks of the ground make a plane, as a sentence without its full stop."""
    if figures["ground_marks"] == 3:
        return "The ground's three marks make a plane wherever they lie: a fourth would test them"
    return (
        f"The ground's {figures['ground_marks']} marks lie {figures['ground_rms_mm']:.2f} mm RMS from a plane"
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
