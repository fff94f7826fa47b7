"""The events table of a session: JSON lines, appended one by one, readable up to a cut."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError

NAME = "events.jsonl"
_TAIL_BYTES = 256 << 10


class EventsWriter:
    """Appends events. Several processes may append to one file: each line is one write.

    While a writer is open, `not_recording` refuses the session.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # the line of a writer that was cut off

    def append(self, kind: str, t_ns: int | None = None, **facts: Any) -> None:
        """Write an event of `kind` at `t_ns` (rig clock; default now) with JSON-able facts."""
        event = {"t_ns": time.monotonic_ns() if t_ns is None else t_ns, "kind": kind, **facts}
        os.write(self._file, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def sync(self) -> None:
        """Have the kernel put everything onto the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextlib.contextmanager
def not_recording(folder: Path) -> Iterator[None]:
    """Inside, the session is ours. Raises `RigposeError` while somebody records into it."""
    file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RigposeError(
                folder, expected="a recording that is over", found="one that is going on",
                remedy="Stop it first (Ctrl-C where it runs)",
            ) from None  # fmt: skip
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(file)


def read_events(folder: Path, kinds: Collection[str] = ()) -> list[dict[str, Any]]:
    """All whole events of a session (of these kinds), as they were written; none where there is no table."""
    path = folder / NAME
    if not path.exists():
        return []
    words = [json.dumps(kind).encode() for kind in kinds]  # a table of hours is not parsed for a few lines
    with path.open("rb") as file:
        wanted = (line for line in file if not words or any(word in line for word in words))
        return [event for event in _whole(wanted) if not kinds or event.get("kind") in kinds]


def last_events(folder: Path, count: int, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """The last `count` events at most that are of no kind in `without`; of the last 256 KB only."""
    try:
        with (folder / NAME).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return []
    events = [
        event
        for event in _whole(lines)
        if event.get("kind", "") not in without and {"kind", "t_ns"} <= event.keys()
    ]
    return events[-count:]


def _whole(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """What can be read: not the line at which the session was cut off, or the tail begins."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
