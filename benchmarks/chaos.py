"""The chaos suite, several times: seconds until poses come again, against what is stated; docs/chaos.md.

    python benchmarks/chaos.py [--repetitions 3] [--no-docs]

Each row is one process killed, stopped or ignored while a simulated rig of two cameras runs live with
everything on (`tests/chaos/troubles.py`). Exit code 1 if a bound is missed or the suite fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "chaos.md"
BEGIN, END = "<!-- chaos: begin, written by benchmarks/chaos.py -->", "<!-- chaos: end -->"


def once() -> list[dict[str, float | str]]:
    """The rows of one run of the suite."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "chaos.json"
        suite = [sys.executable, "-m", "pytest", "-q", "tests/chaos", "-p", "no:cacheprovider"]
        environment = {**os.environ, "RIGPOSE_CHAOS_JSON": str(report)}
        subprocess.run(suite, cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.DEVNULL)
        rows: list[dict[str, float | str]] = json.loads(report.read_text())
        return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--no-docs", action="store_true", help="leave docs/chaos.md as it is")
    arguments = parser.parse_args()
    runs = [once() for _ in range(arguments.repetitions)]
    head = "| what | poses again after, s (worst) | stated, s | all processes after, s (worst) |"
    lines = [head, "|---|---|---|---|"]
    missed = 0
    for rows in zip(*runs, strict=True):
        poses_s = max(float(row["poses_s"]) for row in rows)
        processes_s = max(float(row["processes_s"]) for row in rows)
        allowed_s = float(rows[0]["allowed_s"])
        missed += poses_s > allowed_s
        verdict = "" if poses_s <= allowed_s else " **missed**"
        lines.append(f"| {rows[0]['what']} | {poses_s:.2f}{verdict} | {allowed_s:g} | {processes_s:.2f} |")
    table = "\n".join([f"{len(runs)} runs of the suite, {os.cpu_count()} cores.", "", *lines])
    print(table)
    if not arguments.no_docs:
        before, rest = PAGE.read_text().split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
