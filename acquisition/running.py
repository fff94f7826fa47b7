"""The runs of rigpose on this machine: each tells of itself in a small file, and whoever asks reads it.

A run is told of once a second, by a thread of its own, in `PID-N.json` in a folder of its user. The file is
replaced whole, and taken away when the run ends. A file whose process is gone, by its pid, its start time
(pids are given again) and the boot, is that of a run that was killed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

FORMAT, VERSION = "rigpose run", 1
STARTING, RUNNING, ENDING = "starting", "running", "ending"

Facts = dict[str, Any]
"""What a run tells, JSON-able: `name`, `state` (above), `counters` and what its kind has besides."""

Counters = Mapping[str, Mapping[str, float]]
"""Numbers that only grow, by source and name, as in `health` on the stream."""

_EVERY_NS = 1_000_000_000
_RATES_NS = 10_000_000_000
_LARGEST_BYTES = 1 << 20
_CLOSE_S = 1.0
_numbers = itertools.count()


class RunFile:
    """Tells of this run until it is closed. A context manager.

    It holds nobody up and fails for nobody: where nothing can be written, the run is not told of.

    Parameters
    ----------
    command:
        Of rigpose: "record", "live", ...
    """

    def __init__(self, command: str) -> None:
        pid = os.getpid()
        self._itself: Facts = {
            "format": FORMAT, "version": VERSION, "command": command, "pid": pid,
            "process_started": _process_started(pid), "boot_id": _boot_id(),
            "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "since_ns": time.monotonic_ns(),
        }  # fmt: skip
        self._name = f"{pid}-{next(_numbers)}.json"
        self._next_ns = 0
        self._state = ""
        self._counted: deque[tuple[int, Counters]] = deque()
        self._news: Facts = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._write, name="run file", daemon=True)
        self._writer.start()

    def __enter__(self) -> RunFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, facts: Callable[[], Facts], *, now: bool = False) -> None:
        """Call it as often as you like: `facts` is called once a second at most, or `now`.

        How fast its `counters` grew in the last ten seconds, or since the state is what it is, is told as
        `rates_hz`, and of how many seconds that is as `rates_s`.
        """
        t_ns = time.monotonic_ns()
        if t_ns < self._next_ns and not now:
            return
        self._next_ns = t_ns + _EVERY_NS
        told = facts()
        if told.get("state") != self._state:
            self._state = told.get("state", "")
            self._counted.clear()
        rates_s, rates_hz = self._rates(t_ns, told.get("counters", {}))
        self._news = {**told, **self._itself, "written_ns": t_ns, "rates_s": rates_s, "rates_hz": rates_hz}
        self._wake.set()

    def close(self) -> None:
        """Take the file away; may be called twice."""
        self._over.set()
        self._wake.set()
        self._writer.join(_CLOSE_S)  # a disk that does not answer is not waited for

    def _rates(self, t_ns: int, counters: Counters) -> tuple[float, dict[str, dict[str, float]]]:
        if self._counted and _began_anew(self._counted[-1][1], counters):
            self._counted.clear()
        self._counted.append((t_ns, counters))
        while t_ns - self._counted[0][0] > _RATES_NS:
            self._counted.popleft()
        first_ns, first = self._counted[0]
        span_s = (t_ns - first_ns) * 1e-9
        if span_s <= 0:
            return 0.0, {}
        return round(span_s, 3), {
            source: {
                name: round((count - first[source][name]) / span_s, 3)
                for name, count in counts.items()
                if name in first.get(source, {})
            }
            for source, counts in counters.items()
        }

    def _write(self) -> None:
        path: Path | None = None
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._over.is_set():
                break
            content = json.dumps(self._news, separators=(",", ":")).encode()
            try:
                path = path or _folder() / self._name
                _replace(path, content)
            except OSError:  # a full disk; or the user has logged out, and with them went the folder
                _without(path)
                path = None
        _without(path)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it told of itself last.

    Attributes
    ----------
    path:
        Its file.
    command, pid:
        Which command of rigpose, in which process.
    since:
        When it began: ISO 8601, UTC.
    alive:
        Whether its process is there.
    age_s, silent_s:
        How long ago it began, and told of itself last; of a process that is there.
    facts:
        What it told.
    """

    path: Path
    command: str
    pid: int
    since: str
    alive: bool
    age_s: float
    silent_s: float
    facts: Facts


def runs() -> list[Run]:
    """Every run of this user that has not ended, those that were killed among them; the oldest first."""
    paths = [path for folder in _folders() if _is_ours(folder) for path in folder.glob("*.json")]
    found = [run for path in paths if (run := _read(path)) is not None]
    return sorted(found, key=lambda run: (run.since, run.path.name))


def _folders() -> list[Path]:
    """Where this user's runs tell of themselves, the best place first.

    A service has no XDG_RUNTIME_DIR, though systemd made that folder: so it is looked for as well.
    """
    given = os.environ.get("RIGPOSE_RUN_DIR")
    if given:
        return [Path(given)]
    user, session = os.getuid(), os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(session)] if session else []
    found = [place / "rigpose" for place in [*places, Path(f"/run/user/{user}")]]
    return list(dict.fromkeys([*found, Path(f"/tmp/rigpose-runs-{user}")]))


def _folder() -> Path:
    """The first of them that can be used, made if need be. Raises OSError where there is none."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_ours(folder):
                return folder
    raise FileNotFoundError("no folder for runs")


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can have put a file there: anybody may make folders in /tmp."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _without(path: Path | None) -> None:
    """Take a file away, and what was half written of it, if that can be."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.with_suffix(".part").unlink(missing_ok=True)


def _read(path: Path) -> Run | None:
    """None: no file of a run, or not one of this version."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        told = json.loads(path.read_bytes())
        if (told["format"], told["version"]) != (FORMAT, VERSION):
            return None
        now_ns, started = time.monotonic_ns(), told["process_started"]
        alive = told["boot_id"] == _boot_id() and started is not None
        return Run(
            path=path, command=str(told["command"]), pid=int(told["pid"]), since=str(told["since"]),
            alive=alive and _process_started(int(told["pid"])) == started,
            age_s=(now_ns - told["since_ns"]) * 1e-9, silent_s=(now_ns - told["written_ns"]) * 1e-9,
            facts=told,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _process_started(pid: int) -> int | None:
    """In ticks since boot, see proc_pid_stat(5); None: there is no such process, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _began_anew(before: Counters, now: Counters) -> bool:
    """Whether a process that was restarted counts from 0 again."""
    return any(
        count < before.get(source, {}).get(name, 0)
        for source, counts in now.items()
        for name, count in counts.items()
    )
