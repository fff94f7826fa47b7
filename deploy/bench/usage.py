"""What a process and its children use: CPU time, and memory as the sum of PSS (Linux, /proc).

The proportional set size counts a page that n processes share as 1/n in each, so that its sum over a tree of
processes is what the tree really takes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_PROC = Path("/proc")
_TICKS_HZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at a tree of processes.

    Attributes
    ----------
    t_ns:
        When, rig clock.
    pss_mb:
        Sum over the tree, MB (10^6 bytes).
    cpu_s:
        CPU time so far of the processes that live.
    processes:
        How many.
    """

    t_ns: int
    pss_mb: float
    cpu_s: float
    processes: int


def tree(pid: int) -> list[int]:
    """A process and all that descend from it; those that vanish meanwhile are left out."""
    children: dict[int, list[int]] = {}
    for each, parent in _parents():
        children.setdefault(parent, []).append(each)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def pss_mb(pids: Sequence[int]) -> float:
    """Sum of the proportional set sizes, MB; of processes that may be looked at and still live."""
    total_kb = 0
    for pid in pids:
        for line in _text(_PROC / str(pid) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb * 1024 / 1e6


def cpu_s(pids: Sequence[int]) -> float:
    """Sum of the CPU time, user and system, that the processes themselves have used, s."""
    total = 0
    for pid in pids:
        fields = _after_name(_text(_PROC / str(pid) / "stat"))
        if fields:
            total += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return total / _TICKS_HZ


def look(pid: int) -> Usage:
    """At a process and its descendants, now."""
    pids = tree(pid)
    return Usage(time.monotonic_ns(), pss_mb(pids), cpu_s(pids), len(pids))


class UsageWatch:
    """Looks at a tree of processes now and then while its block runs.

    A look takes the kernel some milliseconds for every hundred MB: not often.

    Parameters
    ----------
    pid:
        The root of the tree.
    every_s:
        How often.

    Attributes
    ----------
    looks:
        What was seen, in order.
    """

    def __init__(self, pid: int | None = None, every_s: float = 1.0) -> None:
        self.looks: list[Usage] = []
        self._pid = os.getpid() if pid is None else pid
        self._every_s = every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def __enter__(self) -> UsageWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._every_s):
            self.looks.append(look(self._pid))


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            fields = _after_name(_text(folder / "stat"))
            if fields:
                yield int(folder.name), int(fields[1])


def _after_name(stat: str) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything; the first is the state."""
    return stat.rpartition(")")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended, or is another user's
        return ""
