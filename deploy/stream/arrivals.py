"""What came of a stream, accounted for: sessions, losses, age, lateness. No socket in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.stream.clock_offset import ClockOffset
from deploy.stream.messages import TOPICS, Body, Header, MalformedMessage, Session, decode

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SAME_CLOCK = ClockOffset(0, 0)
_WINDOW_NS = 30_000_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """A message and how it came.

    Attributes
    ----------
    topic, header, body:
        `body` is `PoseSet` (topic pose2d), `Pose3D` (pose3d), `Session`, `Health` or `Event`.
    session:
        The announcement of the session the message belongs to; None until it has been heard.
    t_received_ns:
        CLOCK_MONOTONIC of this host.
    lost_before:
        Messages of this topic lost just before this one.
    new_session:
        Whether this is the first message of a session: the publisher is new, or started again.
    age_ns, age_uncertainty_ns:
        Time since `header.t_valid_ns`, and half the width of what it may be off by: 0 on the publisher's own
        host, from the exchanged clock offset on others. Both None as long as the clocks are not compared.
    late_ns:
        How much longer it took from `header.t_publish_ns` to here than the fastest message of the last half
        minute or more: relative to the earliest seen, so it needs no common clock, and says nothing of what
        all have in common.
    """

    topic: str
    header: Header
    body: Body
    session: Session | None
    t_received_ns: int
    lost_before: int
    new_session: bool
    age_ns: int | None
    age_uncertainty_ns: int | None
    late_ns: int


class Arrivals:
    """The accounts of one subscriber.

    Attributes
    ----------
    received, lost:
        Counts by topic. A loss is a gap in the sequence within a session.
    malformed, malformed_last:
        Messages that were not of this protocol and version, and why the last one was not.
    sessions:
        How many sessions were seen.
    session:
        The newest announcement of the present session.
    heard_ns:
        When the last message came; 0 before the first.
    """

    def __init__(self) -> None:
        self.received = dict.fromkeys(TOPICS, 0)
        self.lost = dict.fromkeys(TOPICS, 0)
        self.malformed = 0
        self.malformed_last = ""
        self.sessions = 0
        self.session: Session | None = None
        self.heard_ns = 0
        self._session_id = ""
        self._next: dict[str, int] = {}
        self._boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        self._fastest = _FastestOfLate()

    @property
    def same_clock(self) -> bool:
        """Whether the publisher is known to share this host's clock."""
        return self.session is not None and self._boot_id == self.session.clock.boot_id != ""

    def account(
        self, frames: Sequence[bytes], t_received_ns: int, offset: ClockOffset | None
    ) -> Received | None:
        """The message in `frames`, accounted for; None, and counted, if they hold none.

        `offset` is the publisher's clock against ours, where it has been measured.
        """
        try:
            message = decode(frames)
        except MalformedMessage as error:
            self.malformed += 1
            self.malformed_last = str(error)
            return None
        header, topic = message.header, message.topic
        self.heard_ns = t_received_ns
        new_session = header.session != self._session_id
        if new_session:
            self._session_id = header.session
            self.session = None
            self._next.clear()
            self._fastest = _FastestOfLate()
            self.sessions += 1
        # A topic's first message in a session tells of no loss: one may join late.
        lost = max(0, header.sequence - self._next.get(topic, header.sequence))
        self._next[topic] = header.sequence + 1
        self.received[topic] += 1
        self.lost[topic] += lost
        if isinstance(message.body, Session):
            self.session = message.body
        age_ns = uncertainty_ns = None
        if self.same_clock:
            offset = _SAME_CLOCK
        if offset is not None and self.session is not None:
            age_ns = t_received_ns + offset.offset_ns - header.t_valid_ns
            uncertainty_ns = offset.uncertainty_ns
        late_ns = self._fastest.lateness_ns(t_received_ns - header.t_publish_ns, t_received_ns)
        return Received(
            topic, header, message.body, self.session, t_received_ns, lost, new_session, age_ns,
            uncertainty_ns, late_ns,
        )  # fmt: skip


class _FastestOfLate:
    """The smallest delay of the last 30 to 60 s. Of longer ago it would show how the clocks drift apart."""

    def __init__(self) -> None:
        self._before_ns: int | None = None
        self._now_ns: int | None = None
        self._since_ns = 0

    def lateness_ns(self, delay_ns: int, t_ns: int) -> int:
        """`delay_ns` above the smallest, itself included."""
        if self._now_ns is None or t_ns - self._since_ns >= _WINDOW_NS:
            self._before_ns, self._now_ns, self._since_ns = self._now_ns, delay_ns, t_ns
        self._now_ns = min(self._now_ns, delay_ns)
        smallest_ns = self._now_ns if self._before_ns is None else min(self._now_ns, self._before_ns)
        return delay_ns - smallest_ns
