"""`live`: cameras, tracker, stream and recorder together, started in order, accounted for at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder
from calibration.formats.anipose import load_calibration
from deploy.bundle import Bundle
from deploy.probe import ProbePlan, probe
from deploy.runtimes.table import AUTO, choose
from deploy.stream_settings import StreamSettings
from deploy.tracker import TrackerPlan, track

_STOP_S = 10.0
_TRACKER_RESTARTS = 3


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
        None: until SIGINT or SIGTERM.
    runtime, precision, threads:
        Of the network.
    poses:
        An .npz of what the measuring subscriber received; None: only its latencies are kept.
    version:
        Of rigpose, told to subscribers.
    """

    bundle: Path
    calibration: Path | None = None
    seconds: float | None = None
    runtime: str = AUTO
    precision: str = AUTO
    threads: int = 1
    poses: Path | None = None
    version: str = ""


def live(
    rig: RigSettings,
    stream: StreamSettings,
    options: LiveOptions,
    on_status: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Capture, track and publish until the time is over or a signal comes; nothing is left running.

    Parameters
    ----------
    rig, stream:
        Sections of the rig file.
    options:
        Network, calibration, duration.
    on_status:
        Called about ten times a second with the newest counters of the tracker.

    Returns
    -------
    dict
        `ended`; `seconds`; the accounts (`sets_in`, `published`, `skipped`, `empty`, the same of the complete
        sets, `balanced`); `lost` by camera and cause and `absences` one by one; `stages` with count, p50_ms,
        p95_ms, p99_ms, max_ms of each; `subscriber` as measured in another process; `cameras`, `network`,
        `restarts`.

    Raises
    ------
    RigposeError
        A damaged bundle, a calibration without one of the cameras, an endpoint in use, a camera that is not
        there: before the first pulse, with nothing left running.
    """
    # The quick checks first: their answer should not wait for the cameras.
    choose(Bundle.load(options.bundle), options.runtime, options.precision)
    if options.calibration is not None:
        load_calibration(options.calibration).subset(tuple(rig.cameras))
    with runtime_folder() as runtime:
        report, heard = runtime / "tracker.json", runtime / "probe.json"
        plan = TrackerPlan(
            rig=rig.name, cameras=tuple(rig.cameras), sync=rig.sync, stream=stream,
            bundle=str(options.bundle),
            calibration=None if options.calibration is None else str(options.calibration), report=str(report),
            runtime=options.runtime, precision=options.precision, threads=options.threads,
            version=options.version,
        )  # fmt: skip
        listener = ProbePlan(
            stream.endpoint, str(heard), None if options.poses is None else str(options.poses)
        )
        readers = [
            Process("probe", probe, (listener,), essential=False),
            Process("tracker", track, (str(runtime), plan), restarts=_TRACKER_RESTARTS),
        ]
        with RigRun(rig, runtime, readers) as run:
            ended = "interrupted before the rig was ready"
            if run.start():
                ended = run.run(options.seconds, _status(run, on_status))
            run.stop(_STOP_S)
            return {
                "ended": ended,
                **_read(report),
                "subscriber": _read(heard),
                "cameras": run.cameras(),
                "restarts": dict(run.supervisor.restarts),
                "died": dict(run.supervisor.dead),
            }


def _status(run: RigRun, on_status: Callable[[dict[str, Any]], None] | None) -> Callable[[], bool]:
    def each() -> bool:
        if on_status is not None:
            on_status(run.supervisor.counters.get("tracker", {}).get("sets", {}))
        return True

    return each


def _read(path: Path) -> dict[str, Any]:
    """A report a process left; empty where it was killed before it could."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return content
