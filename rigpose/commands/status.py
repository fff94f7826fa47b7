"""`rigpose status`: what runs on this machine, and how it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rigpose.commands.options import Measured
from rigpose.commands.outcome import CommandFailed

if TYPE_CHECKING:
    from rigpose.machine.finding import Finding

_MARKS = {"ok": "[green]ok[/]", "change": "[yellow]![/]", "broken": "[red]x[/]"}


def status() -> Measured:
    """Say what runs on this machine, and how it is.

    Every record, live, preview, calibrate --live, fuse and replay of this user, in whichever terminal or
    service: since when, cameras, processes, frame sets, the recording and how long its disk lasts, the
    stream, the last events.
    What is not well comes with what to do about it. A recording that was cut off by a kill is named until it
    has been recovered.

    The exit code is 0 if all is well or nothing runs, 1 if something is not.

    Returns
    -------
    dict
        `runs`: of each the `command`, `name`, `pid`, `since` (UTC), `alive`, `state`, `session`, `endpoint`,
        `counters` by source, `rates_hz` of the last `rates_s` seconds, `findings` (what, state, found,
        remedy) and `events`; `well`: whether all is.

    Raises
    ------
    CommandFailed
        If something is not well.

    Examples
    --------
    rigpose status
    rigpose status --json status.json
    """
    from rigpose.machine.runs import events_of, judged_runs

    found = judged_runs()
    told: list[dict[str, Any]] = []
    for run, findings in found:
        facts = run.facts
        tracker = facts.get("processes", {}).get("tracker", {})
        events = events_of(run) if run.alive else []
        told.append({
            "command": run.command, "name": facts.get("name", ""), "pid": run.pid, "since": run.since,
            "alive": run.alive, "state": facts.get("state", ""), "session": facts.get("session"),
            "endpoint": facts.get("endpoint") or tracker.get("endpoint"),
            "counters": facts.get("counters", {}), "rates_s": facts["rates_s"], "rates_hz": facts["rates_hz"],
            "findings": [asdict(one) for one in findings], "events": events,
        })  # fmt: skip
        _show(run.since, findings, events)
    if not found:
        print("nothing of rigpose runs here")
    wrong = [one for _, findings in found for one in findings if one.state != "ok"]
    measured = {"runs": told, "well": not wrong}
    if wrong:
        raise CommandFailed(f"{wrong[0].what}: {wrong[0].found}. {wrong[0].remedy}", measured)
    return measured


def _show(since: str, findings: list[Finding], events: list[dict[str, Any]]) -> None:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for number, one in enumerate(findings):
        said = Text(one.found)
        if not number:
            said.append(
                f" (since {datetime.fromisoformat(since).astimezone():%Y-%m-%d %H:%M:%S})", style="dim"
            )
        if one.remedy:
            said.append(f"\n{one.remedy}", style="bold")
        table.add_row(_MARKS[one.state], Text(one.what, style="" if number else "bold"), said)
    for event in events:
        table.add_row("", Text(f"{event['ago_s']:.0f} s ago", style="dim"), Text(event["what"], style="dim"))
    console = Console()
    console.print(table)
    console.print()
