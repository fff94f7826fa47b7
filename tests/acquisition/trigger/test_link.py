"""The conversation with a trigger that loses requests, at a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty

import pytest

from acquisition.errors import RigposeError
from acquisition.trigger.link import TriggerLink
from acquisition.trigger.protocol import NAME, VERSION, line


class Losing:
    """Answers as our firmware does, but does not hear the first request of a kind about its line."""

    def __init__(self) -> None:
        self._file, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.heard: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Losing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._file)
        os.close(self._slave)

    def _run(self) -> None:
        rest = b""
        while not self._over.is_set():
            if not select.select([self._file], [], [], 0.05)[0]:
                continue
            *whole, rest = (rest + os.read(self._file, 4096)).split(b"\n")
            for body in whole:
                number, asked = body.decode().partition("*")[0].split(" ", 1)
                words = {"version": f" {NAME} {VERSION:x} f42400", "beat": " 1 0 0 0 0 0"}.get(asked, "")
                if asked.startswith("line"):
                    self.heard.append(asked)
                    if self.heard.count(asked) == 1:
                        continue
                os.write(self._file, line(f"= {number} 5{words}"))


def test_a_line_that_did_not_rise_at_once_is_not_asked_to_rise_again() -> None:
    with Losing() as trigger:
        link = TriggerLink(trigger.port, lambda event, arrival_ns: None)
        try:
            with pytest.raises(RigposeError, match="none to 'line'"):
                link.ask("line", 1)
            link.ask("line", 0)  # low is asked for until it is answered
            assert trigger.heard == ["line 1", "line 0", "line 0"]
            link.ask("line", 1)
        finally:
            link.close()
