"""Every acknowledged edit, on disk before it is acknowledged.

CollectedData is written a moment after the last click, not at every one. What it lacks stands here, one
JSON object a line, and is replayed when the next server starts:

    {"edit": "...", "folder": "m4s1", "image": "img0001.png", "keypoint": "snout", "point": {...} or null}
    {"saving": "m4s1"}   before the folder's files are replaced and {"saved": "m4s1"} after, so that where a
                         server was killed between the h5 and the CSV, the next knows why they disagree

Replaying an edit twice does no harm: each says what the point is, not how it changed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError

JOURNAL_FILE = "rigpose_label.journal"


class Journal:
    """The journal of one project, open for appending.

    Parameters
    ----------
    path:
        The file; made when it is missing.

    Attributes
    ----------
    left:
        What a server that was killed left here, in order; a torn last line is dropped.

    Raises
    ------
    RigposeError
        If it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._busy = threading.Lock()
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RigposeError(
                path, expected="a project that may be written", found=error.strerror or str(error),
                remedy="Check who may write there",
            ) from None  # fmt: skip
        with path.open("rb") as stream:
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._length = len(whole)
        os.ftruncate(self._handle, self._length)
        self.left: list[dict[str, Any]] = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("no object")
            except ValueError as error:
                raise RigposeError(
                    path, expected="a journal of edits", found=f"line {number}: {error}",
                    remedy="Move the file away; it holds the last edits of a server that was killed",
                ) from None  # fmt: skip
            self.left.append(entry)

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Write entries and wait for the disk: all of them or none.

        Raises
        ------
        OSError
            If the disk is full; nothing has been added then.
        """
        lines = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in entries).encode()
        with self._busy:
            try:
                written = 0
                while written < len(lines):
                    written += os.pwrite(self._handle, lines[written:], self._length + written)
                os.fdatasync(self._handle)
            except OSError:
                os.ftruncate(self._handle, self._length)
                raise
            self._length += len(lines)

    def clear(self) -> None:
        """Forget everything: it stands in the label files."""
        with self._busy:
            os.ftruncate(self._handle, 0)
            self._length = 0
            self.left = []

    def close(self) -> None:
        """Close the file, and remove it if it is empty."""
        os.close(self._handle)
        if self._length == 0:
            self.path.unlink(missing_ok=True)
