"""The chaos suite: everything on, everything hurt in turn; nothing hangs, nothing is unaccounted for.

How fast poses come back is judged by `benchmarks/chaos.py`, on a machine that has nothing else to do.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.rig import ChaosRig
from tests.chaos.troubles import TROUBLES, Trouble

pytestmark = [pytest.mark.long, pytest.mark.alone]


def befall(rig: ChaosRig, trouble: Trouble) -> dict[str, Any]:
    """One trouble: how long until poses came again, until all processes were there."""
    before = rig.pids()
    trouble.do(rig)
    since_ns = time.monotonic_ns()
    poses_s = rig.recovered(since_ns)

    def all_there() -> bool:
        now = rig.pids()
        return set(now) == set(before) and (not trouble.dies or now[trouble.dies] != before[trouble.dies])

    processes_s = rig.wait(all_there, f"all processes after {trouble.what}")
    return {"what": trouble.what, "poses_s": round(poses_s, 2), "processes_s": round(processes_s, 2),
            "allowed_s": trouble.back_within_s}  # fmt: skip


def test_everything_hurt_in_turn(tmp_path: Path) -> None:
    rows = []
    with ChaosRig(tmp_path) as rig:
        for trouble in TROUBLES:
            rows.append(befall(rig, trouble))
        report = rig.end()
    if os.environ.get("RIGPOSE_CHAOS_JSON"):  # benchmarks/chaos.py makes the table of the docs from it
        Path(os.environ["RIGPOSE_CHAOS_JSON"]).write_text(json.dumps(rows))
    assert report["exit_code"] == 0
    assert report["balanced"]
    assert report["restarts"]["capture-sim"] == 1
    assert report["restarts"]["tracker"] == 1
    indices = [index for _, index in rig.poses]
    assert indices == sorted(set(indices)), "a frame set came twice, or out of its order"
    for name, (rows_kept, pictures) in rig.playable().items():
        assert pictures == rows_kept > 100, name
