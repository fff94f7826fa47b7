"""What the cameras have counted since the start, also where a process that captures was started again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from acquisition.supervise import Supervisor

_SUMMED = ("frames", "lost", "damaged", "ring_full", "reopened")


class CaptureCounts:
    """The counters of all cameras.

    A process that is started again counts from 0: what the one before had reported last is added. What it had
    counted since, a quarter of a second at most, went with it.

    Parameters
    ----------
    supervisor:
        Of the capture processes.
    processes:
        Their names.
    """

    def __init__(self, supervisor: Supervisor, processes: Iterable[str]) -> None:
        self._supervisor = supervisor
        self._processes = tuple(processes)
        self._before: dict[str, Counter[str]] = {}

    def newest(self) -> dict[str, dict[str, Any]]:
        """By camera: `CameraCounters` as a mapping."""
        found: dict[str, dict[str, Any]] = {}
        for process in self._processes:
            for camera, counted in self._reported(process).items():
                before = self._before.get(camera, Counter())
                found[camera] = {**counted, **{key: counted[key] + before[key] for key in _SUMMED}}
        return found

    def delivering(self, since_ns: int) -> bool:
        """Whether a camera may still have frames from before `since_ns`.

        One that goes on exposing, in spite of the trigger's end, has none once it delivers newer ones.
        """
        return any(
            one["state"] == "armed" and 0 < one["read_until_ns"] < since_ns for one in self.newest().values()
        )

    def restarted(self, process: str) -> list[str]:
        """A process died and is started again: the cameras it had, which are gone until it has them again."""
        if process not in self._processes:
            return []
        reported = self._reported(process)
        for camera, counted in reported.items():
            self._before.setdefault(camera, Counter()).update({key: counted[key] for key in _SUMMED})
        nothing = {**dict.fromkeys(_SUMMED, 0), "state": "gone"}
        gone = {camera: {**counted, **nothing} for camera, counted in reported.items()}
        self._supervisor.counters[process] = {**self._supervisor.counters.get(process, {}), "cameras": gone}
        return list(gone)

    def _reported(self, process: str) -> dict[str, dict[str, Any]]:
        cameras: dict[str, dict[str, Any]] = self._supervisor.counters.get(process, {}).get("cameras", {})
        return cameras
