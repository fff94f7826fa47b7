"""Small videos, and what a folder holds, for tests that a command changes what it should and no more."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def video(path: Path, frames: int = 2) -> Path:
    """A grey video of 64x48 px."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for level in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), 50 * level % 256, np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def everything(folder: Path) -> dict[Path, bytes | None]:
    """Every path under a folder with its content."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
