"""What a step of training is fed: samples of one or more training sets, prepared ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator

from training.learning.dataset import Batch, TrainingSet, joined
from training.learning.team import ALONE, Team

PREFETCHED_BATCHES = 3


class Mixture:
    """Training sets that share every batch: what people labelled, and what a teacher did.

    Parameters
    ----------
    sets:
        The first says how long an epoch is.
    team:
        Processes that train together: each is fed batches of its own.
    """

    def __init__(self, *sets: TrainingSet, team: Team = ALONE) -> None:
        self._sets = sets
        self._team = team

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every image of the first set comes once, to one process or another."""
        return -(-self._sets[0].steps_per_epoch // self._team.size)

    def with_whole_images(self, every: int) -> Mixture:
        """The same, but every so many steps the samples are whole images."""
        return Mixture(*(part.with_whole_images(every) for part in self._sets), team=self._team)

    def batch(self, step: int) -> Batch:
        """The samples of step `step`, spread evenly: a batch is cut into parts that should look like it."""
        number = step * self._team.size + self._team.rank
        placed = []
        for which, part in enumerate(self._sets):
            samples = part.samples(number)
            placed += [(i / len(samples), which, sample) for i, sample in enumerate(samples)]
        placed.sort(key=lambda item: item[:2])
        return joined([sample for *_, sample in placed])


def batches(samples: Mixture, first_step: int) -> Generator[Batch, None, None]:
    """Batches from `first_step` on, without end, prepared ahead in a thread.

    Resampling leaves Python's lock, so that it runs beside the network's own threads.
    """
    ready: queue.Queue[Batch | BaseException] = queue.Queue(PREFETCHED_BATCHES)
    stop = threading.Event()

    def work() -> None:
        step = first_step
        item: Batch | BaseException
        while not stop.is_set():
            try:
                item = samples.batch(step)
            except BaseException as error:  # handed over, and raised where the batch is wanted
                item = error
            step += 1
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return

    worker = threading.Thread(target=work, name="training samples", daemon=True)
    worker.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()
