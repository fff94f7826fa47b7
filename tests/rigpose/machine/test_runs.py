"""How runs are judged: what is green, and what each thing that is not says is to be done."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from acquisition.running import Run
from rigpose.machine.finding import Finding
from rigpose.machine.runs import findings_of, span

WELL: dict[str, Any] = {
    "name": "arena", "state": "running", "fault": "", "session": None, "rates_s": 10.0,
    "cameras": {"top": {"state": "armed", "wished_hz": 100.0}},
    "processes": {
        name: {"alive": True, "pid": 5, "silent_s": 0.2, "restarts": 0, "state": "ready"}
        for name in ("capture-sim", "tracker", "recorder")
    },
    "died": {},
    "counters": {
        "camera top": {"frames": 1000, "lost": 2, "damaged": 0, "ring_full": 0, "reopened": 0},
        "tracker": {"sets_in": 990, "complete_in": 980, "published": 970, "skipped": 20, "empty": 0},
    },
    "rates_hz": {
        "camera top": {"frames": 99.9, "lost": 0.1, "damaged": 0.0, "ring_full": 0.0},
        "tracker": {"sets_in": 100.0, "published": 98.0},
    },
}  # fmt: skip


def judged(change: dict[tuple[str, ...], Any], command: str = "live", **run: Any) -> dict[str, Finding]:
    facts = copy.deepcopy(WELL)
    for path, value in change.items():
        inside = facts
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside[path[-1]] = value
    about = {"silent_s": 0.5, "age_s": 700.0, **run}
    found = findings_of(Run(Path("x"), command, 77, "2024-05-01T10:00:00+00:00", True, facts=facts, **about))
    assert all(bool(one.remedy) == (one.state != "ok") for one in found)
    return {one.what: one for one in found}


def test_a_run_that_is_well_is_green_and_says_how_it_is():
    found = judged({("processes", "tracker", "endpoint"): "tcp://127.0.0.1:5555"})
    assert {one.state for one in found.values()} == {"ok"}
    assert found["live arena"].found == "runs for 12 min, pid 77"
    assert found["camera top"].found == "99.9 of 100 Hz, 1000 frames, 2 lost"
    assert found["processes"].found == "capture-sim, tracker, recorder"
    assert (
        found["frame sets"].found == "990 in, 980 complete, 970 published, 20 skipped, 0 empty"
        and found["stream"].found == "tcp://127.0.0.1:5555, 98.0 poses a second"
    )


@pytest.mark.parametrize(
    ("change", "what", "state", "said"),
    [
        ({("cameras", "top", "state"): "gone"}, "camera top", "broken", "cable"),
        ({("rates_hz", "camera top", "frames"): 70.0}, "camera top", "change", "exposure"),
        ({("rates_hz", "camera top", "lost"): 3.0}, "camera top", "change", "rigpose doctor"),
        ({("rates_hz", "camera top", "ring_full"): 3.0}, "camera top", "change", "readers are too slow"),
        ({("died", "tracker"): "signal 9"}, "process tracker", "broken", "signal 9"),
        ({("processes", "tracker", "alive"): False}, "process tracker", "broken", "start it again"),
        ({("processes", "tracker", "silent_s"): 9.0}, "process tracker", "change", "silent for 9 s"),
        ({("rates_hz", "tracker", "published"): 60.0}, "frame sets", "change", "60.0 of 100.0 Hz tracked"),
        ({("processes", "tracker", "warnings"): ["too small"]}, "tracker", "change", "too small"),
        ({("fault",): "the trigger is gone"}, "live arena", "broken", "cable"),
        ({("session",): "/nowhere/at/all"}, "recording", "broken", "is not there"),
    ],
)
def test_what_is_not_well_says_what_to_do(change, what, state, said):
    finding = judged(change)[what]
    assert finding.state == state and said in f"{finding.found} {finding.remedy}"


def test_rates_of_a_moment_are_not_judged():
    found = judged({("rates_s",): 2.0, ("rates_hz", "camera top", "frames"): 10.0})
    assert found["camera top"].state == "ok"


def test_how_long_the_disk_lasts(tmp_path):
    recorder = ("processes", "recorder")
    found = judged({("session",): str(tmp_path), (*recorder, "disk_left_s"): 7500.0})
    assert found["recording"].found == str(tmp_path) and found["disk"].state == "ok"
    assert "GB free, for 2.1 hours at this pace" in found["disk"].found
    low = judged({("session",): str(tmp_path), (*recorder, "disk_left_s"): 300.0})["disk"]
    assert low.state == "change" and "5 min" in low.found and "Free some space" in low.remedy
    full = judged({("session",): str(tmp_path), (*recorder, "ended"): "disk: 0.9 GB free"})["recording"]
    assert full.state == "broken" and "disk: 0.9 GB free" in full.found


def test_a_run_that_stands_still_begins_or_ends():
    assert judged({}, silent_s=30.0)["live arena"].state == "broken"
    starting = {("state",): "starting", ("waits_for",): ["camera top"]}
    assert (
        judged(starting, age_s=5.0)["live arena"].found
        == "starts (for 5 s, pid 77), and waits for camera top"
    )
    slow = judged(starting, age_s=90.0)["live arena"]
    assert slow.state == "change" and "camera top" in slow.found
    assert judged({("state",): "ending"}, silent_s=30.0)["live arena"].state == "ok"
    assert judged({("state",): "ending"}, silent_s=90.0)["live arena"].state == "change"


def test_hosts_of_a_joint_rig():
    hosts = {
        "left": {"away": False, "refused": "", "trouble": "", "clock_uncertainty_ms": 0.2},
        "right": {"away": True, "refused": "", "trouble": "nothing heard", "clock_uncertainty_ms": None},
        "new": {"away": False, "refused": "another bundle", "trouble": "", "clock_uncertainty_ms": None},
    }
    fused = {
        ("hosts",): hosts, ("endpoint",): "ipc://joint",
        ("counters",): {"fuse": {"sets": 90, "complete": 10}, "host left": {"received": 90, "lost": 1}},
        ("rates_hz",): {"fuse": {"sets": 100.0, "complete": 0.0}},
    }  # fmt: skip
    found = judged(fused, "fuse")
    assert {name: one.state for name, one in found.items()} == {
        "fuse arena": "ok", "host left": "ok", "host right": "broken", "host new": "broken",
        "frame sets": "change", "stream": "ok",
    }  # fmt: skip
    assert found["host left"].found == "90 poses, 1 lost on the way, clock known to 0.2 ms"
    assert "another bundle" in found["host new"].found and "rigpose live" in found["host right"].remedy


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "3 s"), (300, "5 min"), (9000, "2.5 hours"), (6e5, "7 days")]
)
def test_spans(seconds, said):
    assert span(seconds) == said
