"""`PoseSubscriber` against the real publisher: losses, restarts, lateness, strangers."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.poses import Pose3D, PoseSet
from deploy.stream.arrivals import Arrivals
from deploy.stream.clock_offset import ClockOffset
from deploy.stream.messages import VERSION, Event, Header, encode, payload_of, topic_of
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber, Received
from tests.deploy.streaming import STAMPS, describe, join, pose3d, serve


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/stream"


@pytest.fixture
def publisher(endpoint: str) -> Iterator[Publisher]:
    with Publisher(StreamSettings(endpoint=endpoint), describe()) as running:
        yield running


def _next(subscriber: PoseSubscriber) -> Received:
    message = subscriber.receive(timeout_ms=5000)
    assert message is not None
    return message


def test_poses_arrive_typed_with_their_session_and_age(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        joined = join(publisher, subscriber)
        assert joined.topic == "session" and joined.new_session
        publisher.pose(PoseSet(4, 99, np.ones((1, 1, 3), np.float32)), STAMPS)
        publisher.pose(pose3d(4), STAMPS)
        flat, deep = _next(subscriber), _next(subscriber)
    assert isinstance(flat.body, PoseSet) and flat.body.t_exposure_ns == 99
    assert isinstance(deep.body, Pose3D) and deep.body.points[0, 0] == 4
    assert deep.session is not None and deep.session.keypoints == ("nose",)
    assert deep.age_ns is not None and deep.age_ns >= 5_000_000
    assert not deep.new_session and deep.lost_before == 0


def test_age_needs_the_publishers_clock(endpoint: str) -> None:
    with (
        Publisher(StreamSettings(endpoint=endpoint), describe("another host")) as publisher,
        PoseSubscriber(endpoint, topics=["pose3d"]) as subscriber,
    ):
        for _ in range(200):
            publisher.service()
            publisher.pose(pose3d(0), STAMPS)
            message = subscriber.receive(timeout_ms=10)
            if message is not None and message.session is not None:
                break
        assert message is not None and message.session is not None
        assert message.topic == "pose3d" and message.age_ns is None


def test_what_is_not_wanted_hides_nothing_behind_it(publisher: Publisher, endpoint: str) -> None:
    """Who takes all that lies there without waiting gets the newest, though predictions lie between."""
    with PoseSubscriber(endpoint, kinds=("measured",)) as subscriber:
        join(publisher, subscriber)
        for index in range(20):
            publisher.pose(pose3d(index), STAMPS, kind="predicted")
            publisher.pose(pose3d(index), STAMPS)
        time.sleep(0.3)
        found = []
        while (message := subscriber.receive(timeout_ms=0)) is not None:
            found.append(message.topic)
        assert found.count("pose3d") == 20


def test_a_gap_in_the_sequence_is_a_loss_of_that_topic_only(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        join(publisher, subscriber)
        publisher.pose(pose3d(0), STAMPS)
        publisher.published["pose3d"] += 3  # as if three had been dropped on the way
        publisher.pose(pose3d(4), STAMPS)
        publisher.pose(PoseSet(4, 0, np.ones((1, 1, 3), np.float32)), STAMPS)
        assert [_next(subscriber).lost_before for _ in range(3)] == [0, 3, 0]
        assert subscriber.lost == {"session": 0, "pose2d": 0, "pose3d": 3, "health": 0, "event": 0}
        assert subscriber.received["pose3d"] == 2


def test_joining_late_is_no_loss(publisher: Publisher, endpoint: str) -> None:
    for index in range(10):
        publisher.pose(pose3d(index), STAMPS)
    with PoseSubscriber(endpoint) as subscriber:
        join(publisher, subscriber)
        publisher.pose(pose3d(10), STAMPS)
        message = _next(subscriber)
        assert message.header.sequence == 10 and message.lost_before == 0


def test_a_restarted_publisher_is_a_new_session(endpoint: str) -> None:
    settings = StreamSettings(endpoint=endpoint)
    with PoseSubscriber(endpoint) as subscriber:  # before any publisher: it waits
        assert subscriber.receive(timeout_ms=0) is None
        ids = []
        for run in range(2):
            with Publisher(settings, describe()) as publisher:
                joined = join(publisher, subscriber)
                assert joined.new_session
                ids.append(joined.header.session)
                publisher.published["pose3d"] = 100 * (1 - run)
                publisher.pose(pose3d(0), STAMPS)
                assert _next(subscriber).lost_before == 0
        assert ids[0] != ids[1] and subscriber.sessions == 2


def test_strangers_are_counted_and_passed_over(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        join(publisher, subscriber)
        for frames in ([b"pose3d"], [b"pose3d", b"\xc1", b""], [b"pose3dx", b"", b""]):
            publisher._socket.send_multipart(frames)
        publisher.pose(pose3d(1), STAMPS)
        assert _next(subscriber).topic == "pose3d"
        assert subscriber.malformed == 3 and "unknown topic" in subscriber.malformed_last


def test_iterating_gives_messages(publisher: Publisher, endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        join(publisher, subscriber)
        for index in range(3):
            publisher.pose(pose3d(index), STAMPS)
        indices = [message.header.index for message in islice(subscriber, 3)]
        assert indices == [0, 1, 2]


def test_wrong_topics_and_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown topics"):
        PoseSubscriber(topics=["pose"])
    with pytest.raises(ValueError, match="no address"):
        PoseSubscriber("tcp://127.0.0.1")


def test_a_publisher_that_is_gone_is_silent_and_no_error(endpoint: str) -> None:
    with PoseSubscriber(endpoint) as subscriber:
        assert subscriber.silent_s is None
        with Publisher(StreamSettings(endpoint=endpoint), describe()) as publisher:
            join(publisher, subscriber)
            assert subscriber.connected
        while subscriber.connected:
            assert subscriber.receive(timeout_ms=50) is None
        assert subscriber.silent_s is not None and subscriber.silent_s > 0 and subscriber.sessions == 1


def test_an_event_loop_gets_every_message_and_its_own_turn(publisher: Publisher, endpoint: str) -> None:
    async def listen() -> tuple[list[int], int]:
        turns = 0

        async def serve_and_publish() -> None:
            nonlocal turns
            while not publisher.joins:
                publisher.service()
                await asyncio.sleep(0.001)
            for index in range(300):
                publisher.pose(pose3d(index), STAMPS)
                if index % 20 == 0:  # bursts, and pauses in which the subscriber waits
                    await asyncio.sleep(0.002)
            while True:
                turns += 1
                await asyncio.sleep(0)

        indices = []
        with PoseSubscriber(endpoint, ["pose3d"]) as subscriber:
            publishing = asyncio.create_task(serve_and_publish())
            async for message in subscriber:
                indices.append(message.header.index)
                if len(indices) == 300:
                    break
            assert await subscriber.receive_async(timeout_ms=20) is None
            # A message that was being waited for is not lost with the wait.
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(subscriber.receive_async(), 0.05)
            publisher.pose(pose3d(300), STAMPS)
            message = await asyncio.wait_for(subscriber.receive_async(), 10)
            assert message is not None and message.header.index == 300
            publishing.cancel()
        return indices, turns

    indices, turns = asyncio.run(listen())
    assert indices == list(range(300)) and turns > 10


def test_who_reads_slowly_loses_what_the_queues_do_not_hold_and_counts_it(endpoint: str) -> None:
    settings = StreamSettings(endpoint=endpoint, high_water_mark=10)
    large = PoseSet(0, 0, np.zeros((4, 200, 3), np.float32))
    with (
        Publisher(settings, describe()) as publisher,
        PoseSubscriber(endpoint, ["pose2d"]) as slow,
        PoseSubscriber(endpoint, ["pose3d"]) as quick,
    ):
        serve(
            publisher, lambda: slow.receive(0) is None and quick.receive(0) is None and publisher.joins == 2
        )
        count = 6000  # more than all queues hold together
        for index in range(count):
            publisher.pose(large, STAMPS)
            if index % 50 == 0:
                publisher.pose(pose3d(index), STAMPS)
                assert _next(quick).lost_before == 0
        publisher.announce()
        received = 0
        while slow.receive(timeout_ms=300) is not None:
            received += 1
        publisher.pose(large, STAMPS)
        last = _next(slow)
        assert last.header.sequence == count
        assert received + 1 + slow.lost["pose2d"] == count + 1 and slow.lost["pose2d"] > 0
        assert publisher.overflows > 0 and quick.lost["pose3d"] == 0


def _frames(body: object, sequence: int, t_publish_ns: int, session: str = "0123456789abcdef") -> list[bytes]:
    payload, shape, dtype = payload_of(body)
    header = Header(
        VERSION, session, sequence, 0, "measured", 0, 0, 0, 0, t_publish_ns, t_publish_ns - 1000, shape, dtype
    )
    return encode(topic_of(body), header, payload)


def test_lateness_is_relative_to_the_fastest_of_the_last_half_minute() -> None:
    arrivals = Arrivals()
    second = 10**9

    def late_ns(t_publish_ns: int, delay_ns: int) -> int:
        # The publisher's clock is 500 s ahead, and nobody knows.
        message = arrivals.account(
            _frames(Event("x"), 0, t_publish_ns + 500 * second), t_publish_ns + delay_ns, None
        )
        assert message is not None and message.age_ns is None and message.age_uncertainty_ns is None
        return message.late_ns

    assert [late_ns(t * second, delay) for t, delay in ((1, 700), (2, 900), (3, 200), (4, 250))] == [
        0,
        200,
        0,
        50,
    ]
    # The fastest of a minute ago is forgotten: the clocks may have drifted apart since.
    assert [late_ns(t * second, 5000) for t in (35, 60, 66, 97)] == [4800, 4800, 0, 0]


def test_an_age_has_the_uncertainty_of_the_offset() -> None:
    arrivals = Arrivals()
    assert arrivals.account(_frames(describe("another host")(), 0, 10_000), 7_000, None).age_ns is None
    message = arrivals.account(_frames(Event("x"), 0, 10_000), 7_000, ClockOffset(4_000, 30))
    assert (message.age_ns, message.age_uncertainty_ns) == (7_000 + 4_000 - 9_000, 30)
    arrivals.account(_frames(describe()(), 1, 10_000), 7_000, None)
    message = arrivals.account(_frames(Event("x"), 1, 10_000), 12_000, None)
    assert (message.age_ns, message.age_uncertainty_ns) == (3_000, 0)


_sequences = st.lists(
    st.tuples(
        st.sampled_from(["a" * 16, "b" * 16]), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1)
    ),
    max_size=12,
)


@given(_sequences, st.integers(-(2**62), 2**62))
def test_any_order_of_any_sequence_leaves_counts_that_add_up(
    messages: list[tuple[str, int, int]], now_ns: int
) -> None:
    arrivals = Arrivals()
    lost = 0
    for session, sequence, t_ns in messages:
        received = arrivals.account(_frames(Event("x"), sequence, t_ns, session), now_ns, ClockOffset(1, 2))
        assert received is not None and received.lost_before >= 0 and received.late_ns >= 0
        lost += received.lost_before
    assert arrivals.received["event"] == len(messages) and arrivals.lost["event"] == lost
    assert arrivals.sessions <= len(messages) and arrivals.malformed == 0


@given(st.lists(st.binary(max_size=60) | st.just(b"event"), max_size=4), st.integers(0, 2**62))
def test_foreign_frames_are_counted_and_change_nothing_else(frames: list[bytes], now_ns: int) -> None:
    arrivals = Arrivals()
    assert arrivals.account(frames, now_ns, None) is None
    assert arrivals.malformed == 1 and arrivals.malformed_last
    assert sum(arrivals.received.values()) == arrivals.sessions == arrivals.heard_ns == 0


def test_it_needs_only_pyzmq_msgspec_and_numpy() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import deploy.stream.subscriber; "
        "print(sorted({name.split('.')[0] for name in sys.modules} "
        "& {'pydantic', 'cv2', 'scipy', 'numba', 'rich', 'yaml', 'av', 'torch', 'pandas'}))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
