"""The runs of rigpose on this machine, judged as they are now: green, or with what to do about it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.recordings.disk import WARN_S
from acquisition.recordings.events import last_events
from acquisition.recordings.session import read_session
from acquisition.running import ENDING, RUNNING, STARTING, Facts, Run, runs
from rigpose.machine.finding import Finding, ok

_STILL_S = 10.0  # a run tells of itself every second, but for a trigger that is being opened
_PROCESS_SILENT_S = 3.0  # the live page's bounds, for processes and rates
_OFTEN_ENOUGH = 0.8
_LOST_SHARE = 0.01
_JUDGED_S = 5.0  # rates of a shorter time say little
_SLOW_START_S = 60.0
_SLOW_END_S = 60.0
_EVENTS = 5
_ROUTINE = ("clock", "ptp", "pulse", "edge", "segment ended", "not asked for")
_DETAILS = ("camera", "why", "minutes_left", "segment", "detail", "by")


def judged_runs() -> list[tuple[Run, list[Finding]]]:
    """Every run of this user with its lines, the run itself first.

    Of those that were killed only such as left a recording to be finished; files of others are taken away.
    """
    found = []
    for run in runs():
        if run.alive:
            found.append((run, findings_of(run)))
        elif _cut_off(run):
            found.append((run, [_killed(run)]))
        else:
            with contextlib.suppress(OSError):
                run.path.unlink(missing_ok=True)
    return found


def events_of(run: Run) -> list[dict[str, Any]]:
    """The last few events, oldest first: `ago_s` and `what`. The recording's, and those on the stream."""
    session, facts = run.facts.get("session"), run.facts
    recorded = last_events(Path(session), _EVENTS, _ROUTINE) if session else []
    streamed = [*facts.get("events", []), *facts.get("processes", {}).get("tracker", {}).get("events", [])]
    events = [
        (event["t_ns"], ", ".join([event["kind"], *(f"{event[key]}" for key in _DETAILS if key in event)]))
        for event in recorded
    ]
    events += [
        (event["t_ns"], ", ".join(filter(None, (event["name"], event["source"], event["detail"]))))
        for event in streamed
    ]
    now_ns = time.monotonic_ns()
    newest = sorted(events)[-_EVENTS:]
    return [{"ago_s": round((now_ns - t_ns) * 1e-9, 1), "what": what} for t_ns, what in newest]


def findings_of(run: Run) -> list[Finding]:
    """Of a run whose process is there: the run itself, then its parts."""
    itself = _itself(run)
    if itself.state != "ok" or run.facts.get("state") != RUNNING:
        return [itself]
    parts: dict[str, Callable[[Run], list[Finding]]] = {"fuse": _hosts, "replay": _replay}
    return [itself, *parts.get(run.command, _rig)(run)]


def _itself(run: Run) -> Finding:
    state, facts = run.facts.get("state"), run.facts
    what, since = f"{run.command} {facts.get('name', '')}".rstrip(), f"{span(run.age_s)}, pid {run.pid}"
    if state == ENDING:
        if run.silent_s > _SLOW_END_S:
            remedy = f"End it: kill -9 {run.pid}; what it recorded is finished by rigpose recover"
            return Finding(what, "change", f"has been ending for {span(run.silent_s)}, pid {run.pid}", remedy)
        return ok(what, f"is ending, after {since}")
    if run.silent_s > _STILL_S:
        return Finding(
            what, "broken", f"has stood still for {span(run.silent_s)} (runs for {since})",
            f"End it (kill {run.pid}; if that does nothing kill -9 {run.pid}, then rigpose recover) and start"
            " it again; rigpose doctor says how the machine is",
        )  # fmt: skip
    if state == STARTING:
        awaited = ", ".join(facts.get("waits_for", [])) or "its beginning"
        if run.age_s > _SLOW_START_S:
            return Finding(
                what, "change", f"has waited for {span(run.age_s)} for {awaited}",
                "Check cable and power of what it waits for; rigpose cameras lists those that are there",
            )  # fmt: skip
        return ok(what, f"starts (for {since}), and waits for {awaited}")
    if facts.get("fault"):
        return Finding(
            what, "broken", facts["fault"],
            "Check the trigger's cable and power; rigpose record starts it again by itself for 20 s",
        )  # fmt: skip
    return ok(what, f"runs for {since}")


def _killed(run: Run) -> Finding:
    session = run.facts["session"]
    return Finding(
        f"{run.command} {run.facts.get('name', '')}".rstrip(), "broken",
        f"was killed, and the recording {session} was cut off", f"Run: rigpose recover {session}",
    )  # fmt: skip


def _cut_off(run: Run) -> bool:
    """Whether a killed run's recording is still to be finished."""
    session = run.facts.get("session")
    if not session:
        return False
    try:
        return read_session(Path(session)).get("ended") is None
    except RigposeError:
        return False  # it has been moved or removed


def _rig(run: Run) -> list[Finding]:
    """Of a run with cameras: record, live, preview."""
    facts = run.facts
    return [
        *(_camera(name, run) for name in facts.get("cameras", {})),
        *_processes(facts), *_frame_sets(run), *_recording(facts),
    ]  # fmt: skip


def _camera(name: str, run: Run) -> Finding:
    what, facts = f"camera {name}", run.facts
    counts, hz = facts["counters"].get(what, {}), facts["rates_hz"].get(what, {})
    wished_hz, state = facts["cameras"][name]["wished_hz"], facts["cameras"][name]["state"]
    rate_hz, lost_hz = hz.get("frames", 0.0), sum(hz.get(k, 0.0) for k in ("lost", "damaged", "ring_full"))
    said = f"{rate_hz:.1f} of {wished_hz:g} Hz, {counts.get('frames', 0)} frames"
    if "recorded" in counts:
        said += f", {counts['recorded']} recorded"
    said += "".join(
        f", {counts[key]} {key.replace('_', ' ')}"
        for key in ("lost", "damaged", "ring_full", "reopened")
        if counts.get(key)
    )
    if state != "armed":
        remedy = "Check its cable and power: it is taken in again by itself"
        return Finding(what, "broken", f"{state or 'not there'}; {said}", remedy)
    if facts["rates_s"] < _JUDGED_S:
        return ok(what, said)
    if hz.get("ring_full", 0.0) > _LOST_SHARE * wished_hz:
        remedy = "The readers are too slow: fewer Hz or pixels, fewer programs beside it, another codec"
        return Finding(what, "change", said, remedy)
    if lost_hz > _LOST_SHARE * (rate_hz + lost_hz):
        remedy = "Frames are lost on their way: rigpose doctor says what to set for network and USB"
        return Finding(what, "change", said, remedy)
    if rate_hz < _OFTEN_ENOUGH * wished_hz:
        remedy = "Is its exposure too long for the rate? rigpose preview shows the margin, and what arrives"
        return Finding(what, "change", said, remedy)
    return ok(what, said)


def _processes(facts: Facts) -> list[Finding]:
    """One line for all that are well, one for each that is not."""
    findings, well = [], []
    for name, process in facts.get("processes", {}).items():
        silent_s, restarts = process.get("silent_s"), process.get("restarts", 0)
        if name in facts.get("died", {}) or not process["alive"]:
            said = facts.get("died", {}).get(name, "is not there")
            remedy = "Its last words are in the run's terminal or journal; end the run and start it again"
            findings.append(Finding(f"process {name}", "broken", said, remedy))
        elif silent_s is None or silent_s > _PROCESS_SILENT_S:
            said = f"silent for {span(silent_s)}" if silent_s is not None else "has said nothing yet"
            remedy = "Look at the machine's load: one that stands still is restarted, where that is possible"
            findings.append(Finding(f"process {name}", "change", said, remedy))
        else:
            well.append(name + (f" (restarts: {restarts})" if restarts else ""))
    return [ok("processes", ", ".join(well)), *findings] if well else findings


def _frame_sets(run: Run) -> list[Finding]:
    """What the tracker makes of the frames, and where it goes."""
    facts = run.facts
    counts, hz = facts["counters"].get("tracker"), facts["rates_hz"].get("tracker", {})
    tracker = facts.get("processes", {}).get("tracker")
    if counts is None or tracker is None:
        return []
    said = ", ".join(
        f"{counts.get(key, 0)} {name}"
        for key, name in (
            ("sets_in", "in"), ("complete_in", "complete"), ("published", "published"),
            ("skipped", "skipped"), ("empty", "empty"),
        )
    )  # fmt: skip
    in_hz, out_hz = hz.get("sets_in", 0.0), hz.get("published", 0.0)
    findings = [ok("frame sets", said)]
    if facts["rates_s"] >= _JUDGED_S and out_hz < _OFTEN_ENOUGH * in_hz:
        remedy = "rigpose bench says what this machine can do: int8, a smaller network or input, fewer Hz"
        findings = [
            Finding("frame sets", "change", f"{out_hz:.1f} of {in_hz:.1f} Hz tracked; {said}", remedy)
        ]
    findings.append(ok("stream", f"{tracker.get('endpoint', '')}, {out_hz:.1f} poses a second"))
    remedy = "Crop or follow the animal (live --crop, --follow), or train with frames like these"
    return findings + [Finding("tracker", "change", text, remedy) for text in tracker.get("warnings", [])]


def _recording(facts: Facts) -> list[Finding]:
    session, recorder = facts.get("session"), facts.get("processes", {}).get("recorder", {})
    if not session:
        return []
    if recorder.get("ended"):
        remedy = "What was recorded is whole: mend the cause, then start a new recording"
        return [Finding("recording", "broken", f"{session} has ended: {recorder['ended']}", remedy)]
    switch = recorder.get("recording", {})
    off = "" if switch.get("on", True) else ", switched off: on again at the live page's control address"
    findings, left_s = [ok("recording", f"{session}{off}")], recorder.get("disk_left_s")
    try:
        said = f"{shutil.disk_usage(session).free / 1e9:.1f} GB free"
    except OSError:
        remedy = "End the run: nothing can be written there any more"
        return [Finding("recording", "broken", f"{session} is not there", remedy)]
    if left_s is not None:
        said += f", for {span(left_s)} at this pace"
        if left_s < WARN_S:
            remedy = "Free some space, or end the recording; it ends cleanly when the disk is full"
            return [*findings, Finding("disk", "change", said, remedy)]
    return [*findings, ok("disk", said)]


def _hosts(run: Run) -> list[Finding]:
    """Of a run of `rigpose fuse`."""
    facts = run.facts
    counts, hz = facts["counters"], facts["rates_hz"].get("fuse", {})
    findings = []
    for name, host in facts.get("hosts", {}).items():
        told = counts.get(f"host {name}", {})
        said = f"{told.get('received', 0)} poses, {told.get('lost', 0)} lost on the way"
        if host["refused"]:
            remedy = "Give all hosts the same bundle, and the calibration's cameras; start rigpose live again"
            findings.append(Finding(f"host {name}", "broken", f"refused: {host['refused']}", remedy))
        elif host["away"]:
            remedy = "Start rigpose live there, or check network and keys: it is taken in again by itself"
            findings.append(Finding(f"host {name}", "broken", f"away ({host['trouble']}); {said}", remedy))
        else:
            if host["clock_uncertainty_ms"] is not None:
                said += f", clock known to {host['clock_uncertainty_ms']:g} ms"
            findings.append(ok(f"host {name}", said))
    sets = counts["fuse"]
    said = f"{sets['sets']} frame sets, {sets['complete']} complete"
    if facts["rates_s"] >= _JUDGED_S and hz.get("complete", 0.0) < _OFTEN_ENOUGH * hz.get("sets", 0.0):
        remedy = "A host sends too few or too late: rigpose status there, and join.max_delay_ms in the file"
        findings.append(Finding("frame sets", "change", said, remedy))
    else:
        findings.append(ok("frame sets", said))
    return [*findings, ok("stream", f"{facts['endpoint']}, {hz.get('sets', 0.0):.1f} poses a second")]


def _replay(run: Run) -> list[Finding]:
    facts, hz = run.facts, run.facts["rates_hz"].get("replay", {})
    done = f"{facts['counters']['replay']['published']} of {facts['of']} frame sets"
    return [
        ok("recording", f"{facts['recording']}, {done}"),
        ok("stream", f"{facts['endpoint']}, {hz.get('published', 0.0):.1f} poses a second"),
    ]


def span(seconds: float) -> str:
    """A length of time for a person."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86_400:.0f} days"
