"""The simulated trigger: a pulse train written into the scene's world folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import RigposeError
from acquisition.simulation.scene import Scene, scene_of, write_atomically

_FILE = "trigger.json"
_LEAD_NS = 300_000_000
# The last pulse lies this far ahead when it is announced, so that every camera hears of it in time.
_STOP_LEAD_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Pulse n comes at t0 + n period. `last` is None while no end has been announced."""

    t0_ns: int
    period_ns: int
    last: int | None
    holder: int

    def pulse_ns(self, pulse: int) -> int:
        """Rig clock at a pulse."""
        return self.t0_ns + pulse * self.period_ns

    @property
    def running(self) -> bool:
        """Whether pulses still come: not stopped, and the trigger's process is alive."""
        if self.last is not None:
            return self.pulse_ns(self.last) > time.monotonic_ns()
        try:
            os.kill(self.holder, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return self.t0_ns <= time.monotonic_ns() + 2 * _LEAD_NS


def read_train(world: Path) -> PulseTrain | None:
    """The pulse train last begun in a world folder; None if there never was one."""
    try:
        content = json.loads((world / _FILE).read_text())
        return PulseTrain(content["t0_ns"], content["period_ns"], content["last"], content["holder"])
    except (OSError, ValueError, KeyError):
        return None


class SimulatedTrigger:
    """Pulses every simulated camera of one scene.

    Parameters
    ----------
    port:
        sim://scene.yaml
    rate_hz:
        Pulses a second. Frame sets are drawn for the scene's own rate; another one replays them
        faster or slower.
    """

    fault = ""

    def __init__(self, port: str, rate_hz: float) -> None:
        path, _ = scene_of(port)
        scene = Scene.load(path)
        longest_us = max(scene.settings.exposures_us)
        if longest_us > 0.95e6 / rate_hz:
            raise RigposeError(
                "trigger", expected=f"a rate the longest exposure ({longest_us:g} us) leaves room for",
                found=f"rate_hz: {rate_hz:g}", remedy="Lower trigger.rate_hz in the rig file",
            )  # fmt: skip
        self._scene = scene
        self._period_ns = round(1e9 / rate_hz)
        self._train: PulseTrain | None = None

    def open(self) -> None:
        """Nothing to reach: the scene was read already."""

    def listen(self, note: Callable[..., None] | None) -> None:
        """Nothing happens here but pulses."""

    def start(self) -> tuple[int, int]:
        """Announce the train: (time of pulse 0, about 0.3 s ahead, rig clock; period), ns."""
        self._scene.save_to_world()
        train = PulseTrain(time.monotonic_ns() + _LEAD_NS, self._period_ns, None, os.getpid())
        self._announce(train)
        self._train = train
        return train.t0_ns, train.period_ns

    def stop(self) -> int:
        """End the train; returns the number of pulses given, all of which lie in the past. Takes 0.1 s."""
        train = self._train
        if train is None:
            return 0
        self._train = None
        last = max(-1, (time.monotonic_ns() + _STOP_LEAD_NS - train.t0_ns) // train.period_ns)
        self._announce(PulseTrain(train.t0_ns, train.period_ns, last, train.holder))
        time.sleep(max(0.0, (train.pulse_ns(last) - time.monotonic_ns()) * 1e-9))
        return last + 1

    def close(self) -> None:
        """Stop, if that was forgotten."""
        self.stop()

    def _announce(self, train: PulseTrain) -> None:
        content = {
            "t0_ns": train.t0_ns,
            "period_ns": train.period_ns,
            "last": train.last,
            "holder": train.holder,
        }
        write_atomically(self._scene.world / _FILE, json.dumps(content).encode())
