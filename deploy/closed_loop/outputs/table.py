"""The table of outputs: a scheme, the class behind it, and what its address may be."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.closed_loop.outputs.port import OutputDevice
from deploy.stream.endpoint import is_local, require_bindable

LINE_SOCKET = "line"
"""In the runtime folder: where the process that owns the trigger takes word for its line."""


@dataclass(frozen=True, slots=True)
class OutputKind:
    """One line of the table.

    Attributes
    ----------
    target:
        module:class, taking (address, runtime folder).
    check:
        Raises `ValueError` for an address that cannot be.
    """

    target: str
    check: Callable[[str], None]


def _line(address: str) -> None:
    if address != "line":
        raise ValueError("the trigger has one output: write trigger:line")


def _bound(address: str) -> None:
    require_bindable(address)
    if not is_local(address):
        raise ValueError(f"'{address}' would be heard beyond this host, and has no keys")


def _nothing(address: str) -> None:
    if address:
        raise ValueError("log: takes no address")


OUTPUTS = {
    "trigger": OutputKind("deploy.closed_loop.outputs.trigger_line:TriggerLine", _line),
    "zmq-pub": OutputKind("deploy.closed_loop.outputs.zeromq:PublishedOutput", _bound),
    "zmq-req": OutputKind("deploy.closed_loop.outputs.zeromq:RequestedOutput", require_bindable),
    "log": OutputKind("deploy.closed_loop.outputs.zeromq:LoggedOutput", _nothing),
}


def open_output(uri: str, runtime: Path) -> OutputDevice:
    """The output behind a URI that was checked. Raises `RigposeError` where it cannot be opened."""
    scheme, _, address = uri.partition(":")
    module, _, name = OUTPUTS[scheme].target.partition(":")
    device: OutputDevice = getattr(importlib.import_module(module), name)(address, runtime)
    return device
