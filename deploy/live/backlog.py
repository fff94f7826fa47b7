"""Which of the waiting frame sets is tracked next, and which are skipped.

A stall is caught up in order: after it, the waiting sets are all tracked. An overload is not: where
tracking takes longer than sets take to come, only the newest complete set is tracked and the older ones are
skipped, so that poses stay as fresh as they can be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

from acquisition.synchronisation.synchronise import StampSet

LIMIT = 10  # below the ring's 16 slots a camera, so that what waits here costs the cameras no frame
_OVERLOADED = 0.95  # share of the period that tracking may take before it counts as too slow
_REMEMBERED = 15  # durations whose median is taken: a single stall does not count, a slow network does


class Backlog:
    """The sets between synchroniser and network.

    Parameters
    ----------
    limit:
        How many may wait. Beyond it the oldest are skipped whatever the load.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._waiting: deque[StampSet] = deque()
        self._skipped: list[StampSet] = []
        self._limit = limit
        self._service_ns: deque[int] = deque(maxlen=_REMEMBERED)
        self._period_ns: deque[float] = deque(maxlen=_REMEMBERED)
        self._last: StampSet | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def overloaded(self) -> bool:
        """Whether tracking takes longer than sets take to come."""
        if len(self._service_ns) < _REMEMBERED or not self._period_ns:
            return False
        return median(self._service_ns) > _OVERLOADED * median(self._period_ns)

    def offer(self, sets: Iterable[StampSet]) -> None:
        """Let closed sets, in order, wait."""
        for frame_set in sets:
            if self._last is not None:
                steps = frame_set.index - self._last.index
                elapsed_ns = frame_set.t_exposure_ns - self._last.t_exposure_ns
                if steps > 0 and elapsed_ns > 0:
                    self._period_ns.append(elapsed_ns / steps)
            self._last = frame_set
            self._waiting.append(frame_set)
        while len(self._waiting) > self._limit:
            self._skipped.append(self._waiting.popleft())

    def take(self) -> StampSet | None:
        """The set to track now; None where none waits."""
        if not self._waiting:
            return None
        if self.overloaded:
            newest = len(self._waiting) - 1
            chosen = next((n for n in range(newest, -1, -1) if self._waiting[n].complete), newest)
            for _ in range(chosen):
                self._skipped.append(self._waiting.popleft())
        return self._waiting.popleft()

    def served(self, duration_ns: int) -> None:
        """Tracking the last set took this long."""
        self._service_ns.append(duration_ns)

    def skipped(self) -> list[StampSet]:
        """The sets given up since the last call; their frames are to be released."""
        skipped, self._skipped = self._skipped, []
        return skipped
