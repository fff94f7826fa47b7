"""The port behind which an output is, and the messages that reach it."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Command(msgspec.Struct, frozen=True, tag="command"):
    """What a processor wishes of an output, and on which evidence.

    Attributes
    ----------
    output:
        Name in the rig file.
    on:
        High or low.
    index, t_exposure_ns, t_valid_ns:
        The frame set of the pose it was decided on, its exposure, and the instant that pose speaks of.
    confidence, views:
        The least among the policy's keypoints; see `OutputSettings`.
    note:
        Whatever the processor wants in the log, and in the message of a ZeroMQ output.
    """

    output: str
    on: bool
    index: int
    t_exposure_ns: int
    t_valid_ns: int
    confidence: float
    views: int
    note: str = ""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The processor has finished with a pose of this exposure."""

    t_exposure_ns: int


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Command | Beat).decode
"""Raises `msgspec.DecodeError`."""


class OutputDevice(Protocol):
    """A way to switch something; made, it is low. Its class takes the address and the runtime folder.

    It is made and closed in one thread, and used in another in between.
    """

    def switch(self, command: Command) -> None:
        """Make it high or low. Raises `OSError` or `RigposeError` where that failed."""
        ...

    def tend(self, now_ns: int) -> None:
        """Called at least every 50 ms, unless `switch` takes longer."""
        ...

    def close(self) -> None:
        """Low, and let go. Never raises."""
        ...
