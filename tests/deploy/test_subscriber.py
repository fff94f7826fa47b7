"""`PoseSubscriber` against the real publisher: losses, restarts, lateness, strangers."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from calibration.poses import Pose3D, PoseSet
from deploy.messages import CameraView, Session, StreamClock
from deploy.publisher import Publisher, Stamps
from deploy.stream_settings import StreamSettings
from deploy.subscriber import PoseSubscriber, Received

STAMPS = Stamps(1, 2, 3)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _describe(boot_id: str) -> Callable[[], Session]:
    def session() -> Session:
        clock = StreamClock(boot_id, "host", time.monotonic_ns(), 0, 0)
        return Session("arena", (CameraView("top", 640, 480),), ("nose",), clock)

    return session


def _pose3d(index: int) -> Pose3D:
    return Pose3D(index, time.monotonic_ns() - 5_000_000, np.full((1, 11), index, np.float32))


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/stream"


@pytest.fixture
def publisher(endpoint: str) -> Iterator[Publisher]:
    with Publisher(StreamSettings(endpoint=endpoint), _describe(BOOT_ID)) as running:
        yield running


def _join(publisher: Publisher, subscriber: PoseSubscriber) -> Received:
    """Serve until the subscriber hears the session."""
    for _ in range(200):
        publisher.service()
        message = subscriber.receive(timeout_ms=25)
        if message is not None:
            return message
    raise AssertionError("no session heard within five seconds")


def _next(subscriber: PoseSubscriber) -> Received:
    message = subscriber.receive(timeout_ms=5000)
    assert message is not None
    return message


def test_poses_arrive_typed_with_their_session_and_age(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        joined = _join(publisher, subscriber)
        assert joined.topic == "session" and joined.new_session
        publisher.pose(PoseSet(4, 99, np.ones((1, 1, 3), np.float32)), STAMPS)
        publisher.pose(_pose3d(4), STAMPS)
        pose2d, pose3d = _next(subscriber), _next(subscriber)
    assert isinstance(pose2d.body, PoseSet) and pose2d.body.t_exposure_ns == 99
    assert isinstance(pose3d.body, Pose3D) and pose3d.body.points[0, 0] == 4
    assert pose3d.session is not None and pose3d.session.keypoints == ("nose",)
    assert pose3d.age_ns is not None and pose3d.age_ns >= 5_000_000
    assert not pose3d.new_session and pose3d.lost_before == 0


def test_age_needs_the_publishers_clock(endpoint: str) -> None:
    with (
        Publisher(StreamSettings(endpoint=endpoint), _describe("another host")) as publisher,
        PoseSubscriber(endpoint, topics=["pose3d"]) as subscriber,
    ):
        for _ in range(200):
            publisher.service()
            publisher.pose(_pose3d(0), STAMPS)
            message = subscriber.receive(timeout_ms=10)
            if message is not None and message.session is not None:
                break
        assert message is not None and message.session is not None
        assert message.topic == "pose3d" and message.age_ns is None


def test_a_gap_in_the_sequence_is_a_loss_of_that_topic_only(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        _join(publisher, subscriber)
        publisher.pose(_pose3d(0), STAMPS)
        publisher.published["pose3d"] += 3  # as if three had been dropped on the way
        publisher.pose(_pose3d(4), STAMPS)
        publisher.pose(PoseSet(4, 0, np.ones((1, 1, 3), np.float32)), STAMPS)
        assert [_next(subscriber).lost_before for _ in range(3)] == [0, 3, 0]
        assert subscriber.lost == {"session": 0, "pose2d": 0, "pose3d": 3, "health": 0, "event": 0}
        assert subscriber.received["pose3d"] == 2


def test_joining_late_is_no_loss(publisher: Publisher, endpoint: str) -> None:
    for index in range(10):
        publisher.pose(_pose3d(index), STAMPS)
    with PoseSubscriber(endpoint) as subscriber:
        _join(publisher, subscriber)
        publisher.pose(_pose3d(10), STAMPS)
        message = _next(subscriber)
        assert message.header.sequence == 10 and message.lost_before == 0


def test_a_restarted_publisher_is_a_new_session(endpoint: str) -> None:
    settings = StreamSettings(endpoint=endpoint)
    with PoseSubscriber(endpoint) as subscriber:  # before any publisher: it waits
        assert subscriber.receive(timeout_ms=0) is None
        ids = []
        for run in range(2):
            with Publisher(settings, _describe(BOOT_ID)) as publisher:
                joined = _join(publisher, subscriber)
                assert joined.new_session
                ids.append(joined.header.session)
                publisher.published["pose3d"] = 100 * (1 - run)
                publisher.pose(_pose3d(0), STAMPS)
                assert _next(subscriber).lost_before == 0
        assert ids[0] != ids[1] and subscriber.sessions == 2


def test_strangers_are_counted_and_passed_over(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        _join(publisher, subscriber)
        for frames in ([b"pose3d"], [b"pose3d", b"\xc1", b""], [b"pose3dx", b"", b""]):
            publisher._socket.send_multipart(frames)
        publisher.pose(_pose3d(1), STAMPS)
        assert _next(subscriber).topic == "pose3d"
        assert subscriber.malformed == 3 and "unknown topic" in subscriber.malformed_last


def test_iterating_gives_messages(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        _join(publisher, subscriber)
        for index in range(3):
            publisher.pose(_pose3d(index), STAMPS)
        indices = [message.header.index for message in islice(subscriber, 3)]
        assert indices == [0, 1, 2]


def test_wrong_topics_and_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown topics"):
        PoseSubscriber(topics=["pose"])
    with pytest.raises(ValueError, match="no address"):
        PoseSubscriber("tcp://127.0.0.1")


def test_it_needs_only_pyzmq_msgspec_and_numpy() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import deploy.subscriber; "
        "print(sorted({name.split('.')[0] for name in sys.modules} "
        "& {'pydantic', 'cv2', 'scipy', 'numba', 'rich', 'yaml', 'av', 'torch', 'pandas'}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
