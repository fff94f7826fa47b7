"""`CommandFailed`: a command did its work, and what it measured is not good enough."""

from __future__ import annotations

from typing import Any


class CommandFailed(Exception):
    """A figure missed its bound. The front door still writes `--json`, prints one line, exits with 1.

    A mistake a person can mend is a `RigposeError` instead (exit code 2).

    Parameters
    ----------
    message:
        One line: which figure, its value, its bound.
    measured:
        What the command would have returned.
    """

    def __init__(self, message: str, measured: dict[str, Any]) -> None:
        self.measured = measured
        super().__init__(message)
