"""Writing a file whole or not at all, and reading JSON with an error a person can mend."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; a crash or a full disk leaves what was there before."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Replace `path` by `content` as indented JSON."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `RigposeError`."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RigposeError(
            path, expected="a readable JSON file", found=error.strerror or "no file", remedy="Check the path"
        ) from None
    except ValueError as error:
        raise RigposeError(path, expected="JSON", found=str(error), remedy="Make the file again") from None
    if not isinstance(content, dict):
        raise RigposeError(
            path, expected="a JSON object", found=type(content).__name__, remedy="Make the file again"
        )
    return content
