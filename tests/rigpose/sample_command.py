"""A command as authors write them, for the tests of the front door."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Literal

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured, Minutes, Output
from rigpose.commands.outcome import CommandFailed

Fault = Literal["none", "rigpose", "bound", "missing", "full", "port", "interrupt", "extra", "bug"]


def sample(
    source: Path,
    /,
    *more: Path,
    output: Output,
    label: str = "",
    minutes: Minutes = None,
    fault: Fault = "none",
) -> Measured:
    """Do nothing, or go wrong in one of the ways commands go wrong.

    Parameters
    ----------
    source, more:
        What is read.
    label:
        A word.
    fault:
        How to go wrong.

    Examples
    --------
    rigpose sample here -o there
    """
    print("a line for a person")
    measured = {
        "types": [type(value).__name__ for value in (source, *more, output, label)],
        "minutes": minutes,
        "error_px": float("nan"),
        "where": output,
    }
    if fault == "rigpose":
        raise RigposeError(source, expected="an animal", found="a\nrock", remedy="Run 'rigpose sample'")
    if fault == "bound":
        raise CommandFailed("error 3.0 px is above its bound of 1.5 px", measured)
    if fault == "missing":
        (output / "no such folder" / "file").read_text()
    if fault == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
    if fault == "port":
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    if fault == "interrupt":
        raise KeyboardInterrupt
    if fault == "extra":
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    if fault == "bug":
        raise ZeroDivisionError("a bug")
    return measured
