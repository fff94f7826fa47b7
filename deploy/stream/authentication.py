"""Who may listen: CURVE for the publisher's sockets, with a list of clients that may change while it runs.

ZeroMQ asks an authenticator inside the process (ZAP, ZeroMQ RFC 27) about every client that has proved to
hold its key. It forgets the answer: a connection that stands is not asked about again. So we note which
connection each subscription came from, and shut those of a client that is no longer on the list.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from acquisition.errors import RigposeError
from deploy.stream.keys import PUBLIC_SUFFIX, KeyPair, allowed, allowed_files, read_public

INSIDER = "rigpose"  # name of the processes that belong to the publisher's own run
_ZAP = "inproc://zeromq.zap.01"
_DOMAIN = b"rigpose"
_LOOK_NS = 250_000_000
_KEPT = 16  # refusals to be told of; more are only counted


class Gate:
    """Encrypts a publisher's sockets and decides who may connect. Use it in the publisher's thread.

    Parameters
    ----------
    context:
        The publisher's; the sockets to be protected are of it.
    pair:
        The publisher's own keys.
    folder:
        The folder of keys with the list of clients.
    insider:
        A public key that may listen besides; "" for none.

    Attributes
    ----------
    refused_unlisted, refused_wrong_key, refused_without_key:
        Attempts of clients that hold a key which is not on the list; that do not know this publisher's key;
        that speak without keys.
    ended:
        Connections ended because their client was revoked.

    Raises
    ------
    RigposeError
        If the list of clients cannot be read.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], pair: KeyPair, folder: Path, insider: str = ""
    ) -> None:
        self.refused_unlisted = self.refused_wrong_key = self.refused_without_key = self.ended = 0
        self._context, self._pair, self._folder = context, pair, folder
        self._insider = {insider: INSIDER} if insider else {}
        self._clients = {**allowed(folder), **self._insider}
        self._looked = self._state_of_list()
        self._looked_ns = time.monotonic_ns()
        # By inode of the connection's socket: its number, the client's key, its name.
        self._connections: dict[int, tuple[int, str, str]] = {}
        self._told: deque[str] = deque(maxlen=_KEPT)
        self._monitors: list[zmq.Socket[bytes]] = []
        self._zap = context.socket(zmq.REP)
        self._zap.set(zmq.LINGER, 0)
        self._zap.bind(_ZAP)

    def protect(self, zmq_socket: zmq.Socket[bytes]) -> None:
        """Have a socket take encrypted connections of listed clients only. Call it before it is bound."""
        zmq_socket.set(zmq.CURVE_SERVER, 1)
        zmq_socket.set(zmq.CURVE_SECRETKEY, self._pair.secret.encode())
        zmq_socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
        zmq_socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # no authenticator: nobody, instead of everybody
        address = f"inproc://gate-{len(self._monitors)}"
        zmq_socket.monitor(address, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        monitor = self._context.socket(zmq.PAIR)
        monitor.set(zmq.LINGER, 0)
        monitor.set(zmq.RCVHWM, 0)  # a full queue would hold up ZeroMQ's own thread
        monitor.connect(address)
        self._monitors.append(monitor)

    def service(self) -> None:
        """Answer those who wait to be let in, count refusals, follow the list."""
        while self._zap.poll(0):
            self._answer(self._zap.recv_multipart(zmq.NOBLOCK))
        for monitor in self._monitors:
            while monitor.poll(0):
                self._count(parse_monitor_message(monitor.recv_multipart(zmq.NOBLOCK)))
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now_ns
            self._follow_list()

    def subscribed(self, request: zmq.Frame) -> bool:
        """Note the connection a subscription came from; False where its client has been revoked meanwhile."""
        try:
            number = int(request.get(zmq.SRCFD))
            key = str(request.get("User-Id"))
            self._connections[os.fstat(number).st_ino] = (number, key, self._clients.get(key, key))
        except (zmq.ZMQError, OSError):  # the connection is gone already
            return False
        if self.admits(key):
            return True
        self._end_revoked()
        return False

    def admits(self, key: str) -> bool:
        """Whether the holder of a public key may listen, as the list was last seen. From any thread."""
        return key in self._clients

    def counters(self) -> dict[str, int]:
        """For `health`: clients connected, refusals by reason, connections ended."""
        self._forget_closed()
        return {
            "clients": len(self._connections), "clients_refused_unlisted": self.refused_unlisted,
            "clients_refused_wrong_key": self.refused_wrong_key,
            "clients_refused_without_key": self.refused_without_key, "clients_ended": self.ended,
        }  # fmt: skip

    def tell(self) -> list[str]:
        """What happened at the gate since the last time, one line each."""
        lines = list(self._told)
        self._told.clear()
        return lines

    def close(self) -> None:
        """Close after the sockets that were protected: nobody slips in between."""
        for zmq_socket in (*self._monitors, self._zap):
            zmq_socket.close(0)

    def _answer(self, request: list[bytes]) -> None:
        """One request of ZAP: version, request id, domain, address, identity, mechanism, the client's key."""
        key = ""
        if len(request) == 7 and request[5] == b"CURVE" and len(request[6]) == 32:
            key = z85.encode(request[6]).decode()
            if not self.admits(key):
                self._follow_list()  # perhaps it has just been allowed
        admitted = self.admits(key)
        if not admitted:
            self.refused_unlisted += 1
            address = request[3].decode("ascii", "replace") if len(request) > 3 else "?"
            self._told.append(f"refused {address}: key {key} is not allowed")
        status, text = (b"200", b"OK") if admitted else (b"400", b"not allowed")
        # The user id comes back with every subscription of this connection (`subscribed`).
        number = request[1] if len(request) > 1 else b""
        self._zap.send_multipart([b"1.0", number, status, text, key.encode() if admitted else b"", b""])

    def _count(self, event: Mapping[str, Any]) -> None:
        if event["value"] == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            self.refused_without_key += 1
            self._told.append("refused a client without keys")
        else:
            self.refused_wrong_key += 1
            self._told.append("refused a client that has another publisher's key")

    def _follow_list(self) -> None:
        state = self._state_of_list()
        if state == self._looked:
            return
        self._looked = state
        clients = dict(self._insider)
        for file in allowed_files(self._folder):
            try:
                clients[read_public(file)] = file.name.removesuffix(PUBLIC_SUFFIX)
            except RigposeError as error:  # a list that is being edited: the others stay as they are
                self._told.append(str(error))
        self._clients = clients
        self._end_revoked()

    def _state_of_list(self) -> list[tuple[str, int, int]]:
        """Changes whenever a file of the list does."""
        state = []
        for file in allowed_files(self._folder):
            with contextlib.suppress(OSError):
                about = file.stat()
                state.append((file.name, about.st_ino, about.st_mtime_ns))
        return state

    def _end_revoked(self) -> None:
        self._forget_closed()
        for inode, (number, key, name) in list(self._connections.items()):
            if not self.admits(key):
                del self._connections[inode]
                self.ended += _shut(number, inode)
                self._told.append(f"ended a connection of {name}, who was revoked")

    def _forget_closed(self) -> None:
        for inode, (number, _, _) in list(self._connections.items()):
            try:
                open_still = os.fstat(number).st_ino == inode
            except OSError:
                open_still = False
            if not open_still:
                del self._connections[inode]


def _shut(number: int, inode: int) -> bool:
    """End the connection on a socket of ZeroMQ's; it then finds the other side gone.

    Between our looking and our acting the number may have come to mean another file. A duplicate cannot.
    """
    try:
        held = os.dup(number)
    except OSError:
        return False
    try:
        if os.fstat(held).st_ino != inode:
            return False
        with socket.socket(fileno=held) as connection:
            held = -1  # the socket closes it
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    finally:
        if held >= 0:
            os.close(held)
    return True
