"""Half an hour with everything on: does anything grow, get lost, or get slower? docs/chaos.md.

    python -m benchmarks.soak [--minutes 30] [--size 320x240] [--rate 30] [--model X.bundle]
                              [--json FILE] [--no-docs]

`rigpose live` of four simulated cameras: recording, tracking, 3D, the page with a reader of its pictures
(30 times a second), two subscribers in processes of their own. Memory is the sum of the PSS, handles are the
open files of all its processes, looked at once a second. Judged is the median of the last fifth less that of
the second fifth (the first is for warming up), of the memory that is no file's: what a library's page counts
for depends on which other programs have it, too. Latency is from the middle of the exposure to a subscriber
that has the 3D pose. A run below 30 minutes leaves the docs as they are. Exit code 1 if something grew,
was lost, died or got slower.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from acquisition.running import runs
from acquisition.simulation.scene import write_scene
from benchmarks.deployment_rows.live_load import true_calibration
from deploy.bench.usage import tree
from deploy.latency import LatencyHistogram
from deploy.stream.subscriber import PoseSubscriber

CHECKOUT = Path(__file__).resolve().parents[1]
BUNDLE = CHECKOUT / "tests" / "deploy" / "golden" / "six_artifacts.bundle"
PAGE = CHECKOUT / "docs" / "chaos.md"
BEGIN, END = "<!-- soak: begin, written by benchmarks/soak.py -->", "<!-- soak: end -->"
CAMERAS, SUBSCRIBERS, WHOLE_MINUTES = 4, 2, 30.0
GROWTH_MB = 5.0
SLOWER = 1.5  # the last third's p95 to the first third's, of whole minutes after the first
_JUDGED_MINUTES = 6
_MINUTE_NS = 60_000_000_000
_ACCOUNTS = {
    "sets_in": "in", "complete_in": "complete", "published": "published", "skipped": "skipped",
    "empty": "empty",
}  # fmt: skip

Sample = dict[str, Any]
"""A look: `t_ns`, and by process `pss_mb`, `own_mb` (of that, what is no file's) and `handles`."""

Row = dict[str, float]
"""A minute of one subscriber: `minute`, `count`, `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`."""


def listen(endpoint: str, parent: Connection) -> None:
    """A subscriber's process: on the parent's word, its minutes, what it received and what it lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    minutes: dict[int, LatencyHistogram] = {}
    first_ns = 0
    with PoseSubscriber(endpoint, ("pose2d", "pose3d", "health", "event")) as stream:
        while not parent.poll(0):
            message = stream.receive(timeout_ms=100)
            if message is None or message.topic != "pose3d":
                continue
            first_ns = first_ns or message.t_received_ns
            minute = (message.t_received_ns - first_ns) // _MINUTE_NS
            late_ns = message.t_received_ns - message.header.t_exposure_ns
            minutes.setdefault(minute, LatencyHistogram()).add(late_ns)
        rows = [{"minute": minute, **histogram.summary()} for minute, histogram in minutes.items()]
        parent.send((rows, dict(stream.received), dict(stream.lost)))


def look(process: int) -> Sample:
    """At all processes of the run, by their names in it; others are "helpers"."""
    run = next((run for run in runs() if run.pid == process), None)
    named = {} if run is None else {p["pid"]: name for name, p in run.facts.get("processes", {}).items()}
    sample: Sample = {"t_ns": time.monotonic_ns(), "pss_mb": {}, "own_mb": {}, "handles": {}}
    for pid in tree(process):
        name = named.get(pid, "parent" if pid == process else "helpers")
        with contextlib.suppress(OSError):  # it has just ended
            seen = {**memory_mb(pid), "handles": len(list(Path(f"/proc/{pid}/fd").iterdir()))}
            for what, value in seen.items():
                sample[what][name] = sample[what].get(name, 0) + value
    return sample


def memory_mb(pid: int) -> dict[str, float]:
    """Of one process, MB (10^6 bytes); see proc_pid_smaps(5). Raises OSError when it has ended."""
    kb = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kb[name] = int(value.split()[0])
    if "Pss" not in kb:
        raise ProcessLookupError(pid)
    return {"pss_mb": kb["Pss"] * 1.024e-3, "own_mb": (kb["Pss_Anon"] + kb["Pss_Shmem"]) * 1.024e-3}


def fifths(values: list[float]) -> tuple[float, float]:
    """Median of the second fifth, and of the last."""
    fifth = max(1, len(values) // 5)
    return statistics.median(values[fifth : 2 * fifth] or values), statistics.median(values[-fifth:])


def faults(measured: dict[str, Any]) -> list[str]:
    """What is not as it should be after a run that `soak` measured, a sentence each; empty: nothing."""
    report, found = measured["report"], []
    if measured["exit_code"] or report["died"] or report["restarts"]:
        found.append(
            f"ended with exit code {measured['exit_code']}, {report['died'] or 'no'} deaths,"
            f" {report['restarts'] or 'no'} restarts"
        )
    if not report["balanced"]:
        found.append("frame sets that are in no account")
    for name, camera in report["cameras"].items():
        taken, written = camera["frames"] - camera["ring_full"], report["recording"]["frames"][name]
        if taken != written:
            found.append(f"{name}: {taken} frames taken, {written} recorded")
    for number, one in enumerate(measured["subscribers"]):
        lost = {topic: count for topic, count in one["lost"].items() if count}
        if lost or not one["rows"]:
            found.append(f"subscriber {number} lost {lost or 'everything'}")
        whole = [row["p95_ms"] for row in one["rows"][1:-1]]
        if len(whole) >= _JUDGED_MINUTES:
            third = len(whole) // 3
            first, last = statistics.median(whole[:third]), statistics.median(whole[-third:])
            if last > SLOWER * first:
                found.append(f"subscriber {number}: p95 from {first:.1f} to {last:.1f} ms")
    for what, unit, allowed in (("own_mb", "MB of memory", GROWTH_MB), ("handles", "handles", 1.0)):
        before, after = fifths([float(sum(sample[what].values())) for sample in measured["samples"]])
        if after - before >= allowed:
            found.append(f"{after - before:.1f} {unit} more, of {before:.1f}")
    if not measured["page_bytes"]:
        found.append("the page gave nothing")
    return found


def soak(folder: Path, minutes: float, size: tuple[int, int], rate_hz: float, bundle: Path) -> dict[str, Any]:
    """Everything on for so long; what was seen, and what `rigpose live` says of itself."""
    os.environ["RIGPOSE_RUN_DIR"] = str(folder / "runs")
    rig = write_scene(
        folder, kind="animal", seed=5, rate_hz=rate_hz, frame_sets=120, cameras=CAMERAS, size=size,
        rig={"recording": {"codec": "x264", "keep_free_gb": 0.5}},
    )  # fmt: skip
    calibration, report = folder / "calibration.toml", folder / "report.json"
    true_calibration(folder, CAMERAS, calibration)
    endpoint = f"ipc://{folder / 'stream'}"
    words = ["live", rig, "--model", bundle, "--calibration", calibration, "--record", folder / "session",
             "--page", "--page-port", 0, "--endpoint", endpoint, "--seconds", minutes * 60,
             "--json", report]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "rigpose", *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    try:
        return _watched(process, endpoint, report)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def _watched(process: subprocess.Popen[str], endpoint: str, report: Path) -> dict[str, Any]:
    assert process.stdout is not None
    address = next((line for line in process.stdout if line.startswith("page:")), "")
    over = threading.Event()
    read = [0]
    samples = []
    with _subscribers(endpoint) as links:
        reader = threading.Thread(target=_read_page, args=(address, over, read), daemon=True)
        reader.start()
        while process.poll() is None:
            samples.append(look(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        over.set()
        process.stdout.read()
        subscribers = []
        for link in links:
            link.send("over")
            rows, received, lost = link.recv()
            subscribers.append({"rows": rows, "received": received, "lost": lost})
    measured = json.loads(report.read_text())
    # The parent's own time: processes that end one after the other are no loss of memory.
    samples = [one for one in samples if len(one["pss_mb"]) == max(len(each["pss_mb"]) for each in samples)]
    return {
        "exit_code": process.returncode, "report": measured, "samples": samples, "subscribers": subscribers,
        "page_bytes": read[0],
    }  # fmt: skip


@contextlib.contextmanager
def _subscribers(endpoint: str) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    links, processes = [], []
    for _ in range(SUBSCRIBERS):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=listen, args=(endpoint, theirs)))
        processes[-1].start()
        links.append(ours)
    try:
        yield links
    finally:
        for each in processes:
            each.join(10)
            if each.is_alive():
                each.kill()


def _read_page(address: str, over: threading.Event, read: list[int]) -> None:
    """Read pictures as a browser does, until it is over."""
    base, _, token = re.sub(r"^page: ", "", address.strip()).partition("/?token=")
    request = urllib.request.Request(f"{base}/frames?hz=30", headers={"X-Rigpose-Token": token})
    while not over.wait(0.2):
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(request, timeout=10) as answer,
        ):
            while not over.is_set() and (chunk := answer.read(1 << 16)):
                read[0] += len(chunk)


def table(measured: dict[str, Any], about: str) -> str:
    """What stands in the docs: a row a minute, the worse subscriber's figures; then what was found."""
    samples, report = measured["samples"], measured["report"]
    first_ns = samples[0]["t_ns"]
    lines = [
        about, "",
        "| minute | memory, MB | no file's | handles | poses | exposure to pose p50, ms | p95 | p99 | max |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    by_minute: dict[int, list[Row]] = {}
    for one in measured["subscribers"]:
        for row in one["rows"]:
            by_minute.setdefault(int(row["minute"]), []).append(row)
    for minute, rows in sorted(by_minute.items()):
        inside = [one for one in samples if (one["t_ns"] - first_ns) // _MINUTE_NS == minute]
        if not inside:
            continue
        memory, own = (
            statistics.median(sum(one[what].values()) for one in inside) for what in ("pss_mb", "own_mb")
        )
        handles = max(sum(one["handles"].values()) for one in inside)
        worst = [max(row[name] for row in rows) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        poses = min(row["count"] for row in rows)
        cells = (
            minute + 1,
            f"{memory:.1f}",
            f"{own:.1f}",
            handles,
            int(poses),
            *(f"{value:.1f}" for value in worst),
        )
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    taken = sum(one["frames"] for one in report["cameras"].values())
    recorded = sum(report["recording"]["frames"].values())
    sets = ", ".join(f"{report[key]} {_ACCOUNTS[key]}" for key in _ACCOUNTS)
    lines += [
        "",
        f"Frame sets: {sets}. Frames: {taken} taken, {recorded} recorded. Read from the page:"
        f" {measured['page_bytes'] / 1e6:.0f} MB.",
    ]
    found = faults(measured)
    return "\n".join([*lines, "", "Found: " + ("; ".join(found) if found else "nothing") + "."])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=WHOLE_MINUTES)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--model", type=Path, default=BUNDLE, help="a bundle; by default the tests' own")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-docs", action="store_true", help="leave docs/chaos.md as it is")
    given = parser.parse_args()
    width, height = (int(side) for side in given.size.split("x"))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        measured = soak(Path(folder), given.minutes, (width, height), given.rate, given.model.resolve())
    about = (
        f"{given.minutes:g} minutes, {CAMERAS} cameras of {given.size} at {given.rate:g} Hz, on"
        f" {os.cpu_count()} cores, load of the last minute {load:.2f} before the run."
    )
    text = table(measured, about)
    print(text)
    if given.json:
        given.json.write_text(json.dumps(measured) + "\n")
    if given.minutes >= WHOLE_MINUTES and not given.no_docs:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return 1 if faults(measured) else 0


if __name__ == "__main__":
    raise SystemExit(main())
