"""Several jobs at once on one machine: worker processes, each with its share of the cores.

A worker that dies loses no video: what it had begun is begun again by another, once; a video that takes two
workers down is given up, and named.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from acquisition.errors import RigposeError
from acquisition.progress import quieted
from deploy.offline.jobs import Job
from deploy.offline.work import Orders, Outcome, work

DEATHS = 2
"""So many workers may die of one job before it is given up."""

WANTS, DONE, CANNOT = "wants a job", "done", "cannot run"


def cores_of(workers: int) -> list[set[int]]:
    """The cores this process may use, shared out, neighbours together; all for all where they are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if workers > len(cores):
        return [set(cores)] * workers
    bounds = [number * len(cores) // workers for number in range(workers + 1)]
    return [set(cores[low:high]) for low, high in itertools.pairwise(bounds)]


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    link: Connection
    cores: set[int]
    begun: dict[str, Job] = field(default_factory=dict)
    idle: bool = False


def run_workers(
    jobs: Iterable[Job], orders: Orders, finished: Callable[[Outcome], None], workers: int
) -> None:
    """Do `jobs` with so many processes; `finished` is called in this one, once a job.

    Raises
    ------
    RigposeError
        If a worker cannot run what the batch runs on.
    """
    waiting: list[Job] = []
    more: Iterator[Job] = iter(jobs)
    deaths: dict[str, int] = {}

    def next_job() -> Job | None:
        return waiting.pop() if waiting else next(more, None)

    crew = [_start(orders, cores) for cores in cores_of(workers)]
    try:
        while crew:
            for worker in crew:
                if worker.idle and (job := next_job()) is not None:
                    worker.idle, worker.begun[job.stem] = False, job
                    _send(worker, job)
            if all(worker.idle and not worker.begun for worker in crew):
                return
            ready = wait([worker.link for worker in crew])
            for worker in [worker for worker in crew if worker.link in ready]:
                try:
                    kind, content = worker.link.recv()
                except (EOFError, OSError):
                    crew.remove(worker)
                    for job in _lost(worker, deaths, finished):
                        waiting.append(job)
                    crew.append(_start(orders, worker.cores))
                    continue
                if kind == WANTS:
                    worker.idle = True
                elif kind == DONE:
                    worker.begun.pop(content.stem, None)
                    finished(content)
                else:
                    raise content
    finally:
        for worker in crew:
            worker.link.close()  # its worker ends
        for worker in crew:
            worker.process.join(2.0)
            if worker.process.is_alive():
                worker.process.terminate()
                worker.process.join()


def _lost(worker: _Worker, deaths: dict[str, int], finished: Callable[[Outcome], None]) -> Iterator[Job]:
    """The jobs of a worker that died that are to be begun again; the others have failed."""
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    if not worker.begun:
        raise RigposeError(
            "a worker of rigpose analyze", expected="one that works", found=f"one that ended ({how}) at once",
            remedy="Run with --jobs 1, which shows why",
        )  # fmt: skip
    for job in worker.begun.values():
        deaths[job.stem] = deaths.get(job.stem, 0) + 1
        if deaths[job.stem] < DEATHS:
            yield job
        else:
            why = f"{job.name}: {DEATHS} workers ended in the middle of it, the last with {how}"
            finished(Outcome(job.stem, "failed", why))


def _start(orders: Orders, cores: set[int]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, orders, cores), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, cores)


def _send(worker: _Worker, job: Job) -> None:
    try:
        worker.link.send(job)
    except OSError:
        return  # it is dead: its end of the link says so next


def _serve(link: Connection, orders: Orders, cores: set[int]) -> None:
    """A worker's first function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.sched_setaffinity(0, cores)
    lock = threading.Lock()

    def say(kind: str, content: Any = None) -> None:
        with lock:
            link.send((kind, content))

    def jobs() -> Iterator[Job]:
        while True:
            say(WANTS)
            try:
                yield link.recv()
            except EOFError:
                return

    try:
        with quieted(True):
            work(jobs(), orders, lambda outcome: say(DONE, outcome))
    except RigposeError as error:
        say(CANNOT, error)
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent has gone


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
