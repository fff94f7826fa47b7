"""A stream as Lab Streaming Layer outlets: a subscriber that hands every pose on to LSL.

It runs beside the tracker and costs it no more than any other subscriber. A pose's time is when it is
valid, on LSL's own clock, which on Linux is CLOCK_MONOTONIC as the rig clock is; from another host it is
moved by the exchanged clock offset.

LSL has no keys: whoever reaches this host can read what an outlet offers. By default outlets are announced to
this host only; LSL's sockets listen on all its addresses all the same.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from acquisition.errors import RigposeError
from calibration.poses import POSE3D_COLUMNS, Pose3D, PoseSet
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Kind, Session
from deploy.stream.subscriber import PoseSubscriber, Received

TOPICS = ("pose2d", "pose3d")
_BUFFERED_S = 30
_WAIT_MS = 200
# Errors only. A configuration of the user's own stays in force where outlets are for the network.
_THIS_HOST_ONLY = """
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[log]
level = -2
"""


@dataclass(frozen=True, slots=True)
class Channel:
    """One of LSL's channels, described as XDF's motion capture data is."""

    label: str
    kind: str
    unit: str


@dataclass(frozen=True, slots=True)
class LslOptions:
    """What to hand on.

    Attributes
    ----------
    endpoint, keys:
        Of the stream.
    topics:
        pose2d, pose3d, or both.
    kind:
        Which poses: measured, filtered or predicted.
    network:
        Announce the outlets to the network instead of to this host only.
    seconds:
        How long; None: until Ctrl-C.
    """

    endpoint: str
    keys: ClientKeys | None = None
    topics: tuple[str, ...] = TOPICS
    kind: Kind = "measured"
    network: bool = False
    seconds: float | None = None


def channels(topic: str, session: Session) -> list[Channel]:
    """The channels of a topic's outlet, in the order of the payload."""
    if topic == "pose2d":
        columns = (("x_px", "PositionX", "pixels"), ("y_px", "PositionY", "pixels"),
                   ("confidence", "Confidence", "normalized"))  # fmt: skip
        return [
            Channel(f"{camera.name}_{keypoint}_{name}", kind, unit)
            for camera in session.cameras for keypoint in session.keypoints for name, kind, unit in columns
        ]  # fmt: skip
    return [
        Channel(f"{keypoint}_{column}", *_described(column))
        for keypoint in session.keypoints for column in POSE3D_COLUMNS
    ]  # fmt: skip


def hand_on(options: LslOptions) -> dict[str, Any]:
    """Hand on what the stream brings, until the time is over or Ctrl-C.

    Returns
    -------
    dict
        `handed_on`, `received` and `lost` by topic; `without_time`: poses of a publisher whose clock cannot
        be compared with ours, which LSL does not get; `sessions`.

    Raises
    ------
    RigposeError
        If the endpoint is no address, or LSL's library cannot be loaded.
    """
    pylsl = _pylsl(options.network)
    try:
        subscriber = PoseSubscriber(options.endpoint, options.topics, options.keys, (options.kind,))
    except ValueError as error:
        raise RigposeError(
            "rigpose lsl", expected="an address such as tcp://127.0.0.1:5555", found=str(error),
            remedy="Give the address that 'rigpose live' publishes on",
        ) from None  # fmt: skip
    with subscriber:
        outlets = _Outlets(pylsl, options.network)
        end = None if options.seconds is None else time.monotonic() + options.seconds
        with contextlib.suppress(KeyboardInterrupt):
            while end is None or time.monotonic() < end:
                message = subscriber.receive(timeout_ms=_WAIT_MS)
                if message is not None:
                    outlets.hand_on(message)
        return {
            "handed_on": outlets.handed_on, "without_time": outlets.without_time,
            "received": dict(subscriber.received), "lost": dict(subscriber.lost),
            "sessions": subscriber.sessions, "refused": subscriber.refused,
        }  # fmt: skip


class _Outlets:
    """One outlet a topic; another one where a session has other cameras or keypoints."""

    def __init__(self, pylsl: Any, network: bool) -> None:
        self.handed_on = dict.fromkeys(TOPICS, 0)
        self.without_time = 0
        self._pylsl = pylsl
        self._network = network
        self._ahead_s = _ahead_of_monotonic_s(pylsl)
        # By topic: the announcement and the channels it was made for.
        self._outlets: dict[str, tuple[Session, list[Channel], Any]] = {}

    def hand_on(self, message: Received) -> None:
        """Push one pose."""
        session, body = message.session, message.body
        if session is None or not isinstance(body, PoseSet | Pose3D):
            return  # the session comes within a second
        if message.age_ns is None:
            self.without_time += 1
            return
        array = body.keypoints if isinstance(body, PoseSet) else body.points
        outlet = self._outlet(message.topic, session, message.header.session)
        t_valid_ns = message.t_received_ns - message.age_ns
        outlet.push_sample(array.ravel(), t_valid_ns * 1e-9 + self._ahead_s)
        self.handed_on[message.topic] += 1

    def _outlet(self, topic: str, session: Session, session_id: str) -> Any:
        known = self._outlets.get(topic)
        if known is not None and known[0] is session:
            return known[2]
        wanted = channels(topic, session)
        if known is not None and known[1] == wanted:
            self._outlets[topic] = (session, *known[1:])
            return known[2]
        info = self._pylsl.StreamInfo(
            f"{session.rig} {topic}", "MoCap", len(wanted), self._pylsl.IRREGULAR_RATE, "float32",
            f"rigpose {session.clock.host} {session.rig} {topic}",
        )  # fmt: skip
        info.set_channel_labels([channel.label for channel in wanted])
        info.set_channel_types([channel.kind for channel in wanted])
        info.set_channel_units([channel.unit for channel in wanted])
        made_of = info.desc().append_child("rigpose")
        for name, value in (
            ("version", session.rigpose), ("session", session_id), ("bundle", session.network.bundle),
            ("bundle_sha256", session.network.bundle_sha256),
            ("calibration_sha256", session.calibration_sha256),
        ):  # fmt: skip
            made_of.append_child_value(name, value)
        outlet = self._pylsl.StreamOutlet(info, 1, _BUFFERED_S)
        self._outlets[topic] = (session, wanted, outlet)
        found_by = "the network" if self._network else "this host only"
        print(f"LSL stream '{info.name()}', {len(wanted)} channels, announced to {found_by}", flush=True)
        return outlet


def _described(column: str) -> tuple[str, str]:
    """Kind and unit of a column of `pose3d`."""
    name, _, unit = column.partition("_")
    if unit == "mm":
        return f"Position{name.upper()}", "millimeters"
    if unit == "mm2":
        return f"Covariance{name.upper()}", "square millimeters"
    return ("ReprojectionError", "pixels") if unit == "px" else ("Views", "none")


def _ahead_of_monotonic_s(pylsl: Any) -> float:
    """LSL's clock less CLOCK_MONOTONIC: the tightest of five tries."""
    tries = []
    for _ in range(5):
        before_ns = time.monotonic_ns()
        theirs_s = pylsl.local_clock()
        after_ns = time.monotonic_ns()
        tries.append((after_ns - before_ns, theirs_s - (before_ns + after_ns) / 2e9))
    return float(min(tries)[1])


def _pylsl(network: bool) -> Any:
    """LSL, told whom to announce outlets to."""
    try:
        import pylsl

        if not network:
            pylsl.set_config_content(_THIS_HOST_ONLY)
    except RuntimeError as error:  # the package without LSL's own library, or with an old one
        raise RigposeError(
            "rigpose lsl", expected="the library of Lab Streaming Layer, 1.17.7 or later", found=str(error),
            remedy="Install liblsl (github.com/sccn/liblsl/releases), or name it in PYLSL_LIB",
        ) from None  # fmt: skip
    return pylsl
