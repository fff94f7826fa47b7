"""A disk so small that a test can fill it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A new `folder` on a disk of 6 MB; skips where this machine does not let us mount one."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=6m", "rigpose", folder]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("no small disk: mounting one wants root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
