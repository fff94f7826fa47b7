"""One labelling server a project: two would overwrite each other's files."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from types import TracebackType

from acquisition.errors import RigposeError

LOCK_FILE = "rigpose_label.lock"


class ProjectLock:
    """Held from construction to `release` (or the end of the process, however it ends).

    Parameters
    ----------
    root:
        The project's folder.

    Raises
    ------
    RigposeError
        If another server holds it, naming that one; if the project may not be written.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / LOCK_FILE
        while True:
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise RigposeError(
                    root, expected="a project that may be written", found=error.strerror or str(error),
                    remedy="Check who may write there, or copy the project",
                ) from None  # fmt: skip
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 4096, 0)
                os.close(handle)
                raise RigposeError(
                    root, expected="a project that no other labelling server has open",
                    found=_described(holder),
                    remedy="Open the address that one printed, or end it with Ctrl-C first",
                ) from None  # fmt: skip
            # Whoever held it before may have removed the file between our opening and our locking.
            try:
                same = os.fstat(handle).st_ino == self.path.stat().st_ino
            except FileNotFoundError:
                same = False
            if same:
                self._handle = handle
                self.describe("")
                return
            os.close(handle)

    def describe(self, address: str) -> None:
        """Say in the file who holds it; `address` without its token."""
        content = {"process": os.getpid(), "host": socket.gethostname(), "address": address}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(content).encode(), 0)

    def release(self) -> None:
        """Let others in."""
        self.path.unlink(missing_ok=True)
        os.close(self._handle)

    def __enter__(self) -> ProjectLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _described(content: bytes) -> str:
    try:
        holder = json.loads(content)
        at = f" at {holder['address']}" if holder["address"] else ""
        return f"process {holder['process']} on {holder['host']}{at}"
    except (ValueError, KeyError, TypeError):
        return "another process"
