"""One host of the joint rig, heard from here: its poses on this host's clock, and what became of them."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

import zmq

from calibration.poses import PoseSet
from deploy.fusion.joining import Part
from deploy.stream.clock_offset import ClockOffset
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Header, Session
from deploy.stream.publisher import Stamps
from deploy.stream.subscriber import PoseSubscriber, Received

SILENT_S = 3.0
"""A stream announces its session every second: silent for so long, its host is away."""


class Host:
    """A subscriber to the 2D poses of one host. A context manager.

    Attributes
    ----------
    name:
        From fuse.yaml.
    refused:
        Why its poses are not joined; "" while they are.
    counts:
        Its sets by what became of them: "joined", "late", "twice" (`Joiner`), "ambiguous", "off the grid",
        "contradicted" (`PulseGrid`), "no clock", "refused", "before joining"; together all received ones.
    """

    def __init__(self, name: str, endpoint: str, keys: ClientKeys | None) -> None:
        self.name = name
        self.refused = ""
        self.counts: Counter[str] = Counter()
        self._subscriber = PoseSubscriber(endpoint, ("session", "pose2d"), keys)
        self._tracked = False

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscriber.close()

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to wait for."""
        return self._subscriber.sockets

    @property
    def away(self) -> bool:
        """Whether it has not been heard of late."""
        silent_s = self._subscriber.silent_s
        return silent_s is None or silent_s > SILENT_S

    @property
    def session(self) -> Session | None:
        """Its announcement, once it tracks: earlier ones lack the image sizes and the period."""
        return self._subscriber.session if self._tracked else None

    @property
    def trouble(self) -> str:
        """For a person: why nothing is heard of it."""
        if self._subscriber.refused:
            return self._subscriber.refused
        return "it is there, and tracks nothing" if self._subscriber.session else "nothing heard"

    def messages(self) -> list[Received]:
        """What has come."""
        found = []
        while (message := self._subscriber.receive(timeout_ms=0)) is not None:
            if message.new_session:
                self._tracked = False
            self._tracked |= isinstance(message.body, PoseSet)
            found.append(message)
        return found

    def part_of(self, message: Received) -> tuple[Part, int] | None:
        """Its poses with stamps on this host's clock, and how far off those may be, ns; None, and counted, as
        long as the clocks are not compared."""
        offset = self._subscriber.clock_offset
        if offset is None or not isinstance(message.body, PoseSet):
            self.counts["no clock"] += 1
            return None
        return _here(message.header, message.body, offset, message.t_received_ns), offset.uncertainty_ns

    def counters(self) -> dict[str, int | float]:
        """For `health`."""
        offset = self._subscriber.clock_offset
        known = {} if offset is None else {"clock_uncertainty_ms": round(offset.uncertainty_ns / 1e6, 3)}
        return {
            "here": int(not self.away), "received": self._subscriber.received["pose2d"],
            "lost": self._subscriber.lost["pose2d"], **self.counts, **known,
        }  # fmt: skip


def _here(header: Header, pose: PoseSet, offset: ClockOffset, t_received_ns: int) -> Part:
    """Stamps of the publisher's clock, which is ahead of ours by the offset, on ours."""
    ahead_ns = offset.offset_ns
    return Part(
        PoseSet(pose.index, header.t_exposure_ns - ahead_ns, pose.keypoints),
        Stamps(
            header.t_arrival_ns - ahead_ns, header.t_inference_start_ns - ahead_ns,
            header.t_inference_end_ns - ahead_ns,
        ),
        header.t_publish_ns - ahead_ns,
        t_received_ns,
    )  # fmt: skip
