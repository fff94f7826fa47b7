"""A page's server: its socket, its address for a person, uvicorn in a thread."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from acquisition.errors import RigposeError

STOP_WITHIN_S = 1.0


def bound_socket(host: str, port: int | None, usual_port: int) -> socket.socket:
    """A listening socket: at `port`, at any free one (0), or, for None, at `usual_port` if it is free.

    Raises
    ------
    RigposeError
        If the port is taken or the address is not this machine's.
    """
    if port is not None and not 0 <= port <= 65535:
        raise RigposeError("--port", expected="0 to 65535", found=str(port), remedy="Choose another port")
    try:
        return _bind(host, usual_port if port is None else port)
    except OSError as error:
        if port is None:
            with contextlib.suppress(OSError):
                return _bind(host, 0)
        raise RigposeError(
            f"--host {host}" + ("" if port is None else f" --port {port}"),
            expected="an address of this machine with a free port", found=error.strerror or str(error),
            remedy="Leave --port out, or choose another",
        ) from None  # fmt: skip


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def shown_host(host: str) -> str:
    """What stands in the address for a person: a server bound to everything is shown by its name."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def running(app: ASGIApp, bound: socket.socket) -> Iterator[None]:
    """uvicorn in a thread; what is still open a second after the end is cut off."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", http="h11", loop="asyncio",
        server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],), name="page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_WITHIN_S)
        if thread.is_alive():
            server.force_exit = True
            thread.join(STOP_WITHIN_S)
