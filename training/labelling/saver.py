"""Writes the label files in the background: soon after the last edit, and at least every few seconds.

Writing a folder's h5 takes up to a second where it holds hundreds of frames, which no click should wait
for. The journal holds what is not written yet.
"""

from __future__ import annotations

import threading
import time

from acquisition.errors import RigposeError
from training.labelling.label_files import LabelFiles
from training.labelling.store import LabelStore

QUIET_S = 1.0
AT_LEAST_EVERY_S = 10.0
AGAIN_AFTER_S = 5.0


class Saver:
    """A thread that saves until it is stopped.

    Parameters
    ----------
    store:
        Whose points.
    files:
        What writes them.
    quiet_s:
        How long nobody has edited anything before the files are written.
    """

    def __init__(self, store: LabelStore, files: LabelFiles, quiet_s: float = QUIET_S) -> None:
        self._store = store
        self._files = files
        self._quiet_ns = round(quiet_s * 1e9)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left.

        Raises
        ------
        RigposeError, OSError
            If that fails; the edits are in the journal then.
        """
        with self._store.dirty:
            self._stopping = True
            self._store.dirty.notify_all()
        self._thread.join()
        self._files.save()

    def _run(self) -> None:
        import pandas  # noqa: F401  the first save shall not wait for it

        while self._wait_for_quiet():
            try:
                self._files.save()
            except (RigposeError, OSError):  # noted in `files.trouble` for the pages
                self._sleep(AGAIN_AFTER_S)

    def _wait_for_quiet(self) -> bool:
        """Until there is something to write and nobody is editing; False: stop."""
        with self._store.dirty:
            while not self._store.unsaved and not self._stopping:
                self._store.dirty.wait()
            since_ns = time.monotonic_ns()
            seen, seen_ns = self._store.version, since_ns
            while not self._stopping:
                now_ns = time.monotonic_ns()
                if self._store.version != seen:
                    seen, seen_ns = self._store.version, now_ns
                quiet = now_ns - seen_ns >= self._quiet_ns
                if quiet or now_ns - since_ns >= AT_LEAST_EVERY_S * 1e9:
                    return True
                self._store.dirty.wait(max(0.0, (seen_ns + self._quiet_ns - now_ns) / 1e9))
            return False

    def _sleep(self, seconds: float) -> None:
        until_ns = time.monotonic_ns() + round(seconds * 1e9)
        with self._store.dirty:
            while not self._stopping and (left_ns := until_ns - time.monotonic_ns()) > 0:
                self._store.dirty.wait(left_ns / 1e9)
