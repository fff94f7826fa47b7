"""The process that has the outputs: it follows a processor's commands by their policies, and logs them.

It runs no code of the user's, so that it can act when that hangs: an output falls after its longest time,
when the processor has dealt with no fresh pose for too long, and when the processor is gone.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from acquisition.child import ChildLink
from acquisition.errors import RigposeError
from acquisition.recordings.events import EventsWriter
from deploy.closed_loop.outputs.guard import GONE, OutputGuard
from deploy.closed_loop.outputs.port import Command, OutputDevice, decode
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.outputs.table import open_output
from deploy.latency import LatencyHistogram

SOCKET = "outputs"
"""In the runtime folder: where commands are taken."""

_WAKE_MS = 20
_AGAIN_NS = 200_000_000  # an output that did not obey is asked again; each time may wait for an answer
_FAILED = "device"


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
        outputs = {}
        for name, settings in plan.outputs.items():
            device = open_output(settings.uri, Path(plan.runtime))
            stack.callback(device.close)
            outputs[name] = _Output(name, settings, device)
        events = None
        if plan.session_dir is not None:
            events = EventsWriter(Path(plan.session_dir))
            stack.callback(events.close)
        server = _Server(link, plan, outputs, events)
        stack.callback(server.close)
        server.run()
    report = Path(plan.report)
    temporary = report.with_suffix(".part")
    temporary.write_text(json.dumps(server.counters()), encoding="utf-8")
    temporary.replace(report)


class _Output:
    """One output: device, policy, counts."""

    def __init__(self, name: str, settings: OutputSettings, device: OutputDevice) -> None:
        self.name, self.settings, self.device = name, settings, device
        self.guard = OutputGuard(settings)
        self.was_on: bool | None = False  # None: it was asked for something, and did not say that it did it
        self.asked_low_ns = 0
        self.switched = Counter[str]()
        self.refused = Counter[str]()
        self.cut = Counter[str]()
        self.latency = LatencyHistogram()
        self.held = 0

    def counters(self) -> dict[str, Any]:
        """JSON-able: how often switched, refused and cut, and from the exposure to the output, ms."""
        return {
            "on": self.switched["on"], "off": self.switched["off"], "held": self.held,
            "refused": dict(self.refused), "cut": dict(self.cut),
            "exposure_to_output": self.latency.summary(),
        }  # fmt: skip


class _Server:
    def __init__(
        self, link: ChildLink, plan: OutputsPlan, outputs: dict[str, _Output], events: EventsWriter | None
    ) -> None:
        self._link, self._outputs, self._events = link, outputs, events
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        where = Path(plan.runtime) / SOCKET
        where.unlink(missing_ok=True)  # of one that was killed
        self._listener.bind(str(where))
        self._listener.listen(1)
        self._client: socket.socket | None = None
        self._fresh_ns = 0
        self._malformed = 0

    def run(self) -> None:
        """Until told to stop."""
        self._link.report(now=True, state="ready", outputs=self.counters())
        while not self._link.stopping:
            self._wait()
            self._listen()
            now_ns = time.monotonic_ns()
            for output in self._outputs.values():
                why = output.guard.overdue(now_ns, self._fresh_ns)
                if why:
                    self._cut(output, why)
                self._tend(output, now_ns)
            self._link.report(outputs=self.counters())
        self._cut_all("stopped")
        self._link.report(now=True, outputs=self.counters())

    def counters(self) -> dict[str, Any]:
        """By output."""
        return {name: output.counters() for name, output in self._outputs.items()}

    def close(self) -> None:
        """No more commands."""
        self._listener.close()
        if self._client is not None:
            self._client.close()

    def _wait(self) -> None:
        """Until there is something to hear, or an output is due to fall."""
        due = [
            due for each in self._outputs.values() if (due := each.guard.due_ns(self._fresh_ns)) is not None
        ]
        left_ms = float(_WAKE_MS)
        if due:
            left_ms = min(left_ms, max(0.0, (min(due) - time.monotonic_ns()) / 1e6 + 0.05))
        heard = self._listener if self._client is None else self._client
        select.select([heard], [], [], left_ms / 1e3)

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
                self._cut_all(GONE)
                return
            try:
                message = decode(packet)
            except msgspec.DecodeError:
                self._malformed += 1
                continue
            if isinstance(message, Command):
                self._command(message)
            else:
                self._fresh_ns = max(self._fresh_ns, message.t_valid_ns)

    def _command(self, command: Command) -> None:
        output = self._outputs.get(command.output)
        if output is None:
            self._log("output refused", command, why="no such output")
            return
        now_ns = time.monotonic_ns()
        # What is decided on a pose has dealt with it; the beat comes after.
        self._fresh_ns = max(self._fresh_ns, command.t_valid_ns)
        why = output.guard.judge(command, now_ns)
        if why:
            output.refused[why] += 1
            fell = output.was_on is not False
            self._follow(output, msgspec.structs.replace(command, on=False))
            self._log("output refused", command, why=why, fell=fell)
            return
        if output.was_on == command.on:
            output.held += 1
            return
        failure = self._follow(output, command)
        if failure:
            output.refused[_FAILED] += 1
            self._log("output refused", command, why=failure)
            return
        done_ns = time.monotonic_ns()
        output.switched["on" if command.on else "off"] += 1
        output.latency.add(done_ns - command.t_exposure_ns)
        self._log("output", command, done_ns)

    def _follow(self, output: _Output, command: Command) -> str:
        """Make the device so; "" or why it could not be."""
        if output.was_on == command.on:
            return ""
        try:
            output.device.switch(command)
        except (OSError, RigposeError) as error:
            output.guard.cut()
            output.was_on = None  # it may be high: it is asked for low until it says so
            return str(error) or type(error).__name__
        output.was_on = command.on
        return ""

    def _cut(self, output: _Output, why: str) -> None:
        output.guard.cut()
        output.cut[why] += 1
        failure = self._follow(output, Command(output.name, False, -1, 0, 0, 0.0, 0, why))
        if self._events is not None:
            with contextlib.suppress(OSError):
                self._events.append("output cut", output=output.name, why=why, failed=failure or None)

    def _cut_all(self, why: str) -> None:
        for output in self._outputs.values():
            if output.was_on is not False:
                self._cut(output, why)

    def _tend(self, output: _Output, now_ns: int) -> None:
        unheard = output.was_on is not False and not output.guard.on
        if unheard and now_ns - output.asked_low_ns > _AGAIN_NS:  # the device did not obey: ask again
            output.asked_low_ns = now_ns
            self._follow(output, Command(output.name, False, -1, 0, 0, 0.0, 0, "again"))
        with contextlib.suppress(OSError):
            output.device.tend(now_ns)

    def _log(self, kind: str, command: Command, t_ns: int | None = None, **facts: Any) -> None:
        """Into the events of the recording, with the frame set it was decided on."""
        if self._events is None:
            return
        t_ns = time.monotonic_ns() if t_ns is None else t_ns
        with contextlib.suppress(OSError):  # a full disk ends the recording, not the experiment
            self._events.append(
                kind, t_ns, output=command.output, on=command.on, frame_set=command.index,
                pose_age_ms=round((t_ns - command.t_valid_ns) / 1e6, 3),
                exposure_age_ms=round((t_ns - command.t_exposure_ns) / 1e6, 3),
                confidence=round(command.confidence, 3) if command.confidence == command.confidence else None,
                views=command.views, note=command.note, **facts,
            )  # fmt: skip
