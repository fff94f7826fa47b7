"""Frame sets keep their numbers where a tracker dies: what it counted goes by the parent to its successor.

The tracker reports its newest `Count` (`reported`), the parent tells it to whatever tracker there is
(`relay_count`), and one that finds the pulses running when it starts counts on from there (`frame_sets`).
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from acquisition.rig_run import RigRun
from acquisition.synchronisation.continued_sets import ContinuedSets, Count, Counter
from acquisition.synchronisation.synchronise import FrameSetMaker, Synchroniser
from deploy.live.tracker_plan import TrackerPlan

_COUNTED = "counted"


def reported(counter: Counter) -> dict[str, Any]:
    """For `ChildLink.report`: nothing as long as no period is known."""
    return {} if counter.count is None else {_COUNTED: asdict(counter.count)}


def relay_count(run: RigRun, told: dict[str, Any] | None) -> dict[str, Any] | None:
    """In the parent: tell the tracker what it, or the one before it, counted, unless that is `told`."""
    count: dict[str, Any] | None = run.supervisor.counters.get("tracker", {}).get(_COUNTED)
    if count is None or count == told:
        return told
    run.supervisor.tell("tracker", **{_COUNTED: count})
    return count


def frame_sets(plan: TrackerPlan, told: dict[str, Any], joining: bool) -> tuple[FrameSetMaker, Counter]:
    """The tracker's frame sets, and the counter that is to see them.

    Parameters
    ----------
    told:
        What the parent has told: "pulses", and what was counted.
    joining:
        Whether the pulses had begun before this tracker: it goes on from what was counted, or from pulse 0.
    """
    pulses: dict[str, int | None] = told["pulses"]
    period_ns, first_exposure_ns = pulses["period_ns"], pulses["first_exposure_ns"]
    count = None
    if period_ns is not None and first_exposure_ns is not None:
        count = Count.of_trigger(period_ns, first_exposure_ns)
    if joining and _COUNTED in told:
        count = Count(**told[_COUNTED])
    if not joining or count is None:
        return Synchroniser(plan.cameras, plan.sync, period_ns, first_exposure_ns), Counter(count)
    sets = ContinuedSets(plan.cameras, plan.sync, period_ns, count, time.monotonic_ns())
    return sets, Counter(replace(count, sure=sets.sure))
