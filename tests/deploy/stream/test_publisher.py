"""The publishing end: binding, announcing, and what a slow or absent subscriber does to it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.stream.messages import CameraView, Event, Health, Session, StreamClock, decode
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings

STAMPS = Stamps(11, 12, 13)
ANYWHERE = StreamSettings(endpoint="tcp://127.0.0.1:*")


def _session() -> Session:
    clock = StreamClock("boot", "host", time.monotonic_ns(), 0, 0)
    return Session("arena", (CameraView("top", 640, 480),), ("nose",), clock)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher(ANYWHERE, _session) as running:
        yield running


def _subscribe(publisher: Publisher, topic: str, queue: int = 1000) -> zmq.Socket:
    subscriber = zmq.Context.instance().socket(zmq.SUB)
    subscriber.set(zmq.RCVHWM, queue)
    subscriber.subscribe(topic)
    subscriber.connect(publisher.endpoint)
    return subscriber


def _serve_until(publisher: Publisher, condition) -> None:
    for _ in range(1000):
        publisher.service()
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("did not happen within five seconds")


def test_each_join_is_answered_with_the_session(publisher: Publisher) -> None:
    announced = publisher.published["session"]
    for joins in (1, 2):
        subscriber = _subscribe(publisher, "session")
        _serve_until(publisher, lambda: subscriber.poll(0))  # noqa: B023
        message = decode(subscriber.recv_multipart())
        assert message.body.rig == "arena"
        assert message.header.sequence >= announced + joins - 1
        subscriber.close(0)


def test_the_session_is_announced_each_second(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    before = publisher.published["session"]
    publisher.service()
    assert publisher.published["session"] == before
    monkeypatch.setattr("deploy.stream.publisher.ANNOUNCE_NS", 0)
    publisher.service()
    assert publisher.published["session"] == before + 1


def test_poses_carry_their_stamps_and_a_sequence_per_topic(publisher: Publisher) -> None:
    subscriber = _subscribe(publisher, "")
    _serve_until(publisher, lambda: subscriber.poll(0))
    pose2d = PoseSet(7, 10, np.ones((1, 1, 3), np.float32))
    pose3d = Pose3D(7, 10, np.full((1, 11), np.nan, np.float32))
    publisher.pose(pose2d, STAMPS)
    published_ns = publisher.pose(pose3d, STAMPS, "filtered")
    publisher.event(Event("door"), 99, index=7)
    publisher.health({"tracker": {"skipped": 1}})
    messages = {}
    while len(messages) < 5:
        assert subscriber.poll(2000)
        message = decode(subscriber.recv_multipart())
        messages[message.topic] = message
    subscriber.close(0)
    header = messages["pose3d"].header
    assert header.session == publisher.session_id
    assert (header.sequence, header.index, header.kind) == (0, 7, "filtered")
    assert (header.t_exposure_ns, header.t_arrival_ns, header.t_inference_start_ns) == (10, 11, 12)
    assert (header.t_inference_end_ns, header.t_publish_ns, header.t_valid_ns) == (13, published_ns, 10)
    assert messages["pose2d"].header.sequence == 0
    assert (messages["event"].header.t_valid_ns, messages["event"].header.index) == (99, 7)
    health = messages["health"].body
    assert isinstance(health, Health)
    assert health.counters["tracker"] == {"skipped": 1}
    assert health.counters["stream"]["pose3d_published"] == 1


def test_a_subscriber_that_stops_reading_costs_the_others_nothing() -> None:
    settings = StreamSettings(endpoint="tcp://127.0.0.1:*", high_water_mark=20)
    with Publisher(settings, _session) as publisher:
        stopped, reading = _subscribe(publisher, "pose2d", queue=2), _subscribe(publisher, "", queue=2)
        _serve_until(publisher, lambda: reading.poll(0))
        reading.recv_multipart()
        big = PoseSet(0, 0, np.zeros((4, 5000, 3), np.float32))  # beyond what the kernel's buffers hold
        for _ in range(150):
            publisher.service()
            publisher.pose(big, STAMPS)
            assert reading.poll(2000)
            reading.recv_multipart()
        assert publisher.overflows >= 1
        arrived = 0
        while stopped.poll(200):
            decode(stopped.recv_multipart())
            arrived += 1
        assert 0 < arrived < 150
        stopped.close(0)
        reading.close(0)


@pytest.mark.parametrize("scheme", ["tcp", "ipc"])
def test_an_endpoint_in_use_is_one_clear_error(scheme: str, tmp_path: Path) -> None:
    endpoint = "tcp://127.0.0.1:*" if scheme == "tcp" else f"ipc://{tmp_path}/stream"
    with (
        Publisher(StreamSettings(endpoint=endpoint), _session) as first,
        pytest.raises(RigposeError, match="in use"),
    ):
        Publisher(StreamSettings(endpoint=first.endpoint), _session)
    with Publisher(StreamSettings(endpoint=first.endpoint), _session):
        pass  # free again


def test_a_dead_ipc_socket_is_taken_over_and_a_file_is_not_touched(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    code = f"import socket; socket.socket(socket.AF_UNIX).bind({str(dead)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert dead.is_socket()
    with Publisher(StreamSettings(endpoint=f"ipc://{dead}"), _session):
        pass
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(RigposeError, match="found a file"):
        Publisher(StreamSettings(endpoint=f"ipc://{file}"), _session)
    assert file.read_text() == "mine"


def test_an_address_that_cannot_be_bound_says_why(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="an address that can be bound"):
        Publisher(StreamSettings(endpoint=f"ipc://{tmp_path}/no/folder/here"), _session)
