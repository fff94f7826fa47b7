"""Files fetched from the network: under their name once they are whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from contextlib import nullcontext
from pathlib import Path

from acquisition.progress import Progress

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 20


def fetch(url: str, path: Path, label: str = "") -> None:
    """Write what is at `url` (https, http or file) to `path`.

    Parameters
    ----------
    label:
        Of a bar of its bytes; none without.

    Raises
    ------
    OSError
        If it cannot be fetched (`reason(error)` says why) or written; `path` is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            total = int(answer.headers.get("Content-Length") or 0) or None
            with Progress(label, total) if label else nullcontext() as bar:
                while chunk := answer.read(CHUNK_BYTES):
                    file.write(chunk)
                    if bar is not None:
                        bar.advance(len(chunk))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Why, in a few words."""
    return str(getattr(error, "reason", None) or error)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
