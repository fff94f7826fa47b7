"""The closed loop within `live`: what is checked first, its processes, and the trigger's line."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process
from deploy.bundles.bundle import Bundle
from deploy.closed_loop.outputs.serve import OutputsPlan, serve_outputs
from deploy.closed_loop.outputs.settings import OutputSettings, check_keypoints
from deploy.closed_loop.outputs.trigger_line import LineRelay
from deploy.closed_loop.processor_run import ProcessorPlan, run_processor
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Kind
from deploy.tracking_settings import TrackingSettings

PROCESSOR_REPORT, OUTPUTS_REPORT = "processor.json", "outputs.json"
"""In the runtime folder."""

_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Loop:
    """A processor and what it may switch.

    Attributes
    ----------
    file, name, options:
        The Python file, the class in it, and what it is made with.
    camera:
        Whose 2D pose is its `pose`; "": the rig's first.
    kind:
        Which poses it gets.
    outputs:
        By name.
    """

    file: Path
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    camera: str = ""
    kind: Kind = "measured"
    outputs: dict[str, OutputSettings] = field(default_factory=dict)

    def check(self, bundle: Bundle, rig: RigSettings, tracking: TrackingSettings) -> None:
        """Refuse, with `RigposeError`, what cannot work with this network, rig and tracking."""
        if not self.file.is_file():
            raise RigposeError(
                f"processor {self.file}", expected="a Python file", found="no such file",
                remedy="Give --processor FILE.py:CLASS",
            )  # fmt: skip
        check_keypoints(self.outputs, bundle.manifest.keypoints)
        _require_one_each(self.outputs)
        if self.camera and self.camera not in rig.cameras:
            raise RigposeError(
                "--processor-camera", expected=f"one of {', '.join(rig.cameras)}", found=f"'{self.camera}'",
                remedy="Give the camera whose pose the processor is to get",
            )  # fmt: skip
        published = {"measured": True, "filtered": tracking.smooth != "none", "predicted": tracking.predict}
        if not published[self.kind]:
            option = "--smooth kalman" if self.kind == "filtered" else "--predict"
            raise RigposeError(
                "--processor-pose", expected="a kind of pose that is published",
                found=f"'{self.kind}', which is not", remedy=f"Add {option}",
            )  # fmt: skip

    def processes(
        self, runtime: Path, endpoint: str, keys: ClientKeys | None, session: Path | None
    ) -> list[Process]:
        """Outputs first: they are stopped after the processor, and low when they end."""
        session_dir = None if session is None else str(session.resolve())
        processor = ProcessorPlan(
            file=str(self.file.resolve()),
            name=self.name,
            endpoint=endpoint,
            report=str(runtime / PROCESSOR_REPORT),
            options=self.options,
            keys=keys,
            kind=self.kind,
            camera=self.camera,
            runtime=str(runtime),
            outputs=self.outputs,
            save="" if session is None else str(session.resolve() / f"{session.name}_{self.name}_PROC"),
        )
        # What the user's code dies of ends nothing but itself.
        loop = [Process("processor", run_processor, (processor,), restarts=_RESTARTS, essential=False)]
        if self.outputs:
            plan = OutputsPlan(str(runtime), self.outputs, str(runtime / OUTPUTS_REPORT), session_dir)
            loop.insert(0, Process("outputs", serve_outputs, (plan,), restarts=_RESTARTS, essential=False))
        return loop

    def line_relay(self, run: RigRun, runtime: Path) -> contextlib.AbstractContextManager[object]:
        """Around the run: the trigger's line, where an output is that. Raises `RigposeError` without one."""
        wished = [name for name, output in self.outputs.items() if output.scheme == "trigger"]
        if not wished:
            return contextlib.nullcontext()
        if run.line is None:
            raise RigposeError(
                f"outputs.{wished[0]}", expected="a trigger with an output line",
                found="a trigger without one" if run.rig.trigger is not None else "no trigger",
                remedy="Use a serial trigger (firmware_configs/trigger), or another uri",
            )  # fmt: skip
        return LineRelay(runtime, run.line)


def _require_one_each(outputs: dict[str, OutputSettings]) -> None:
    """Refuse, with `RigposeError`, two outputs that would switch one thing."""
    owners: dict[str, str] = {}
    for name, output in outputs.items():
        other = owners.setdefault(output.uri, name)
        if other != name and output.scheme != "log":
            raise RigposeError(
                f"outputs.{name}", expected="a uri of its own", found=f"that of '{other}', {output.uri}",
                remedy="Mend the rig file",
            )  # fmt: skip
