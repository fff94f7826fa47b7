"""Time stamps of a video's frames from a CSV: a row a frame, in a unit that somebody states.

The column is found by its name: `timestamp`, `time`, `frame_time`, `t_exposure` and their like, with the
unit behind it (`timestamp_ns`, `time (ms)`, `frame_time_s`). Without a unit in the name one has to be given;
none is guessed from the numbers. Values like 2024-05-01T10:00:00.1234567+02:00 state theirs. Beside it may
stand the camera's own count of its frames (`frame_id`, `frame`, `seq`, ...), which tells what was lost, and
the camera (`cam_id`, `camera`, `port`), where one file serves several. Caliscope's columns sync_index,
cam_id and frame_time are in seconds. A file of one column needs no header.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError

Unit = Literal["ns", "us", "ms", "s"]
UNIT_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
CALENDAR = "calendar"
"""The unit of values that are date and time."""

_UNIT = r"(?P<unit>ns|nanoseconds?|us|µs|microseconds?|ms|milliseconds?|s|secs?|seconds?)[)\]]?"
# exposure_time is how long, not when; so is a bare exposure_us.
_TIME = re.compile(
    r"(?:(?:(?:frame|camera|cam|device|host|system)[ _]?)?(?:time[ _]?stamps?|stamps?|times?)"
    r"|exposure[ _]?time[ _]?stamps?|t_exposure|t_device|t_arrival|t)"
    rf"(?: ?[ _(\[]{_UNIT})?"
)
_WORDS = {"n": "ns", "u": "us", "µ": "us", "mi": "us", "m": "ms", "s": "s"}
_COUNTS = ("frame_id", "frameid", "frame_number", "framenumber", "frame_index", "frame", "block_id", "seq")
_CAMERAS = ("cam_id", "camera", "camera_name", "cam", "port")
_CALISCOPE = "sync_index"
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LIMIT_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class StampFile:
    """The stamps of one video.

    Attributes
    ----------
    path, column:
        Where they stand.
    unit:
        "ns", "us", "ms", "s" or `CALENDAR`.
    t_ns:
        int64 (N,), as they stand there, of the row's frame.
    counts:
        int64 (N,), the camera's own count; None where the file has none.
    """

    path: Path
    column: str
    unit: str
    t_ns: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64] | None


def read_stamps(path: Path, *, unit: Unit | None = None, column: str | None = None) -> dict[str, StampFile]:
    """Stamps by the name in the file's camera column; '' where it has none.

    Parameters
    ----------
    unit:
        Of a column that does not state its own.
    column:
        The column of times, where several could be it.

    Raises
    ------
    RigposeError
        No such column or several, a unit that nobody states or that is stated twice differently, a value that
        is no time (with its line).
    """
    rows = _rows(path)
    header = None if _is_value(rows[0][0]) else [name.strip() for name in rows[0]]
    if header is None:
        if len(rows[0]) != 1 or column is not None:
            raise RigposeError(
                path, expected="a first line that names the columns", found="values",
                remedy="Write one, for instance: frame_id,timestamp_ns",
            )  # fmt: skip
        header = ["1"]
        place = 0
    else:
        rows = rows[1:]
        place = _time_column(path, header, column)
    lowered = [name.lower() for name in header]
    count = next((lowered.index(name) for name in _COUNTS if name in lowered), None)
    camera = next((lowered.index(name) for name in _CAMERAS if name in lowered), None)
    first = rows[0][place] if rows and len(rows[0]) > place else ""
    settled = _unit(path, header[place], _DATE.fullmatch(first.strip()) is not None, unit, lowered)
    times: dict[str, list[int]] = {}
    counts: dict[str, list[int]] = {}
    offset = 1 + (header != ["1"])
    for number, row in enumerate(rows, offset):
        if len(row) != len(header):
            raise _bad_line(path, number, f"{len(header)} values", f"{len(row)}")
        name = row[camera].strip() if camera is not None else ""
        times.setdefault(name, []).append(_ns(path, number, row[place].strip(), settled))
        if count is not None:
            counts.setdefault(name, []).append(_count(path, number, row[count].strip()))
    return {
        name: StampFile(
            path, header[place] if header != ["1"] else "", settled, np.array(found, np.int64),
            np.array(counts[name], np.int64) if count is not None else None,
        )
        for name, found in times.items()
    }  # fmt: skip


def _rows(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RigposeError(
            path, expected="a CSV of time stamps", found=getattr(error, "strerror", None) or "no text",
            remedy="Check the path",
        ) from None  # fmt: skip
    lines = text.rstrip().splitlines()
    if not lines:
        raise RigposeError(path, expected="time stamps", found="an empty file", remedy="Take the file away")
    if not lines[0].strip():
        raise _bad_line(path, 1, "the names of the columns", "an empty line")
    delimiter = next((mark for mark in "\t;," if mark in lines[0]), ",")
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise RigposeError(
            path, expected="a CSV of time stamps", found=str(error), remedy="Mend the file"
        ) from None


def _is_value(text: str) -> bool:
    try:
        Decimal(text.strip())
    except InvalidOperation:
        return _DATE.fullmatch(text.strip()) is not None
    return True


def _time_column(path: Path, header: list[str], column: str | None) -> int:
    if column is not None:
        if column not in header:
            raise RigposeError(
                path, expected=f"the column '{column}'", found=", ".join(header),
                remedy="Give one of these as --time-column",
            )  # fmt: skip
        return header.index(column)
    suits = [place for place, name in enumerate(header) if _TIME.fullmatch(name.lower())]
    if len(suits) != 1:
        raise RigposeError(
            path, expected="one column of times, such as timestamp_ns",
            found=" and ".join(header[place] for place in suits) or ", ".join(header),
            remedy="Say which one it is with --time-column",
        )  # fmt: skip
    return suits[0]


def _unit(path: Path, name: str, calendar: bool, given: Unit | None, header: list[str]) -> str:
    match = _TIME.fullmatch(name.lower())
    stated = match["unit"] if match is not None else None
    if match is None:  # a column that a person named
        end = re.search(rf"[ _(\[]{_UNIT}$", name.lower())
        stated = end["unit"] if end is not None else None
    own = None if stated is None else _WORDS["mi" if stated.startswith("mic") else stated[0]]
    if own is None and _CALISCOPE in header and name.lower() == "frame_time":
        own = "s"
    if calendar:
        own = CALENDAR
    if own is not None and given is not None and own != given:
        raise RigposeError(
            path, expected=f"times in {given}, as --time-unit says", found=f"'{name}', in {own}",
            remedy="Leave --time-unit out",
        )  # fmt: skip
    if own is None and given is None:
        raise RigposeError(
            path, expected="the unit of its times",
            found=f"'{name}', which says none" if name != "1" else "none",
            remedy="Give --time-unit ns, us, ms or s",
        )  # fmt: skip
    return own or str(given)


def _ns(path: Path, line: int, text: str, unit: str) -> int:
    if unit == CALENDAR:
        return _calendar_ns(path, line, text)
    try:
        value = Decimal(text) * UNIT_NS[unit]
        if not value.is_finite() or abs(value) >= _LIMIT_NS:
            raise InvalidOperation
    except ArithmeticError:
        raise _bad_line(path, line, f"a time in {unit}", f"'{text}'") from None
    return int(value.to_integral_value())


def _calendar_ns(path: Path, line: int, text: str) -> int:
    """Nanoseconds since 1970; a time without a zone is taken for UTC: only differences are used."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise _bad_line(path, line, "date and time", f"'{text}'")
    day, clock, fraction, _, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError:
        raise _bad_line(path, line, "date and time", f"'{text}'") from None
    shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    seconds = round((moment - _EPOCH - (-shift if sign == "-" else shift)).total_seconds())
    since_ns = seconds * UNIT_NS["s"] + int((fraction or "").ljust(9, "0"))
    if abs(since_ns) >= _LIMIT_NS:
        raise _bad_line(path, line, "a date within a century of 1970", f"'{text}'")
    return since_ns


def _count(path: Path, line: int, text: str) -> int:
    try:
        value = Decimal(text)
        if not value.is_finite() or abs(value) >= _LIMIT_NS or value != value.to_integral_value():
            raise InvalidOperation
    except ArithmeticError:
        raise _bad_line(path, line, "the camera's count of the frame", f"'{text}'") from None
    return int(value)


def _bad_line(path: Path, line: int, expected: str, found: str) -> RigposeError:
    return RigposeError(f"{path}, line {line}", expected=expected, found=found, remedy="Mend that line")
