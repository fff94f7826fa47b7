"""The synchronisation report of a session: JSON, a page and a picture, in the session's folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.findings import Finding, verdict_of
from acquisition.proof.chart import draw
from acquisition.proof.figures import CameraSynchrony, Synchrony, measure
from acquisition.proof.page import render
from acquisition.proof.verdict import judge
from acquisition.recordings.recording import Recording

JSON, PAGE, PICTURE = "synchronisation.json", "synchronisation.html", "synchronisation.svg"
OPTICAL = "optical_proof.json"
"""What `optical.check_session` found, where that was asked for."""

_GAPS_KEPT = 2000
_UNCERTAIN_KEPT = 2000


def write_report(folder: Path) -> dict[str, Any]:
    """Measure and judge a session, also one that was cut off, and write the three files into it.

    Returns
    -------
    dict
        As `report_of`, with `files`: their paths.

    Raises
    ------
    RigposeError
        If `folder` is no session, or cannot be written.
    """
    with Recording.open(folder) as recording:
        measured = measure(recording)
        report = report_of(recording.session["name"], measured, optical_of(recording.folder))
        folder = recording.folder
    picture = draw(measured)
    try:
        _write(folder / JSON, json.dumps(report, indent=1))
        _write(folder / PICTURE, picture)
        _write(folder / PAGE, render(report, picture))
    except OSError as error:
        raise RigposeError(
            folder, expected="a session folder that can be written",
            found=error.strerror or str(error), remedy="Give yourself the right to write there, or copy it",
        ) from None  # fmt: skip
    return {**report, "files": [str(folder / name) for name in (JSON, PAGE, PICTURE)]}


def report_of(session: str, measured: Synchrony, optical: dict[str, Any] | None = None) -> dict[str, Any]:
    """The report as JSON holds it.

    Returns
    -------
    dict
        `verdict`, `findings`; `frame_sets`, `complete_sets`, `uncertain_sets`, `pulses`; `spread_ms`,
        `period_ms`, `tolerance_ms`, `triggered`; per camera what `CameraSynchrony` has, with the number
        of its gaps and the first 2000 of them; `uncertain`: the first 2000 of [set, cameras]; `ptp`,
        `clock_steps_ms`, `events`; `stretches`, `paused_s`: how often it recorded, and how long it was off in
        between; `optical`: the optical proof, if it was made.
    """
    findings = judge(measured)
    if optical is not None:
        findings += [Finding(**found) for found in optical["findings"]]
    verdict, ordered = verdict_of(findings)
    names = list(measured.cameras)
    rows = measured.doubtful.any(axis=1).nonzero()[0][:_UNCERTAIN_KEPT]
    uncertain = [
        [int(measured.index[row]), [names[c] for c in measured.doubtful[row].nonzero()[0]]] for row in rows
    ]
    return {
        "session": session,
        "verdict": verdict,
        "findings": [asdict(finding) for finding in ordered],
        "triggered": measured.triggered,
        "ended": measured.ended,
        "frame_sets": measured.frame_sets,
        "complete_sets": measured.complete,
        "uncertain_sets": measured.uncertain,
        "pulses": measured.pulses,
        "period_ms": measured.period_ms,
        "tolerance_ms": measured.tolerance_ms,
        "spread_ms": _named(measured.spread_ms),
        "cameras": {name: _camera(camera) for name, camera in measured.cameras.items()},
        "uncertain": uncertain,
        "optical": optical,
        "events": measured.events,
        "ptp": measured.ptp,
        "clock_steps_ms": list(measured.clock_steps_ms),
        "stretches": measured.stretches,
        "paused_s": measured.paused_s,
        "cut_off": list(measured.gaps),
    }


def optical_of(folder: Path) -> dict[str, Any] | None:
    """The optical proof that lies in a session, None where there is none."""
    path = Path(folder) / OPTICAL
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _camera(camera: CameraSynchrony) -> dict[str, Any]:
    return {
        **asdict(camera),
        "latency_ms": _named(camera.latency_ms),
        "gap_count": len(camera.gaps),
        "gaps": [asdict(gap) for gap in camera.gaps[:_GAPS_KEPT]],
    }


def _named(percentiles: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if percentiles is None else dict(zip(("p50", "p95", "max"), percentiles, strict=True))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
