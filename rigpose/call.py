"""From a row of the command table to its function, and from words on a command line to a call."""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

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
        name for name, hint in typing.get_type_hints(function).items() if _may_be_path(hint) and name != "return"
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


def parse(name: str, command: Command, words: list[str]) -> tuple[Callable[[], Any] | None, Path | None, bool]:
    """What `words` ask of the command: (the call to make, the `--json` file, quiet).

    The call is None where the words asked for help, which has then been printed.

    Raises
    ------
    cyclopts.CycloptsError
        If the words do not fit the command's signature.
    """
    from cyclopts import App, Group, Parameter

    function = load(command)
    options = Group("Options", sort_key=1)
    app = App(
        name=f"rigpose {name}",
        version_flags=[],
        help_format="plaintext",
        help_epilogue=examples(function),
        group_parameters=options,
        group_commands=options,
        result_action="return_value",
    )
    app.default(function)
    found: dict[str, Any] = {}

    @app.meta.default
    def _central(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        json: Annotated[Path | None, Parameter(help="Write what was measured to this file.")] = None,
        quiet: Annotated[bool, Parameter(negative="", help="Print errors only.")] = False,
    ) -> None:
        chosen, bound, _ = app.parse_args(list(tokens), print_error=False, exit_on_error=False)
        found.update(json=json, quiet=quiet)
        if chosen is function:
            found["call"] = functools.partial(function, *bound.args, **bound.kwargs)
        else:
            chosen(*bound.args, **bound.kwargs)  # the help printer

    app.meta(words, print_error=False, exit_on_error=False)
    return found.get("call"), found.get("json"), bool(found.get("quiet"))


def examples(function: Callable[..., Any]) -> str:
    """The Examples section of a numpy-style docstring as plain lines under a heading; '' if none."""
    lines = (inspect.getdoc(function) or "").splitlines()
    try:
        start = next(
            number for number, line in enumerate(lines[:-1])
            if line.strip() == "Examples" and set(lines[number + 1].strip()) == {"-"}
        )
    except StopIteration:
        return ""
    body = lines[start + 2 :]
    for number, line in enumerate(body[:-1]):
        if line.strip() and body[number + 1].strip() and set(body[number + 1].strip()) == {"-"}:
            body = body[:number]
            break
    text = [f"  {line.strip()}" for line in body if line.strip() and not line.strip().startswith("```")]
    return "\n".join(["Examples:", *text])
