"""`rigpose demo`, as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def usual_environment() -> dict[str, str]:
    """Without the tests' one thread a process, which is for tests that run side by side."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}


def run_demo(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and stderr; the demo's files are in `folder`/demo, its figures in `folder`/demo.json."""
    run = subprocess.run(
        [sys.executable, "-m", "rigpose", "demo", "-o", "demo", "--json", "demo.json", *words],
        cwd=folder, env=usual_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(run.stdout, run.stderr)
    return run.returncode, run.stderr
