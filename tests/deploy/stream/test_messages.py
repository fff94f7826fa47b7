"""The wire format: golden bytes, round trips, and bytes from strangers."""

import json
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibration.poses import Pose3D, PoseSet
from deploy.stream.messages import (
    VERSION,
    CameraView,
    Event,
    Header,
    Health,
    MalformedMessage,
    Message,
    Session,
    StreamClock,
    decode,
    encode,
    payload_of,
    topic_of,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stream_v1.json").read_text())

int64 = st.integers(-(2**63), 2**63 - 1)
poses2d = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 20), st.just(3)), elements=st.floats(width=32)
)
poses3d = hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(11)), elements=st.floats(width=32))


def _header(shape: tuple[int, ...], dtype: str, **fields: object) -> Header:
    base = Header(VERSION, "0123456789abcdef", 7, 41, "measured", 1, 2, 3, 4, 5, 6, shape, dtype)
    return msgspec.structs.replace(base, **fields)


def _frames(body: object, **fields: object) -> list[bytes]:
    payload, shape, dtype = payload_of(body)
    return encode(topic_of(body), _header(shape, dtype, **fields), payload)


@pytest.mark.parametrize("vector", GOLDEN["messages"], ids=lambda vector: vector["name"])
def test_golden_vectors_decode_to_what_they_say(vector: dict) -> None:
    frames = [bytes.fromhex(part) for part in vector["frames"]]
    message = decode(frames)
    assert message.topic == vector["topic"]
    assert json.loads(msgspec.json.encode(message.header)) == vector["header"]
    if vector["topic"] in ("pose2d", "pose3d"):
        array = message.body.keypoints if vector["topic"] == "pose2d" else message.body.points
        expected = np.array(vector["payload"], dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(array, expected)
        # The bytes by themselves, without our reader: little-endian float32 in C order.
        assert struct.unpack(f"<{array.size}f", frames[2])[:2] == tuple(expected.ravel()[:2])
    else:
        assert json.loads(msgspec.json.encode(message.body)) == vector["payload"]


@pytest.mark.parametrize("vector", GOLDEN["messages"], ids=lambda vector: vector["name"])
def test_encoding_gives_the_golden_bytes(vector: dict) -> None:
    message = decode([bytes.fromhex(part) for part in vector["frames"]])
    payload, _, _ = payload_of(message.body)
    assert [part.hex() for part in encode(message.topic, message.header, payload)] == vector["frames"]


@pytest.mark.parametrize("vector", GOLDEN["malformed"], ids=lambda vector: vector["name"])
def test_golden_strangers_are_refused(vector: dict) -> None:
    with pytest.raises(MalformedMessage, match=vector["reason"]):
        decode([bytes.fromhex(part) for part in vector["frames"]])


@given(poses2d, int64, int64, st.sampled_from(["measured", "filtered", "predicted"]))
def test_pose2d_returns_bit_for_bit(keypoints: np.ndarray, index: int, t_ns: int, kind: str) -> None:
    pose = PoseSet(index, t_ns, keypoints)
    message = decode(_frames(pose, index=index, t_exposure_ns=t_ns, kind=kind))
    assert (message.topic, message.header.kind) == ("pose2d", kind)
    assert (message.body.index, message.body.t_exposure_ns) == (index, t_ns)
    assert message.body.keypoints.tobytes() == keypoints.tobytes()
    assert message.body.keypoints.shape == keypoints.shape
    assert not message.body.keypoints.flags.writeable


@given(poses3d)
def test_pose3d_returns_bit_for_bit_from_any_memory_order(points: np.ndarray) -> None:
    message = decode(_frames(Pose3D(3, 4, np.asfortranarray(points))))
    assert message.body.points.tobytes() == points.tobytes()


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), int64 | st.floats(allow_nan=False))))
def test_health_returns(counters: dict[str, dict[str, int | float]]) -> None:
    assert decode(_frames(Health(counters))).body == Health(counters)


def test_session_and_event_return() -> None:
    session = Session(
        "arena", (CameraView("top", 640, 480),), ("nose", "tail"), StreamClock("boot", "host", 1, 2, 3),
        skeleton=((0, 1),), calibration_sha256="ab", period_ns=33_333_333,
    )  # fmt: skip
    assert decode(_frames(session)).body == session
    event = Event("recording stopped", "recorder", "disk full")
    assert decode(_frames(event)).body == event


def test_a_later_release_may_append_fields_and_keys() -> None:
    topic, header, payload = _frames(Event("door"))
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(header), "appended"])
    wider = msgspec.msgpack.encode({**msgspec.msgpack.decode(payload), "appended": [1]})
    assert decode([topic, longer, wider]).body == Event("door")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_foreign_frames_never_crash(frames: list[bytes]) -> None:
    _decodes_or_is_malformed(frames)


@given(
    st.sampled_from([vector["frames"] for vector in GOLDEN["messages"]]),
    st.integers(0, 2), st.integers(0, 10_000), st.integers(0, 255), st.booleans(),
)  # fmt: skip
def test_damaged_messages_never_crash(parts: list[str], part: int, at: int, value: int, cut: bool) -> None:
    frames = [bytearray.fromhex(one) for one in parts]
    position = at % len(frames[part])
    if cut:
        del frames[part][position:]
    else:
        frames[part][position] = value
    _decodes_or_is_malformed([bytes(frame) for frame in frames])


def test_nesting_without_end_is_malformed() -> None:
    deep = b"\x91" * 100_000 + b"\x01"
    for frames in ([b"pose2d", deep, b""], [b"event", _frames(Event("x"))[1], deep]):
        with pytest.raises(MalformedMessage):
            decode(frames)


def test_another_version_is_named_whatever_follows() -> None:
    with pytest.raises(MalformedMessage, match="schema version 2"):
        decode([b"pose2d", msgspec.msgpack.encode([2, {"all": "new"}]), b""])


def _decodes_or_is_malformed(frames: list[bytes]) -> None:
    try:
        assert isinstance(decode(frames), Message)
    except MalformedMessage as error:
        assert str(error)
