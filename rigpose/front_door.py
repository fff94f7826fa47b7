"""The command line: help at once, one command imported, one line for every error a person can mend.

Exit codes: 0 success; 1 a measured figure missed its bound, or a bug (with its traceback); 2 something
a person can mend; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rigpose.commands.table import COMMANDS, GROUPS, Command

MENDABLE, INTERRUPTED = 2, 130

# Packages a device may well be without, by the extra in pyproject.toml that brings them.
EXTRAS = {
    "train": (
        "ai_edge_quantizer", "litert_torch", "matplotlib", "onnx", "onnxscript", "pandas", "ruamel",
        "safetensors", "tables", "torch",
    ),
    "label": ("starlette", "uvicorn"),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnxruntime",),
    "lsl": ("pylsl",),
    "tensorrt": ("tensorrt", "pycuda", "cuda"),
}  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    _leave_working_directory_out()
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("rigpose: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away: nobody is left to tell. Python flushes stdout once more
        # at exit, so it gets somewhere to flush to.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    return code


def _leave_working_directory_out() -> None:
    """Take the working directory off the import path.

    `python -m rigpose` puts it first, and a folder with its own `training/` or `deploy/` would then
    be imported instead of ours, here and in every process we spawn. The checkout itself may stay.
    """
    with contextlib.suppress(FileNotFoundError):  # a working directory that has been deleted
        here = Path.cwd()
        if here != Path(__file__).resolve().parents[1]:
            sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        print(table_of_commands(GROUPS))
        return 0
    if words[0] in ("--version", "-V"):
        from rigpose import __version__

        print(f"rigpose {__version__}")
        return 0
    for length in (2, 1):
        name = " ".join(words[:length])
        if len(words) >= length and name in COMMANDS:
            return _call(name, COMMANDS[name], words[length:])
    inner = {
        group: {name: row for name, row in rows.items() if name.startswith(words[0] + " ")}
        for group, rows in GROUPS.items()
    }
    if any(inner.values()) and (len(words) == 1 or words[1] in ("--help", "-h")):
        print(table_of_commands(inner))
        return 0
    return _unknown(words)


def table_of_commands(groups: dict[str, dict[str, Command]]) -> str:
    """What `rigpose --help` prints."""
    width = max((len(name) for rows in groups.values() for name in rows), default=0)
    lines = ["Usage: rigpose COMMAND [ARGUMENTS] [OPTIONS]", ""]
    for group, rows in groups.items():
        if rows:
            lines += [group, *(f"  {name:<{width}}  {row.help}" for name, row in rows.items()), ""]
    lines += [
        "Every command: --help (with examples), --json FILE (what it measured), --quiet.",
        "The same functions in Python: import rigpose; rigpose.COMMAND(...).",
    ]
    return "\n".join(lines)


def _unknown(words: list[str]) -> int:
    import difflib

    asked = words[0] if words[0].startswith("-") else " ".join(words[:2])
    close = difflib.get_close_matches(asked, COMMANDS, n=1) or difflib.get_close_matches(
        words[0], COMMANDS, n=1
    )
    hint = f"did you mean '{close[0]}'?" if close else "run 'rigpose --help' for the list"
    kind = "option" if words[0].startswith("-") else "command"
    return _complain(f"there is no {kind} '{words[0] if not close else asked}'; {hint}")


def _call(name: str, command: Command, words: list[str]) -> int:
    from cyclopts import CycloptsError

    from acquisition import progress
    from acquisition.errors import RigposeError
    from rigpose import measured_file
    from rigpose.call import load
    from rigpose.command_line import parse
    from rigpose.commands.outcome import CommandFailed

    try:
        request = parse(name, load(command), words)
        if request.call is None:
            return 0
        if request.json_file is not None:
            measured_file.refuse_unfit(request.json_file, name, request.arguments)
        with progress.quieted(request.quiet), _without_stdout(request.quiet):
            try:
                measured, failure = request.call(), None
            except CommandFailed as failed:
                measured, failure = failed.measured, str(failed)
        if request.json_file is not None:
            try:
                measured_file.write_measured(request.json_file, measured)
            except OSError as error:
                if failure is None:
                    raise
                failure = f"{failure}; and {_os_error_line(error)}"
    except CycloptsError as error:
        return _complain(f"{name}: {error} See 'rigpose {name} --help'")
    except RigposeError as error:
        return _complain(str(error))
    except BrokenPipeError:
        raise
    except ModuleNotFoundError as error:
        return _complain(f"{name}: {_missing_package_line(error)}")
    except OSError as error:
        return _complain(_os_error_line(error))
    if failure is not None:
        return _complain(failure, code=1)
    return 0


def _missing_package_line(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"'{package}' is not installed here; run: pip install 'rigpose[{extra}]'"
    raise error


def _os_error_line(error: OSError) -> str:
    import errno

    remedies = {
        errno.ENOENT: "check the path",
        errno.EACCES: "check who may read and write there",
        errno.EPERM: "check who may read and write there",
        errno.ENOSPC: "free some space on that disk, or write elsewhere",
        errno.EISDIR: "name a file, not a folder",
        errno.ENOTDIR: "name a folder, not a file",
        errno.EADDRINUSE: "stop what uses that port, or choose another",
        errno.EMFILE: "raise the limit with 'ulimit -n 4096'",
    }
    if error.errno not in remedies:
        raise error
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{error.strerror}; {remedies[error.errno]}"


@contextlib.contextmanager
def _without_stdout(quiet: bool) -> Iterator[None]:
    """With `--quiet`, what commands print for a person goes nowhere."""
    if not quiet:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _complain(line: str, *, code: int = MENDABLE) -> int:
    """One line on stderr, whatever the message held."""
    print(f"rigpose: error: {' '.join(line.split())}", file=sys.stderr)
    return code
