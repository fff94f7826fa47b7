"""The trigger port: who pulses the cameras, and the table of ways to reach it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings, TriggerSettings


class Trigger(Protocol):
    """A source of pulses."""

    @property
    def fault(self) -> str:
        """ "" while all is well; else why its pulses can be trusted no longer. It stays."""
        ...

    def open(self) -> None:
        """Reach the device. Raises `RigposeError`."""
        ...

    def listen(self, note: Callable[..., None] | None) -> None:
        """From now on call `note(kind, t_ns, **facts)` (`EventsWriter.append`) with what happens, from
        any thread; None: nobody."""
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
    if scheme not in TRIGGERS or (not scheme and not settings.port.startswith("/")):
        raise RigposeError(
            "trigger",
            expected="a serial port such as /dev/ttyACM0, or sim://scene.yaml",
            found=f"'{settings.port}'",
            remedy="Mend 'trigger.port' in the rig file",
        )
    return TRIGGERS[scheme](settings)


def _simulated(settings: TriggerSettings) -> Trigger:
    from acquisition.simulation.trigger import SimulatedTrigger

    return SimulatedTrigger(settings.port, settings.rate_hz)


def _serial(settings: TriggerSettings) -> Trigger:
    from acquisition.trigger.serial_trigger import SerialTrigger, train_of

    return SerialTrigger(settings.port, train_of(settings.rate_hz, settings.exposure_us))


TRIGGERS: dict[str, Callable[[TriggerSettings], Trigger]] = {"sim": _simulated, "": _serial}
