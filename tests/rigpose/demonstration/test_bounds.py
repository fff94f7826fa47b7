"""The verdict: a figure that is missing, NaN or beyond its bound has not held."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rigpose.demonstration.bounds import Bound, bounds, judge
from rigpose.demonstration.demonstrate import why_slow

AT_MOST = Bound("error", ("held_out", "full", "median_px"), "<=", 1.5, "px")
AT_LEAST = Bound("rate", ("live", "rate_hz"), ">=", 30.0, "/s")


@pytest.mark.parametrize(
    ("bound", "figures", "held"),
    [
        (AT_MOST, {"held_out": {"full": {"median_px": 1.5}}}, True),
        (AT_MOST, {"held_out": {"full": {"median_px": 1.51}}}, False),
        (AT_MOST, {"held_out": {"full": {"median_px": math.nan}}}, False),
        (AT_MOST, {"held_out": {"full": {"median_px": None}}}, False),
        (AT_MOST, {"held_out": {}}, False),
        (AT_MOST, {"held_out": 3.0}, False),
        (AT_LEAST, {"live": {"rate_hz": 30.0}}, True),
        (AT_LEAST, {"live": {"rate_hz": 29.9}}, False),
    ],
)
def test_a_bound_holds_only_where_its_figure_says_so(
    bound: Bound, figures: dict[str, object], held: bool
) -> None:
    assert judge(figures, [bound])[0].held is held


def test_the_short_demo_leaves_out_accuracy_and_nothing_else() -> None:
    full = bounds(live_seconds=20, rate_hz=30, accuracy=True)
    short = bounds(live_seconds=20, rate_hz=30, accuracy=False)
    assert [row for row in full if row.path[0] not in ("held_out", "live_3d")] == short
    assert len({row.path for row in full}) == len(full)


def live(rate_hz: float, network_ms: float) -> dict[str, Any]:
    return {"live": {"rate_hz": rate_hz, "stages": {"network": {"p50_ms": network_ms}}}}


def test_a_slow_machine_is_told_apart_from_a_slow_live():
    assert why_slow(live(33.0, 28.0)) is None
    assert why_slow(live(20.0, 5.0)) is None  # the network had time: something else is wrong
    line = why_slow(live(15.5, 58.2))
    assert line is not None
    assert "58 ms" in line and "30 ms" in line
