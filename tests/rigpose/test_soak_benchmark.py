"""What benchmarks/soak.py finds wrong with a run, and what it does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.soak import faults, fifths, table

MINUTES = 12


def well() -> dict[str, Any]:
    """A run of twelve minutes, a look every ten seconds."""
    rows = [
        {"minute": n, "count": 1800, "p50_ms": 8.0, "p95_ms": 12.0, "p99_ms": 20.0, "max_ms": 90.0}
        for n in range(MINUTES)
    ]
    warming = [
        {
            "t_ns": n * 10**10,
            "pss_mb": {"tracker": 195.0},
            "own_mb": {"parent": 50.0, "tracker": 100.0 + 5 * n},
            "handles": {"parent": 20},
        }
        for n in range(10)
    ]
    steady = [{**warming[-1], "t_ns": n * 10**10} for n in range(10, MINUTES * 6)]
    return {
        "exit_code": 0,
        "report": {
            "died": {}, "restarts": {}, "balanced": True, "sets_in": 21600, "complete_in": 21600,
            "published": 21590, "skipped": 10, "empty": 0,
            "cameras": {"cam_0": {"frames": 21600, "ring_full": 0}},
            "recording": {"frames": {"cam_0": 21600}},
        },
        "samples": [*warming, *steady],
        "subscribers": [{"rows": rows, "received": {"pose3d": 21590}, "lost": {"pose3d": 0}}] * 2,
        "page_bytes": 10_000_000,
    }  # fmt: skip


def test_a_run_that_is_well():
    assert faults(well()) == []
    said = table(well(), "12 minutes")
    assert said.startswith("12 minutes\n") and said.endswith("Found: nothing.")
    assert "| 12 | 195.0 | 195.0 | 20 | 1800 | 8.0 | 12.0 | 20.0 | 90.0 |" in said
    assert "21600 in, 21600 complete, 21590 published, 10 skipped, 0 empty" in said


def leak_memory(run: dict[str, Any]) -> None:
    for n, sample in enumerate(run["samples"]):
        sample["own_mb"] = {"tracker": 200.0 + 0.2 * n}


def leak_handles(run: dict[str, Any]) -> None:
    for n, sample in enumerate(run["samples"]):
        sample["handles"] = {"page": 20 + n // 20}


def get_slower(run: dict[str, Any]) -> None:
    for row in run["subscribers"][1]["rows"]:
        row["p95_ms"] = 10.0 + row["minute"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (leak_memory, "MB of memory more"),
        (leak_handles, "handles more"),
        (get_slower, "p95 from 12.0 to 19.0 ms"),
        (lambda run: run["report"].update(balanced=False), "no account"),
        (lambda run: run["report"].update(died={"page": "signal 9"}), "signal 9"),
        (lambda run: run["report"].update(restarts={"tracker": 1}), "tracker"),
        (lambda run: run.update(exit_code=1), "exit code 1"),
        (
            lambda run: run["report"]["recording"]["frames"].update(cam_0=21599),
            "21600 frames taken, 21599 rec",
        ),
        (lambda run: run["subscribers"][0]["lost"].update(pose3d=3), "lost {'pose3d': 3}"),
        (lambda run: run["subscribers"][0].update(rows=[]), "lost everything"),
        (lambda run: run.update(page_bytes=0), "the page gave nothing"),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(spoil, said):
    run = well()
    run["subscribers"] = copy.deepcopy(run["subscribers"][:1]) + copy.deepcopy(run["subscribers"][1:])
    run["samples"] = copy.deepcopy(run["samples"])
    spoil(run)
    [found] = faults(run)
    assert said in found


def test_fifths_leave_the_first_out():
    assert fifths([100.0, *([1.0] * 3), 2.0]) == (1.0, 2.0)
    assert fifths([3.0]) == (3.0, 3.0)
