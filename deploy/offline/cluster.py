"""Jobs on a Dask cluster: one of its own on this machine, or the one at an address (extra `cluster`).

Workers read the videos and write the poses themselves: all paths must mean the same on every machine. A
worker that dies loses no video, because Dask gives its jobs to another.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from acquisition.errors import RigposeError
from deploy.bundles.predictor import Predictor
from deploy.offline.jobs import Job
from deploy.offline.work import Orders, Outcome, load, work

LOCAL = "local"
AHEAD = 2
"""Jobs handed out for each thread of the cluster: while one is done, the next is on its way."""

_own = threading.local()


def run_cluster(
    jobs: Iterable[Job], orders: Orders, finished: Callable[[Outcome], None], address: str, workers: int
) -> None:
    """Do `jobs` on a cluster; `finished` is called in this process, once a job.

    Parameters
    ----------
    address:
        Of the scheduler (tcp://host:8786), or `LOCAL` for a cluster of `workers` processes on this machine,
        which ends with the work.

    Raises
    ------
    RigposeError
        If Dask is not installed, no scheduler answers, there are no workers, or none can run what the batch
        runs on; a worker that cannot is named and gets no work.
    """
    with _client(address, workers) as client:
        able = _able(client, orders)
        more = iter(jobs)

        def submit(job: Job) -> Any:
            future = client.submit(
                do, job, orders, pure=False, key=f"{job.stem}-{orders.scorer}", workers=able
            )
            future.rigpose_job = job
            return future

        threads = sum(client.nthreads().values())
        running = _distributed().as_completed(loop=client.loop)
        for _ in range(max(1, threads) * AHEAD):
            if (job := next(more, None)) is not None:
                running.add(submit(job))
        for future in running:
            finished(_outcome(future, future.rigpose_job))
            if (job := next(more, None)) is not None:
                running.add(submit(job))


def do(job: Job, orders: Orders) -> Outcome:
    """One job, in a worker's thread, which keeps its predictor for the next."""
    key = (str(orders.bundle), *orders.execution.key, str(orders.execution.threads))
    if getattr(_own, "key", None) != key:
        _own.predictor, _own.key = load(orders), key
    predictor: Predictor = _own.predictor
    outcomes: list[Outcome] = []
    work([job], orders, outcomes.append, predictor)
    return outcomes[0]


def can_run(orders: Orders) -> str:
    """ "" where this machine runs what the batch runs on, else why not."""
    try:
        load(orders)
    except RigposeError as error:
        return str(error)
    return ""


def _able(client: Any, orders: Orders) -> list[str] | None:
    """The workers that can run it; None: all."""
    answers: dict[str, str] = client.run(can_run, orders)
    if not answers:
        raise RigposeError(
            "--cluster", expected="a cluster with workers", found="none",
            remedy="Start some: dask worker ADDRESS",
        )  # fmt: skip
    unable = {worker: why for worker, why in answers.items() if why}
    for worker, why in unable.items():
        print(f"{worker} gets no work: {why}", flush=True)
    if len(unable) == len(answers):
        raise RigposeError(
            "--cluster", expected="a worker that runs " + " ".join(orders.execution.key[1:3]),
            found=f"none: {next(iter(unable.values()))}", remedy="Install it on the workers",
        )  # fmt: skip
    return [worker for worker in answers if worker not in unable] if unable else None


def _outcome(future: Any, job: Job) -> Outcome:
    try:
        outcome: Outcome = future.result()
    except RigposeError as error:
        return Outcome.failed(job, error)
    except Exception as error:  # what Dask says of workers that died, and whatever came from there
        said = " ".join(str(error).split())[:300]
        return Outcome(job.stem, "failed", f"{job.name}: {type(error).__name__}: {said}")
    return outcome


@contextlib.contextmanager
def _client(address: str, workers: int) -> Iterator[Any]:
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
                host="127.0.0.1", silence_logs=50,
            )  # fmt: skip
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=20, set_as_default=False))
        except (OSError, ValueError) as error:
            raise RigposeError(
                f"--cluster {address}", expected="a Dask scheduler", found=str(error) or "none that answers",
                remedy="Check the address (tcp://HOST:8786), or give --cluster local",
            ) from None  # fmt: skip
        yield client


def _distributed() -> Any:
    """Dask's package, imported now; it has no types."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise RigposeError(
            "--cluster", expected="Dask", found="that it is not installed here",
            remedy="pip install 'rigpose[cluster]'",
        ) from None  # fmt: skip
