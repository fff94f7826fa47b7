"""The trigger's firmware, built and run in software: at full speed, or in real time behind a terminal."""

from __future__ import annotations

import binascii
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HZ = 16_000_000
HERE = Path(__file__).parent
FIRMWARE = HERE.parents[2] / "firmware_configs" / "trigger"
_OPTIBOOT = Path("/usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot/optiboot_atmega328.hex")
_SIMAVR = Path("/usr/include/simavr/sim_avr.h")


def ms(milliseconds: float) -> int:
    """As CPU cycles."""
    return round(milliseconds * HZ / 1000)


def line(body: str) -> bytes:
    """A line of the protocol. Written without our own host side, so that one checks the other."""
    return b"%s*%04x\n" % (body.encode(), binascii.crc_hqx(body.encode(), 0))


def said(data: bytes) -> list[str]:
    """The bodies of the lines in `data`, every checksum checked."""
    bodies = []
    for text in filter(None, data.decode("ascii").split("\n")):
        body, _, checksum = text.rpartition("*")
        assert int(checksum, 16) == binascii.crc_hqx(body.encode(), 0), text
        bodies.append(body)
    return bodies


@dataclass(frozen=True, slots=True)
class Event:
    """Something done to the board at a CPU cycle: bytes sent, an input pin driven, a reset."""

    cycle: int
    what: str

    @classmethod
    def send(cls, cycle: int, *bodies: str | bytes) -> Event:
        """Lines (or, as bytes, anything else) sent at once."""
        data = b"".join(body if isinstance(body, bytes) else line(body) for body in bodies)
        return cls(cycle, f"uart {data.hex()}")

    @classmethod
    def pin(cls, cycle: int, name: str, level: int) -> Event:
        """An input pin by its port and number: "B0" is the TTL input, "D2" the gate."""
        return cls(cycle, f"pin {name} {int(level)}")

    @classmethod
    def reset(cls, cycle: int) -> Event:
        """The reset button."""
        return cls(cycle, "reset")


@dataclass(slots=True)
class Log:
    """What the board did.

    Attributes
    ----------
    changes:
        By output ("B1", "B2", "D3", "D4", and "C" for the whole port): (cycle, level), all low before.
    lines:
        What it said, in order, without checksums.
    """

    changes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def rises(self, output: str) -> list[int]:
        """Cycles at which an output rose."""
        return [cycle for cycle, level in self.changes.get(output, []) if level]

    def falls(self, output: str) -> list[int]:
        """Cycles at which it fell."""
        return [cycle for cycle, level in self.changes.get(output, []) if not level]

    def level(self, output: str, cycle: int) -> int:
        """Level at the end of a cycle."""
        return next((level for at, level in reversed(self.changes.get(output, [])) if at <= cycle), 0)

    def told(self, kind: str) -> list[list[int]]:
        """The numbers of all events of a kind, the epoch first."""
        return [
            [int(word, 16) for word in body.split()[1:]]
            for body in self.lines
            if body.split()[0] == f"!{kind}"
        ]

    def answer(self, number: int) -> list[int]:
        """The numbers of the answer to a request, behind the epoch."""
        (body,) = [body for body in self.lines if body.startswith(f"= {number:x} ")]
        return [int(word, 16) for word in body.split()[3:]]


@dataclass(frozen=True, slots=True)
class Board:
    """A simulated Uno with the firmware in it."""

    program: Path
    elf: Path

    def run(self, events: Iterable[Event], cycles: int) -> Log:
        """From reset to a CPU cycle, as fast as it goes."""
        script = "".join(f"{event.cycle} {event.what}\n" for event in sorted(events, key=lambda e: e.cycle))
        ran = subprocess.run(
            [self.program, self.elf, str(cycles)], input=script, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        log = Log()
        sent = bytearray()
        for row in ran.stdout.splitlines():
            cycle, what, value = row.split()
            if what == "tx":
                sent.append(int(value, 16))
            else:
                log.changes.setdefault(what, []).append((int(cycle), int(value, 16)))
        log.lines = said(bytes(sent[: sent.rfind(b"\n") + 1]))
        return log

    def plug_in(self, *, uno: bool = False) -> PluggedIn:
        """In real time, behind a terminal; with `uno`, opening it resets the board."""
        return PluggedIn([str(self.program), str(self.elf), "pty", *(["uno"] if uno else [])])

    def plug_in_new(self) -> PluggedIn:
        """An Uno as it comes: nothing in it but Arduino's own bootloader."""
        if not _OPTIBOOT.is_file():
            pytest.skip("no bootloader: apt-get install arduino-core-avr")
        return PluggedIn([str(self.program), str(_OPTIBOOT), "pty", "uno"])


class PluggedIn:
    """A board behind a pseudo-terminal. A context manager.

    Attributes
    ----------
    port:
        Path of the terminal.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()

    def __enter__(self) -> PluggedIn:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def tell(self, command: str) -> None:
        """`pin B0 1`, `wire`, `reset` or `unplug`; see board.c."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def pulses(self) -> int:
        """How often output A has risen by now."""
        return self._counted()[0]

    def first_pulse_ns(self) -> int:
        """When it rose for the first time, by this machine's monotonic clock."""
        return self._counted()[1]

    def _counted(self) -> tuple[int, int]:
        self.tell("pulses")
        assert self._process.stdout is not None
        count, first_ns = self._process.stdout.readline().split()
        return int(count), int(first_ns)


def build(folder: Path) -> Board:
    """Firmware and board, compiled into `folder`; skips where a package is missing."""
    for tool, package in (("avr-gcc", "gcc-avr"), ("make", "make"), ("gcc", "gcc")):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: apt-get install {package} avr-libc")
    if not _SIMAVR.is_file():
        pytest.skip("no simulated microcontroller: apt-get install libsimavr-dev libelf-dev")
    for command in (
        ["make", "-s", "-C", FIRMWARE, f"BUILD={folder}"],
        ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{_SIMAVR.parent}", "-o", folder / "board",
         HERE / "board.c", "-lsimavr", "-lutil"],
    ):  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    return Board(folder / "board", folder / "trigger.elf")
