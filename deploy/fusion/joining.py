"""Parts of frame sets from several hosts, put together in the order of the pulses within a bounded delay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from calibration.poses import PoseSet
from deploy.stream.publisher import Stamps


@dataclass(frozen=True, slots=True)
class Part:
    """One host's 2D poses of one pulse.

    Attributes
    ----------
    pose:
        As it came; `pose.t_exposure_ns` and `stamps` are on this host's clock.
    stamps:
        See `Stamps`.
    t_published_ns, t_received_ns:
        When the host handed it out, and when it was here; this host's clock.
    """

    pose: PoseSet
    stamps: Stamps
    t_published_ns: int
    t_received_ns: int


@dataclass(frozen=True, slots=True)
class Joined:
    """A pulse's parts, one per host in their order; None where a host gave none in time."""

    pulse: int
    parts: tuple[Part | None, ...]

    @property
    def complete(self) -> bool:
        """Whether every host's part is there."""
        return all(part is not None for part in self.parts)


class Joiner:
    """Collects parts; `closed` gives out each pulse once, in order.

    A pulse is given out when every host's part is there; when the missing ones can come no more, because
    their hosts have sent a later pulse or are away; or `max_delay_ns` after its first part came.

    Attributes
    ----------
    late:
        Parts, by host, that came after their pulse had been given out.
    """

    def __init__(self, hosts: int, max_delay_ns: int) -> None:
        self._max_delay_ns = max_delay_ns
        self._open: dict[int, list[Part | None]] = {}
        self._first_ns: dict[int, int] = {}
        self._newest = [-1] * hosts
        self._given = -1

    def add(self, host: int, pulse: int, part: Part) -> str:
        """Take in a part: "joined"; or "late", when its pulse has been given out, or "twice"."""
        self._newest[host] = max(self._newest[host], pulse)
        if pulse <= self._given:
            return "late"
        parts = self._open.setdefault(pulse, [None] * len(self._newest))
        if parts[host] is not None:
            return "twice"
        parts[host] = part
        self._first_ns.setdefault(pulse, part.t_received_ns)
        return "joined"

    def closed(self, now_ns: int, away: Collection[int] = ()) -> list[Joined]:
        """The pulses that are finished at `now_ns`; hosts in `away` are not waited for."""
        given = []
        for pulse in sorted(self._open):
            parts = self._open[pulse]
            waiting = any(
                part is None and host not in away and self._newest[host] < pulse
                for host, part in enumerate(parts)
            )
            if waiting and now_ns < self._first_ns[pulse] + self._max_delay_ns:
                break
            given.append(self._give(pulse))
        return given

    def due_ns(self) -> int | None:
        """When the oldest open pulse is given out at the latest; None where none is open."""
        return self._first_ns[min(self._open)] + self._max_delay_ns if self._open else None

    def flush(self) -> list[Joined]:
        """What is still open; nothing more will come."""
        return [self._give(pulse) for pulse in sorted(self._open)]

    def _give(self, pulse: int) -> Joined:
        del self._first_ns[pulse]
        self._given = pulse
        return Joined(pulse, tuple(self._open.pop(pulse)))
