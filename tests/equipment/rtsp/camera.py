"""The RTSP server as a camera that can be switched on and off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_SERVER = Path(__file__).with_name("server.py")
_PLUGINS = {
    "libgstx264.so": "gstreamer1.0-plugins-ugly",
    "libgstrtp.so": "gstreamer1.0-plugins-good",
    "libgstvideotestsrc.so": "gstreamer1.0-plugins-base",
}


@dataclass
class NetworkCamera:
    """A camera at `uri`; `off` is its plug pulled, `on` the same address again."""

    rate_hz: int = 25
    size: tuple[int, int] = (64, 48)
    port: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def on(self) -> None:
        words = [self.port, self.rate_hz, *self.size]
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), *map(str, words)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def network_camera(**how) -> Iterator[NetworkCamera]:
    """A camera that is on; skips with one line where GStreamer's server is not installed."""
    libraries = Path("/usr/lib")
    missing = [
        package for file, package in _PLUGINS.items() if not list(libraries.glob(f"*/gstreamer-1.0/{file}"))
    ]
    if not list(libraries.glob("*/girepository-1.0/GstRtspServer-1.0.typelib")):
        missing.append("gir1.2-gst-rtsp-server-1.0")
    if missing:
        pytest.skip(f"no RTSP server: apt-get install {' '.join(missing)}")
    pytest.importorskip("gi", reason="no RTSP server: pip install 'rigpose[gstreamer]'")
    camera = NetworkCamera(**how)
    camera.on()
    try:
        yield camera
    finally:
        camera.off()
