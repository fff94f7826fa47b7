"""The `stream` section of rig.yaml: where poses are published, and who may reach that place."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from acquisition.settings import Settings


class StreamSettings(Settings):
    """Where the poses go.

    The stream is neither encrypted nor authenticated, so it is offered only to this host: a tcp
    address of the loopback network, or an ipc socket.
    """

    endpoint: str = Field(
        "tcp://127.0.0.1:5555",
        description="ZeroMQ address the publisher binds: tcp://127.0.0.1:PORT or ipc:///path/of/socket",
    )
    high_water_mark: int = Field(
        256, ge=1, le=100_000, description="messages kept for a slow subscriber; more are dropped and counted"
    )

    @field_validator("endpoint")
    @classmethod
    def _reachable_by_this_host_only(cls, endpoint: str) -> str:
        require_local(endpoint)
        return endpoint


def require_local(endpoint: str) -> None:
    """Refuse, with `ValueError`, an endpoint that other hosts could reach or that cannot be bound."""
    address = urlsplit(endpoint)
    if address.scheme == "ipc":
        if not (address.netloc + address.path):
            raise ValueError(f"'{endpoint}' names no socket; write ipc:///run/user/1000/rigpose.sock")
        return
    if address.scheme != "tcp":
        raise ValueError(f"'{endpoint}' must begin with tcp:// or ipc://")
    try:
        port = address.port
    except ValueError:
        port = None
    # Port 0 is any free port, "*" is ZeroMQ's way of writing it: useful to tests and to a demo.
    if port is None and not address.netloc.endswith(":*"):
        raise ValueError(f"'{endpoint}' has no port; write tcp://127.0.0.1:5555")
    host = address.hostname or ""
    if host == "localhost":
        return
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ValueError(
            f"'{endpoint}' would show the stream to other hosts, and it has no keys; "
            "bind tcp://127.0.0.1:PORT or ipc:///path"
        )
