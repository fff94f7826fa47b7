"""How long `rigpose --help` takes, beside a Python that does nothing.

    python benchmarks/help_speed.py

The two are started in turn, so that a busy machine slows both. The bound is
help <= 3 x nothing + 0.2 s.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[1]
NOTHING = [sys.executable, "-c", "pass"]
HELP = [sys.executable, "-m", "rigpose", "--help"]


def seconds(command: list[str]) -> float:
    start_ns = time.monotonic_ns()
    subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic_ns() - start_ns) / 1e9


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each start: (nothing, help)."""
    pairs = [(seconds(NOTHING), seconds(HELP)) for _ in range(rounds)]
    return [nothing for nothing, _ in pairs], [helped for _, helped in pairs]


if __name__ == "__main__":
    nothing, helped = (sorted(times) for times in measure(rounds=41))
    for label, times in (("python -c pass", nothing), ("rigpose --help", helped)):
        print(f"{label:<15} p50 {median(times) * 1e3:6.1f} ms   p95 {times[-3] * 1e3:6.1f} ms")
    print(f"ratio of medians {median(helped) / median(nothing):.2f}")
    print(f"bound: {median(helped) * 1e3:.1f} ms <= {(3 * median(nothing) + 0.2) * 1e3:.1f} ms")
