"""Recording: a rig run whose only reader is the recorder, and the report on what was recorded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.proof.figures import measure
from acquisition.proof.report import optical_of, report_of, write_report
from acquisition.recordings.disk import disk_outlook, disk_shortage
from acquisition.recordings.recorder import RecorderPlan, recorder
from acquisition.recordings.recording import Recording
from acquisition.recordings.segments import RECORDER_BACK
from acquisition.recordings.session import CLEAN_ENDS, Session, check_output
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder
from acquisition.videos.encoder import check_codec

_RECORDER_RESTARTS = 3
_RECORDER_SILENT_S = 15.0


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What a recording came to.

    Attributes
    ----------
    session:
        Its folder; "" where it was interrupted before the first pulse: nothing was recorded.
    ended:
        How it ended: "time is over", "interrupted", or what stopped it.
    cameras:
        Per camera: frames, frames recorded, lost, damaged, ring_full, and absences by cause.
    frame_sets, complete_sets:
        How many.
    synchronisation:
        The report's verdict and findings, the spread of exposures within the sets, ms, and the clocks'
        drift, ppm.
    interruptions:
        What befell the recording and was survived, a phrase each.
    """

    session: str
    ended: str
    cameras: dict[str, dict[str, Any]]
    frame_sets: int
    complete_sets: int
    synchronisation: dict[str, Any]
    interruptions: list[str]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def recorder_process(
    runtime: Path, folder: Path, rig: RigSettings, *, essential: bool = True, paused: bool = False
) -> Process:
    """The recorder into session folder `folder` as a line of the table of processes; `paused`: switched off.

    Raises
    ------
    RigposeError
        A codec that this machine has no encoder for.
    """
    check_codec(rig.recording.codec)
    plan = RecorderPlan(str(runtime), str(folder.resolve()), tuple(rig.cameras), rig.recording, paused)
    return Process(
        "recorder",
        recorder,
        (plan,),
        restarts=_RECORDER_RESTARTS,
        essential=essential,
        silent_s=_RECORDER_SILENT_S,
    )


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
        readers = [recorder_process(runtime, Path(output), rig)]
        run = RigRun(rig, runtime, readers, counts_anew=True, command="record")
        session = Session.create(output, rig, subject=subject, notes=notes)
        shortage = disk_shortage(session.folder, rig.recording)
        if shortage:
            session.remove()
            raise RigposeError(
                output, expected="room for a recording", found=shortage,
                remedy="Free some space, or lower recording.keep_free_gb in the rig file",
            )  # fmt: skip
        how, report = "failed", None
        try:
            with run:
                run.write_events(session.folder)

                def outlook() -> None:
                    infos = [counters["info"] for counters in run.cameras().values()]
                    said = disk_outlook(session.folder, rig.recording, infos, seconds)
                    if said:
                        print(said, flush=True)

                if run.start(ready=outlook):
                    infos = {name: counters["info"] for name, counters in run.cameras().items()}
                    session.began(infos, run.pulses)
                    how = _run(run, session, seconds)
                else:
                    how = "interrupted"
                run.stop()
        except RigposeError as error:
            how = str(error)
            raise
        finally:
            if run.started_ns:
                report = end_session(session, run, recording_ended(run) or how)
            else:
                session.remove()
    if not run.started_ns:
        return RecordingSummary("", how, {}, 0, 0, {}, [])
    return summarise(session.folder, report)


def recording_ended(run: RigRun) -> str:
    """Why the recorder stopped by itself (a full disk), '' while it records."""
    return str(run.supervisor.counters.get("recorder", {}).get("ended", ""))


def end_session(session: Session, run: RigRun, how: str) -> dict[str, Any] | None:
    """Write into session.json how it ended and what the cameras counted; then the synchronisation report.

    Returns the report, None where none could be written (`rigpose sync-report` makes it later).
    """
    written = run.supervisor.counters.get("recorder", {}).get("cameras", {})
    counted = {}
    for name, counters in run.cameras().items():
        counted[name] = {
            key: counters[key]
            for key in ("frames", "lost", "damaged", "ring_full", "reopened", "drift_ppm", "driver")
        }
        counted[name]["recorded"] = written.get(name, {}).get("frames", 0)
        counted[name]["not_asked"] = written.get(name, {}).get("not_asked", 0)
    _keep_trains(run, session)
    cut_off = run.supervisor.dead.get("recorder", "")
    if cut_off and how in CLEAN_ENDS:
        how = f"the recorder {cut_off}"  # what it had counted last is not what is on the disk
        for figures in counted.values():
            del figures["recorded"], figures["not_asked"]
    session.end(
        run.fault if run.fault and how in CLEAN_ENDS else how, cameras=counted, pulses=run.pulse_count
    )
    try:
        return write_report(session.folder)
    except RigposeError:  # a full disk, or nothing recorded: that is said by whoever ends the session
        return None


def summarise(folder: Path, report: dict[str, Any] | None = None) -> RecordingSummary:
    """The figures of a finished session, from its tables; `report` as `write_report` gave it, if it did."""
    with Recording.open(folder) as recording:
        if report is None:
            report = report_of(recording.session["name"], measure(recording), optical_of(folder))
        ended = recording.session["ended"] or {"how": "cut off", "cameras": {}}
        interruptions = [said for event in recording.events() if (said := _interruption(event))]
    cameras = {
        name: {
            **ended["cameras"].get(name, {}),
            "recorded": camera["frames"],
            "absent": dict(sorted(camera["absent"].items())),
        }
        for name, camera in report["cameras"].items()
    }
    spread_ms = report["spread_ms"] or dict.fromkeys(("p50", "p95", "max"))
    return RecordingSummary(
        session=str(folder),
        ended=ended["how"],
        cameras=cameras,
        frame_sets=report["frame_sets"],
        complete_sets=report["complete_sets"],
        synchronisation={
            "verdict": report["verdict"],
            "findings": report["findings"],
            "uncertain_sets": report["uncertain_sets"],
            "spread_ms_median": spread_ms["p50"],
            "spread_ms_p95": spread_ms["p95"],
            "spread_ms_max": spread_ms["max"],
            "drift_ppm": {name: counts.get("drift_ppm") for name, counts in cameras.items()},
        },
        interruptions=interruptions,
    )


def _interruption(event: dict[str, Any]) -> str:
    kind = event["kind"]
    if kind == RECORDER_BACK:
        return f"the recorder died and was restarted, into segment {event['segment']}"
    if kind == "trigger fault":
        return str(event["why"])
    if kind == "capture restarted":
        return f"the capture of {', '.join(event['cameras'])} died and was restarted"
    if kind == "camera gone":
        return f"{event['camera']} was gone"
    if kind == "disk low":
        return f"the disk had room for {event['minutes_left']:g} more minutes"
    return ""


def _keep_trains(run: RigRun, session: Session) -> None:
    if len(run.trains) > 1 and session.facts.get("trains") != run.trains:
        session.facts["trains"] = [dict(train) for train in run.trains]
        session.write()


def _run(run: RigRun, session: Session, seconds: float | None) -> str:
    with Progress("recording", total=seconds) as bar:
        shown = 0.0

        def each() -> bool:
            nonlocal shown
            elapsed = run.elapsed_s
            if elapsed > shown:
                bar.advance(elapsed - shown)
                shown = elapsed
            _keep_trains(run, session)
            return not recording_ended(run)

        how = run.run(seconds, each)
    return recording_ended(run) or how
