"""`python -m rigpose.reference docs/commands.md`: writes the page of all commands.

Everything on the page comes from the table of commands, the signatures and the docstrings. A test compares
the page in the repository with what this writes.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from rigpose.call import load
from rigpose.commands.options import Output
from rigpose.commands.table import COMMANDS, GROUPS

_HEAD = """# Commands
<!-- Written by `python -m rigpose.reference docs/commands.md`, from rigpose/commands/: change it there. -->
Every command takes `--help`, `--json FILE` (writes what it measured) and `--quiet` (prints errors only), not
repeated below. Exit codes: 0, it did what it was asked to; 1, it did, and a figure missed its bound; 2, a
person can mend it; 130, interrupted.

In Python each is a function of the same name and arguments, underscores for hyphens and spaces, and returns
what `--json` writes: `rigpose trigger test /dev/ttyACM0 --rate 200` is
`rigpose.trigger_test("/dev/ttyACM0", rate=200)`.
"""
_TYPES = {Path: "path", int: "whole number", float: "number", str: "text"}
_EXITS = {"RigposeError": "Exit code 2", "CommandFailed": "Exit code 1"}


def page() -> str:
    """The whole page, as Markdown."""
    lines = [_HEAD]
    for group, rows in GROUPS.items():
        lines += [f"## {group}", "| command | does |", "|---|---|"]
        lines += [f"| [`{name}`](#{_anchor(name)}) | {_cell(row.help)} |" for name, row in rows.items()]
        lines.append("")
        for name, row in rows.items():
            lines += _command(name, load(row))
    return "\n".join(lines).rstrip() + "\n"


def main(words: list[str]) -> int:
    """Write the page to the one file named, and return an exit code."""
    if len(words) != 1:
        print("Usage: python -m rigpose.reference docs/commands.md", file=sys.stderr)
        return 2
    from deploy.whole_file import whole_file

    with whole_file(Path(words[0])) as temporary:
        temporary.write_text(page(), encoding="utf-8")
    print(f"{words[0]}: {len(COMMANDS)} commands")
    return 0


def option_names(function: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """The options of a command by parameter, `--no-...` among them; of a positional argument no name.

    Left out are the `--empty-...` that cyclopts adds to lists.
    """
    kinds = inspect.signature(function).parameters
    named = {}
    for argument in _arguments(function):
        parameter = argument.field_info.name
        words = [word for word in argument.names if not word.startswith("--empty-")]
        named[parameter] = () if _is_positional(kinds[parameter]) else tuple(words)
    return named


def _command(name: str, function: Callable[..., Any]) -> list[str]:
    """The section of one command."""
    said = _sections(inspect.getdoc(function) or "")
    parameters = inspect.signature(function).parameters
    lines = [f"### `rigpose {name}`", *said.pop("")]
    lines += ["", f"`{_usage(name, function)}`", ""]
    rows = _rows(function, _entries(said.get("Parameters", [])))
    if rows:
        lines += ["| argument, option | takes | default | |", "|---|---|---|---|", *rows, ""]
    for names, text in _entries(said.get("Parameters", [])).items():
        if len(names) > 1 and text:
            listed = ", ".join(f"`{_shown(parameters[name])}`" for name in names)
            lines += [f"{listed}: {text}", ""]
    for text in _entries(said.get("Returns", [])).values():
        lines += [f"Measured: {text}", ""]
    for names, text in _entries(said.get("Raises", [])).items():
        lines += [f"{_EXITS.get(names[0], names[0])}: {text}", ""]
    lines += ["```", *(line for line in said.get("Examples", []) if line.strip()), "```", ""]
    return lines


def _usage(name: str, function: Callable[..., Any]) -> str:
    """What `--help` shows first: the arguments, and the options that have to be there."""
    words, may_be_left_out = ["rigpose", name], False
    for parameter in inspect.signature(function).parameters.values():
        needed = parameter.default is inspect.Parameter.empty
        if _is_positional(parameter):
            word = _shown(parameter)
            words.append(word if needed and "..." not in word else f"[{word}]")
        elif needed:
            words.append(f"{_shown(parameter)} {_upper(parameter.name)}")
        else:
            may_be_left_out = True
    return " ".join([*words, *(["[OPTIONS]"] if may_be_left_out else [])])


def _rows(function: Callable[..., Any], said: dict[tuple[str, ...], str]) -> list[str]:
    """A row of the table for each parameter, positional ones first."""
    hints, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
    short = {argument.field_info.name: argument.parameter.help or "" for argument in _arguments(function)}
    words = option_names(function)
    rows = []
    for name, parameter in parameters.items():
        shown = [_shown(parameter)] if _is_positional(parameter) else _worth_showing(words[name], parameter)
        text = _joined(short[name], said.get((name,), ""))
        cells = (", ".join(f"`{word}`" for word in shown), _takes(hints[name]), _default(parameter), text)
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return rows


def _arguments(function: Callable[..., Any]) -> Any:
    """The arguments as cyclopts reads them off the signature and the docstring."""
    from cyclopts import App

    app = App()
    app.default(function)
    return app.assemble_argument_collection(parse_docstring=True)


def _sections(text: str) -> dict[str, list[str]]:
    """Lines of a numpy docstring by heading; those before the first heading under ''."""
    lines = text.splitlines()
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line and set(below) == {"-"}:
            heading = line
            found[heading] = []
        elif set(line) != {"-"}:
            found[heading].append(line)
    while found[""] and not found[""][-1]:
        found[""].pop()
    return found


def _entries(lines: list[str]) -> dict[tuple[str, ...], str]:
    """`names:` with the text indented below it, in one line."""
    found: dict[tuple[str, ...], str] = {}
    names: tuple[str, ...] = ()
    for line in lines:
        if line and not line.startswith(" "):
            names = tuple(name.strip() for name in line.partition(":")[0].split(","))
            found[names] = ""
        elif line.strip():
            found[names] = f"{found[names]} {line.strip()}".strip()
    return found


def _joined(short: str, long: str) -> str:
    """An option's shared help and the command's own words, neither twice."""
    general = typing.get_args(Output)[1].help
    bare = [" ".join(text.split()).rstrip(".") for text in (short, long)]
    if not long or bare[1].lower() in bare[0].lower():
        return f"{bare[0]}." if short else ""
    alike = bare[0].split()[:2] == bare[1].split()[:2]
    if short == general or alike or bare[0].lower() in bare[1].lower():
        return f"{bare[1]}."
    return f"{bare[0]}. {bare[1]}."


def _takes(hint: Any) -> str:
    """What a person may write there; '' for a flag."""
    parts = list(_parts(hint))
    if bool in parts:
        return ""
    words = [
        str(word) for part in parts if typing.get_origin(part) is Literal for word in typing.get_args(part)
    ]
    words = words or [word for kind, word in _TYPES.items() if kind in parts][:1]
    several = ["several"] if {list, tuple} & {typing.get_origin(part) for part in parts} else []
    return ", ".join([*words, *several])


def _parts(hint: Any) -> Iterator[Any]:
    """A type hint and all that it is made of."""
    yield hint
    if typing.get_origin(hint) is not Literal:
        for part in typing.get_args(hint):
            yield from _parts(part)


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "" if parameter.kind is parameter.VAR_POSITIONAL else "required"
    if value is None or value is False or value in ("", ()):
        return ""
    if value is True:
        return "on"
    return f"`{' '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _worth_showing(names: tuple[str, ...], parameter: inspect.Parameter) -> list[str]:
    """Without `--no-...` where that is so already."""
    return [name for name in names if not (name.startswith("--no-") and parameter.default is False)]


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL)


def _shown(parameter: inspect.Parameter) -> str:
    """RUN, VIDEOS..., --output."""
    if _is_positional(parameter):
        return _upper(parameter.name) + ("..." if parameter.kind is parameter.VAR_POSITIONAL else "")
    return f"--{parameter.name.replace('_', '-')}"


def _upper(name: str) -> str:
    return name.replace("_", "-").upper()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(name: str) -> str:
    return f"rigpose-{name.replace(' ', '-')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
