"""The receiving end of Aravis's GigE Vision streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from acquisition.camera import Value

STREAM_OPTIONS: dict[str, Value] = {
    # Name: value where nothing is wished. They are set on the receiving end of a GigE Vision stream.
    "packet_resend": True,  # ask the camera again for packets that did not come
    "packet_timeout_ms": 20.0,  # a packet that late is asked for again
    "frame_retention_ms": 100.0,  # a frame that misses packets is given up after so long; later ones wait
    "socket_buffer_mb": 16.0,  # of the kernel, which may allow less
}
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def kernel_limit_mb() -> float:
    """The largest receive buffer the kernel gives a socket; no limit where it does not say (a container)."""
    return int(_RMEM_MAX.read_text()) / 1e6 if _RMEM_MAX.is_file() else float("inf")


def apply_stream_options(aravis: Any, stream: Any, options: dict[str, Value]) -> None:
    """Set what was wished of the receiving end; what was not keeps Aravis's defaults."""
    setters: dict[str, Callable[[Any], None]] = {
        "packet_resend": lambda on: stream.set_property(
            "packet-resend",
            aravis.GvStreamPacketResend.ALWAYS if on else aravis.GvStreamPacketResend.NEVER,
        ),
        "packet_timeout_ms": lambda ms: stream.set_property("packet-timeout", round(ms * 1000)),
        "frame_retention_ms": lambda ms: stream.set_property("frame-retention", round(ms * 1000)),
        "socket_buffer_mb": lambda mb: (
            stream.set_property("socket-buffer", aravis.GvStreamSocketBuffer.FIXED),
            stream.set_property("socket-buffer-size", round(mb * 1e6)),
        )[-1],
    }
    for name, value in options.items():
        if name in setters and isinstance(stream, aravis.GvStream):
            setters[name](value)
