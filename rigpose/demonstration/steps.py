"""The demo's steps: public rigpose commands, run one after the other as a person would type them."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from acquisition.errors import RigposeError


@dataclass(slots=True)
class Steps:
    """Runs commands in `folder` and keeps what each was, took and measured.

    Attributes
    ----------
    done:
        (what, command line, seconds) of every step so far.
    """

    folder: Path
    console: Console
    done: list[tuple[str, str, float]] = field(default_factory=list)

    def run(self, what: str, *words: str | Path) -> dict[str, Any]:
        """Run `rigpose words...`; returns what it measured.

        Raises
        ------
        RigposeError
            If the command fails; its own message is on the terminal by then.
        """
        measured = self.folder / "figures" / f"{len(self.done) + 1:02d}-{what.replace(' ', '-')}.json"
        measured.parent.mkdir(exist_ok=True)
        line = shlex.join(["rigpose", *map(str, words)])
        with self.timed(what, line):
            finished = subprocess.run(
                [sys.executable, "-m", "rigpose", *map(str, words), "--json", str(measured)],
                cwd=self.folder, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            if finished.returncode:
                raise RigposeError(
                    line, expected="exit code 0", found=f"exit code {finished.returncode}",
                    remedy=f"Its message is above; run it by itself in {self.folder}",
                )  # fmt: skip
            figures: dict[str, Any] = json.loads(measured.read_text())
            return figures

    @contextlib.contextmanager
    def timed(self, what: str, line: str) -> Iterator[None]:
        """A step that is no command of its own."""
        self.console.print(f"[bold]{what}[/]  [dim]{line}[/]", highlight=False)
        start_ns = time.monotonic_ns()
        yield
        self.done.append((what, line, (time.monotonic_ns() - start_ns) / 1e9))
