"""rigpose: from a set of cameras to live, calibrated, timestamped animal poses.

Every command of `rigpose --help` is also a function here, with the same name and arguments:
`rigpose train PROJECT -o RUN` is `rigpose.train(PROJECT, output=RUN)`. Nothing is imported before
it is asked for.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name.startswith("_"):  # dunder probes of the import system and of debuggers
        raise AttributeError(f"module 'rigpose' has no attribute '{name}'")
    from rigpose.commands.table import COMMANDS, PYTHON_NAMES

    if name not in PYTHON_NAMES:
        raise AttributeError(f"module 'rigpose' has no attribute '{name}'")
    from rigpose.call import python_function

    function = python_function(COMMANDS[PYTHON_NAMES[name]])
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    from rigpose.commands.table import PYTHON_NAMES

    return sorted({*globals(), *PYTHON_NAMES})
