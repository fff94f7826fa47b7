"""Image files as the page gets them: their size from the first bytes, and refused when cut off."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

from acquisition.errors import RigposeError
from training.images import read_image

MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".bmp": "image/bmp",
    ".webp": "image/webp",
}  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"


def image_size(path: Path) -> tuple[int, int]:
    """Width and height, px. Raises `RigposeError` where there is no whole image."""
    try:
        status = path.stat()
    except OSError as error:
        raise RigposeError(
            path, expected="an image", found=error.strerror or "no file", remedy="Put the image back"
        ) from None
    return _size(path, status.st_mtime_ns)


@functools.lru_cache(maxsize=65536)
def _size(path: Path, _mtime_ns: int) -> tuple[int, int]:
    with path.open("rb") as stream:
        head = stream.read(24)
    if head[:8] == _PNG and head[12:16] == b"IHDR":
        width, height = struct.unpack(">II", head[16:24])
        return int(width), int(height)
    image = read_image(path)
    return image.shape[1], image.shape[0]


def image_bytes(path: Path) -> bytes:
    """The file as it is. Raises `RigposeError` for one that is cut off, which a browser would half show."""
    content = path.read_bytes()
    whole = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}.get(path.suffix.lower())
    if not content or (whole is not None and whole not in content[-64:]):
        raise RigposeError(
            path, expected="a whole image", found=f"{len(content)} bytes that are cut off",
            remedy="Extract the frame again",
        )  # fmt: skip
    return content
