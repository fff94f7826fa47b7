"""The synchronisation report's page: one HTML file, no scripts, the picture inside."""

from __future__ import annotations

from html import escape
from typing import Any

from acquisition.page_style import STYLE

MEANING = {
    "PASS": "By counts and stamps, frames of one set are of one instant, and nearly all are there.",
    "WARN": "By counts and stamps, frames of one set are of one instant; see what is listed below.",
    "FAIL": "Do not rely on this session before what is listed below is understood.",
}
_GAPS_SHOWN = 200


def render(report: dict[str, Any], picture: str) -> str:
    """The page as text; `report` as `report.report_of` gives it, `picture` as SVG."""
    verdict, name = report["verdict"], escape(report["session"])
    return "\n".join(
        [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Synchronisation: {verdict}</title>",
            f"<style>{STYLE}svg{{max-width:100%;height:auto}}</style>",
            f"<h1>Synchronisation of {name}: <span class={verdict}>{verdict}</span></h1>",
            f"<p>{MEANING[verdict]} {escape(_counts(report))}</p>",
            _findings(report["findings"]),
            "<h2>Picture</h2>",
            picture,
            "<h2>Cameras</h2>",
            _cameras(report["cameras"]),
            "<p>Offset and spread: exposures from the middle of their set, median and 95th percentile of the "
            "rest. Known to: half width of what is known of an exposure. Drift: of the camera's clock "
            "against the rig's, with its 95 % interval.</p>",
            _optical(report["optical"]),
            "<h2>Gaps</h2>",
            _gaps(report["cameras"]),
            "<h2>Events</h2>",
            _events(report),
            "</html>\n",
        ]
    )


def _counts(report: dict[str, Any]) -> str:
    sets = report["frame_sets"]
    text = f"{report['complete_sets']} of {sets} frame sets are complete"
    if report["pulses"] is not None:
        text += f", {report['pulses']} pulses by the trigger's count"
    if report["uncertain_sets"]:
        text += f", {report['uncertain_sets']} uncertain"
    if report["spread_ms"] is not None:
        text += (
            f"; exposures of a set within {report['spread_ms']['p95']:.3f} ms (95 %), "
            f"{report['spread_ms']['max']:.3f} ms at most, of a tolerance of {report['tolerance_ms']:g} ms"
        )
    kind = "A set is a pulse of the trigger." if report["triggered"] else (
        "The cameras run freely: a set is the exposures nearest to the first camera's."
    )  # fmt: skip
    if report["paused_s"]:
        kind += (
            f" It recorded {report['stretches']} times, and was switched off for {report['paused_s']:.1f} s: "
            "no set is of that time, and nothing of it is missing."
        )
    return f"{text}. {kind} Ended: {report['ended'] or 'cut off'}."


def _findings(findings: list[dict[str, str]]) -> str:
    rows = [
        f"<tr><td class={f['level']}>{f['level']}<td class=words>{escape(f['whose'])}: "
        f"{escape(f['found'])}<td class=words>{escape(f['remedy'])}"
        for f in findings
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _cameras(cameras: dict[str, dict[str, Any]]) -> str:
    head = (
        "camera", "frames", "in sets", "absent", "uncertain", "restarts", "offset ms", "spread ms",
        "known to ms", "latency ms, p50 / p95 / max", "clock", "drift ppm",
    )  # fmt: skip
    rows = []
    for name, c in cameras.items():
        absent = ", ".join(f"{n} {escape(cause)}" for cause, n in c["absent"].items()) or "0"
        latency = c["latency_ms"]
        drift = (
            "-"
            if c["drift_ppm"] is None
            else f"{c['drift_ppm']:+.2f} &plusmn; {c['drift_uncertainty_ppm']:.2f}"
        )
        rows.append(
            f"<tr><td>{escape(name)}<td>{c['frames']}<td>{c['in_sets']}<td>{absent}<td>{c['uncertain']}"
            f"<td>{c['restarts']}<td>{_ms(c['offset_ms'], '+.3f')}<td>{_ms(c['spread_ms'], '.3f')}"
            f"<td>{_ms(c['uncertainty_ms'], '.2f')}<td>"
            + (
                "-"
                if latency is None
                else f"{latency['p50']:.1f} / {latency['p95']:.1f} / {latency['max']:.1f}"
            )
            + f"<td>{'its own' if c['device_clock'] else 'arrival'}<td>{drift}"
        )
    return f"<table><tr>{''.join(f'<th>{h}' for h in head)}{''.join(rows)}</table>"


def _ms(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _optical(optical: dict[str, Any] | None) -> str:
    if optical is None:
        return (
            "<h2>Optical proof</h2><p>Not made. Counters can all agree while one camera is off by one "
            "from the start: <code>rigpose check-sync</code> on this session finds it, if its cameras "
            "see the LED.</p>"
        )
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{c['words']}<td>{', '.join(map(str, c['off_by'])) or '-'}"
        f"<td>{'-' if c['region'] is None else escape(str(c['region']))}"
        for name, c in optical["cameras"].items()
    )
    return (
        f"<h2>Optical proof: <span class={optical['verdict']}>{optical['verdict']}</span></h2>"
        f"<table><tr><th>camera<th>words read<th>pulses off<th>LED at x, y, width, height px{rows}</table>"
        + _findings(optical["findings"])
    )


def _gaps(cameras: dict[str, dict[str, Any]]) -> str:
    every = sorted((gap["first"], name, gap) for name, c in cameras.items() for gap in c["gaps"])
    if not every:
        return "<p>None.</p>"
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{first}<td>{gap['sets']}<td>{escape(gap['cause'])}"
        for first, name, gap in every[:_GAPS_SHOWN]
    )
    more = len(every) - _GAPS_SHOWN
    return (
        f"<table><tr><th>camera<th>from set<th>sets<th>cause{rows}</table>"
        + (f"<p>and {more} more: see the JSON file.</p>" if more > 0 else "")
    )  # fmt: skip


def _events(report: dict[str, Any]) -> str:
    lines = [f"{n} times {escape(kind)}" for kind, n in sorted(report["events"].items())]
    lines += [escape(gap) for gap in report["cut_off"]]
    ptp = report["ptp"]
    if ptp is not None:
        line = f"PTP: {', '.join(ptp['roles'])}"
        if ptp["offset_us_median"] is not None:
            line += (
                f", grandmaster {', '.join(ptp['grandmasters'])}, offset {ptp['offset_us_median']:.1f} us "
            )
            line += f"(median), {ptp['offset_us_max']:.1f} us (largest)"
        lines.append(escape(line))
    return f"<ul>{''.join(f'<li>{line}' for line in lines)}</ul>" if lines else "<p>None.</p>"
