"""The parts of benchmarks/deployment.py that its verdicts hang on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.deployment import row, table
from benchmarks.deployment_rows.calls import Call, side_by_side
from benchmarks.deployment_rows.live_load import memory
from benchmarks.paired_rounds import interval, ratio

GOLDEN = Path(__file__).parents[1] / "deploy" / "golden" / "six_artifacts.bundle"


def test_the_interval_holds_the_ratio_and_is_narrow_where_rounds_agree() -> None:
    rng = np.random.default_rng(0)
    slow, fast = rng.normal(60, 1, (12, 30)), rng.normal(10, 0.2, (12, 30))
    faster, low, high = interval(ratio, slow, fast)
    assert low <= faster <= high and high - low < 0.2
    assert faster == pytest.approx(6, abs=0.2)


def test_a_machine_that_slows_both_in_turn_does_not_change_the_ratio() -> None:
    busy = np.linspace(1, 5, 12)[:, None]
    faster, low, high = interval(ratio, 60 * busy * np.ones((12, 5)), 10 * busy * np.ones((12, 5)))
    assert faster == pytest.approx(6) and 3 < low <= 6 <= high < 12


def test_memory_counts_what_ran_together_and_not_the_start() -> None:
    second = 1_000_000_000
    starting = [[n * second, 900.0, 3] for n in range(5)]
    running = [[n * second, 400.0 + n, 6] for n in range(5, 35)]
    found = memory({"looks": [*starting, *running, [36 * second, 100.0, 1]]}, seconds=20)
    assert found["pss_mb_max"] == 434.0 and found["processes"] == 6
    assert found["growth"] == pytest.approx((431 - 419) / 419, abs=5e-3)


def test_what_is_missed_and_what_was_not_measured_is_shown() -> None:
    facts = {
        "network": "n", "bundle": "b", "bundle_sha256": "0123456789", "input_wh": [256, 128],
        "held_out_px": 2.5,
    }  # fmt: skip
    rows = [
        row("a", "<= 1", "2", False, **facts),
        row("b", "<= 1", "no peer", None),
        row("c", "<= 1", "1", True),
    ]
    said = table(rows, {"cores": 2, "processor": "P", "load_1_minute": 0.1})
    assert "| a | n, 256 x 128, 2.50 px, `01234567` | <= 1 | 2 | **missed** |" in said
    assert "| b |  | <= 1 | no peer | not measured |" in said and "| c |  | <= 1 | 1 | met |" in said


@pytest.mark.long
def test_contenders_take_turns_in_processes_of_their_own() -> None:
    calls = [Call("bare", "bare", str(GOLDEN), calls=3), Call("rigpose", "predict", str(GOLDEN), calls=3)]
    times = side_by_side(calls, rounds=2)
    assert {name: each.shape for name, each in times.items()} == {"bare": (2, 3), "rigpose": (2, 3)}
    assert all((each > 0).all() for each in times.values())
    with pytest.raises(SystemExit, match="'gone' did not start"):
        side_by_side([], 1, {"gone": ["/bin/false"]})
