"""Offline: poses of videos, image folders and recordings, written into files that others read.

Each input gives `<video><S>.h5`, `.csv` and `.poses.npz` (`deploy.poses_io` tells what they hold) and a
`.meta.json` that says what made them. A recording gives one of each per camera, with one row per frame set,
NaN where the camera had no frame, so that all its cameras have equal rows; or one row per frame. Decoding,
inference and writing overlap; several videos are done at once by processes, by shards that share a folder,
or by a cluster.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.videos.video import open_video
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.table import AUTO
from deploy.offline.batch import Batch, batch_folder, settle
from deploy.offline.claims import Claims
from deploy.offline.cluster import run_cluster
from deploy.offline.frame_poses import Rows
from deploy.offline.jobs import Job, left_out, plan
from deploy.offline.owners import refuse_other_owners
from deploy.offline.work import Orders, Outcome, work
from deploy.offline.workers import run_workers
from deploy.poses_io.deeplabcut import scorer_of

FORMATS = ("h5", "csv")
_LOOK_AGAIN_S = 1.0
_MOST_THREADS = 4  # more gain a small network little


@dataclass(frozen=True, slots=True)
class Spread:
    """How the jobs of a batch are spread.

    Attributes
    ----------
    jobs:
        Videos at once on this machine: each has its share of the cores.
    shard:
        (K, N): this process begins with every N-th job from the K-th, counted from 1, then helps the others.
        None: all.
    cluster:
        A Dask scheduler's address, or `local` for a cluster of `jobs` workers here; None: no cluster.
    """

    jobs: int = 1
    shard: tuple[int, int] | None = None
    cluster: str | None = None

    def check(self) -> None:
        """Refuse, with `RigposeError`, what makes no sense."""
        if self.jobs < 1:
            raise RigposeError(
                "--jobs", expected="1 or more", found=str(self.jobs), remedy="Give another number"
            )
        if self.shard is not None and self.cluster is not None:
            raise RigposeError(
                "--cluster", expected="a cluster or shards", found="both", remedy="Give one of them"
            )
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise RigposeError(
                "--shard", expected="K/N with K from 1 to N, for instance 3/8",
                found="/".join(map(str, self.shard)), remedy="Count from 1 (Slurm: --array=1-8)",
            )  # fmt: skip

    @property
    def threads(self) -> int:
        """Threads of the inference where nobody says how many: half a job's cores; the others decode."""
        cores = len(os.sched_getaffinity(0))
        return max(1, min(_MOST_THREADS, cores // self.jobs // 2))


def analyze(
    bundle: Bundle | Path | str,
    inputs: Sequence[Path | str],
    output: Path | str,
    *,
    runtime: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    rows: Rows = "sets",
    spread: Spread | None = None,
    decoder_core: int | None = None,
) -> dict[str, Any]:
    """Find the keypoints in every frame of `inputs` and write them into the folder `output`.

    What an earlier run has finished stays, unless its input, the bundle, or what it ran on has changed.

    Parameters
    ----------
    bundle:
        A loaded bundle or its path.
    inputs:
        Video files, folders of images, session folders, folders of videos or sessions.
    threads:
        Of the inference, for each video; None: as `Spread.threads`.
    rows:
        Of recordings: one row a frame set, or one a frame.
    spread:
        Over processes, shards or a cluster; None: one video after the other.
    decoder_core:
        The only core that decodes and resamples; None: any.

    Returns
    -------
    dict
        `runs` (what ran and why), `scorer`, `rows`, `status` (the status file); `videos` that are done: for
        each its files, frames, rows, frames a second, `gap` (None or what its source lacks), `warning` (None
        or why not to trust it) and `kept`, whether an earlier run or another process did it; `failed`: what
        could not be done, and why; `elsewhere`: what another process is working on; `left_out`: a sentence
        for each folder in which pictures lie beside videos.

    Raises
    ------
    RigposeError
        Before any work: if an input is missing, two inputs would write one output, one would replace the
        poses of another source of its name, or the bundle or a runtime is not there. Later: if the only input
        fails, or the disk is full.
    """
    spread = spread or Spread()
    spread.check()
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    paths, output, bundle_path = [Path(path) for path in inputs], Path(output), loaded.path
    if spread.cluster is not None:  # its workers have other working directories
        paths = [path.absolute() for path in paths]
        output, bundle_path = output.absolute(), bundle_path.absolute()
    jobs = plan(paths)
    if len(jobs) == 1 and jobs[0].camera is None:
        jobs[0].require_sound()
        open_video(jobs[0].source)  # a mistake in the only name leaves nothing behind
    refuse_other_owners(jobs, output, scorer_of(loaded))
    beside = left_out(paths, jobs)
    mine = jobs if spread.shard is None else jobs[spread.shard[0] - 1 :: spread.shard[1]]
    threads = spread.threads if threads is None else threads
    execution = settle(output, loaded, runtime, precision, threads, shared=spread.shard is not None)
    orders = Orders(bundle_path, output, execution, scorer_of(loaded), rows, decoder_core)
    claims = Claims(batch_folder(output, loaded))
    batch = Batch(orders, loaded, jobs, mine, claims)
    try:
        batch.tell(now=True)
        _run(batch, orders, spread, len(jobs))
    finally:
        claims.close()
        batch.tell(now=True)
    if batch.refused is not None and (batch.full or len(jobs) == 1):
        raise batch.refused
    return {**_result(batch, jobs), "left_out": beside}


def _run(batch: Batch, orders: Orders, spread: Spread, count: int) -> None:
    """Until nothing is left that nobody is working on."""
    with contextlib.ExitStack() as stack:
        several = spread.cluster is not None or (spread.jobs > 1 and count > 1)
        bar = stack.enter_context(Progress("videos", total=count)) if several else None

        def finished(outcome: Outcome) -> None:
            batch.finished(outcome)
            if bar is not None:
                bar.advance()

        while True:
            rest = batch.to_do()
            if (first := next(rest, None)) is not None:
                jobs = itertools.chain([first], rest)
                if spread.cluster is not None:
                    run_cluster(jobs, orders, finished, spread.cluster, spread.jobs)
                elif several:
                    run_workers(jobs, orders, finished, min(spread.jobs, count))
                else:
                    work(jobs, orders, finished)
            if not batch.unsure():
                return
            time.sleep(_LOOK_AGAIN_S)


def _result(batch: Batch, jobs: Sequence[Job]) -> dict[str, Any]:
    videos, failed, elsewhere = [], [], []
    for job in jobs:
        outcome = batch.look(job.stem)
        if outcome.state in ("done", "partial"):
            videos.append({**outcome.figures, "kept": job.stem in batch.kept})
        elif outcome.state == "failed":
            failed.append({"video": str(job.source), "camera": job.camera or "", "why": outcome.why})
        else:
            elsewhere.append(job.name)
    execution = batch.orders.execution
    return {
        "runs": execution.as_json(), "scorer": batch.orders.scorer, "rows": batch.orders.rows,
        "status": str(batch.status), "videos": videos, "failed": failed, "elsewhere": elsewhere,
    }  # fmt: skip
