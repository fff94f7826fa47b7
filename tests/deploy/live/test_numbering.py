"""Where the frame sets of a tracker begin: at pulse 0, or where the tracker before it was."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import pytest

from acquisition.rig import SyncSettings
from acquisition.synchronisation.continued_sets import ContinuedSets, Count
from acquisition.synchronisation.nearest_sets import NearestSets
from acquisition.synchronisation.pulse_sets import PulseSets
from deploy.live.numbering import frame_sets, reported
from deploy.live.tracker_plan import TrackerPlan
from deploy.stream.settings import StreamSettings

PLAN = TrackerPlan("arena", ("a", "b"), SyncSettings(), StreamSettings(), "net.bundle", None, "report.json")
PULSES = {"period_ns": 10_000_000, "first_exposure_ns": 10**12}
FREE = {"period_ns": None, "first_exposure_ns": None}


@pytest.mark.parametrize(
    ("told", "joining", "kind", "known"),
    [
        ({"pulses": PULSES}, False, PulseSets, True),
        ({"pulses": PULSES}, True, ContinuedSets, True),
        ({"pulses": FREE}, False, NearestSets, False),
        ({"pulses": FREE}, True, NearestSets, False),  # the tracker before had counted nothing
    ],
)
def test_without_a_count_pulse_0_is_where_to_begin(
    told: dict[str, Any], joining: bool, kind: type, known: bool
) -> None:
    sets, counter = frame_sets(PLAN, told, joining)
    assert isinstance(sets, kind)
    assert (counter.count is not None) is known and (counter.count is None or counter.count.index == 0)
    assert bool(reported(counter)) is known


@pytest.mark.parametrize("pulses", [PULSES, FREE])
def test_what_one_tracker_reports_the_next_begins_with(pulses: dict[str, int | None]) -> None:
    before = Count(5000, time.monotonic_ns() - 10**9, 9_999_500.25, 1e-6)
    _, counter = frame_sets(PLAN, {"pulses": pulses, **_over_the_wire(before)}, True)
    assert counter.count == before
    sets, counter = frame_sets(PLAN, {"pulses": pulses, **json.loads(json.dumps(reported(counter)))}, True)
    assert isinstance(sets, ContinuedSets) and sets.sure and counter.count == before


def test_doubt_stays() -> None:
    """Nobody can tell afterwards: whoever counts on from an uncertain number is uncertain, too."""
    long_ago = Count(5000, time.monotonic_ns() - 10**12, 1e7, 1e-4)
    sets, counter = frame_sets(PLAN, {"pulses": PULSES, **_over_the_wire(long_ago)}, True)
    assert isinstance(sets, ContinuedSets) and not sets.sure
    assert counter.count is not None and not counter.count.sure


def _over_the_wire(count: Count) -> dict[str, Any]:
    return {"counted": json.loads(json.dumps(dataclasses.asdict(count)))}
