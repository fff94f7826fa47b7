"""What somebody at the page who may do so has asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Asked:
    """Written by the server's threads, told to the parent by the page's process.

    Attributes
    ----------
    stop:
        Set once the run is to end.
    record:
        The newest wish for the recording: `on`, and `asked_ns`, when that was; {} before the first.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    record: dict[str, Any] = field(default_factory=dict)

    def switch(self, on: bool) -> None:
        """The recording is to go on, or to stop for now."""
        self.record = {"on": on, "asked_ns": time.monotonic_ns()}
