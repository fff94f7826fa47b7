"""The `stream` section of rig.yaml: where poses are published, and who may reach that place."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from acquisition.settings import Settings
from deploy.stream.endpoint import is_local, require_bindable


class StreamSettings(Settings):
    """Where the poses go.

    Without keys the stream is neither encrypted nor authenticated, so it is offered only to this host: a tcp
    address of the loopback network, or an ipc socket. With keys any address may be bound.
    """

    # Before the endpoint: which addresses are allowed depends on it.
    keys: Path | None = Field(
        None,
        description="folder of keys ('rigpose keys'): encrypts, and lets in only the clients allowed there",
    )
    endpoint: str = Field(
        "tcp://127.0.0.1:5555",
        description="ZeroMQ address the publisher binds: tcp://127.0.0.1:PORT or ipc:///path/of/socket; "
        "with keys also tcp://*:PORT",
    )
    echo_port: int = Field(
        0, ge=0, le=65535,
        description="tcp port at which other hosts compare clocks, where there are keys; 0: any free one",
    )  # fmt: skip
    high_water_mark: int = Field(
        256, ge=1, le=100_000, description="messages kept for a slow subscriber; more are dropped and counted"
    )

    @field_validator("endpoint")
    @classmethod
    def _only_with_keys_beyond_this_host(cls, endpoint: str, others: ValidationInfo) -> str:
        require_bindable(endpoint)
        if others.data.get("keys") is None and not is_local(endpoint):
            raise ValueError(
                f"'{endpoint}' would show the stream to other hosts, and it has no keys; "
                "bind tcp://127.0.0.1:PORT or ipc:///path, or make keys: rigpose keys new server"
            )
        return endpoint
