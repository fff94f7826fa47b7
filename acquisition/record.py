"""Recording: a rig run whose only reader is the recorder, and the report on what was recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.recordings.disk import disk_shortage
from acquisition.recordings.recorder import RecorderPlan, recorder
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import Session, check_output
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder

_RECORDER_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What a recording came to.

    Attributes
    ----------
    session:
        Its folder.
    ended:
        How it ended: "time is over", "interrupted", or what stopped it.
    cameras:
        Per camera: frames, frames recorded, lost, damaged, ring_full, and absences by cause.
    frame_sets, complete_sets:
        How many.
    synchronisation:
        Figures on the spread of exposures within the sets, ms, and the clocks' drift, ppm.
    """

    session: str
    ended: str
    cameras: dict[str, dict[str, Any]]
    frame_sets: int
    complete_sets: int
    synchronisation: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def recorder_process(runtime: Path, folder: Path, rig: RigSettings, *, essential: bool = True) -> Process:
    """The recorder into session folder `folder` as a line of the table of processes."""
    plan = RecorderPlan(str(runtime), str(folder.resolve()), tuple(rig.cameras), rig.recording)
    return Process("recorder", recorder, (plan,), restarts=_RECORDER_RESTARTS, essential=essential)


def record(
    rig: RigSettings,
    output: Path,
    seconds: float | None,
    subject: str = "",
    notes: str = "",
) -> RecordingSummary:
    """Record all cameras of `rig` into the new folder `output`.

    Parameters
    ----------
    seconds:
        How long from the first pulse; None: until SIGINT or SIGTERM.
    subject, notes:
        Kept in session.json.

    Raises
    ------
    RigposeError
        An output that exists, a camera that is not there, a process that died. What was recorded
        until then stays readable.
    """
    check_output(Path(output))
    with runtime_folder() as runtime:
        run = RigRun(rig, runtime, [recorder_process(runtime, Path(output), rig)])
        session = Session.create(output, rig, subject=subject, notes=notes)
        shortage = disk_shortage(session.folder, rig.recording)
        if shortage:
            session.remove()
            raise RigposeError(
                output, expected="room for a recording", found=shortage,
                remedy="Free some space, or lower recording.keep_free_gb in the rig file",
            )  # fmt: skip
        how = "failed"
        try:
            with run:
                run.write_events(session.folder)
                if run.start():
                    infos = {name: counters["info"] for name, counters in run.cameras().items()}
                    session.began(infos, run.pulses)
                    how = _run(run, seconds)
                else:
                    how = "interrupted"
                run.stop()
        except RigposeError as error:
            how = str(error)
            raise
        finally:
            if run.started_ns:
                end_session(session, run, recording_ended(run) or how)
            else:
                session.remove()
    return summarise(session.folder)


def recording_ended(run: RigRun) -> str:
    """Why the recorder stopped by itself (a full disk), '' while it records."""
    return str(run.supervisor.counters.get("recorder", {}).get("ended", ""))


def end_session(session: Session, run: RigRun, how: str) -> None:
    """Write into session.json how it ended and what the cameras counted."""
    written = run.supervisor.counters.get("recorder", {}).get("cameras", {})
    counted = {}
    for name, counters in run.cameras().items():
        counted[name] = {
            key: counters[key] for key in ("frames", "lost", "damaged", "ring_full", "reopened", "drift_ppm")
        }
        counted[name]["recorded"] = written.get(name, {}).get("frames", 0)
    session.end(how, cameras=counted, pulses=run.pulse_count)


def summarise(folder: Path) -> RecordingSummary:
    """The figures of a finished session, from its tables."""
    with Recording.open(folder) as recording:
        sets = recording.frame_sets()
        ended = recording.session["ended"] or {"how": "cut off", "cameras": {}}
        causes = {name: Counter[str]() for name in recording.cameras}
        for one in sets:
            for name, absence in zip(recording.cameras, one.absences, strict=True):
                if absence is not None:
                    causes[name][absence.value] += 1
        cameras = {
            name: {
                **ended["cameras"].get(name, {}),
                "recorded": len(recording.frame_table(name)),
                "absent": dict(sorted(causes[name].items())),
            }
            for name in recording.cameras
        }
        spreads_ms = np.array([one.spread_ns for one in sets if one.complete]) * 1e-6
    return RecordingSummary(
        session=str(folder),
        ended=ended["how"],
        cameras=cameras,
        frame_sets=len(sets),
        complete_sets=len(spreads_ms),
        synchronisation={
            "spread_ms_median": float(np.median(spreads_ms)) if len(spreads_ms) else None,
            "spread_ms_p95": float(np.percentile(spreads_ms, 95)) if len(spreads_ms) else None,
            "spread_ms_max": float(spreads_ms.max()) if len(spreads_ms) else None,
            "drift_ppm": {name: counts.get("drift_ppm") for name, counts in cameras.items()},
        },
    )


def _run(run: RigRun, seconds: float | None) -> str:
    with Progress("recording", total=seconds) as bar:
        shown = 0.0

        def each() -> bool:
            nonlocal shown
            elapsed = run.elapsed_s
            if elapsed > shown:
                bar.advance(elapsed - shown)
                shown = elapsed
            return not recording_ended(run)

        how = run.run(seconds, each)
    return recording_ended(run) or how
