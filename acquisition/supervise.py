"""Child processes that are started, heard, restarted within a budget and stopped in order.

Each child holds one end of a socket pair: it reports its counters there four times a second and is
told things there. A child that finds its parent gone stops; a parent that finds a child gone
restarts it or says what it died of.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from acquisition.child import ChildLink, decode, encode, run_child
from acquisition.errors import RigposeError
from acquisition.service import ServiceManager

_BUDGET_NS = 60_000_000_000
_OWN_STOP_S = 1.0
_SLICE_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the table of processes.

    Attributes
    ----------
    name:
        Unique in the table.
    target:
        A module-level function, called in a fresh interpreter as `target(link: ChildLink, *args)`.
        It returns soon after `link.stopping` turns true.
    args:
        What spawn can carry: settings, paths, plain values.
    restarts:
        How often it may be restarted within a minute after it died.
    essential:
        Whether its death beyond the budget ends the whole (`poll` raises), or is only noted in
        `Supervisor.dead`.
    silent_s:
        A process that has reported and then does not for so long is wedged: it is killed, and restarted
        as one that died. 0: it may be silent.
    """

    name: str
    target: Callable[..., None]
    args: tuple[Any, ...] = ()
    restarts: int = 0
    essential: bool = True
    silent_s: float = 0.0


@dataclass(slots=True)
class _Child:
    plan: Process
    process: BaseProcess
    link: socket.socket
    error: RigposeError | None = None
    heard_ns: int = 0
    wedged: bool = False


@contextlib.contextmanager
def runtime_folder() -> Iterator[Path]:
    """A fresh folder for sockets, with a path short enough for them; removed at the end."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    if len(base) > 60:  # a Unix socket's path holds 107 bytes
        base = "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="rigpose-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class Supervisor:
    """Runs a table of processes. Start, `poll` often, `stop`; or use it as a context manager.

    Attributes
    ----------
    processes:
        The table; they are started in this order and stopped in the reverse.
    counters:
        The newest counters of each process, by name.
    dead:
        Processes that died beyond their budget, and of what.
    restarts:
        How often each was restarted.
    stopping:
        True once SIGTERM or SIGINT has come. The owner is to end its loop then.
    service:
        Who started this process; every `poll` is told to its watchdog.
    restarted:
        Called with the name of a process that died and is about to be started again: `counters` still has
        what it reported last.
    """

    processes: Sequence[Process]
    counters: dict[str, dict[str, Any]] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    stopping: bool = False
    service: ServiceManager = field(default_factory=ServiceManager)
    restarted: Callable[[str], object] | None = None
    _children: dict[str, _Child] = field(default_factory=dict)
    _heard_ns: dict[str, int] = field(default_factory=dict)
    _told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _deaths_ns: dict[str, list[int]] = field(default_factory=dict)
    _handlers: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Supervisor:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._on_signal)
        try:
            for plan in self.processes:
                self._start(plan)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take in reports; notice deaths and restart.

        Raises
        ------
        RigposeError
            What a child could not do (a camera that is not there), or which essential one died.
        """
        self.service.alive()
        owner = {child.link.fileno(): child for child in self._children.values()}
        poll = select.poll()
        for number in owner:
            poll.register(number, select.POLLIN)
        with contextlib.suppress(InterruptedError):
            for number, _ in poll.poll(timeout_s * 1e3):
                self._hear(owner[number])
        self._kill_wedged()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, waiting_for: str) -> bool:
        """Poll until `condition()`; False where a signal came before. Raises `RigposeError` on time-out."""
        until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while not condition():
            if self.stopping:
                return False
            if time.monotonic_ns() > until_ns:
                raise RigposeError(
                    waiting_for,
                    expected=f"readiness within {timeout_s:g} s",
                    found="none",
                    remedy="Check the cameras and the load of the machine, then start again",
                )
            self.poll(0.05)
        return True

    def tell(self, name: str | None = None, **news: Any) -> None:
        """Give one child, or all, JSON-able facts; found in `link.told`, and told again after a restart."""
        for plan in self.processes:
            if name in (None, plan.name):
                self._told.setdefault(plan.name, {}).update(news)
                child = self._children.get(plan.name)
                if child is not None:
                    with contextlib.suppress(OSError):
                        child.link.send(encode({"told": news}))

    def stop(self, limit_s: float = 2.0) -> None:
        """Stop all in reverse order; what has not ended within `limit_s` together is killed.

        Each has a second of its own, also where one before it has used up the time.
        """
        until_ns = time.monotonic_ns() + int(limit_s * 1e9)
        for plan in reversed(self.processes):
            self.stop_one(plan.name, max(_OWN_STOP_S, (until_ns - time.monotonic_ns()) / 1e9))

    def stop_one(self, name: str, limit_s: float = 2.0) -> None:
        """Stop one process and take in its last counters; killed after `limit_s`."""
        child = self._children.pop(name, None)
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.link.send(encode({"stop": True}))
        until_ns = time.monotonic_ns() + int(limit_s * 1e9)
        while child.process.is_alive() and time.monotonic_ns() < until_ns:
            # Whoever is not heard meanwhile would wait in its last report, and be late for its own end.
            for talking in (child, *self._children.values()):
                self._drain(talking)
            child.process.join(_SLICE_S)
        if child.process.is_alive():
            self.dead[name] = f"did not stop within {limit_s:.1f} s and was killed"
            child.process.kill()
            child.process.join()
        self._drain(child)
        child.link.close()

    def _start(self, plan: Process) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        process = multiprocessing.get_context("spawn").Process(
            target=run_child, args=(plan.name, theirs, plan.target, plan.args), name=plan.name, daemon=True
        )
        with theirs:
            process.start()
        self._children[plan.name] = _Child(plan, process, ours)
        if self._told.get(plan.name):
            ours.send(encode({"told": self._told[plan.name]}))

    def _kill_wedged(self) -> None:
        now_ns = time.monotonic_ns()
        for child in self._children.values():
            limit_ns = int(child.plan.silent_s * 1e9)
            if limit_ns and child.heard_ns and now_ns - child.heard_ns > limit_ns and not child.wedged:
                child.wedged = True
                child.process.kill()

    def _hear(self, child: _Child) -> None:
        if self._drain(child):
            return
        child.process.join()
        child.link.close()
        del self._children[child.plan.name]
        self._died(child)

    def health(self) -> dict[str, dict[str, Any]]:
        """By process: `alive`, `pid` (None where it is not), `reported_ns` (its last report, 0 before),
        `restarts`, `state` as it says."""
        return {
            plan.name: {
                "alive": plan.name in self._children,
                "pid": self._children[plan.name].process.pid if plan.name in self._children else None,
                "reported_ns": self._heard_ns.get(plan.name, 0),
                "restarts": self.restarts.get(plan.name, 0),
                "state": self.counters.get(plan.name, {}).get("state", ""),
            }
            for plan in self.processes
        }

    def _drain(self, child: _Child) -> bool:
        """Take in what the child has sent; False where its end is closed."""
        while True:
            try:
                packet = child.link.recv(1 << 18)
            except BlockingIOError:
                return True
            except OSError:
                packet = b""
            if not packet:
                return False
            news = decode(packet)
            child.heard_ns = time.monotonic_ns()
            if "error" in news:
                child.error = ChildLink.error_of(news["error"])
            else:
                self.counters[child.plan.name] = news
                self._heard_ns[child.plan.name] = time.monotonic_ns()

    def _died(self, child: _Child) -> None:
        name, code = child.plan.name, child.process.exitcode
        if child.error is not None:
            self.dead[name] = str(child.error)
            if child.plan.essential:
                raise child.error
            return
        now_ns = time.monotonic_ns()
        deaths = [t for t in self._deaths_ns.get(name, []) if now_ns - t < _BUDGET_NS]
        if len(deaths) < child.plan.restarts:
            self._deaths_ns[name] = [*deaths, now_ns]
            self.restarts[name] = self.restarts.get(name, 0) + 1
            if self.restarted is not None:
                self.restarted(name)
            self._start(child.plan)
            return
        how = (
            f"silence for {child.plan.silent_s:g} s"
            if child.wedged
            else "ended by itself"
            if code == 0
            else f"signal {-code}"
            if code and code < 0
            else f"exit code {code}"
        )
        self.dead[name] = how
        if child.plan.essential:
            raise RigposeError(
                f"process '{name}'",
                expected="it to run until it is stopped",
                found=how,
                remedy="Its own message is above; start again",
            )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
