"""Who works on what, told by files in a folder that several processes and hosts share; no server, no locks.

A claim is a file `<name>.<generation>.claim`, made with O_EXCL, so that one of several takes it. Its owner
touches it every `BEAT_S` seconds. A claim is stale

- at once, where its owner was a process of this very machine (same boot, same PID namespace) that is gone;
- else, when this process has watched it for `STALE_S` seconds, by its own clock, and saw no touch. Clocks of
  two hosts are not compared.

A stale claim is taken over by making the next generation, which again only one can do; the highest generation
owns. An owner that was only asleep finds out and lets go. Nothing is lost if two worked on one thing for
a moment: what they write is the same, and appears whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

BEAT_S = 15.0
STALE_S = 120.0  # several beats, and longer than NFS keeps old times of change
ENDING = ".claim"

View = Literal["free", "mine", "alive", "unsure", "stale"]


class Claims:
    """The claims in one folder, as one process sees and holds them; a context manager that lets all go.

    Parameters
    ----------
    folder:
        Shared by all that claim; it exists.
    beat_s, stale_s:
        As above.
    """

    def __init__(self, folder: Path, *, beat_s: float = BEAT_S, stale_s: float = STALE_S) -> None:
        self._folder = folder
        self._beat_s, self._stale_s = beat_s, stale_s
        self._me = {**_place(), "host": socket.gethostname(), "pid": os.getpid(), "started": _started("self")}
        self._held: dict[str, Path] = {}
        self._watched: dict[Path, tuple[int, int, bool]] = {}  # touched at, first seen so, whether it moved
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="claims", daemon=True)
        self._thread.start()

    def take(self, name: str) -> bool:
        """Whether `name` is claimed by this process from now on."""
        view, generation = self._look(name)
        if view not in ("free", "stale"):
            return False
        path = (
            self._folder / f"{name}.{generation + 1}{ENDING}"
        )  # of what was looked at: no other may be between
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self._me, stream)
        except OSError:  # a full disk: leave no claim without an owner behind
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._held[name] = path
        return True

    def view(self, name: str) -> View:
        """What can be said of a claim now; `unsure`: of another host, and not yet watched for long enough."""
        return self._look(name)[0]

    def _look(self, name: str) -> tuple[View, int]:
        """The view of the newest claim, and its generation; -1 where there is none."""
        generation, path = self._newest(name)
        if path is None:
            return "free", -1
        return self._judge(name, path), generation

    def _judge(self, name: str, path: Path) -> View:
        with self._lock:
            if self._held.get(name) == path:
                return "mine"
        try:
            with path.open(encoding="utf-8") as stream:  # opening makes NFS ask for the newest time of change
                touched = os.fstat(stream.fileno()).st_mtime_ns
                text = stream.read()
        except OSError:
            return "unsure"  # released just now
        dead = self._is_dead(text)
        if dead is not None:
            return "stale" if dead else "alive"
        now_ns = time.monotonic_ns()
        before = self._watched.get(path)
        if before is None or before[0] != touched:
            self._watched[path] = (touched, now_ns, before is not None)
        _, since_ns, moved = self._watched[path]
        if now_ns - since_ns > self._stale_s * 1e9:
            return "stale"
        return "alive" if moved else "unsure"

    def names(self) -> set[str]:
        """All that anybody has claimed and not released."""
        files = (path.name for path in self._folder.iterdir() if path.name.endswith(ENDING))
        return {name[: -len(ENDING)].rpartition(".")[0] for name in files}

    def release(self, name: str) -> None:
        """Let go of a claim, and of those that it took over."""
        with self._lock:
            mine = self._held.pop(name, None)
        if mine is None:
            return
        own = _generation(mine)
        for path in self._all(name):
            if _generation(path) <= own:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of everything."""
        self._stop.set()
        self._thread.join()
        for name in list(self._held):
            with contextlib.suppress(OSError):
                self.release(name)

    def __enter__(self) -> Claims:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self, name: str) -> list[Path]:
        start = f"{name}."
        return [
            path
            for path in self._folder.iterdir()
            if path.name.startswith(start)
            and path.name.endswith(ENDING)
            and path.name[len(start) : -len(ENDING)].isdigit()
        ]

    def _newest(self, name: str) -> tuple[int, Path | None]:
        paths = self._all(name)
        if not paths:
            return -1, None
        newest = max(paths, key=_generation)
        return _generation(newest), newest

    def _is_dead(self, text: str) -> bool | None:
        """Whether the owner is gone; None where that cannot be told from here."""
        try:
            owner: dict[str, Any] = json.loads(text)
            here = all(owner[key] == self._me[key] for key in ("boot_id", "pid_namespace"))
            if not here:
                return None
            return bool(_started(str(int(owner["pid"]))) != owner["started"])
        except (ValueError, KeyError, TypeError):
            return None  # being written, or damaged

    def _beat(self) -> None:
        while not self._stop.wait(self._beat_s):
            with self._lock:
                held = dict(self._held)
            for name, path in held.items():
                with contextlib.suppress(OSError):
                    os.utime(path)
                    if self._newest(name)[1] != path:  # taken over while this process was asleep
                        with self._lock:
                            self._held.pop(name, None)


def _generation(path: Path) -> int:
    return int(path.name[: -len(ENDING)].rpartition(".")[2])


def _place() -> dict[str, str]:
    """Within which process numbers mean something."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return {"boot_id": boot_id, "pid_namespace": str(Path("/proc/self/ns/pid").readlink())}


def _started(pid: str) -> str:
    """When a process began, in ticks since the boot; "" where there is none (or it is a zombie)."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = said.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
