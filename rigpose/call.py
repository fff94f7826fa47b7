"""From a row of the command table to its function, as the command line and as Python call it."""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rigpose.commands.table import Command


def load(command: Command) -> Callable[..., Any]:
    """The function a row of the table names, imported now."""
    module, name = command.target.split(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def python_function(command: Command) -> Callable[..., Any]:
    """The command's function as `import rigpose` offers it: paths may be given as strings."""
    function = load(command)
    signature = inspect.signature(function)
    takes_path = {
        name
        for name, hint in typing.get_type_hints(function).items()
        if _may_be_path(hint) and name != "return"
    }

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        bound = signature.bind(*positional, **named)
        for name in takes_path & bound.arguments.keys():
            bound.arguments[name] = _as_path(bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return call


def _may_be_path(hint: Any) -> bool:
    """Whether `Path` is in the hint and `str` is not (`Path | str` is for the command to sort out)."""
    parts = typing.get_args(hint)
    if not parts:
        return hint is Path
    return any(_may_be_path(part) for part in parts) and str not in parts


def _as_path(value: Any) -> Any:
    if isinstance(value, str):
        return Path(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_as_path(item) for item in value)
    return value
