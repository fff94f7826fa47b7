"""From the words after a command's name to a call of its function. Importing this imports cyclopts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter


@dataclass(frozen=True, slots=True)
class Request:
    """What the words after a command's name ask for.

    Attributes
    ----------
    call:
        The command with its arguments; None where the words asked for help, which was then printed.
    arguments:
        Those arguments by name, defaults included.
    json_file:
        Where to write what the command measured.
    quiet:
        Whether to print errors only.
    """

    call: Callable[[], Any] | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    json_file: Path | None = None
    quiet: bool = False


def parse(name: str, function: Callable[..., Any], words: list[str]) -> Request:
    """What `words` ask of the command `name`, read by its function's signature.

    Raises
    ------
    cyclopts.CycloptsError
        If the words do not fit the command's signature.
    """
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

    @app.meta.default
    def _central(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        json: Annotated[Path | None, Parameter(help="Write what was measured to this file.")] = None,
        quiet: Annotated[bool, Parameter(negative="", show_default=False, help="Print errors only.")] = False,
    ) -> Request:
        chosen, bound, _ = app.parse_args(list(tokens), print_error=False, exit_on_error=False)
        whole = inspect.signature(chosen).bind(*bound.args, **bound.kwargs)
        whole.apply_defaults()
        call = functools.partial(chosen, *bound.args, **bound.kwargs)
        return Request(call, whole.arguments, json, quiet)

    request = app.meta(words, print_error=False, exit_on_error=False)
    return request if isinstance(request, Request) else Request(call=None)


def examples(function: Callable[..., Any]) -> str:
    """The Examples section of a numpy-style docstring as plain lines under a heading; '' if none."""
    lines = (inspect.getdoc(function) or "").splitlines()
    try:
        start = next(
            number
            for number, line in enumerate(lines[:-1])
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
