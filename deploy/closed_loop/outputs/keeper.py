"""One output while it is served: it follows its commands by its policy, and falls by itself.

Every output has a thread: a device that keeps one waiting delays nobody but itself.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from typing import Any

import msgspec

from acquisition.errors import RigposeError
from acquisition.recordings.events import EventsWriter
from deploy.closed_loop.outputs.guard import OutputGuard
from deploy.closed_loop.outputs.port import Command, OutputDevice
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.latency import LatencyHistogram

STOPPED = "stopped"

_WAKE_S = 0.02
_AGAIN_NS = 200_000_000  # a device that did not answer is asked again; each time may wait for an answer
_FAILED = "device"


class OutputKeeper:
    """One output: device, policy, counts, and what its thread does.

    Attributes
    ----------
    name:
        In the rig file.
    inbox:
        From another thread: commands in their order, or why it is to fall; `STOPPED` ends `run`.
    fresh_ns:
        From another thread: the exposure of the newest pose the processor has dealt with.
    begun:
        Set when the device was asked to be low for the first time.

    Parameters
    ----------
    name, settings, device:
        The output.
    events:
        Where every command is logged; None: nowhere.
    """

    def __init__(
        self, name: str, settings: OutputSettings, device: OutputDevice, events: EventsWriter | None
    ) -> None:
        self.name = name
        self.inbox = queue.SimpleQueue[Command | str]()
        self.fresh_ns = 0
        self.begun = threading.Event()
        self._device, self._events = device, events
        self._guard = OutputGuard(settings)
        # None: it has not said that it did what it was asked for last. At the start too: a process that was
        # killed may have left it high.
        self._was_on: bool | None = None
        self._risen = False  # it was asked to be high since it last said that it is low
        self._unanswered_ns = 0
        self._switched = Counter[str]()
        self._refused = Counter[str]()
        self._cuts = Counter[str]()
        self._latency = LatencyHistogram()
        self._held = 0

    def run(self) -> None:
        """Until `STOPPED` is in the inbox; the output is low then, if its device does as it is asked."""
        self._tend(time.monotonic_ns())
        self.begun.set()
        message: Command | str | None = None
        while message != STOPPED:
            message = self._next()
            if isinstance(message, Command):
                self._command(message)
            elif message is not None and self._was_on is not False:
                self._cut(message)
            now_ns = time.monotonic_ns()
            why = self._guard.overdue(now_ns, self.fresh_ns)
            if why:
                self._cut(why)
            self._tend(now_ns)

    def counters(self) -> dict[str, Any]:
        """JSON-able: how often switched, refused and cut, and from the exposure to the output, ms."""
        return {
            "on": self._switched["on"], "off": self._switched["off"], "held": self._held,
            "refused": dict(self._refused), "cut": dict(self._cuts),
            "exposure_to_output": self._latency.summary(),
        }  # fmt: skip

    def _next(self) -> Command | str | None:
        """What is in the inbox; None when the output is due to fall, or to be tended."""
        left_s, due_ns = _WAKE_S, self._guard.due_ns(self.fresh_ns)
        if due_ns is not None:
            left_s = min(left_s, max(0.0, (due_ns - time.monotonic_ns()) / 1e9 + 5e-5))
        try:
            return self.inbox.get(timeout=left_s)
        except queue.Empty:
            return None

    def _command(self, command: Command) -> None:
        why = self._guard.judge(command, time.monotonic_ns())
        if why:
            self._refused[why] += 1
            fell = self._was_on is not False
            if self._follow(msgspec.structs.replace(command, on=False)):
                self._guard.cut()
            log_command(self._events, "output refused", command, why=why, fell=fell)
            return
        if self._was_on == command.on or (self._was_on is None and not command.on):
            self._held += 1  # it is so, or is being asked for it until it answers
            return
        failure = self._follow(command)
        if failure:
            self._guard.cut()
            self._refused[_FAILED] += 1
            log_command(self._events, "output refused", command, why=failure)
            return
        done_ns = time.monotonic_ns()
        self._switched["on" if command.on else "off"] += 1
        self._latency.add(done_ns - command.t_exposure_ns)
        log_command(self._events, "output", command, done_ns)

    def _follow(self, command: Command) -> str:
        """Make the device so; "" or why it could not be."""
        if self._was_on == command.on:
            return ""
        if self._was_on is None and time.monotonic_ns() - self._unanswered_ns < _AGAIN_NS:
            return "it has not answered"  # waiting with every command would leave ever more in the inbox
        self._risen = self._risen or command.on
        try:
            self._device.switch(command)
        except (OSError, RigposeError) as error:
            self._was_on = None  # it may be high: it is asked for low until it says so
            if not command.on:
                self._unanswered_ns = time.monotonic_ns()
            return str(error) or type(error).__name__
        self._was_on = self._risen = command.on
        return ""

    def _cut(self, why: str) -> None:
        self._guard.cut()
        if self._was_on is None and not self._risen:
            return  # it was never high here: it is asked to be low, and that is all
        self._cuts[why] += 1
        failure = self._follow(Command(self.name, False, -1, 0, 0, 0.0, 0, why))
        if self._events is not None:
            with contextlib.suppress(OSError):
                self._events.append("output cut", output=self.name, why=why, failed=failure or None)

    def _tend(self, now_ns: int) -> None:
        if self._was_on is not False and not self._guard.on:  # until it has answered: ask again
            note = "again" if self.begun.is_set() else "start"
            self._follow(Command(self.name, False, -1, 0, 0, 0.0, 0, note))
        with contextlib.suppress(OSError):
            self._device.tend(now_ns)


def log_command(
    events: EventsWriter | None, kind: str, command: Command, t_ns: int | None = None, **facts: Any
) -> None:
    """Into the events of the recording, with the frame set it was decided on."""
    if events is None:
        return
    t_ns = time.monotonic_ns() if t_ns is None else t_ns
    with contextlib.suppress(OSError):  # a full disk ends the recording, not the experiment
        events.append(
            kind, t_ns, output=command.output, on=command.on, frame_set=command.index,
            pose_age_ms=round((t_ns - command.t_valid_ns) / 1e6, 3),
            exposure_age_ms=round((t_ns - command.t_exposure_ns) / 1e6, 3),
            confidence=round(command.confidence, 3) if command.confidence == command.confidence else None,
            views=command.views, note=command.note, **facts,
        )  # fmt: skip
