"""Who may listen: real keys, real sockets, real strangers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from acquisition.errors import RigposeError
from deploy.stream.keys import ClientKeys, allow, fresh_pair, new_pair, revoke
from deploy.stream.messages import Event, Health, decode
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from tests.deploy.streaming import STAMPS, client, describe, join, pose3d, serve

ALL = ("session", "pose3d", "health", "event")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    new_pair(folder, "server")
    return folder


@pytest.fixture(params=["tcp", "ipc"])
def publisher(keys: Path, request: pytest.FixtureRequest) -> Iterator[Publisher]:
    endpoint = "tcp://127.0.0.1:*" if request.param == "tcp" else f"ipc://{keys.parent}/stream"
    with Publisher(StreamSettings(keys=keys, endpoint=endpoint), describe()) as running:
        yield running


def _receives_the_next(publisher: Publisher, subscriber: PoseSubscriber, index: int) -> bool:
    publisher.pose(pose3d(index), STAMPS)
    while (message := subscriber.receive(timeout_ms=5000)) is not None:
        if message.header.index == index:
            return True
    return False


def test_strangers_receive_nothing_and_are_counted_while_the_right_one_loses_nothing(
    publisher: Publisher, keys: Path
) -> None:
    ada = client(keys, "ada")
    unlisted = client(keys, "eve", listed=False)
    wrong = ClientKeys(fresh_pair().public, ada.own)
    with (
        PoseSubscriber(publisher.endpoint, ALL, ada) as right,
        PoseSubscriber(publisher.endpoint, ALL, unlisted) as stranger,
        PoseSubscriber(publisher.endpoint, ALL, wrong) as mistaken,
        PoseSubscriber(publisher.endpoint, ALL) as keyless,
    ):
        join(publisher, right)
        strangers = (stranger, mistaken, keyless)

        def refused() -> bool:
            for each in strangers:
                assert each.receive(timeout_ms=0) is None
            counts = publisher.counters()
            return all(each.refused for each in strangers) and all(
                counts[f"clients_refused_{why}"] for why in ("unlisted", "wrong_key", "without_key")
            )

        serve(publisher, refused)
        for index in range(20):
            publisher.service()
            assert _receives_the_next(publisher, right, index)
        assert all(each.receive(timeout_ms=20) is None and each.sessions == 0 for each in strangers)
        right.receive(timeout_ms=50)  # it looks after its connection every 20 ms at most
        assert right.lost["pose3d"] == 0 and right.connected
        assert "does not allow this key" in stranger.refused
        assert publisher.counters()["clients"] == 1


def test_refusals_are_logged_in_health_and_as_an_event(publisher: Publisher, keys: Path) -> None:
    unlisted = client(keys, "eve", listed=False)
    heard: dict[str, Health | Event] = {}
    with PoseSubscriber(publisher.endpoint, ALL, client(keys, "ada")) as right:
        join(publisher, right)

        def both_heard() -> bool:
            publisher.health({})
            while (message := right.receive(timeout_ms=0)) is not None:
                body = message.body
                if isinstance(body, Event):
                    heard["event"] = body
                if isinstance(body, Health) and body.counters["stream"]["clients_refused_unlisted"]:
                    heard["health"] = body
            return len(heard) == 2

        with PoseSubscriber(publisher.endpoint, keys=unlisted):
            serve(publisher, both_heard)
        assert heard["event"].name == "clients"
        assert f"key {unlisted.own.public} is not allowed" in heard["event"].detail


def test_who_is_allowed_while_the_stream_runs_gets_in_by_itself(publisher: Publisher, keys: Path) -> None:
    eve = client(keys, "eve", listed=False)
    with PoseSubscriber(publisher.endpoint, ALL, eve) as subscriber:
        serve(publisher, lambda: subscriber.receive(timeout_ms=0) is None and subscriber.refused)
        allow(keys, keys.parent / "client-eve" / "eve.pub")
        join(publisher, subscriber)
        # Messages and news of the connection come by two sockets: the first message may be ahead.
        serve(publisher, lambda: [subscriber.receive(timeout_ms=0), not subscriber.refused][1])
        assert _receives_the_next(publisher, subscriber, 1)


def test_revoking_ends_that_clients_connection_and_no_other(publisher: Publisher, keys: Path) -> None:
    with (
        PoseSubscriber(publisher.endpoint, ALL, client(keys, "ada")) as ada,
        PoseSubscriber(publisher.endpoint, ALL, client(keys, "bob")) as bob,
    ):
        join(publisher, ada)
        join(publisher, bob)
        assert _receives_the_next(publisher, ada, 1) and _receives_the_next(publisher, bob, 2)
        revoke(keys, "bob")
        serve(publisher, lambda: publisher.counters()["clients_ended"])
        while bob.receive(timeout_ms=50) is not None:
            pass  # what was on the way
        for index in range(3, 20):
            publisher.service()
            assert _receives_the_next(publisher, ada, index)
        assert bob.receive(timeout_ms=50) is None and not bob.connected
        assert ada.lost["pose3d"] == 0 and ada.sessions == 1
        # Nor does coming back help, until it is allowed again.
        serve(publisher, lambda: bob.receive(timeout_ms=0) is None and bob.refused)
        allow(keys, keys.parent / "client-bob" / "bob.pub")
        serve(publisher, lambda: bob.receive(timeout_ms=0) is not None)


def test_who_was_revoked_before_subscribing_is_ended_then(keys: Path) -> None:
    ada = client(keys, "ada")
    settings = StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*")
    with (
        Publisher(settings, describe()) as publisher,
        zmq.Context() as context,
        context.socket(zmq.SUB) as late,
    ):
        late.set(zmq.CURVE_SERVERKEY, ada.server.encode())
        late.set(zmq.CURVE_PUBLICKEY, ada.own.public.encode())
        late.set(zmq.CURVE_SECRETKEY, ada.own.secret.encode())
        late.set(zmq.LINGER, 0)
        with late.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED) as monitor:
            late.connect(publisher.endpoint)
            serve(publisher, lambda: monitor.poll(0))
            late.disable_monitor()
        revoke(keys, "ada")
        late.subscribe("")
        serve(publisher, lambda: publisher.counters()["clients_ended"])
        while late.poll(100):  # between its subscription and its end an announcement may have left
            assert decode(late.recv_multipart()).topic == "session"
        publisher.pose(pose3d(1), STAMPS)
        assert not late.poll(100)


def test_the_runs_own_key_is_let_in_without_a_file(keys: Path) -> None:
    own = fresh_pair()
    with (
        Publisher(
            StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*"), describe(), insider=own.public
        ) as publisher,
        PoseSubscriber(
            publisher.endpoint, keys=ClientKeys(client(keys, "x", listed=False).server, own)
        ) as subscriber,
    ):
        join(publisher, subscriber)


def test_a_list_that_is_broken_lets_nobody_start_and_keeps_nobody_out_later(keys: Path) -> None:
    broken = keys / "allowed" / "broken.pub"
    ada = client(keys, "ada")
    settings = StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*")
    broken.write_text("no key")
    with pytest.raises(RigposeError, match=r"broken\.pub"):
        Publisher(settings, describe())
    broken.unlink()
    with Publisher(settings, describe()) as publisher, PoseSubscriber(publisher.endpoint, ALL, ada) as right:
        join(publisher, right)
        broken.write_text("no key")
        told: list[str] = []

        def said() -> bool:
            while (message := right.receive(timeout_ms=0)) is not None:
                if isinstance(message.body, Event):
                    told.append(message.body.detail)
            return bool(told)

        serve(publisher, said)
        assert "broken.pub" in told[0] and _receives_the_next(publisher, right, 1)


def test_any_address_may_be_bound_with_keys_and_strangers_fill_no_queue(keys: Path) -> None:
    settings = StreamSettings(keys=keys, endpoint="tcp://0.0.0.0:*")
    with Publisher(settings, describe()) as publisher:
        port = publisher.endpoint.rpartition(":")[2]
        assert publisher.endpoint.startswith("tcp://0.0.0.0:") and int(port)
        with PoseSubscriber(f"tcp://127.0.0.1:{port}", keys=client(keys, "ada")) as subscriber:
            joined = join(publisher, subscriber)
            assert joined.session is not None and isinstance(joined.session.clock.echo_port, int)


def test_nothing_stays_open(keys: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        settings = StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*")
        name = f"ada{_}"
        with (
            Publisher(settings, describe()) as publisher,
            PoseSubscriber(publisher.endpoint, keys=client(keys, name)) as subscriber,
        ):
            join(publisher, subscriber)
            revoke(keys, name)
            serve(publisher, lambda: publisher.counters()["clients_ended"])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
