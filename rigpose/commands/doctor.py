"""`rigpose doctor`: what this machine can do, and what to change."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rigpose.commands.options import Measured
from rigpose.commands.outcome import CommandFailed

if TYPE_CHECKING:
    from rigpose.machine.finding import Finding

_MARKS = {"ok": "[green]ok[/]", "note": "[dim]-[/]", "change": "[yellow]![/]", "broken": "[red]x[/]"}


def doctor(rig: Path | None = None, /) -> Measured:
    """Check this machine, and say what to change.

    Packages, runtimes and encoders; what the kernel, the network, the groups and the processor's clock are
    set to, compared with the files of `rigpose configs copy`; disk and time. With a rig file also what that
    rig asks for. Nothing is changed, no camera is opened and nothing pulses.

    Parameters
    ----------
    rig:
        A rig file, rig.yaml; may be left out.

    Returns
    -------
    dict
        `findings`: for each line what was looked at, its state (ok, note, change, broken), what was found
        and what to do; `counts` by state.

    Raises
    ------
    CommandFailed
        If something is broken, with exit code 1.

    Examples
    --------
    rigpose doctor
    rigpose doctor rig.yaml
    """
    from rigpose.machine.host import host
    from rigpose.machine.installation import installation
    from rigpose.machine.rig import rig as rig_findings
    from rigpose.machine.rig import trigger_ports

    findings = installation()
    if rig is None:
        findings += [*host(Path.cwd()), trigger_ports()]
    else:
        file, of_rig = rig_findings(rig)
        recording = None if file is None else file.acquisition.recording
        folder = Path.cwd() if recording is None else recording.directory
        findings += [*host(folder, 0.0 if recording is None else recording.keep_free_gb), *of_rig]
    _show(findings)
    counts = {state: sum(one.state == state for one in findings) for state in _MARKS}
    measured = {"findings": [asdict(one) for one in findings], "counts": counts}
    if counts["broken"]:
        first = next(one for one in findings if one.state == "broken")
        raise CommandFailed(f"{first.what}: {first.found}. {first.remedy}", measured)
    return measured


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for one in findings:
        said = Text(one.found)
        if one.remedy:
            said.append(f"\n{one.remedy}", style="bold" if one.state in ("change", "broken") else "dim")
        table.add_row(_MARKS[one.state], Text(one.what), said)
    console = Console()
    console.print(table)
    counts = {state: sum(one.state == state for one in findings) for state in _MARKS}
    console.print(
        f"{counts['ok']} ok, {counts['change']} to change, {counts['broken']} broken,"
        f" {counts['note']} that you may not need",
        highlight=False,
    )
