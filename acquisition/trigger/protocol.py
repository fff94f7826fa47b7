"""Lines between the host and the trigger's firmware: `BODY*CRC` and a line feed, numbers hexadecimal.

The table of requests, answers and events is in `firmware_configs/trigger/README.md`.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

NAME = "rigpose-trigger"
VERSION = 1
BAUD = 115200
_LONGEST = 128

_ANSWER = re.compile(r"([=-]) ([0-9a-f]{1,2}) ([0-9a-f]{1,8})((?: [0-9a-z-]+)*)")
_EVENT = re.compile(r"!([a-z]+) ([0-9a-f]{1,8})((?: [0-9a-f]{1,12})*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The trigger's answer to a request.

    Attributes
    ----------
    number:
        Of the request, 1 to 255; 0 where the trigger could not read whose line it was.
    epoch:
        Of the trigger: one a boot.
    words:
        What was asked for.
    refusal:
        Why it was refused, "" where it was not: "checksum", "number", "command", "arguments", "range",
        "running" or "cut".
    """

    number: int
    epoch: int
    words: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The words as numbers. Raises `ValueError` where one is none."""
        return tuple(int(word, 16) for word in self.words)


@dataclass(frozen=True, slots=True)
class Event:
    """What the trigger tells unasked.

    Attributes
    ----------
    kind:
        "boot", "pulse", "edge", "lost", "gate", "end" or "cut".
    epoch:
        As in `Answer`.
    numbers:
        By kind, as the README's table has them.
    """

    kind: str
    epoch: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Train:
    """A pulse train as the trigger holds it; all lengths in CPU cycles.

    Attributes
    ----------
    period, delay_a, width_a, delay_b, width_b:
        Of the two timed outputs; output B stays low with a width of 0.
    group:
        Which of the six outputs of the group follow output A, bit by bit.
    burst:
        Number of slots, 0 for endless.
    gate:
        1: slots that find the gate input low stay dark.
    every:
        Every how many slots one is reported.
    """

    period: int
    delay_a: int
    width_a: int
    delay_b: int = 0
    width_b: int = 0
    group: int = 0x3F
    burst: int = 0
    gate: int = 0
    every: int = 1

    @property
    def arguments(self) -> tuple[int, ...]:
        """In the order of the line."""
        return (
            self.period, self.delay_a, self.width_a, self.delay_b, self.width_b, self.group, self.burst,
            self.gate, self.every,
        )  # fmt: skip


def line(body: str) -> bytes:
    """A line with its checksum, CRC-16/XMODEM."""
    data = body.encode("ascii")
    return b"%s*%04x\n" % (data, binascii.crc_hqx(data, 0))


def request(number: int, verb: str, *arguments: int) -> bytes:
    """The line that asks for something under a number from 1 to 255."""
    return line(" ".join([f"{number:x}", verb, *(f"{argument:x}" for argument in arguments)]))


class LineReader:
    """Takes lines out of a stream of bytes, whatever the bytes are. Holds 128 of them at most.

    Attributes
    ----------
    sound, damaged:
        Lines with and without a right checksum so far; a sound line that says nothing known is damaged.
    length:
        Bytes of the newest sound line, line feed included.
    """

    def __init__(self) -> None:
        self.sound = 0
        self.damaged = 0
        self.length = 0
        self._rest = b""
        self._overlong = False

    def feed(self, data: bytes) -> list[Answer | Event]:
        """What the lines completed by `data` say."""
        *whole, rest = (self._rest + data).split(b"\n")
        said = []
        for body in whole:
            message = None if self._overlong else self._read(body)
            self._overlong = False
            if message is not None:
                said.append(message)
        self._overlong = self._overlong or len(rest) > _LONGEST
        self._rest = b"" if self._overlong else rest
        return said

    def _read(self, body: bytes) -> Answer | Event | None:
        if not body:
            return None
        content, mark, checksum = body.rpartition(b"*")
        message = None
        if mark and re.fullmatch(rb"[0-9a-f]{4}", checksum):
            right = int(checksum, 16) == binascii.crc_hqx(content, 0)
            if right and len(body) <= _LONGEST:
                message = _message(content)
        if message is None:
            self.damaged += 1
        else:
            self.sound += 1
            self.length = len(body) + 1
        return message


def _message(content: bytes) -> Answer | Event | None:
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return None
    answer = _ANSWER.fullmatch(text)
    if answer is not None:
        words = tuple(answer[4].split())
        number, epoch = int(answer[2], 16), int(answer[3], 16)
        if answer[1] == "=":
            return Answer(number, epoch, words)
        return Answer(number, epoch, refusal=words[0]) if len(words) == 1 else None
    event = _EVENT.fullmatch(text)
    if event is not None:
        return Event(event[1], int(event[2], 16), tuple(int(word, 16) for word in event[3].split()))
    return None
