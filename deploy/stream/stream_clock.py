"""This host's clock as an announcement tells it."""

from __future__ import annotations

import socket

from acquisition.synchronisation.clock import clock_anchor
from deploy.stream.messages import StreamClock


def stream_clock() -> StreamClock:
    """CLOCK_MONOTONIC and CLOCK_REALTIME of this host, read now."""
    anchor = clock_anchor()
    return StreamClock(
        anchor.boot_id, socket.gethostname(), anchor.t_ns, anchor.realtime_ns, anchor.uncertainty_ns
    )
