"""`rigpose bench`: every artifact of a bundle that runs here, stage by stage, side by side.

Each has a process of its own, warmed up before anything counts. They take turns, so that a machine that is
busy for a while slows all of them; only the one whose turn it is works.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.supervise import Process, Supervisor
from acquisition.videos.decoded import DecodedFrames
from deploy.bench.contender import Contender, contend
from deploy.bench.durations import summary
from deploy.bench.frames import write_video
from deploy.bench.machine import machine
from deploy.bench.stages import CODEC, END_TO_END, FILTER, STAGES
from deploy.bench.tegrastats import JetsonSample, Tegrastats, summarise
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.table import AUTO, PREFERENCE, artifact_for, choose
from deploy.stream.subscriber import PoseSubscriber

_READY_S = 900.0  # an engine that is built here takes minutes
_TURN_S = 600.0


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure, and how long.

    Attributes
    ----------
    runtime, precision:
        "auto": everything the bundle holds.
    cameras:
        Numbers of cameras, one after the other.
    threads:
        Of the inference.
    video:
        What every camera shows; None: the bundle's own held-out frames.
    turns, frame_sets:
        How many turns each contender has, and frame sets in a turn.
    warm_up:
        Frame sets before the first turn, which do not count.
    """

    runtime: str = AUTO
    precision: str = AUTO
    cameras: tuple[int, ...] = (1, 4)
    threads: int = 1
    video: Path | None = None
    turns: int = 10
    frame_sets: int = 30
    warm_up: int = 20


def bench(bundle: Bundle, options: BenchOptions) -> dict[str, Any]:
    """Measure.

    Returns
    -------
    dict
        `machine`; `bundle`, `bundle_sha256`, `input_wh`; `options` as they were, `source` of the pictures,
        `filter`, `codec`; `rows`: for each contender and number of cameras its `Execution`, what
        `Predictor.describe` says, `held_out_px`, `stages` and `end_to_end` as `durations.summary` gives them,
        `cpu_percent` (100: one core), `pss_mb`, `jetson` (None elsewhere); `refused`: runtime, precision and
        why it does not run.

    Raises
    ------
    RigposeError
        A video that is none, or nothing that runs here.
    """
    asked = [
        (runtime, precision) for runtime, precision in PREFERENCE
        if options.runtime in (AUTO, runtime) and options.precision in (AUTO, precision)
    ]  # fmt: skip
    if options.video is not None:
        DecodedFrames(options.video)  # refuses what is no video
    running, refused = _runnable(bundle, asked)
    if not running:
        choose(bundle, options.runtime, options.precision)  # says it better
        raise _none_runs(bundle, refused)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="rigpose-bench-") as folder:
        video = options.video
        source = str(video)
        if video is None:
            video = Path(folder) / "check.mkv"
            source = write_video(bundle, video)
        for cameras in options.cameras:
            plans = [
                Contender(
                    str(bundle.path.resolve()), runtime, precision, options.threads, cameras,
                    str(video.resolve()), options.frame_sets, options.warm_up,
                )
                for runtime, precision in running
            ]  # fmt: skip
            found, failed = _side_by_side(plans, options.turns)
            rows += [_row(bundle, plan, found[plan.name]) for plan in plans if plan.name in found]
            refused += failed
    if not rows:
        raise _none_runs(bundle, refused)
    return {
        "machine": machine(), "bundle": bundle.name, "bundle_sha256": bundle.sha256,
        "network": bundle.manifest.provenance.network, "input_wh": list(bundle.input_wh),
        "options": {
            "threads": options.threads, "turns": options.turns, "frame_sets": options.frame_sets,
            "warm_up": options.warm_up, "cameras": list(options.cameras),
        },
        "source": source, "filter": FILTER.model_dump(mode="json", include={"smooth", "predict"}),
        "codec": CODEC, "rows": rows, "refused": refused,
    }  # fmt: skip


def _runnable(
    bundle: Bundle, asked: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Which of those could run here, and why the others cannot."""
    running, refused = [], []
    for runtime, precision in asked:
        try:
            choose(bundle, runtime, precision)
        except RigposeError as error:
            refused.append({"runtime": runtime, "precision": precision, "why": error.found})
        else:
            running.append((runtime, precision))
    return running, refused


def _none_runs(bundle: Bundle, refused: Sequence[dict[str, Any]]) -> RigposeError:
    return RigposeError(
        bundle.path, expected="an artifact that runs here",
        found="; ".join(f"{each['runtime']} {each['precision']}: {each['why']}" for each in refused),
        remedy="Install a runtime: pip install 'rigpose[litert]'",
    )  # fmt: skip


def _side_by_side(
    plans: Sequence[Contender], turns: int
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """What every contender measured, by name; and those that failed, with the reason."""
    cameras = plans[0].cameras
    found: dict[str, dict[str, Any]] = {}
    processes = [Process(plan.name, contend, (plan,), essential=False) for plan in plans]
    with (
        Supervisor(processes) as supervisor,
        Progress(f"bench, {cameras} cameras" if cameras > 1 else "bench, 1 camera",
                 total=turns * len(plans)) as bar,
        Tegrastats() as jetson,
    ):  # fmt: skip
        said = supervisor.counters

        def settled(name: str) -> bool:
            return name in supervisor.dead or said.get(name, {}).get("state") == "ready"

        for plan in plans:
            supervisor.tell(plan.name, load=True)
            _wait(supervisor, partial(settled, plan.name), _READY_S, plan.name)
        ready = [plan for plan in plans if plan.name not in supervisor.dead]
        with _listening([said[plan.name]["endpoint"] for plan in ready]):
            for turn, plan in itertools.product(range(turns), ready):
                jetson.take()
                _take_turn(supervisor, plan.name, turn)
                if plan.name not in supervisor.dead:
                    _add(found.setdefault(plan.name, {}), said[plan.name], jetson.take())
                bar.advance(1, plan.name)
        failed = [
            {"runtime": plan.runtime, "precision": plan.precision, "cameras": cameras,
             "why": supervisor.dead[plan.name]}
            for plan in plans if plan.name in supervisor.dead
        ]  # fmt: skip
        whole = {plan.name: found[plan.name] for plan in ready if plan.name not in supervisor.dead}
    return whole, failed


def _take_turn(supervisor: Supervisor, name: str, turn: int) -> None:
    """Let one contender work, until it has told of this turn or died."""

    def over() -> bool:
        return name in supervisor.dead or supervisor.counters[name].get("turn") == turn

    if not over():
        supervisor.tell(name, turn=turn)
        _wait(supervisor, over, _TURN_S, name)


def _wait(supervisor: Supervisor, condition: Callable[[], bool], timeout_s: float, name: str) -> None:
    if not supervisor.wait_until(condition, timeout_s, f"the bench of {name}"):
        raise KeyboardInterrupt


def _add(facts: dict[str, Any], said: dict[str, Any], jetson: list[JetsonSample]) -> None:
    """What a turn came to."""
    if not facts:
        facts |= {"spent": {stage: [] for stage in said["spent"]}, "cpu_ns": 0, "wall_ns": 0, "pss_mb": 0.0}
        facts |= {"jetson": [], **{key: said[key] for key in ("runs", "loaded_s", "image_wh", "channels")}}
    for stage, spent_ns in said["spent"].items():
        facts["spent"][stage] += spent_ns
    facts["cpu_ns"] += said["cpu_ns"]
    facts["wall_ns"] += said["wall_ns"]
    facts["pss_mb"] = max(facts["pss_mb"], said["pss_mb"])
    facts["jetson"] += jetson


def _row(bundle: Bundle, plan: Contender, facts: dict[str, Any]) -> dict[str, Any]:
    artifact = artifact_for(bundle, plan.runtime, plan.precision)
    error = None if artifact is None else artifact.held_out
    spent = {stage: np.asarray(values, np.int64) for stage, values in facts["spent"].items()}
    return {
        **facts["runs"], "input_wh": list(bundle.input_wh), "cameras": plan.cameras,
        "held_out_px": None if error is None else round(error.mean_px, 3),
        "image_wh": list(facts["image_wh"]), "channels": facts["channels"], "loaded_s": facts["loaded_s"],
        "stages": {stage: summary(spent[stage], plan.cameras) for stage in STAGES if stage in spent},
        END_TO_END: summary(spent[END_TO_END], plan.cameras),
        "cpu_percent": round(100 * facts["cpu_ns"] / facts["wall_ns"], 1),
        "pss_mb": round(facts["pss_mb"], 1),
        "jetson": summarise(facts["jetson"]) if facts["jetson"] else None,
    }  # fmt: skip


@contextmanager
def _listening(endpoints: Sequence[str]) -> Iterator[None]:
    """A subscriber to every stream, so that publishing is not to nobody."""
    end = threading.Event()

    def listen() -> None:
        subscribers = [PoseSubscriber(endpoint) for endpoint in endpoints]
        try:
            while not end.is_set():
                for subscriber in subscribers:
                    while subscriber.receive(timeout_ms=0) is not None:
                        pass
                end.wait(0.05)
        finally:
            for subscriber in subscribers:
                subscriber.close()

    thread = threading.Thread(target=listen, name="listener", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
