"""`rigpose adopt`: existing synchronised videos become a session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output


def adopt(
    *videos: Path,
    camera_regex: str,
    output: Output,
    times: Literal["auto", "csv", "container", "number"] = "auto",
    time_unit: Literal["ns", "us", "ms", "s"] | None = None,
    time_column: str | None = None,
    rate_hz: float | None = None,
    assume_aligned: Annotated[bool, Parameter(negative="")] = False,
    tolerance_ms: float | None = None,
    started: str | None = None,
    subject: str = "",
    notes: str = "",
) -> Measured:
    """Make a session of existing synchronised videos, one a camera.

    The videos are read, never changed. Time stamps are taken from a CSV beside each video (NAME.csv,
    NAME_timestamps.csv) with a row a frame and a column such as timestamp_ns, or from one timestamps.csv with
    a camera column. Without any, the n-th frames of all videos are taken for one instant; their lengths must
    be equal then.

    Parameters
    ----------
    videos:
        Video files. The first is the reference where cameras ran freely.
    camera_regex:
        Finds the camera's name in a file's name: its group (...), or all of its match.
    times:
        Where times come from: stamps in CSV files, the containers (if their times share a zero), or frame
        numbers.
    time_unit:
        Of a time column that does not say its own.
    time_column:
        The column of times, where several could be it.
    rate_hz:
        Of frame numbers; by default what the containers say.
    assume_aligned:
        All first frames are one instant: for videos of unequal length, whose missing tails are absences then,
        and for stamps of cameras that each have a clock of their own.
    tolerance_ms:
        Largest distance of a frame from its frame set; by default 0.45 of a period.
    started:
        Calendar time of the first frame, for instance 2024-05-01T10:30:00+02:00.
    subject:
        Who was recorded; kept in session.json.
    notes:
        Anything worth knowing later; kept in session.json.

    Returns
    -------
    dict
        `session`, `times`, per camera the file, what was done to it, frames and absences; frame sets.

    Raises
    ------
    RigposeError
        A name that tells no camera or two, lengths or times that do not fit, an output that exists.

    Examples
    --------
    rigpose adopt day1-cam0.mp4 day1-cam1.mp4 --camera-regex 'cam[0-9]' -o day1
    rigpose adopt *.avi --camera-regex 'view-([a-z]+)' --time-unit us -o sessions/mouse-7
    """
    from acquisition.recordings.adopt import AdoptOptions
    from acquisition.recordings.adopt import adopt as take_in

    options = AdoptOptions(
        times=times, rate_hz=rate_hz, assume_aligned=assume_aligned, unit=time_unit, column=time_column,
        tolerance_ms=tolerance_ms, started=started, subject=subject, notes=notes,
    )  # fmt: skip
    measured = take_in(videos, output, camera_regex, options)
    _show(measured)
    return measured


def _show(measured: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("camera", "video", "frames", "missing", "absent", "in no set", "what was done"):
        numbers = heading in ("frames", "missing", "absent", "in no set")
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=not numbers)
    for name, camera in measured["cameras"].items():
        counts = camera["frames"], camera["missing"], sum(camera["absent"].values()), camera["in_no_set"]
        table.add_row(name, Path(camera["file"]).name, *map(str, counts), camera["how"])
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for name, camera in measured["cameras"].items():
        if camera["gap"]:
            console.print(f"{name}: {camera['gap']}")
    for note in measured["times"]["notes"]:
        console.print(note)
    spread = measured["spread_ms_max"]
    console.print(
        f"Times from {_SOURCES[measured['times']['source']]}, {measured['times']['rate_hz']:.3f} Hz; "
        f"{measured['complete_sets']} of {measured['frame_sets']} frame sets complete, by "
        f"{measured['synchronised_by']}" + (f", frames within {spread:.2f} ms" if spread is not None else "")
    )
    if measured["uncertain_sets"]:
        console.print(f"In {measured['uncertain_sets']} frame sets a frame may belong to the pulse beside")
    console.print(f"When it was recorded: {measured['started_from']}")
    console.print(measured["session"])


_SOURCES = {"csv": "time stamps beside the videos", "container": "the containers", "number": "frame numbers"}
