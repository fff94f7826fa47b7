"""A serial port, raw, for one owner: bytes in and out with a limit of time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from pathlib import Path

from acquisition.errors import RigposeError

_WRITE_S = 1.0


class PortGone(Exception):
    """The port went away while it was open: the cable was pulled, or the device lost its power."""


class SerialPort:
    """An open serial port at 115200 baud, 8 data bits, no parity, nothing translated.

    Opening it resets an Arduino. A second program that opens it is refused.

    Parameters
    ----------
    path:
        For instance /dev/ttyACM0.

    Raises
    ------
    RigposeError
        If there is no such port, it may not be opened, or somebody else has it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _cannot_open(path, error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _make_raw(self._file)
        except (OSError, termios.error) as error:
            os.close(self._file)
            raise _cannot_open(path, error) from None

    def read(self, timeout_s: float) -> bytes:
        """What has come in, waiting for the first byte; b"" when the time is over. Raises `PortGone`."""
        if not _wait(self._file, select.POLLIN, timeout_s):
            return b""
        try:
            data = os.read(self._file, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortGone(error.strerror) from None
        if not data:
            raise PortGone("end of file")
        return data

    def write(self, data: bytes) -> None:
        """Hand over all of `data`. Raises `PortGone` where it is not taken within a second."""
        until_s = time.monotonic() + _WRITE_S
        while data:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not _wait(self._file, select.POLLOUT, left_s):
                raise PortGone("it takes no bytes")
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PortGone(error.strerror) from None

    def close(self) -> None:
        """Let go of it; may be called twice."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1


def serial_ports() -> list[str]:
    """Ports that may be an Arduino's: /dev/ttyACM* and /dev/ttyUSB*."""
    return sorted(str(port) for kind in ("ttyACM*", "ttyUSB*") for port in Path("/dev").glob(kind))


def _wait(file: int, events: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(file, events)
    return bool(poll.poll(max(0.0, timeout_s) * 1e3))


def _make_raw(file: int) -> None:
    attributes = termios.tcgetattr(file)
    attributes[0] = termios.IGNBRK
    attributes[1] = 0
    attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL | termios.HUPCL
    attributes[3] = 0
    attributes[4] = attributes[5] = termios.B115200
    attributes[6][termios.VMIN] = attributes[6][termios.VTIME] = 0
    termios.tcsetattr(file, termios.TCSANOW, attributes)
    termios.tcflush(file, termios.TCIFLUSH)


def _cannot_open(path: str, error: Exception) -> RigposeError:
    number = error.errno if isinstance(error, OSError) else errno.ENOTTY
    if number in (errno.EAGAIN, errno.EBUSY):
        found, remedy = "one that another program has open", "Close the other program (fuser -v shows it)"
    elif number == errno.EACCES:
        found = "one you may not open"
        remedy = "Become a member of its group: sudo usermod -aG dialout $USER, then log in again"
    elif number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = serial_ports()
        found = "none of that name"
        remedy = f"There are: {', '.join(there)}" if there else "Plug in the board; no serial port is there"
    else:
        found, remedy = "something else", "Name a port such as /dev/ttyACM0"
    return RigposeError(path, expected="a serial port", found=found, remedy=remedy)
