"""`rigpose record`: synchronised recording of all cameras of a rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured, Minutes, Output


def record(
    rig: Path,
    /,
    *,
    output: Output,
    minutes: Minutes = None,
    seconds: Annotated[float | None, Parameter(help="A budget of time in seconds.")] = None,
    subject: Annotated[str, Parameter(help="Who is recorded; kept in the session.")] = "",
    notes: Annotated[str, Parameter(help="Anything worth knowing later; kept in the session.")] = "",
) -> Measured:
    """Record all cameras of a rig, synchronised, into a session.

    Without a time it records until Ctrl-C. Every absent frame is reported with its cause.

    Parameters
    ----------
    rig:
        The rig file, rig.yaml.
    output:
        The session's folder; it must not exist, or be empty.
    minutes, seconds:
        How long, counted from the first pulse.
    subject, notes:
        Kept in session.json.

    Returns
    -------
    dict
        Per camera: frames and absences by cause; frame sets, complete sets; the spread of exposures.

    Raises
    ------
    RigposeError
        A rig file with an error, a camera that is not there, an output that exists.

    Examples
    --------
    rigpose record rig.yaml -o recordings/mouse-7 --minutes 10 --subject mouse-7
    """
    from acquisition.errors import RigposeError
    from acquisition.record import record as record_rig
    from rigpose.rig_file import load_rig

    if minutes is not None and seconds is not None:
        raise RigposeError(
            "rigpose record", expected="--minutes or --seconds", found="both", remedy="Give one of them"
        )
    wished = minutes * 60 if minutes is not None else seconds
    if wished is not None and not wished > 0:
        raise RigposeError(
            "rigpose record", expected="a time above 0", found=f"{wished:g} s", remedy="Give a longer time"
        )
    summary = record_rig(load_rig(rig).acquisition, output, wished, subject, notes)
    _show(summary.as_dict())
    return summary.as_dict()


def _show(figures: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("camera", "recorded", "lost", "ignored", "ring full", "other"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for name, camera in figures["cameras"].items():
        absent = dict(camera["absent"])
        known = [absent.pop(cause, 0) for cause in ("lost", "trigger ignored", "ring full")]
        table.add_row(name, *(str(n) for n in (camera["recorded"], *known, sum(absent.values()))))
    console = Console()
    console.print(table)
    spread = figures["synchronisation"]["spread_ms_max"]
    console.print(
        f"{figures['complete_sets']} of {figures['frame_sets']} frame sets complete"
        + (f", exposures of a set within {spread:.2f} ms" if spread is not None else "")
        + f"; ended: {figures['ended']}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(figures["session"], highlight=False, soft_wrap=True)
