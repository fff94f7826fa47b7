"""Jobs on a Dask cluster: one of its own on this machine, or the one at an address (extra `cluster`).

Workers read the videos and write the poses themselves: all paths must mean the same on every machine. A
worker that dies loses no video, because Dask gives its jobs to another. Whoever reaches a scheduler can have
its workers run anything: the one that we start has keys of its own, made anew and kept in memory.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from acquisition.errors import RigposeError
from deploy.bundles.predictor import Predictor
from deploy.offline.jobs import Job
from deploy.offline.work import Orders, Outcome, load, work

LOCAL = "local"
AHEAD = 2
"""Jobs handed out for each thread of the cluster: while one is done, the next is on its way."""

NONE_LEFT_S = 60.0
"""So long all workers may be gone: one that was killed for its memory is started anew by its nanny."""
_LOOK_S = 2.0
_NAP_S = 0.02

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
        runs on (a worker that cannot is named and gets no work), or none that can is left.
    """
    with _client(address, workers) as client:
        crew = _Crew(client, orders)
        more = iter(jobs)
        pending: dict[Any, Job] = {}
        # With results: one whose worker dies before it is fetched is not told as completed.
        running = _distributed().as_completed(loop=client.loop, with_results=True, raise_errors=False)

        def submit(job: Job) -> None:
            key = f"{job.stem}-{orders.scorer}-{crew.changes}"
            future = client.submit(do, job, orders, pure=False, key=key, workers=crew.able)
            pending[future] = job
            running.add(future)

        threads = sum(client.nthreads().values())
        for _ in range(max(1, threads) * AHEAD):
            if (job := next(more, None)) is not None:
                submit(job)
        while pending:
            for future, result in running.next_batch(block=False):
                if (done := pending.pop(future, None)) is None:
                    continue  # begun again since
                finished(_outcome(result, done))
                if (job := next(more, None)) is not None:
                    submit(job)
            if not running.has_ready():
                time.sleep(_NAP_S)
            if crew.changed():
                again, given_up = list(pending.values()), list(pending)
                pending.clear()
                client.cancel(given_up)
                for job in again:
                    submit(job)


class _Crew:
    """The workers of a cluster that can run a batch.

    Attributes
    ----------
    able:
        Their addresses, where some others cannot; None: all.
    changes:
        How often jobs had to be handed out anew.

    Raises
    ------
    RigposeError
        If there is none.
    """

    def __init__(self, client: Any, orders: Orders) -> None:
        self._client, self._orders = client, orders
        answers: dict[str, str] = client.run(can_run, orders)
        if not answers:
            raise _no_workers("none")
        unable = _told_of(answers)
        if len(unable) == len(answers):
            raise RigposeError(
                "--cluster", expected="a worker that runs " + " ".join(orders.execution.key[1:3]),
                found=f"none: {next(iter(unable.values()))}", remedy="Install it on the workers",
            )  # fmt: skip
        self.able = sorted(set(answers).difference(unable)) if unable else None
        self.changes = 0
        self._asked = set(answers)
        self._looked_s = self._seen_s = time.monotonic()

    def changed(self) -> bool:
        """Whether others took the place of those that were able; looks every few seconds.

        Dask itself would wait for the workers that a job was given for, or for any, without end. Raises
        `RigposeError` where none has been left for `NONE_LEFT_S`.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return False
        self._looked_s = now_s
        alive = set(self._client.nthreads())
        if alive if self.able is None else alive.intersection(self.able):
            self._seen_s = now_s
            return False
        if new := sorted(alive - self._asked):
            answers = self._client.run(can_run, self._orders, workers=new, on_error="ignore")
            self._asked.update(answers)
            if able := sorted(set(answers).difference(_told_of(answers))):
                self.able, self.changes, self._seen_s = able, self.changes + 1, now_s
                return True
        if now_s - self._seen_s > NONE_LEFT_S:
            raise _no_workers("that all that can run this batch are gone")
        return False


def _told_of(answers: dict[str, str]) -> dict[str, str]:
    """The workers that cannot run it and why, which is printed."""
    unable = {worker: why for worker, why in answers.items() if why}
    for worker, why in unable.items():
        print(f"{worker} gets no work: {why}", flush=True)
    return unable


def _no_workers(found: str) -> RigposeError:
    return RigposeError(
        "--cluster", expected="a cluster with workers", found=found,
        remedy="Start some (dask worker ADDRESS), then the same command again",
    )  # fmt: skip


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


def _outcome(result: Any, job: Job) -> Outcome:
    """What `as_completed` gives: the outcome, an error, or its type, the error and where it was raised."""
    if isinstance(result, Outcome):
        return result
    error = result[1] if isinstance(result, tuple) else result
    if isinstance(error, RigposeError):
        return Outcome.failed(job, error)
    # what Dask says of workers that died, and whatever came from there
    said = " ".join(str(error).split())[:300]
    return Outcome(job.stem, "failed", f"{job.name}: {type(error).__name__}: {said}")


@contextlib.contextmanager
def _client(address: str, workers: int) -> Iterator[Any]:
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        security = None
        if address == LOCAL:
            security = _own_keys(distributed)
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
                host="127.0.0.1", silence_logs=50, security=security,
            )  # fmt: skip
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(
                distributed.Client(address, timeout=20, set_as_default=False, security=security)
            )
        except (OSError, ValueError) as error:
            raise RigposeError(
                f"--cluster {address}", expected="a Dask scheduler", found=str(error) or "none that answers",
                remedy="Check the address (tcp://HOST:8786), or give --cluster local",
            ) from None  # fmt: skip
        yield client


def _own_keys(distributed: Any) -> Any:
    """Keys that no other user of this machine has; None, and a line that says so, without `cryptography`."""
    if importlib.util.find_spec("cryptography") is None:
        print(
            "--cluster local: other users of this machine can reach its scheduler while it runs "
            "(pip install cryptography)", flush=True,
        )  # fmt: skip
        return None
    return distributed.Security.temporary()


def _distributed() -> Any:
    """Dask's package, imported now; it has no types."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise RigposeError(
            "--cluster", expected="Dask", found="that it is not installed here",
            remedy="pip install 'rigpose[cluster]'",
        ) from None  # fmt: skip
