"""`rigpose bench --loop`: from an LED's flash to the TTL that answers it, on a whole rig.

The trigger's LED blinks the pulse count in a camera's view. `rigpose live` runs as it is, with a processor
(`deploy.bench.flash`) that makes an output high when it sees the LED on in the picture of the frame set whose
pose it has just been given. So a flash passes exposure, camera, ring, frame set, network, 3D, stream,
processor and output, and each is told by its picture, not by a count.

Light begins with the exposure (the LED is switched with the pulse). The end is when the outputs' process has
switched; what a board or a wire adds after that is not in the figure.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from deploy.bench import flash
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.run import Loop
from deploy.live.live import LiveOptions, live
from deploy.stream.settings import StreamSettings

SWITCHES_NOTHING = OutputSettings(uri="log:", max_age_ms=5000.0, max_on_ms=5000.0, silence_ms=5000.0)


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """What to measure.

    Attributes
    ----------
    live:
        How to run: bundle, calibration, seconds, runtime, precision, threads, tracking.
    camera:
        Whose picture shows the LED; "": the rig's first.
    output:
        Name in `outputs`; "": the first, or one that switches nothing where there is none.
    """

    live: LiveOptions
    camera: str = ""
    output: str = ""


def measure_loop(
    rig: RigSettings, stream: StreamSettings, outputs: dict[str, OutputSettings], options: LoopOptions
) -> dict[str, Any]:
    """Run the rig and answer flashes until the time is over.

    Returns
    -------
    dict
        `flashes`; `light_to_ttl` with count, p50_ms, p95_ms, p99_ms, max_ms, of the light going on and going
        off; `seen`: where the LED was found and how often its state was `right` and `wrong` by the pulse
        count; `camera`, `output`, `uri`, `exposure_us`;
        `refused` and `cut` by the output's guard; `network`; `stages` of `live`.

    Raises
    ------
    RigposeError
        A rig without a trigger, an output or a camera that is not in the rig file, no LED in the picture, or
        whatever `live` raises.
    """
    if rig.trigger is None:
        raise RigposeError(
            f"rig '{rig.name}'", expected="a trigger, whose LED blinks", found="a free-running rig",
            remedy="Add a 'trigger' section to the rig file",
        )  # fmt: skip
    name, settings = _output(outputs, options.output)
    camera = options.camera or next(iter(rig.cameras))
    with tempfile.TemporaryDirectory(prefix="rigpose-loop-") as folder:
        report = Path(folder) / "flash.json"
        made_with = {"camera": camera, "output": name, "report": str(report)}
        file = Path(flash.__file__)
        loop = Loop(file, flash.FlashLoop.__name__, made_with, camera, "measured", {name: settings})
        measured = live(rig, stream, replace(options.live, loop=loop))
        seen = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    if "led_px" not in seen:
        raise RigposeError(
            f"camera '{camera}'", expected="the trigger's LED, blinking the pulse count",
            found="nothing that follows its code",
            remedy="Put the LED into the view, or name another --camera",
        )  # fmt: skip
    answered = measured["outputs"][name]
    if not answered["on"]:
        instead = ", ".join(f"{why} {n}" for why, n in {**answered["refused"], **answered["cut"]}.items())
        raise RigposeError(
            f"output '{name}'", expected="flashes answered as its policy in the rig file allows",
            found=f"none ({instead or 'no command came'})",
            remedy="Raise the output's max_age_ms, or make the network smaller",
        )  # fmt: skip
    exposure_us = float(measured["cameras"][camera]["info"]["exposure_us"])
    return {
        "flashes": answered["on"],
        "light_to_ttl": _later(answered["exposure_to_output"], exposure_us / 2e3),
        "seen": seen, "camera": camera, "output": name, "uri": settings.uri, "exposure_us": exposure_us,
        "refused": answered["refused"], "cut": answered["cut"], "network": measured["network"],
        "stages": measured["stages"], "complete_in": measured["complete_in"],
        "complete_published": measured["complete_published"],
    }  # fmt: skip


def _output(outputs: dict[str, OutputSettings], wished: str) -> tuple[str, OutputSettings]:
    """The output that answers, whatever the network sees; how long it may be on stays as the rig has it."""
    if wished and wished not in outputs:
        raise RigposeError(
            "--output-name", expected=f"one of {', '.join(outputs) or 'the rig file, which has none'}",
            found=f"'{wished}'", remedy="Name an output of the rig file",
        )  # fmt: skip
    name = wished or next(iter(outputs), "flash")
    settings = outputs.get(name) or SWITCHES_NOTHING
    return name, settings.model_copy(update={"keypoints": (), "min_confidence": 0.0, "min_views": 1})


def _later(summary: dict[str, Any], by_ms: float) -> dict[str, Any]:
    """Durations that began earlier by so much."""
    return {
        name: round(value + by_ms, 3) if name.endswith("_ms") and value is not None else value
        for name, value in summary.items()
    }
