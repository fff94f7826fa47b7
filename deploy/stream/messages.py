"""The wire format of the stream, version 1. `docs/protocol.md` is the same in words and bytes.

A message is three ZeroMQ frames: topic, header, payload. The header is a MessagePack array of fixed
order (`Header`). The payload of `pose2d` and `pose3d` is the bare array, little-endian, C order; that of
`session`, `health` and `event` is a MessagePack map (`Session`, `Health`, `Event`). A later release may
append fields to the header or keys to a map without a new version: readers ignore what they do not know.

This module needs numpy and msgspec only, so that a client can take it along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from calibration.poses import POSE3D_COLUMNS, Pose3D, PoseSet

VERSION = 1
TOPICS = ("session", "pose2d", "pose3d", "health", "event")
FLOAT32 = "<f4"
MAP = "msgpack"
NO_SET = -1  # index of a message that speaks of no frame set

Kind = Literal["measured", "filtered", "predicted"]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Length = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class MalformedMessage(ValueError):
    """Bytes that are no message of this version. Says what was wrong with them."""


class Header(msgspec.Struct, array_like=True, frozen=True):
    """The second frame of every message.

    Attributes
    ----------
    version:
        Schema version, 1.
    session:
        Id of the stream session: new whenever the publisher starts.
    sequence:
        Counts the messages of this topic in this session from 0: a gap is a loss.
    index:
        Frame set the message speaks of (`FrameSet.index`), or -1.
    kind:
        Of poses: as measured, filtered, or predicted ahead. "measured" for the other topics.
    t_exposure_ns, t_arrival_ns, t_inference_start_ns, t_inference_end_ns, t_publish_ns:
        Middle of the exposure; last frame of the set on the host; inference of all cameras; handed to
        the socket. CLOCK_MONOTONIC of the publishing host (see `Session.clock`); 0 where it has no meaning.
    t_valid_ns:
        The instant the content speaks of: the exposure of a measured pose, later for a predicted one.
    shape, dtype:
        Of the payload: "<f4" for an array, "msgpack" (and an empty shape) for a map.
    """

    version: int
    session: str
    sequence: _Int64
    index: _Int64
    kind: Kind
    t_exposure_ns: _Int64
    t_arrival_ns: _Int64
    t_inference_start_ns: _Int64
    t_inference_end_ns: _Int64
    t_publish_ns: _Int64
    t_valid_ns: _Int64
    shape: tuple[_Length, ...]
    dtype: str


class _Version(msgspec.Struct, array_like=True, frozen=True):
    """The one header field that no version may move."""

    version: int


class CameraView(msgspec.Struct, frozen=True):
    """A camera of the stream: its name and the size of the image its keypoints are given in."""

    name: str
    width_px: int
    height_px: int


class Artifact(msgspec.Struct, frozen=True):
    """The network at work: bundle, the artifact chosen from it, and their SHA-256."""

    bundle: str = ""
    bundle_sha256: str = ""
    artifact: str = ""
    artifact_sha256: str = ""
    runtime: str = ""
    precision: str = ""


class StreamClock(msgspec.Struct, frozen=True):
    """The publisher's clock: stamps are comparable where `boot_id` is one's own.

    `t_monotonic_ns` and `t_realtime_ns` are one instant on CLOCK_MONOTONIC and CLOCK_REALTIME, known to
    half width `uncertainty_ns`. At `echo_port` of the same host other hosts can ask for the time
    (`deploy.stream.clock_offset`); absent where there is no such port.
    """

    boot_id: str
    host: str
    t_monotonic_ns: int
    t_realtime_ns: int
    uncertainty_ns: int
    echo_port: int | msgspec.UnsetType = msgspec.UNSET


class Session(msgspec.Struct, frozen=True):
    """Payload of `session`: what the poses of this session mean. Sent on join and every second.

    `period_ns` is 0 on a free-running rig. `calibration_sha256` is empty where no 3D is published.
    `recording` is the name of the session being recorded, if any; `replay_of` that of the recording which
    is being replayed, absent where the poses are live. World units are millimetres.
    """

    rig: str
    cameras: tuple[CameraView, ...]
    keypoints: tuple[str, ...]
    clock: StreamClock
    skeleton: tuple[tuple[int, int], ...] = ()
    network: Artifact = Artifact()
    calibration_sha256: str = ""
    period_ns: int = 0
    recording: str = ""
    rigpose: str = ""
    replay_of: str | msgspec.UnsetType = msgspec.UNSET


class Health(msgspec.Struct, frozen=True):
    """Payload of `health`, each second: counters since the session began, by who counted them."""

    counters: dict[str, dict[str, int | float]]


class Event(msgspec.Struct, frozen=True):
    """Payload of `event`: something happened at `Header.t_valid_ns`."""

    name: str
    source: str = ""
    detail: str = ""


Body = Session | PoseSet | Pose3D | Health | Event
_MAPS: dict[str, type[Session | Health | Event]] = {"session": Session, "health": Health, "event": Event}


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message. `body` is `PoseSet` for pose2d, `Pose3D` for pose3d, else the payload's struct."""

    topic: str
    header: Header
    body: Body


_encode = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(Header).decode
_decode_version = msgspec.msgpack.Decoder(_Version).decode
_decode_map = {topic: msgspec.msgpack.Decoder(kind).decode for topic, kind in _MAPS.items()}


def topic_of(body: Body) -> str:
    """The topic a body travels under."""
    if isinstance(body, PoseSet):
        return "pose2d"
    if isinstance(body, Pose3D):
        return "pose3d"
    return next(topic for topic, kind in _MAPS.items() if isinstance(body, kind))


def payload_of(body: Body) -> tuple[bytes, tuple[int, ...], str]:
    """The payload with its shape and dtype, as they stand in the header."""
    if isinstance(body, PoseSet):
        array = np.ascontiguousarray(body.keypoints, dtype=FLOAT32)
    elif isinstance(body, Pose3D):
        array = np.ascontiguousarray(body.points, dtype=FLOAT32)
    else:
        return _encode(body), (), MAP
    return array.tobytes(), array.shape, FLOAT32


def encode(topic: str, header: Header, payload: bytes) -> list[bytes]:
    """The three frames of a message."""
    return [topic.encode(), _encode(header), payload]


def decode(frames: Sequence[bytes]) -> Message:
    """The message in three frames, whoever sent them. Arrays are read-only views of the payload.

    Raises
    ------
    MalformedMessage
        For anything that is not a message of version 1; never another exception.
    """
    if len(frames) != 3:
        raise MalformedMessage(f"{len(frames)} frames instead of topic, header, payload")
    topic = bytes(frames[0]).decode("ascii", "replace")
    if topic not in TOPICS:
        raise MalformedMessage(f"unknown topic '{topic[:20]}'")
    header = _header(frames[1])
    if topic in _MAPS:
        if header.dtype != MAP or header.shape:
            raise MalformedMessage(f"{topic} with dtype '{header.dtype[:20]}' and shape {header.shape}")
        try:
            return Message(topic, header, _decode_map[topic](frames[2]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(f"{topic}: {error}") from None
    return Message(topic, header, _pose(topic, header, frames[2]))


def _header(frame: bytes) -> Header:
    try:
        version = _decode_version(frame).version
        if version != VERSION:
            raise MalformedMessage(f"schema version {version}; this reader knows version {VERSION}")
        return _decode_header(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"header: {error}") from None


def _pose(topic: str, header: Header, payload: bytes) -> PoseSet | Pose3D:
    dimensions, columns = (3, 3) if topic == "pose2d" else (2, len(POSE3D_COLUMNS))
    shape = header.shape
    if header.dtype != FLOAT32 or len(shape) != dimensions or shape[-1] != columns:
        raise MalformedMessage(f"{topic} with dtype '{header.dtype[:20]}' and shape {shape}")
    size = 4
    for length in shape:
        size *= length
    if len(payload) != size:
        raise MalformedMessage(f"{topic} of shape {shape} with {len(payload)} bytes instead of {size}")
    array = np.frombuffer(payload, dtype=FLOAT32).reshape(shape)
    array.flags.writeable = False
    if topic == "pose2d":
        return PoseSet(header.index, header.t_exposure_ns, array)
    return Pose3D(header.index, header.t_exposure_ns, array)
