"""Outputs that are messages: published, requested, or only logged.

A message is JSON: `{"on": true, "frame_set": 12, "t_exposure_ns": ..., "t_valid_ns": ..., "note": ""}`. A
published output also repeats its state ten times a second, so that who listens notices silence and can fall
safe by itself: the topic is "output", the state alone is `{"on": false}`.
"""

from __future__ import annotations

import json
from pathlib import Path

import zmq

from acquisition.errors import RigposeError
from deploy.closed_loop.outputs.port import Command
from deploy.stream.endpoint import bind

TOPIC = b"output"
_REPEAT_NS = 100_000_000
_ANSWER_MS = 50


def message(command: Command) -> bytes:
    """A command as JSON."""
    facts = {
        "on": command.on, "frame_set": command.index, "t_exposure_ns": command.t_exposure_ns,
        "t_valid_ns": command.t_valid_ns, "note": command.note,
    }  # fmt: skip
    return json.dumps(facts).encode()


class PublishedOutput:
    """Whoever subscribes hears it (PUB)."""

    def __init__(self, address: str, runtime: Path) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.LINGER, 100)
        self._on = False
        self._told_ns = 0
        try:
            bind(self._socket, address)
        except RigposeError:
            self.close()
            raise

    def switch(self, command: Command) -> None:
        """Publish the command."""
        self._on = command.on
        self._socket.send_multipart([TOPIC, message(command)], zmq.NOBLOCK)

    def tend(self, now_ns: int) -> None:
        """Repeat the state."""
        if now_ns - self._told_ns >= _REPEAT_NS:
            self._told_ns = now_ns
            self._socket.send_multipart([TOPIC, json.dumps({"on": self._on}).encode()], zmq.NOBLOCK)

    def close(self) -> None:
        """Publish that it is low, if it was not."""
        if not self._socket.closed and self._on:
            self._socket.send_multipart([TOPIC, json.dumps({"on": False}).encode()], zmq.NOBLOCK)
        self._socket.close()
        self._context.term()


class RequestedOutput:
    """One device hears it and answers (REQ); without an answer within 50 ms the command has failed."""

    def __init__(self, address: str, runtime: Path) -> None:
        self._address = address
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._connected()
        self._on = False

    def switch(self, command: Command) -> None:
        """Send the command and wait for the answer, whatever it says."""
        self._on = self._on or command.on  # until it has answered nobody knows
        self._ask(message(command))
        self._on = command.on

    def tend(self, now_ns: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Ask for low, if it was high."""
        if self._on:
            try:
                self._ask(json.dumps({"on": False}).encode())
            except OSError:
                self._on = False  # nobody is there any more
        self._socket.close(0)
        self._context.term()

    def _ask(self, request: bytes) -> None:
        self._socket.send(request, zmq.NOBLOCK)
        if not self._socket.poll(_ANSWER_MS):
            self._socket.close(0)  # a REQ socket that was not answered can ask no more
            self._socket = self._connected()
            raise TimeoutError(f"{self._address} did not answer within {_ANSWER_MS} ms")
        self._socket.recv()

    def _connected(self) -> zmq.Socket[bytes]:
        asking = self._context.socket(zmq.REQ)
        asking.set(zmq.LINGER, 0)
        asking.connect(self._address)
        return asking


class LoggedOutput:
    """Nothing is switched; the events of the session say what would have been."""

    def __init__(self, address: str, runtime: Path) -> None:
        pass

    def switch(self, command: Command) -> None:
        """Nothing to do: whoever calls this logs it."""

    def tend(self, now_ns: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
