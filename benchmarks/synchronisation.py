"""Frame sets against simulated timelines: are they right, are doubtful ones flagged, how soon do they close.

    python benchmarks/synchronisation.py [--seconds 30] [--seeds 3] [--json FILE]

Stamps only, no pictures. Six cameras at 200 fps, arrivals 0 to 2 ms late, 10 % of the frames lost, 2 % of the
triggers ignored, clocks up to 50 ppm off, ids that wrap, one camera restarting with a new count; the
synchroniser is asked every millisecond, as a process would. Then the same without device stamps, and with
arrivals later than the rig was made for. A set is wrong if a frame in it is of another pulse; silently wrong
if that camera is not among its uncertain ones. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from acquisition.rig import SyncSettings  # noqa: E402
from acquisition.synchronisation.synchronise import StampSet, Synchroniser  # noqa: E402
from tests.acquisition.timelines import Timeline, timeline  # noqa: E402

RATE_HZ = 200.0
SYNC = SyncSettings(tolerance_ms=2.4, max_delay_ms=8.5)
TICK_NS = 1_000_000
CLOSES_WITHIN = 2.0  # periods
WRONG_WITHOUT_STAMPS = 0.001  # of the sets, at the jitter that the row states
SILENT_BEYOND = 0.005  # of the sets, at more jitter than a period allows


def run(line: Timeline, online: bool) -> tuple[list[StampSet], list[int]]:
    """All sets, and how long after its exposure each left (online)."""
    maker = Synchroniser(line.cameras, SYNC, line.period_ns, line.first_exposure_ns)
    sets: list[StampSet] = []
    delays_ns: list[int] = []
    now_ns = line.frames[0][0].t_arrival_ns

    def close() -> None:
        new = maker.closed(now_ns if online else 0)
        delays_ns.extend(now_ns - one.t_exposure_ns for one in new)
        sets.extend(new)

    for stamp, pulse in line.frames:
        while online and now_ns + TICK_NS < stamp.t_arrival_ns:
            now_ns += TICK_NS
            close()
        now_ns = stamp.t_arrival_ns
        maker.add(stamp, pulse)
        close()
    return sets + maker.flush(), delays_ns


def judge(line: Timeline, sets: list[StampSet]) -> dict[str, int]:
    """Counts of sets by what is wrong with them."""
    counts = dict.fromkeys(("sets", "wrong", "silently_wrong", "lacking", "uncertain"), 0)
    for one in sets:
        wrong = {c for c, p in zip(line.cameras, one.payloads, strict=True) if p not in (None, one.index)}
        lacking = any(
            pulse is None and one.index < len(line.truth[camera]) and line.truth[camera][one.index] is None
            for camera, pulse in zip(line.cameras, one.payloads, strict=True)
        )
        counts["sets"] += 1
        counts["wrong"] += bool(wrong)
        counts["silently_wrong"] += bool(wrong - set(one.uncertain))
        counts["lacking"] += lacking
        counts["uncertain"] += bool(one.uncertain)
    return counts


def measure(
    seconds: float, seeds: int, online: bool = True, first_seed: int = 0, **conditions: Any
) -> dict[str, Any]:
    """Counts over some timelines, the latest set, and the synchroniser's time for one frame."""
    total: dict[str, Any] = {}
    latest_ns, spent_s, frames = 0, 0.0, 0
    for seed in range(first_seed, first_seed + seeds):
        line = timeline(
            seed, cameras=6, pulses=round(seconds * RATE_HZ), rate_hz=RATE_HZ, loss=0.10, ignored=0.02,
            drift_ppm=50, period_error=5e-5, restart=True, **conditions,
        )  # fmt: skip
        start = time.process_time()
        sets, delays_ns = run(line, online)
        spent_s += time.process_time() - start
        frames += len(line.frames)
        latest_ns = max(latest_ns, *delays_ns[10:])  # the first wait until every camera is placed
        for name, count in judge(line, sets).items():
            total[name] = total.get(name, 0) + count
    return {
        **total,
        "latest_periods": latest_ns * RATE_HZ * 1e-9 if online else None,
        "us_a_frame": spent_s / frames * 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    missed = 0

    def say(words: str, held: bool) -> None:
        nonlocal missed
        missed += not held
        print(f"{words}: {'held' if held else 'MISSED'}", flush=True)

    def words(name: str, row: dict[str, Any]) -> str:
        text = f"{name}: {row['sets']} sets, {row['wrong']} wrong, {row['silently_wrong']} silently, "
        text += f"{row['lacking']} lack a frame that came, {row['uncertain']} flagged uncertain, "
        if row["latest_periods"] is not None:
            text += f"latest {row['latest_periods']:.2f} periods after exposure, "
        return text + f"{row['us_a_frame']:.1f} us a frame"

    rows: dict[str, dict[str, Any]] = {}
    row = rows["device stamps"] = measure(given.seconds, given.seeds)
    exact = row["wrong"] == row["lacking"] == 0
    say(words("device stamps", row), exact and row["latest_periods"] <= CLOSES_WITHIN)
    for online in (True, False):
        name = "no device stamps, " + ("live" if online else "afterwards")
        row = rows[name] = measure(given.seconds, given.seeds, online, device_clock=False)
        within = row["wrong"] <= WRONG_WITHOUT_STAMPS * row["sets"] and not row["silently_wrong"]
        say(words(name, row), within)
    for jitter_ms in (3.0, 4.0, 6.0):
        name = f"no device stamps, arrivals up to {jitter_ms:g} ms late"
        row = rows[name] = measure(given.seconds, given.seeds, device_clock=False, jitter_ms=jitter_ms)
        say(words(name, row), row["silently_wrong"] <= SILENT_BEYOND * row["sets"])
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
