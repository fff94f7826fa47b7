"""`live`: cameras, tracker, stream and recorder together, started in order, accounted for at the end."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.pages.packages import require_page_packages
from acquisition.progress import Progress
from acquisition.record import end_session, recorder_process, recording_ended
from acquisition.recordings.disk import disk_shortage
from acquisition.recordings.session import Session, check_output
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder
from calibration.camera_identity import require_same_devices
from calibration.formats.anipose import calibration_hash, details_path, load_calibration
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.table import AUTO, choose
from deploy.closed_loop.run import OUTPUTS_REPORT, PROCESSOR_REPORT, Loop
from deploy.live.estimator import require_size
from deploy.live.numbering import relay_count
from deploy.live.recorder_behind import record_behind
from deploy.live.tracker import track
from deploy.live.tracker_plan import TrackerPlan
from deploy.page.parent import asked_to_stop, page_process, say_where, tell_page, tell_recorder
from deploy.page.plan import PageAddress
from deploy.stream.endpoint import reachable, require_free
from deploy.stream.keys import ClientKeys, allowed, fresh_pair, server_pair
from deploy.stream.probe import ProbePlan, probe
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings

_READY_S = 900.0  # an engine that is built at the first start takes minutes
_STOP_S = 10.0  # a bound, not a wait: an encoder that has much to finish
_TRACKER_RESTARTS = 3
CALIBRATION_COPY = "calibration.toml"


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How to run live.

    Attributes
    ----------
    bundle:
        Model bundle.
    calibration:
        Calibration TOML; None: 2D only.
    seconds:
        From the first pulse; None: until SIGINT or SIGTERM.
    runtime, precision, threads:
        Of the network.
    tracking:
        Windows, filters, prediction.
    loop:
        The user's closed-loop code and what it may switch; None: none.
    record, subject, notes:
        Folder of the session to record beside; None: no recording.
    paused:
        Whether the recording begins switched off: it is switched on at the page's control address.
    poses:
        An .npz of what the measuring subscriber received; None: only its latencies are kept.
    page:
        Where to serve the live page; None: no page.
    version:
        Of rigpose, told to subscribers.
    """

    bundle: Path
    calibration: Path | None = None
    seconds: float | None = None
    runtime: str = AUTO
    precision: str = AUTO
    threads: int = 1
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    loop: Loop | None = None
    record: Path | None = None
    subject: str = ""
    notes: str = ""
    paused: bool = False
    poses: Path | None = None
    page: PageAddress | None = None
    version: str = ""


def live(rig: RigSettings, stream: StreamSettings, options: LiveOptions) -> dict[str, Any]:
    """Capture, track and publish until the time is over or a signal comes; nothing is left running.

    Parameters
    ----------
    rig, stream:
        Sections of the rig file.
    options:
        Network, calibration, duration, recording.

    Returns
    -------
    dict
        `ended`; `pulses`; the accounts `sets_in`, `published`, `skipped`, `empty`, `complete_in`,
        `complete_published`, `complete_skipped`, `balanced`; `lost` by camera and cause, and `absences`
        one by one; `stages` with count, p50_ms, p95_ms, p99_ms, max_ms of each; `pose3d` quality; `follow`
        by camera; `prediction` errors by horizon; `warnings`; `subscriber` as measured in another process;
        `processor` and `outputs`, their accounts; `recording`, `cameras`, `network`, `restarts`, `died`.

    Raises
    ------
    RigposeError
        A damaged bundle, a calibration without one of the cameras, an endpoint in use, a camera that is
        not there, an output that exists: before the first pulse, with nothing left behind.
    """
    # The quick checks first: their answer should not wait for the cameras.
    bundle = Bundle.load(options.bundle)
    choose(bundle, options.runtime, options.precision)
    options.tracking.check(tuple(rig.cameras))
    if options.tracking.followed(tuple(rig.cameras)):
        require_size(bundle.path, bundle.manifest.animal_size)
    if options.loop is not None:
        options.loop.check(bundle, rig, options.tracking)
    if options.calibration is not None:
        load_calibration(options.calibration).subset(tuple(rig.cameras))
    if options.record is not None:
        check_output(options.record)
    if options.paused:
        _check_switch(options)
    if options.page is not None:
        require_page_packages("rigpose live --page")
    if options.poses is not None and not options.poses.resolve().parent.is_dir():
        raise RigposeError(
            options.poses, expected="a file in a folder that exists", found="no such folder",
            remedy="Make the folder, or name another file",
        )  # fmt: skip
    # Those of this run that listen to its own stream have a key for the length of the run.
    ours = None if stream.keys is None else ClientKeys(server_pair(stream.keys).public, fresh_pair())
    stream = stream.model_copy(update={"endpoint": require_free(stream.endpoint)})
    where = _where(stream)
    with runtime_folder() as runtime:
        report, heard = runtime / "tracker.json", runtime / "probe.json"
        readers = _readers(rig, stream, ours, options, runtime, report, heard)
        run = RigRun(rig, runtime, readers, command="live")
        line = contextlib.nullcontext() if options.loop is None else options.loop.line_relay(run, runtime)
        with _recorded(rig, options, run) as session:
            with line, run:
                ended = "interrupted"
                if run.start(_READY_S, lambda: _same_cameras(run, options.calibration)):
                    print(where, flush=True)
                    say_where(run)
                    if session is not None:
                        infos = {name: counters["info"] for name, counters in run.cameras().items()}
                        session.began(infos, run.pulses)
                    ended = _run(run, options.seconds)
                run.stop(_STOP_S)
            return {
                "ended": ended,
                "pulses": run.pulse_count,
                **_read(report),
                "subscriber": _read(heard),
                "processor": _read(runtime / PROCESSOR_REPORT),
                "outputs": _read(runtime / OUTPUTS_REPORT),
                "recording": _recording(session, run),
                "cameras": run.cameras(),
                "restarts": dict(run.supervisor.restarts),
                "died": dict(run.supervisor.dead),
            }


def _check_switch(options: LiveOptions) -> None:
    """A recording that begins switched off needs somebody who can switch it on."""
    if options.record is None or options.page is None or not options.page.control:
        raise RigposeError(
            "--record-paused", expected="--record FOLDER and --page-control",
            found="no --record" if options.record is None else "no --page-control",
            remedy="Give both: the page that is printed second switches the recording on",
        )  # fmt: skip


def _readers(
    rig: RigSettings, stream: StreamSettings, ours: ClientKeys | None, options: LiveOptions, runtime: Path,
    report: Path, heard: Path,
) -> list[Process]:  # fmt: skip
    """The processes beside capture; the last is stopped first."""
    plan = TrackerPlan(
        rig=rig.name,
        cameras=tuple(rig.cameras),
        sync=rig.sync,
        stream=stream,
        insider="" if ours is None else ours.own.public,
        bundle=str(options.bundle),
        calibration=None if options.calibration is None else str(options.calibration),
        report=str(report),
        runtime=options.runtime,
        precision=options.precision,
        threads=options.threads,
        tracking=options.tracking,
        session_dir=None if options.record is None else str(options.record.resolve()),
        version=options.version,
    )
    poses = None if options.poses is None else str(options.poses)
    listening = ProbePlan(reachable(stream.endpoint), str(heard), poses, ours)
    readers = [Process("probe", probe, (listening,), essential=False)]
    if options.record is not None:
        # A recording that ends (a full disk) is reported; the tracking goes on.
        recording = recorder_process(runtime, options.record, rig, essential=False, paused=options.paused)
        readers.append(replace(recording, target=record_behind))
    if options.page is not None:
        showing = page_process(
            options.page,
            runtime,
            tuple(rig.cameras),
            reachable(stream.endpoint),
            ours,
            plan.calibration,
            options.record,
        )
        readers = [showing, *readers]
    if options.loop is not None:
        # Stopped after the others: code of the user's that hangs takes no time from the recorder.
        loop = options.loop.processes(runtime, reachable(stream.endpoint), ours, options.record)
        readers = [*loop, *readers]
    return [*readers, Process("tracker", track, (str(runtime), plan), restarts=_TRACKER_RESTARTS)]


def _where(stream: StreamSettings) -> str:
    """Where the poses go, and who may have them."""
    if stream.keys is None:
        return f"publishing on {stream.endpoint}, without keys: for this host only"
    names = ", ".join(allowed(stream.keys).values()) or "nobody yet (rigpose keys allow)"
    return f"publishing on {stream.endpoint}, encrypted, for {names}"


@contextlib.contextmanager
def _recorded(rig: RigSettings, options: LiveOptions, run: RigRun) -> Iterator[Session | None]:
    """The session around a run: it says how it ended, and goes away if nothing was recorded."""
    if options.record is None:
        yield None
        return
    session = Session.create(options.record, rig, subject=options.subject, notes=options.notes)
    how = "failed"
    run.write_events(session.folder)
    try:
        shortage = disk_shortage(session.folder, rig.recording)
        if shortage:
            raise RigposeError(
                options.record, expected="room for a recording", found=shortage,
                remedy="Free some space, or lower recording.keep_free_gb in the rig file",
            )  # fmt: skip
        session.facts["bundle"] = {"path": str(options.bundle), "sha256": Bundle.load(options.bundle).sha256}
        if options.calibration is not None:
            _keep_calibration(session, options.calibration)
        yield session
        how = "stopped"
    except RigposeError as error:
        how = str(error)
        raise
    finally:
        if run.started_ns:
            end_session(session, run, recording_ended(run) or how)
        else:
            session.remove()


def _same_cameras(run: RigRun, calibration: Path | None) -> None:
    """Before the first pulse: the cameras must be those that were calibrated."""
    if calibration is not None:
        infos = {name: counters["info"] for name, counters in run.cameras().items()}
        require_same_devices(calibration, infos)


def _keep_calibration(session: Session, calibration: Path) -> None:
    """A copy of the calibration used, with what stands beside it."""
    shutil.copyfile(calibration, session.folder / CALIBRATION_COPY)
    beside = details_path(calibration)
    if beside.exists():
        shutil.copyfile(beside, details_path(session.folder / CALIBRATION_COPY))
    session.facts["calibration"] = {"file": CALIBRATION_COPY, "sha256": calibration_hash(calibration)}


def _run(run: RigRun, seconds: float | None) -> str:
    with Progress("live", total=seconds) as bar:
        shown, warned = 0.0, 0
        counted: dict[str, Any] | None = None

        def each() -> bool:
            nonlocal shown, warned, counted
            tell_page(run)
            tell_recorder(run)
            counted = relay_count(run, counted)
            tracker = run.supervisor.counters.get("tracker", {})
            for warning in tracker.get("warnings", [])[warned:]:
                print(warning, flush=True)
                warned += 1
            sets = tracker.get("sets", {})
            note = ", ".join(f"{sets.get(name, 0)} {name}" for name in ("published", "skipped"))
            elapsed = run.elapsed_s
            bar.advance(max(0.0, elapsed - shown), note)
            shown = max(shown, elapsed)
            return not asked_to_stop(run)

        return run.run(seconds, each)


def _recording(session: Session | None, run: RigRun) -> dict[str, Any] | None:
    if session is None or not run.started_ns:
        return None
    written = run.supervisor.counters.get("recorder", {}).get("cameras", {})
    frames, not_asked = (
        {name: written.get(name, {}).get(key, 0) for name in run.rig.cameras}
        for key in ("frames", "not_asked")
    )
    ended = recording_ended(run) or run.supervisor.dead.get("recorder", "stopped")
    return {"session": str(session.folder), "ended": ended, "frames": frames, "not_asked": not_asked}


def _read(path: Path) -> dict[str, Any]:
    """A report a process left; empty where it was killed before it could."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return content
