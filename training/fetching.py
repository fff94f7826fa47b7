"""Files fetched from the network: under their name once they are whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 20


def fetch(url: str, path: Path, advance: Callable[[int], object] | None = None) -> None:
    """Write what is at `url` (https, http or file) to `path`.

    Parameters
    ----------
    advance:
        Told of every piece, how many bytes it has.

    Raises
    ------
    OSError
        If it cannot be fetched (`reason(error)` says why) or written; `path` is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                if advance is not None:
                    advance(len(chunk))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Why, in a few words."""
    return str(getattr(error, "reason", None) or error)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
