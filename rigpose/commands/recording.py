"""`rigpose record`: all cameras of a rig, synchronised; `rigpose recover`: recordings that were cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured, Minutes, time_of
from rigpose.commands.synchronisation import Regions, out_of_step, regions_of, show_proof, show_verdict

if TYPE_CHECKING:
    from acquisition.proof.led import Region
    from acquisition.rig import RigSettings

SessionFolder = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="The session's folder; by default a new one, by the day."),
]


def record(
    rig: Path,
    /,
    *,
    output: SessionFolder = None,
    minutes: Minutes = None,
    seconds: Annotated[float | None, Parameter(help="A budget of time in seconds.")] = None,
    subject: Annotated[str, Parameter(help="Who is recorded; kept in the session.")] = "",
    notes: Annotated[str, Parameter(help="Anything worth knowing later; kept in the session.")] = "",
    check_sync: Annotated[
        bool, Parameter(help="Read the trigger's LED, before and after.", negative=())
    ] = False,
    region: Regions = (),
) -> Measured:
    """Record all cameras of a rig, synchronised, into a session.

    Without a time it records until Ctrl-C. Every absent frame is reported with its cause. A new file begins
    every hour (`recording.segment_minutes` in the rig file); readers of recordings do not see the seams.
    The exit code is 0 only if it recorded as long as it was to: 1 after a full disk or a trigger that failed.
    At its end stands the synchronisation report: synchronisation.html in the session's folder.

    Parameters
    ----------
    rig:
        The rig file, rig.yaml.
    output:
        The session's folder; it must not exist, or be empty. Without it a new one named by the rig and the
        day, in the folder that the rig file gives (`recording.directory`).
    minutes, seconds:
        How long, counted from the first pulse.
    subject, notes:
        Kept in session.json.
    check_sync, region:
        As `rigpose check-sync`: some seconds before, and the session itself after. Where a camera is out of
        step before, nothing is recorded; after, the session stays and the exit code is 1.

    Returns
    -------
    dict
        Per camera: frames and absences by cause; frame sets, complete sets; the spread of exposures; the
        report's verdict and findings; `optical_before`, `optical_after` with --check-sync.

    Raises
    ------
    RigposeError
        A rig file with an error, a camera that is not there, an output that exists.

    Examples
    --------
    rigpose record rig.yaml --minutes 10 --subject mouse-7
    rigpose record rig.yaml -o recordings/mouse-7 --minutes 10 --subject mouse-7
    """
    from acquisition.proof.optical import check_session
    from acquisition.proof.report import write_report
    from acquisition.record import record as record_rig
    from acquisition.recordings.session import CLEAN_ENDS, new_folder
    from rigpose.commands.outcome import CommandFailed
    from rigpose.rig_file import load_rig

    wished = time_of("rigpose record", minutes, seconds)
    settings = load_rig(rig).acquisition
    output = output or new_folder(settings.recording.directory, settings.name)
    regions = regions_of(region)
    before = _check_before(settings, output, regions) if check_sync else None
    summary = record_rig(settings, output, wished, subject, notes)
    measured = summary.as_dict()
    if not summary.session:
        print("interrupted before the first pulse: nothing was recorded")
        return measured
    _show(measured)
    after = None
    if check_sync:
        after = check_session(output, regions)
        write_report(output)
        show_proof(after)
        measured.update(optical_before=before, optical_after=after)
    if summary.ended not in CLEAN_ENDS:
        raise CommandFailed(
            f"the recording ended early: {summary.ended}; what was recorded until then is whole", measured
        )
    if after is not None and after["verdict"] == "FAIL":
        raise CommandFailed(out_of_step(after), measured)
    return measured


def _check_before(rig: RigSettings, output: Path, regions: dict[str, Region]) -> Measured:
    """The optical proof before a recording; raises `CommandFailed` where a camera is out of step."""
    from acquisition.check_sync import check_rig
    from acquisition.recordings.session import check_output
    from rigpose.commands.outcome import CommandFailed

    check_output(output)
    found = check_rig(rig, regions)
    show_proof(found)
    if found["verdict"] == "FAIL":
        raise CommandFailed(f"nothing was recorded. {out_of_step(found)}", {"optical_before": found})
    return found


def recover(
    sessions: Annotated[list[Path], Parameter(help="Folders that 'rigpose record' has written.")],
    /,
    *,
    join: Annotated[bool, Parameter(help="Also make one video of every camera's segments.")] = False,
) -> Measured:
    """Finish recordings that were cut off, by a kill, a loss of power or a full disk.

    Videos become whole and seekable, frame tables end with the last picture, and what was lost is said. What
    is rewritten stays as it was in the session's folder `cut-off/`; a whole session is left as it is, so that
    it may be run again at any time.

    Parameters
    ----------
    sessions:
        Folders that `rigpose record` or `rigpose live --record` has written.
    join:
        Also make one video and one frame table of every camera's segments.

    Returns
    -------
    dict
        `sessions`: for each its folder, how it ended, `finished` (per segment: rows and pictures found,
        frames kept, seconds lost), `frames` by camera, `joined`.

    Raises
    ------
    RigposeError
        No session, one that is still being recorded, a disk without room.

    Examples
    --------
    rigpose recover recordings/mouse-7
    rigpose recover recordings/* --join
    """
    from acquisition.recordings.recover import KEPT
    from acquisition.recordings.recover import recover as recover_session

    if not sessions:
        raise RigposeError(
            "rigpose recover", expected="at least one session", found="none", remedy="Name its folder"
        )
    said = []
    for folder in sessions:
        found = recover_session(folder, join=join)
        said.append(found)
        for one in found["finished"]:
            segment = f", segment {one['segment']}" if one["segment"] else ""
            print(
                f"{folder}: {one['camera']}{segment}: {one['frames']} frames whole,"
                f" {one['rows'] - one['frames']} cut off ({one['lost_s']:.2f} s)"
            )
        for camera, count in found["joined"].items():
            print(f"{folder}: {camera}: {count} segments joined")
        if not found["finished"] and not found["joined"]:
            print(f"{folder}: whole; ended: {found['ended']}")
        elif (folder / KEPT).is_dir():
            print(f"{folder}: the files as they were are in {folder / KEPT}; delete them when all is well")
    return {"sessions": said}


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
    for befell in figures["interruptions"]:
        console.print(f"meanwhile: {befell}", highlight=False, soft_wrap=True)
    found = figures["synchronisation"]
    show_verdict(found["verdict"], found["findings"], "synchronisation")
    console.print(figures["session"], highlight=False, soft_wrap=True)
