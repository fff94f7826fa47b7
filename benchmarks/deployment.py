"""Deployment's promises, side by side in one run: latency, load, recording beside it, memory, peers.

    python benchmarks/deployment.py [BUNDLE --run RUN] [--peer-python P] [--rounds 12] [--json FILE] [--page]

Without BUNDLE the networks have random weights, whose speed is that of trained ones; with it the first two
rows are also measured on that bundle (RUN is the run it was exported from, for torch). Every contender is a
process of its own with one thread; they take turns, so that a busy machine slows all of them. An interval is
the 95 % bootstrap interval over the rounds. --live-bundle: a bundle whose keypoints the simulated animal has
(of `rigpose demo`), so that the 3D of the live rows is real; with random weights hardly a point is placed.

--peer-python: the Python of an environment with DeepLabCut-Live 1.1 and torch; without it those rows are not
measured, and say so. A row that misses its bound is shown as missed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmarks.deployment_rows import calls, live_load  # noqa: E402
from benchmarks.deployment_rows.calls import Call, percentiles, side_by_side  # noqa: E402
from benchmarks.deployment_rows.networks import about, random_bundle  # noqa: E402
from benchmarks.paired_rounds import interval, ratio  # noqa: E402
from deploy.bench.machine import machine  # noqa: E402
from deploy.bundles.bundle import Bundle  # noqa: E402

SMALL, LARGE = "mobilenetv2-0.35", "resnet-50"
INPUT_WH = (256, 256)
PEER_SIZES = ((256, 256), (640, 480))
SHORT_TURNS = 6  # turns of a few milliseconds: a machine may change its speed between longer ones
BARE_SHARE, BARE_MS = 1.15, 0.2
OPENFIELD_WH, PUBLISHED_PX = (640, 480), 2.81
EAGER, PEER_SMALL, PEER_LARGE = 6.0, 25.0, 3.0
BESIDE_P50_MS, BESIDE_P99_MS, PUBLISHED = 2.0, 6.0, 0.99
RECORDING, MEMORY_MB, GROWTH = 1.25, 600.0, 0.02
PAGE = CHECKOUT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- deployment: begin -->", "<!-- deployment: end -->"

Row = dict[str, Any]


def row(work: str, bound: str, measured: str, met: bool | None, **facts: Any) -> Row:
    """One line of the table; `met` None: not measured, and `measured` says why."""
    return {"work": work, "bound": bound, "measured": measured, "met": met, **facts}


def single_calls(path: Path, run: Path, rounds: int) -> list[Row]:
    """One camera's frame in memory to its keypoints, beside the bare call and torch."""
    bundle = Bundle.load(path)
    rounds = SHORT_TURNS * rounds
    times = side_by_side(
        [
            Call("bare", "bare", str(path), calls=5), Call("rigpose", "predict", str(path), calls=5),
            Call("eager", "eager", str(path), str(run), calls=2),
        ],
        rounds,
    )  # fmt: skip
    ours, bare, eager = times["rigpose"], times["bare"], times["eager"]

    def beyond_ms(of: np.ndarray, to: np.ndarray) -> float:
        return float(np.median(of) - BARE_SHARE * np.median(to) - BARE_MS)

    over, over_low, over_high = interval(beyond_ms, ours, bare)
    faster, low, high = interval(ratio, eager, ours)
    facts = {
        **about(bundle), "threads": 1, "rounds": rounds, "frame": "640 x 480 mono in memory",
        "contenders": {name: percentiles(each) for name, each in times.items()},
    }  # fmt: skip
    median = {name: float(np.median(each)) for name, each in times.items()}
    return [
        row(
            "one camera, CPU: frame in memory to keypoints", "<= bare LiteRT int8 call + 15 % + 0.2 ms",
            f"{median['rigpose']:.3f} ms; bare {median['bare']:.3f} ms, so at most "
            f"{BARE_SHARE * median['bare'] + BARE_MS:.3f} "
            f"({over:+.3f} ms [{over_low:+.3f}, {over_high:+.3f}])",
            over <= 0, **facts,
        ),
        row(
            "the same against torch eager of the same network", f">= {EAGER:g} times faster",
            f"{faster:.2f} times [{low:.2f}, {high:.2f}] ({median['eager']:.2f} ms)",
            faster >= EAGER, **facts,
        ),
    ]  # fmt: skip


def live_rows(path: Path, folder: Path, rounds: int, seconds: float, memory_s: float) -> list[Row]:
    """The reference load, plain and with recording turn by turn; then once longer, for its memory."""
    bundle = Bundle.load(path)
    live_load.reference_rig(folder)
    runs: dict[str, list[Row]] = {"plain": [], "recording": []}
    nice: list[int] = []
    for _ in range(rounds):
        for name, those in runs.items():
            measured = live_load.run_live(folder, path, seconds, record=name == "recording")
            nice = measured["nice"]
            those.append(live_load.figures(measured))
            print(f"  {name}: {json.dumps(those[-1])}", flush=True)
    sample = {
        name: {key: np.array([each[key] for each in those]) for key in those[0] if key != "stages_p50_ms"}
        for name, those in runs.items()
    }
    plain, recording = sample["plain"], sample["recording"]
    p50, p50_low, p50_high = interval(lambda of: float(np.median(of)), plain["beside_network_p50_ms"])
    p99, p99_low, p99_high = interval(lambda of: float(np.median(of)), plain["beside_network_p99_ms"])
    published = float(plain["complete_published"].min())
    grown, low, high = interval(ratio, recording["capture_to_3d_p99_ms"], plain["capture_to_3d_p99_ms"])
    facts = {
        **about(bundle), "threads": 1, "rounds": rounds, "seconds": seconds, "recorder_nice": max(nice),
        "points_placed": float(np.median(plain["points_placed"])),
        "load": "4 x 640 x 480 mono at 60 Hz, simulated cameras, real rings",
        "runs": runs,
    }  # fmt: skip
    rows = [
        row(
            "reference load: capture to published 3D, beside inference",
            f"p50 <= {BESIDE_P50_MS:g} ms, p99 <= {BESIDE_P99_MS:g} ms, >= 99 % of complete sets published",
            f"p50 {p50:.2f} ms [{p50_low:.2f}, {p50_high:.2f}], "
            f"p99 {p99:.2f} ms [{p99_low:.2f}, {p99_high:.2f}], {100 * published:.2f} % published in the "
            f"worst run; inference {np.median(plain['network_p50_ms']):.2f} ms",
            p50 <= BESIDE_P50_MS and p99 <= BESIDE_P99_MS and published >= PUBLISHED, **facts,
        ),
        row(
            "recording (x264) switched on beside it", f"p99 grows by <= {100 * (RECORDING - 1):.0f} %",
            f"p99 {np.median(plain['capture_to_3d_p99_ms']):.2f} -> "
            f"{np.median(recording['capture_to_3d_p99_ms']):.2f} ms: {100 * (grown - 1):+.0f} % "
            f"[{100 * (low - 1):+.0f}, {100 * (high - 1):+.0f}]",
            grown <= RECORDING, **facts,
        ),
    ]  # fmt: skip
    longer = live_load.run_live(folder, path, memory_s, record=True, watch_s=max(memory_s / 40, 0.5))
    watched = live_load.memory(longer, memory_s)
    return [
        *rows,
        row(
            "memory of live with four cameras, recording too", f"< {MEMORY_MB:g} MB PSS in all, flat",
            f"{watched['pss_mb_max']:.0f} MB at most in {watched['processes']} processes, "
            f"{100 * watched['growth']:+.1f} % from the first to the last third of {memory_s:g} s",
            watched["pss_mb_max"] < MEMORY_MB and watched["growth"] <= GROWTH,
            **about(bundle), memory=watched,
        ),
    ]  # fmt: skip


def peer_rows(peer: Path | None, folder: Path, rounds: int) -> list[Row]:
    """DeepLabCut-Live's PyTorch ResNet-50 at equal input size, and what an equal error would take."""
    bounds = {SMALL: PEER_SMALL, LARGE: PEER_LARGE}
    names = {
        network: f"against DeepLabCut-Live's PyTorch ResNet-50: our {network} int8" for network in bounds
    }
    if peer is None:
        why = "not measured: no environment with DeepLabCut-Live was given (--peer-python)"
        return [row(names[n], f">= {bound:g} times faster", why, None) for n, bound in bounds.items()]
    rows = []
    child = str(Path(calls.__file__).with_name("dlclive_child.py"))
    for width, height in PEER_SIZES:
        bundles = {network: random_bundle(network, (width, height), folder)[0] for network in bounds}
        times = side_by_side(
            [
                Call(network, "predict", str(path), frame_wh=(width, height), colour=True, calls=5)
                for network, path in bundles.items()
            ],
            rounds, {"dlclive": [str(peer), child, str(width), str(height), "1", "2"]},
        )  # fmt: skip
        for network, bound in bounds.items():
            faster, low, high = interval(ratio, times["dlclive"], times[network])
            rows.append(
                row(
                    f"{names[network]}, {width} x {height}",
                    f">= {bound:g} times faster",
                    f"{faster:.1f} times [{low:.1f}, {high:.1f}] ({np.median(times['dlclive']):.0f} against "
                    f"{np.median(times[network]):.2f} ms)",
                    faster >= bound,
                    **about(Bundle.load(bundles[network])),
                    threads=1,
                    rounds=rounds,
                    contenders={name: percentiles(each) for name, each in times.items()},
                )
            )
    return rows


def equal_error_row(peer: Path | None, path: Path, rounds: int) -> Row:
    """A trained bundle on frames of openfield's size, beside the network whose error there is published."""
    bundle = Bundle.load(path)
    error = about(bundle)["held_out_px"]
    work = (
        "openfield's frames (640 x 480) at equal held-out error: DeepLabCut-Live's PyTorch ResNet-50; "
        f"published test error of DeepLabCut's ResNet-50 {PUBLISHED_PX:g} px (six frames)"
    )
    bound = f"held-out error <= {PUBLISHED_PX:g} px"
    if peer is None or error is None:
        why = "no environment with DeepLabCut-Live" if peer is None else "the bundle has no held-out error"
        return row(work, bound, f"not measured: {why}", None, **about(bundle))
    (width, height), child = OPENFIELD_WH, str(Path(calls.__file__).with_name("dlclive_child.py"))
    times = side_by_side(
        [Call("rigpose", "predict", str(path), frame_wh=OPENFIELD_WH, colour=True, calls=5)],
        rounds, {"dlclive": [str(peer), child, str(width), str(height), "1", "2"]},
    )  # fmt: skip
    faster, low, high = interval(ratio, times["dlclive"], times["rigpose"])
    return row(
        work, bound,
        f"{faster:.1f} times faster [{low:.1f}, {high:.1f}] ({np.median(times['dlclive']):.0f} against "
        f"{np.median(times['rigpose']):.2f} ms)",
        float(str(error)) <= PUBLISHED_PX, **about(bundle), threads=1, rounds=rounds,
        contenders={name: percentiles(each) for name, each in times.items()},
    )  # fmt: skip


def table(rows: list[Row], on: dict[str, Any]) -> str:
    lines = [
        f"{on['cores']} cores of {on['processor']}, load of the last minute {on['load_1_minute']} before the "
        "run; one thread a contender.", "",
        "| work | network, input, held-out error, bundle | bound | measured | |", "|---|---|---|---|---|",
    ]  # fmt: skip
    verdicts = {True: "met", False: "**missed**", None: "not measured"}
    for each in rows:
        which = ""
        if "bundle" in each:
            error = each["held_out_px"]
            held_out = "random weights" if error is None else f"{error:.2f} px"
            width, height = each["input_wh"]
            which = f"{each['network']}, {width} x {height}, {held_out}, `{each['bundle_sha256'][:8]}`"
        lines.append(
            f"| {each['work']} | {which} | {each['bound']} | {each['measured']} | {verdicts[each['met']]} |"
        )
    return "\n".join(lines)


def write_page(text: str) -> None:
    """The table into its place in docs/benchmarks.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--run", type=Path, help="the run BUNDLE was exported from")
    parser.add_argument("--live-bundle", type=Path)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each live run")
    parser.add_argument("--memory-seconds", type=float, default=90.0)
    parser.add_argument(
        "--rows", nargs="+", choices=("calls", "live", "peers"), default=("calls", "live", "peers")
    )
    parser.add_argument("--work", type=Path, help="keep networks and pictures here for the next run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        calls.child(given.child)
        return 0
    if given.bundle and not given.run:
        parser.error("--run: torch needs the run that BUNDLE was exported from")
    if given.peer_python and "peers" in given.rows:  # said now, not after the other rows
        has = "import importlib.util as u, sys; sys.exit(u.find_spec('dlclive') is None)"
        if subprocess.run([given.peer_python, "-c", has], check=False).returncode:
            parser.error(
                f"--peer-python: {given.peer_python} has no dlclive; pip install deeplabcut-live there"
            )
    on = machine()
    rows: list[Row] = []

    def keep(more: list[Row]) -> None:
        rows.extend(more)
        if given.json:  # what was measured stays measured if a later contender fails
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps({"machine": on, "rows": rows}, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.work or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        small, run = random_bundle(SMALL, INPUT_WH, folder)
        if "calls" in given.rows:
            keep(single_calls(small, run, given.rounds))
            if given.bundle:
                keep(single_calls(given.bundle.resolve(), given.run.resolve(), given.rounds))
        if "live" in given.rows:
            bundle = (given.live_bundle or small).resolve()
            reference = folder / "reference"
            keep(live_rows(bundle, reference, given.rounds, given.seconds, given.memory_seconds))
        if "peers" in given.rows:
            keep(peer_rows(given.peer_python, folder, given.rounds))
            if given.bundle:
                keep([equal_error_row(given.peer_python, given.bundle.resolve(), given.rounds)])
    text = table(rows, on)
    print(text)
    if given.page:
        write_page(text)
    return 1 if any(each["met"] is False for each in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
