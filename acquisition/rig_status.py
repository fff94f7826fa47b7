"""What a rig that runs tells of itself (`acquisition.running`): cameras, processes, frame sets, recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from acquisition.rig import RigSettings
from acquisition.running import STARTING, Facts
from acquisition.supervise import Supervisor

_COUNTED = ("frames", "lost", "damaged", "ring_full", "reopened")
# Of what processes report. Not more: the page's address, for instance, is as good as a key.
_SAID = ("endpoint", "ended", "disk_left_s", "recording", "warnings", "events")


def rig_facts(
    rig: RigSettings, state: str, elapsed_s: float, session: Path | None, fault: str,
    cameras: dict[str, dict[str, Any]], supervisor: Supervisor,
) -> Facts:  # fmt: skip
    """The facts of a run.

    Parameters
    ----------
    elapsed_s:
        Since the first pulse.
    session:
        The folder that is recorded into; None: nothing is recorded.
    fault:
        Of the trigger; '' where there is none.
    cameras:
        Newest counters by name (`RigRun.cameras`).

    Returns
    -------
    dict
        `name`, `state`, `elapsed_s`, `session`, `fault`; `waits_for`, while it starts; `cameras`: `state` and
        `wished_hz` of each; `processes`: `alive`, `pid`, `silent_s` (None before its first report),
        `restarts`, `state`, and what it reports of `endpoint`, `ended`, `disk_left_s`, `recording` (`on`,
        `since_ns`, `refused`), `warnings`, `events`;
        `died`; `counters`: of each "camera NAME", and frame sets of each process that reports `sets`.
    """
    reported = dict(supervisor.counters)
    recorded = reported.get("recorder", {}).get("cameras", {})
    counters: dict[str, dict[str, int]] = {}
    for name, counts in cameras.items():
        counters[f"camera {name}"] = {what: counts.get(what, 0) for what in _COUNTED}
        if name in recorded:
            counters[f"camera {name}"]["recorded"] = recorded[name].get("frames", 0)
            counters[f"camera {name}"]["not_asked"] = recorded[name].get("not_asked", 0)
    counters |= {name: dict(said["sets"]) for name, said in reported.items() if said.get("sets")}
    now_ns = time.monotonic_ns()
    processes = {}
    for name, health in supervisor.health().items():
        said = reported.get(name, {})
        processes[name] = {
            "alive": health["alive"], "pid": health["pid"], "restarts": health["restarts"],
            "state": health["state"],
            "silent_s": round((now_ns - health["reported_ns"]) * 1e-9, 3) if health["reported_ns"] else None,
            **{key: said[key] for key in _SAID if key in said},
        }  # fmt: skip
    return {
        "name": rig.name, "state": state, "elapsed_s": round(elapsed_s, 1), "fault": fault,
        "session": None if session is None else str(session),
        "waits_for": _awaited(rig, cameras, supervisor) if state == STARTING else [],
        "cameras": {
            name: {"state": counts.get("state", ""), "wished_hz": _wished_hz(rig, counts)}
            for name, counts in cameras.items()
        },
        "processes": processes, "died": dict(supervisor.dead), "counters": counters,
    }  # fmt: skip


def _wished_hz(rig: RigSettings, counts: dict[str, Any]) -> float:
    return rig.trigger.rate_hz if rig.trigger is not None else float(counts.get("info", {}).get("rate_hz", 0))


def _awaited(
    rig: RigSettings, cameras: dict[str, dict[str, Any]], supervisor: Supervisor
) -> list[str]:  # fmt: skip
    """Cameras and processes that are not ready for the first pulse."""
    awaited = [f"camera {name}" for name in rig.cameras if cameras.get(name, {}).get("state") != "armed"]
    readers = [plan.name for plan in supervisor.processes if not plan.name.startswith("capture-")]
    return awaited + [name for name in readers if supervisor.counters.get(name, {}).get("state") != "ready"]
