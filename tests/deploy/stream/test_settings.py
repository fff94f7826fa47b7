"""Where the stream may be bound, with keys and without."""

from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from acquisition.settings import parse_settings
from deploy.stream.endpoint import beside, reachable
from deploy.stream.settings import StreamSettings


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:5555", "tcp://127.9.8.7:1", "tcp://localhost:5555", "tcp://[::1]:5555", "tcp://127.0.0.1:*",
     "ipc:///run/rigpose.sock", "ipc://@rigpose"],
)  # fmt: skip
def test_addresses_of_this_host_are_accepted(endpoint: str) -> None:
    assert StreamSettings(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("tcp://*:5555", "no keys"),
        ("tcp://0.0.0.0:5555", "no keys"),
        ("tcp://192.168.1.4:5555", "no keys"),
        ("tcp://eth0:5555", "no keys"),
        ("tcp://[::]:5555", "no keys"),
        ("tcp://192.168.1.4;127.0.0.1:5555", "no keys"),
        ("tcp://127.0.0.1", "no port"),
        ("tcp://127.0.0.1:70000", "no port"),
        ("udp://127.0.0.1:5", "tcp:// or ipc://"),
        ("ipc://", "names no socket"),
        ("5555", "tcp:// or ipc://"),
    ],
)
def test_other_addresses_are_refused_in_one_line(endpoint: str, reason: str) -> None:
    with pytest.raises(RigposeError, match=reason) as caught:
        parse_settings(StreamSettings, {"endpoint": endpoint}, "rig.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://eth0:5555", "tcp://[::]:5555"]
)
def test_with_keys_any_address_may_be_bound(endpoint: str) -> None:
    content = {"endpoint": endpoint, "keys": "keys"}
    assert parse_settings(StreamSettings, content, "rig.yaml").keys == Path("keys")


def test_with_keys_what_is_no_address_is_refused_all_the_same() -> None:
    with pytest.raises(RigposeError, match="no port"):
        parse_settings(StreamSettings, {"keys": "keys", "endpoint": "tcp://*"}, "rig.yaml")


@pytest.mark.parametrize(
    ("bound", "here"),
    [
        ("tcp://*:5555", "tcp://127.0.0.1:5555"),
        ("tcp://0.0.0.0:5555", "tcp://127.0.0.1:5555"),
        ("tcp://[::]:5555", "tcp://[::1]:5555"),
        ("tcp://10.0.0.3:5555", "tcp://10.0.0.3:5555"),
        ("ipc:///run/a", "ipc:///run/a"),
    ],
)
def test_this_host_connects_to_what_was_bound(bound: str, here: str) -> None:
    assert reachable(bound) == here


def test_another_port_of_the_same_host() -> None:
    assert beside("tcp://[fe80::1]:5555", 0) == "tcp://[fe80::1]:*"
    assert beside("tcp://rig:5555", 7) == "tcp://rig:7"
