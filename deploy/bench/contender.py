"""One artifact on one runtime in a process of its own: it works when it is its turn."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from acquisition.child import ChildLink
from deploy.bench.stages import END_TO_END, FrameSetStages
from deploy.bench.usage import look
from deploy.bundles.execution import Execution
from deploy.bundles.predictor import Predictor

_NAP_S = 0.02  # between looks at whose turn it is; the others' figures must not feel them


@dataclass(frozen=True, slots=True)
class Contender:
    """What a process of the bench is to run: plain values, carried to another process.

    Attributes
    ----------
    bundle, runtime, precision, threads:
        As `Predictor` takes them; never `auto`.
    cameras:
        Images a frame set.
    video:
        What the cameras show.
    frame_sets:
        Each turn.
    warm_up:
        Frame sets before the first turn, which do not count.
    """

    bundle: str
    runtime: str
    precision: str
    threads: int
    cameras: int
    video: str
    frame_sets: int
    warm_up: int

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.runtime} {self.precision}"


def contend(link: ChildLink, contender: Contender) -> None:
    """The process: told `load`, report `state="ready"` and what runs; for every `turn` what it spent, ns."""
    cv2.setNumThreads(1)  # as the tracker does
    while not link.told.get("load"):  # one after another: an engine's kernels are chosen by their time
        if link.stopping:
            return
        link.wait(_NAP_S)
    begun_ns = time.monotonic_ns()
    predictor = Predictor(
        contender.bundle, runtime=contender.runtime, precision=contender.precision,
        cameras=contender.cameras, threads=contender.threads,
    )  # fmt: skip
    loaded_s = (time.monotonic_ns() - begun_ns) * 1e-9
    with (
        tempfile.TemporaryDirectory(prefix="rigpose-bench-") as folder,
        FrameSetStages(predictor, Path(contender.video), Path(folder)) as stages,
    ):
        for _ in range(contender.warm_up):
            stages.service()
            stages.run()
        link.report(
            now=True, state="ready", endpoint=stages.endpoint,
            runs={**predictor.describe(), **Execution.of(predictor).as_json()},
            loaded_s=round(loaded_s, 2), image_wh=stages.size_px, channels=stages.channels,
        )  # fmt: skip
        done = -1
        while not link.stopping:
            stages.service()
            turn = link.told.get("turn", -1)
            if turn > done:
                done = turn
                link.report(now=True, turn=done, **_turn(stages, contender.frame_sets))
            else:
                link.wait(_NAP_S)


def _turn(stages: FrameSetStages, frame_sets: int) -> dict[str, Any]:
    spent: dict[str, list[int]] = {name: [] for name in (*stages.stages, END_TO_END)}
    cpu_ns, wall_ns = time.process_time_ns(), time.monotonic_ns()
    for _ in range(frame_sets):
        stages.service()
        for name, took_ns in stages.run().items():
            spent[name].append(took_ns)
    cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.monotonic_ns() - wall_ns
    return {"spent": spent, "cpu_ns": cpu_ns, "wall_ns": wall_ns, "pss_mb": look(os.getpid()).pss_mb}
