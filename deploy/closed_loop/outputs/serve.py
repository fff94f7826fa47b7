"""The process that has the outputs: it takes a processor's commands and hands them to their outputs.

It runs no code of the user's, so that it can act when that hangs: an output falls after its longest time,
when the processor has dealt with no fresh pose for too long, and when the processor is gone.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from acquisition.child import ChildLink
from acquisition.recordings.events import EventsWriter
from deploy.closed_loop.outputs.guard import GONE
from deploy.closed_loop.outputs.keeper import STOPPED, OutputKeeper, log_command
from deploy.closed_loop.outputs.port import Command, decode
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.outputs.table import open_output

SOCKET = "outputs"
"""In the runtime folder: where commands are taken."""

_WAKE_S = 0.02
_REPORT_NS = 100_000_000  # counting takes time that the outputs' threads want


@dataclass(frozen=True, slots=True)
class OutputsPlan:
    """What to serve.

    Attributes
    ----------
    runtime:
        Runtime folder.
    outputs:
        By name.
    report:
        JSON written at the end.
    session_dir:
        The recording in whose events every command is logged; None: nowhere.
    """

    runtime: str
    outputs: dict[str, OutputSettings]
    report: str
    session_dir: str | None = None


def serve_outputs(link: ChildLink, plan: OutputsPlan) -> None:
    """The process: ready when every output is open; all are low when it ends."""
    with contextlib.ExitStack() as stack:
        devices = {}
        for name, settings in plan.outputs.items():
            devices[name] = open_output(settings.uri, Path(plan.runtime))
            stack.callback(devices[name].close)
        events = None
        if plan.session_dir is not None:
            events = EventsWriter(Path(plan.session_dir))
            stack.callback(events.close)
        keepers = [OutputKeeper(name, plan.outputs[name], device, events) for name, device in devices.items()]
        server = _Server(link, plan, keepers, events)
        stack.callback(server.close)
        server.run()
    report = Path(plan.report)
    temporary = report.with_suffix(".part")
    temporary.write_text(json.dumps(server.counters()), encoding="utf-8")
    temporary.replace(report)


class _Server:
    def __init__(
        self, link: ChildLink, plan: OutputsPlan, keepers: list[OutputKeeper], events: EventsWriter | None
    ) -> None:
        self._link, self._events = link, events
        self._keepers = {keeper.name: keeper for keeper in keepers}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        where = Path(plan.runtime) / SOCKET
        where.unlink(missing_ok=True)  # of one that was killed
        self._listener.bind(str(where))
        self._listener.listen(1)
        self._client: socket.socket | None = None
        self._malformed = 0
        self._reported_ns = 0

    def run(self) -> None:
        """Until told to stop. Raises what a keeper's thread died of."""
        with ThreadPoolExecutor(max(1, len(self._keepers)), "output") as pool:
            threads = [pool.submit(keeper.run) for keeper in self._keepers.values()]
            try:
                while not all(keeper.begun.wait(_WAKE_S) for keeper in self._keepers.values()):
                    _raise_what_ended(threads)
                self._report(now=True, state="ready")
                while not self._link.stopping:
                    select.select([self._client or self._listener], [], [], _WAKE_S)
                    self._listen()
                    _raise_what_ended(threads)
                    if time.monotonic_ns() - self._reported_ns > _REPORT_NS:
                        self._report()
            finally:
                self._tell_all(STOPPED)
        self._report(now=True)

    def counters(self) -> dict[str, Any]:
        """By output."""
        return {name: keeper.counters() for name, keeper in self._keepers.items()}

    def close(self) -> None:
        """No more commands."""
        self._listener.close()
        if self._client is not None:
            self._client.close()

    def _report(self, now: bool = False, **more: str) -> None:
        self._reported_ns = time.monotonic_ns()
        self._link.report(now, outputs=self.counters(), malformed=self._malformed, **more)

    def _tell_all(self, why: str) -> None:
        for keeper in self._keepers.values():
            keeper.inbox.put(why)

    def _listen(self) -> None:
        if self._client is None:
            self._listener.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                self._client, _ = self._listener.accept()
                self._client.setblocking(False)
        while self._client is not None:
            try:
                packet = self._client.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._client.close()
                self._client = None
                self._tell_all(GONE)
                return
            self._take(packet)

    def _take(self, packet: bytes) -> None:
        try:
            message = decode(packet)
        except msgspec.DecodeError as error:
            self._malformed += 1
            if self._events is not None:
                with contextlib.suppress(OSError):
                    self._events.append("output message malformed", why=str(error))
            return
        for keeper in self._keepers.values():
            # What is decided on a pose has dealt with it; the beat comes after.
            keeper.fresh_ns = max(keeper.fresh_ns, message.t_exposure_ns)
        if not isinstance(message, Command):
            return
        if message.output in self._keepers:
            self._keepers[message.output].inbox.put(message)
        else:
            log_command(self._events, "output refused", message, why="no such output")


def _raise_what_ended(threads: list[Future[None]]) -> None:
    for thread in threads:
        if thread.done():
            thread.result()
