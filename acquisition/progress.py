"""Progress bars: on stderr, only where a person looks at a terminal, never with `--quiet`.

Any layer may use it; the front door alone decides whether it is quiet.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

T = TypeVar("T")

_quiet = False


def is_quiet() -> bool:
    """Whether the person asked for silence."""
    return _quiet


@contextlib.contextmanager
def quieted(quiet: bool) -> Iterator[None]:
    """Inside, bars are silent if `quiet` (or if they already were)."""
    global _quiet
    before = _quiet
    _quiet = before or quiet
    try:
        yield
    finally:
        _quiet = before


class Progress:
    """A bar: `with Progress("frames", total=300) as bar: bar.advance()`.

    Parameters
    ----------
    label:
        What is being worked on.
    total:
        Number of steps; None where it is not known (the bar then only pulses and counts).
    """

    def __init__(self, label: str, total: float | None = None) -> None:
        self._label = label
        self._total = total
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if _quiet or not sys.stderr.isatty():
            return self
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total, note="")
        return self

    def advance(self, n: float = 1, note: str = "") -> None:
        """`n` more steps done; `note` stands behind the bar until the next one."""
        if self._bar is not None:
            self._bar.update(self._task, advance=n, note=note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def track(iterable: Iterable[T], label: str, total: float | None = None) -> Iterator[T]:
    """The items of `iterable`, with a bar; `total` is its length where that is known."""
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with Progress(label, total) as bar:
        for item in iterable:
            yield item
            bar.advance()
