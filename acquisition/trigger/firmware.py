"""The trigger's firmware, compiled and put on a board through its bootloader."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import RigposeError
from acquisition.trigger.link import TriggerLink
from acquisition.trigger.protocol import VERSION
from acquisition.trigger.serial_port import serial_ports

_TOOLS = ("make", "avr-gcc", "avr-objcopy", "avrdude")
_PACKAGES = "sudo apt-get install make gcc-avr avr-libc avrdude"
_BAUD, _OLD_BAUD = 115200, 57600
_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Flashed:
    """A board with new firmware.

    Attributes
    ----------
    port, version, epoch:
        The board, what it answers now, and its boot.
    size_bytes:
        Of the program.
    """

    port: str
    version: int
    epoch: int
    size_bytes: int


def only_port() -> str:
    """The one serial port there is. Raises `RigposeError` where there is none, or a choice."""
    ports = serial_ports()
    if len(ports) == 1:
        return ports[0]
    raise RigposeError(
        "trigger", expected="one board, or the name of its port", found=", ".join(ports) or "no serial port",
        remedy="Plug in the board" if not ports else f"Name one of them, for instance {ports[0]}",
    )  # fmt: skip


def flash(port: str, sources: Path, *, old_bootloader: bool = False) -> Flashed:
    """Compile the firmware in folder `sources`, write it to the board at `port`, and ask what it is now.

    Parameters
    ----------
    old_bootloader:
        A Nano made before 2018, whose bootloader speaks at 57600 baud.

    Raises
    ------
    RigposeError
        If a tool is missing, the port is no board's, or the board does not answer as our trigger then.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise RigposeError(
            "rigpose trigger flash", expected=f"{', '.join(_TOOLS)} on this machine",
            found=f"no {' and no '.join(missing)}", remedy=_PACKAGES,
        )  # fmt: skip
    if not Path(port).exists():
        raise RigposeError(
            port, expected="a serial port", found="none of that name",
            remedy=f"There are: {', '.join(serial_ports()) or 'none; plug in the board'}",
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="rigpose-") as folder:
        _run(["make", "-s", "-C", str(sources), f"BUILD={folder}"], sources, "Reinstall rigpose")
        program = Path(folder) / "trigger.hex"
        baud = _OLD_BAUD if old_bootloader else _BAUD
        _run(
            ["avrdude", "-q", "-q", "-p", "m328p", "-c", "arduino", "-b", str(baud), "-P", port, "-D",
             "-U", f"flash:w:{program}:i"],
            port,
            "Check the port, close programs that use it, press reset as it begins"
            + ("" if old_bootloader else "; on an older Nano give --old-bootloader"),
        )  # fmt: skip
        size_bytes = _size(program)
    link = TriggerLink(port, lambda event, arrival_ns: None)
    link.close()
    return Flashed(port, VERSION, link.epoch, size_bytes)


def _run(command: list[str], whose: object, remedy: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        failed, said = ran.returncode != 0, (ran.stderr or ran.stdout).split("\n")
    except subprocess.TimeoutExpired:
        failed, said = True, [f"no end within {_LIMIT_S} s"]
    if failed:
        last = next((text.strip() for text in said if text.strip()), "no word")
        raise RigposeError(whose, expected=f"{command[0]} to succeed", found=last, remedy=remedy)


def _size(program: Path) -> int:
    """Bytes in an Intel HEX file: the lengths of its data records."""
    records = program.read_text(encoding="ascii").split()
    return sum(int(record[1:3], 16) for record in records if record[7:9] == "00")
