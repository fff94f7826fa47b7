"""Power and temperature of a Jetson, as its `tegrastats` tells them.

A line, once per interval, as JetPack 6 writes it on an Orin Nano (shortened):

    11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) ... GR3D_FREQ 63%@[621] ... tj@53.968C
    VDD_IN 12479mW/12479mW VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW

Rails are NAME now/average in mW (JetPack 4 leaves the unit out), zones NAME@degrees; a zone that is switched
off says -256. Which rail is the whole module's input depends on the module: `INPUT_RAILS`. Source: NVIDIA's
Jetson Linux developer guide, "tegrastats Utility".
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

TOOL = "tegrastats"
INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails that carry all that the module takes (Orin Nano and NX, Xavier NX, TX; Nano)."""

_RAIL = re.compile(r"\b((?:VDD|VIN|POM|CPU|GPU|SOC|CV|SYS)\w*) (\d+)(?:mW)?/(\d+)(?:mW)?(?= |$)")
_ZONE = re.compile(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b")
_GPU = re.compile(r"\bGR3D_FREQ (\d+)%")
_OFF_C = -200.0


@dataclass(frozen=True, slots=True)
class JetsonSample:
    """One line.

    Attributes
    ----------
    power_mw:
        By rail, as of now.
    temperature_c:
        By thermal zone; zones that are switched off are left out.
    gpu_percent:
        How busy the GPU is; None where the line does not say.
    """

    power_mw: dict[str, float]
    temperature_c: dict[str, float]
    gpu_percent: float | None


def parse(line: str) -> JetsonSample:
    """What a line tells; nothing where it is none of tegrastats'."""
    busy = _GPU.search(line)
    zones = {name: float(degrees) for name, degrees in _ZONE.findall(line)}
    return JetsonSample(
        {name: float(now) for name, now, _ in _RAIL.findall(line)},
        {name: degrees for name, degrees in zones.items() if degrees > _OFF_C},
        float(busy[1]) if busy else None,
    )


def summarise(samples: Sequence[JetsonSample]) -> dict[str, Any]:
    """Mean and largest of every rail (W) and zone (degrees Celsius), and of the input, if a rail is that."""
    rails = {name: [s.power_mw[name] / 1e3 for s in samples if name in s.power_mw]
             for sample in samples for name in sample.power_mw}  # fmt: skip
    zones = {name: [s.temperature_c[name] for s in samples if name in s.temperature_c]
             for sample in samples for name in sample.temperature_c}  # fmt: skip
    busy = [sample.gpu_percent for sample in samples if sample.gpu_percent is not None]
    whole = next((name for name in INPUT_RAILS if name in rails), None)
    return {
        "samples": len(samples),
        "input_w": None if whole is None else _mean_and_max(rails[whole]),
        "rails_w": {name: _mean_and_max(values) for name, values in rails.items()},
        "zones_c": {name: _mean_and_max(values) for name, values in zones.items()},
        "gpu_percent": _mean_and_max(busy) if busy else None,
    }


class Tegrastats:
    """tegrastats running beside a block; on other machines it does nothing.

    Attributes
    ----------
    samples:
        What it told so far.

    Parameters
    ----------
    every_ms:
        How often it is to tell.
    """

    def __init__(self, every_ms: int = 200) -> None:
        self.samples: list[JetsonSample] = []
        self._every_ms = every_ms
        self._tool = shutil.which(TOOL)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Tegrastats:
        if self._tool is None:
            return self
        self._process = subprocess.Popen(
            [self._tool, "--interval", str(self._every_ms)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), name=TOOL, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()

    def take(self) -> list[JetsonSample]:
        """The samples since the last call."""
        taken, self.samples = self.samples, []
        return taken

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                sample = parse(line)
                if sample.power_mw or sample.temperature_c:
                    self.samples.append(sample)


def _mean_and_max(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(sum(values) / len(values), 3), "max": round(max(values), 3)}
