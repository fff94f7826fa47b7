"""The conversation with the trigger: requests answered, events passed on, a sign of life now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from acquisition.errors import RigposeError
from acquisition.trigger.clock import TriggerClock
from acquisition.trigger.protocol import BAUD, NAME, VERSION, Answer, Event, LineReader, request
from acquisition.trigger.serial_port import PortGone, SerialPort

_GREETING_S = 6.0  # an old bootloader keeps the board that long after its port was opened
_ANSWER_S = 0.4
_TRIES = 4
_PERISHABLE = ("line", (1,))
_BEAT_S = 0.25
_EXCHANGES = 10
_UNANSWERED_MAX = 12
_BYTE_NS = 10 * 1_000_000_000 // BAUD


@dataclass(slots=True)
class _Asked:
    """A request on its way. `sent_ns` is 0 where it was sent twice: nobody knows which was answered."""

    verb: str
    sent_ns: int = 0
    length: int = 0
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None


class TriggerLink:
    """An open port with our trigger behind it.

    A thread of its own reads; it calls `on_event`, which must not block and not `ask`.

    Attributes
    ----------
    hz:
        Rate of the trigger's cycles.
    epoch:
        Its boot. Another one later on is a fault: its counts have begun anew.
    fault:
        "" while all is well; else what ended the conversation.
    clock:
        Its cycles on the rig clock; it can be used from the start.
    beat:
        The newest answer to a sign of life: clock, running, slots, held, lost edges, line.

    Parameters
    ----------
    path:
        Of the serial port.
    on_event:
        Called with every event and its arrival on the rig clock, ns.

    Raises
    ------
    RigposeError
        No such port, somebody else's, another device, or firmware of another version. The port is
        closed again.
    """

    def __init__(self, path: str, on_event: Callable[[Event, int], None]) -> None:
        self.path = path
        self.fault = ""
        self.epoch = -1
        self.hz = 0
        self.beat: tuple[int, ...] = ()
        self._on_event = on_event
        self._reader = LineReader()
        self._heard = bytearray()
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._unanswered = 0
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._port = SerialPort(path)
        self._thread = threading.Thread(target=self._run, name="trigger", daemon=True)
        self._thread.start()
        try:
            self._greet()
            self.exchange_clocks()
        except BaseException:
            self.close()
            raise

    def ask(self, verb: str, *arguments: int) -> Answer:
        """The answer to a request, asked again where it or its answer is lost; a refusal is an answer.

        The line is asked to rise once only: who gives that up must not see it rise later.

        Raises
        ------
        RigposeError
            Where the conversation is over, or nothing is answered.
        """
        with self._turn:
            answer = self._ask(verb, arguments, 1 if (verb, arguments) == _PERISHABLE else _TRIES)
        if answer is None:
            raise RigposeError(
                f"trigger at {self.path}", expected="its answers until it is let go",
                found=self.fault or f"none to '{verb}'", remedy="Check cable and supply, then start again",
            )  # fmt: skip
        return answer

    def exchange_clocks(self, times: int = _EXCHANGES) -> None:
        """Ask for the time so often in a row: the quickest exchange is the surest."""
        for _ in range(times):
            self.ask("beat")

    def close(self) -> None:
        """End the conversation; may be called twice."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join(2.0)
        self._port.close()

    def _greet(self) -> None:
        answer = self._ask("version", (), round(_GREETING_S / _ANSWER_S))
        if answer is None and not self.fault and self._reader.sound:
            answer = Answer(0, 0, refusal="version")
        if answer is None:
            raise RigposeError(
                self.path, expected=f"the {NAME} firmware", found=self.fault or self._device(),
                remedy=f"Name another port, or put the firmware on it: rigpose trigger flash {self.path}",
            )  # fmt: skip
        words = answer.words
        if words[:2] != (NAME, f"{VERSION:x}") or len(words) != 3:
            raise RigposeError(
                self.path, expected=f"{NAME} firmware of version {VERSION}",
                found=f"version {words[1]}" if words[:1] == (NAME,) and len(words) > 1 else "another one",
                remedy=f"Bring both to one version: rigpose trigger flash {self.path}",
            )  # fmt: skip
        self.hz = int(words[2], 16)
        self.clock = TriggerClock(self.hz)
        self.epoch = answer.epoch

    def _device(self) -> str:
        if not self._heard:
            return "a device that says nothing"
        start = bytes(self._heard[:40]).decode("ascii", "backslashreplace").encode("unicode_escape")
        return f"another device, which says '{start.decode('ascii')}'"

    def _ask(self, verb: str, arguments: tuple[int, ...], tries: int) -> Answer | None:
        """Every time under the same number: the trigger starts no train twice."""
        asked = _Asked(verb)
        number = self._new_number()
        data = request(number, verb, *arguments)
        for attempt in range(tries):
            self._send(number, asked, data, again=attempt > 0)
            if self.fault or asked.answered.wait(_ANSWER_S):
                return asked.answer
        return None

    def _new_number(self) -> int:
        with self._writing:
            self._number = self._number % 255 + 1
            return self._number

    def _send(self, number: int, asked: _Asked, data: bytes, *, again: bool = False) -> None:
        with self._writing:
            asked.length = len(data)
            asked.sent_ns = 0 if again else time.monotonic_ns()
            self._asked[number] = asked
            try:
                self._port.write(data)
            except PortGone as gone:
                self._end(f"the port went away ({gone})")

    def _run(self) -> None:
        try:
            self._listen()
        except PortGone as gone:
            self._end(f"the port went away ({gone})")
        finally:
            if not self._closing.is_set():
                self._end("its reader has failed")

    def _listen(self) -> None:
        next_beat_s = time.monotonic() + _BEAT_S
        while not self._closing.is_set() and not self.fault:
            data = self._port.read(min(0.1, max(0.0, next_beat_s - time.monotonic())))
            arrival_ns = time.monotonic_ns()
            if len(self._heard) < 64:
                self._heard += data[:64]
            for message in self._reader.feed(data):
                self._take(message, arrival_ns)
            if time.monotonic() >= next_beat_s:
                next_beat_s = time.monotonic() + _BEAT_S
                self._show_life()

    def _show_life(self) -> None:
        if self.epoch < 0:
            return
        self._unanswered += 1
        if self._unanswered > _UNANSWERED_MAX:
            self._end(f"the trigger has said nothing for {_UNANSWERED_MAX * _BEAT_S:g} s")
        else:
            number = self._new_number()
            self._send(number, _Asked("beat"), request(number, "beat"))

    def _take(self, message: Answer | Event, arrival_ns: int) -> None:
        if self.epoch >= 0 and message.epoch != self.epoch:
            self._end(f"the trigger was reset: its epoch is {message.epoch} after {self.epoch}")
            return
        self._unanswered = 0
        if isinstance(message, Event):
            self._on_event(message, arrival_ns)
            return
        asked = self._asked.pop(message.number, None)
        if asked is None:
            return  # a line that was damaged on its way there, or an answer given twice
        asked.answer = message
        if asked.verb == "beat":
            self._take_beat(asked, message, arrival_ns)
        asked.answered.set()

    def _take_beat(self, asked: _Asked, answer: Answer, arrival_ns: int) -> None:
        with contextlib.suppress(ValueError):
            numbers = answer.numbers
            if len(numbers) == 6:
                self.beat = numbers
                if asked.sent_ns:
                    # The clock is read between the question's last byte and the answer's first.
                    self.clock.add(
                        numbers[0],
                        asked.sent_ns + asked.length * _BYTE_NS,
                        arrival_ns - self._reader.length * _BYTE_NS,
                    )

    def _end(self, why: str) -> None:
        self.fault = self.fault or why
        for asked in list(self._asked.values()):
            asked.answered.set()
