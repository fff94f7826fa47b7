"""The trigger's output line, for another process than the one that has the trigger open.

`LineRelay` stands where the trigger is and takes word over a socket in the runtime folder; `TriggerLine`
gives it. The trigger itself cuts the line after its longest time and when the host is silent.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from acquisition.errors import RigposeError
from deploy.closed_loop.outputs.port import Command
from deploy.closed_loop.outputs.table import LINE_SOCKET

_ANSWER_S = 0.25
_WAKE_S = 0.2
_REQUEST = struct.Struct("=B?q")  # number, high, until when that is wished (rig clock, ns)
_LATE = "it was asked to be high too long ago"


class LineRelay:
    """Switches a line as it is told over the socket. A context manager; one client at a time.

    Parameters
    ----------
    runtime:
        Runtime folder.
    line:
        Makes the line high or low; raises `RigposeError` where it may not.
    """

    def __init__(self, runtime: Path, line: Callable[[bool], None]) -> None:
        self._path = runtime / LINE_SOCKET
        self._line = line
        self._stop = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._thread = threading.Thread(target=self._serve, name="line", daemon=True)

    def __enter__(self) -> LineRelay:
        self._listener.bind(str(self._path))
        self._listener.listen(1)
        self._listener.settimeout(_WAKE_S)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(_WAKE_S)
                self._attend(client)
            self._switched(False)  # whoever asked is gone

    def _attend(self, client: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                packet = client.recv(_REQUEST.size)
                if len(packet) != _REQUEST.size:
                    return
                number, high, until_ns = _REQUEST.unpack(packet)
                late = high and time.monotonic_ns() > until_ns  # whoever asked has given it up
                client.send(bytes([number]) + (_LATE if late else self._switched(high)).encode())
            except TimeoutError:
                continue
            except OSError:
                return

    def _switched(self, high: bool) -> str:
        """ "" or why not."""
        try:
            self._line(high)
        except RigposeError as error:
            return str(error)
        return ""


class TriggerLine:
    """The line as an output; see `port.OutputDevice`."""

    def __init__(self, address: str, runtime: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_ANSWER_S)
        self._asked = 0
        try:
            self._socket.connect(str(runtime / LINE_SOCKET))
        except OSError:
            self._socket.close()
            raise RigposeError(
                "output trigger:line", expected="a trigger with an output line", found="none in this rig",
                remedy="Use a serial trigger (firmware_configs/trigger), or another uri",
            ) from None  # fmt: skip

    def switch(self, command: Command) -> None:
        """Ask for high or low; raises `OSError` where the trigger refuses or does not answer."""
        self._asked = (self._asked + 1) % 256
        until_ns = time.monotonic_ns() + round(_ANSWER_S * 1e9)
        self._socket.send(_REQUEST.pack(self._asked, command.on, until_ns))
        answer = b"\0"
        while answer and answer[0] != self._asked:  # a late answer is to an earlier question
            answer = self._socket.recv(4096)
        if not answer:
            raise OSError("the trigger is gone")
        if len(answer) > 1:
            raise OSError(answer[1:].decode())

    def tend(self, now_ns: int) -> None:
        """Nothing to do: the trigger hears beats of its own."""

    def close(self) -> None:
        """The relay makes the line low when nobody is there any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
