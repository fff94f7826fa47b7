"""The trigger port: who pulses the cameras, and the table of ways to reach it."""

from __future__ import annotations

import importlib
from typing import Protocol
from urllib.parse import urlsplit

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings

TRIGGERS = {
    "sim": "acquisition.simulation.trigger:SimulatedTrigger",
}


class Trigger(Protocol):
    """A source of pulses. Its class takes (port, rate_hz)."""

    def open(self) -> None:
        """Reach the device. Raises `RigposeError`."""
        ...

    def start(self) -> tuple[int, int]:
        """Begin to pulse: (instant of pulse 0 on the rig clock, actual period), both ns."""
        ...

    def stop(self) -> int:
        """No more pulses; how many there were since `start`. 0 when called again."""
        ...

    def close(self) -> None:
        """Stop and let go. Never raises; may be called twice."""
        ...


def trigger_of(rig: RigSettings) -> Trigger | None:
    """The trigger of `rig`, not yet open; None on a free-running rig. Raises `RigposeError`."""
    settings = rig.trigger
    if settings is None:
        return None
    scheme = urlsplit(settings.port).scheme
    if scheme not in TRIGGERS:
        raise RigposeError(
            "trigger",
            expected=f"a port beginning with {', '.join(f'{s}://' for s in TRIGGERS)}",
            found=f"'{settings.port}'",
            remedy="Mend 'trigger.port' in the rig file",
        )
    module, name = TRIGGERS[scheme].split(":")
    trigger: Trigger = getattr(importlib.import_module(module), name)(settings.port, settings.rate_hz)
    return trigger
