"""Where the stream may be bound as long as it has no keys."""

import pytest

from acquisition.errors import RigposeError
from acquisition.settings import parse_settings
from deploy.stream_settings import StreamSettings


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
