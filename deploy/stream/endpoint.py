"""Addresses of the stream: which this host alone can reach, binding them, and where to connect to them."""

from __future__ import annotations

import errno
import os
import socket
import stat
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from acquisition.errors import RigposeError


def require_bindable(endpoint: str) -> None:
    """Refuse, with `ValueError`, what is no address to bind: tcp://HOST:PORT or ipc://PATH."""
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


def is_local(endpoint: str) -> bool:
    """Whether only this host can reach a (bindable) address."""
    if endpoint.startswith("ipc://"):
        return True
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(bound: str) -> str:
    """Where this host connects to an address that was bound: any address becomes the loopback."""
    for anywhere, here in (("//*:", "//127.0.0.1:"), ("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        bound = bound.replace(anywhere, here)
    return bound


def beside(endpoint: str, port: int) -> str:
    """The same tcp host with another port; port 0 is any free one."""
    return f"{endpoint.rpartition(':')[0]}:{port or '*'}"


def bind(zmq_socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind; the address as it is now, with numbers for a wildcard port and an interface's name.

    Raises
    ------
    RigposeError
        If the address is in use, or cannot be bound.
    """
    if endpoint.startswith("ipc://"):
        _claim(Path(endpoint.removeprefix("ipc://")), endpoint)
    zmq_socket.set(zmq.IPV6, int("[" in endpoint))
    try:
        zmq_socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == errno.EADDRINUSE:
            raise _in_use(endpoint) from None
        raise RigposeError(
            f"stream endpoint {endpoint}", expected="an address that can be bound",
            found=os.strerror(error.errno or 0), remedy="Change stream.endpoint in the rig file",
        ) from None  # fmt: skip
    return zmq_socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")


def require_free(endpoint: str) -> str:
    """Bind an address and let go of it: whoever starts a publisher elsewhere learns early that it cannot.

    Returns the address as it was bound. Raises `RigposeError`.
    """
    with zmq.Context() as context, context.socket(zmq.XPUB) as probe:
        probe.set(zmq.LINGER, 0)
        return bind(probe, endpoint)


def _claim(path: Path, endpoint: str) -> None:
    """ZeroMQ unlinks whatever stands at an ipc path before it binds: make sure that is a dead socket."""
    if str(path).startswith("@"):
        return
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing there; a missing folder is reported by bind
    if not stat.S_ISSOCK(mode):
        raise RigposeError(
            f"stream endpoint {endpoint}", expected="a socket or nothing at that path", found="a file",
            remedy="Change stream.endpoint in the rig file",
        )  # fmt: skip
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise _in_use(endpoint)


def _in_use(endpoint: str) -> RigposeError:
    return RigposeError(
        f"stream endpoint {endpoint}", expected="a free address", found="one in use by another process",
        remedy="Stop the other 'rigpose live', or set another stream.endpoint in the rig file",
    )  # fmt: skip
