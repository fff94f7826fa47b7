"""The process that runs a processor: its own subscriber, the newest pose, one call after the other."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.child import ChildLink
from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.closed_loop.outputs.client import Outputs
from deploy.closed_loop.outputs.settings import OutputSettings, check_keypoints
from deploy.closed_loop.processor import Moment, arguments_of, load_processor
from deploy.latency import StageLatency
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Kind, Session
from deploy.stream.subscriber import PoseSubscriber, Received

_WAIT_MS = 50


@dataclass(frozen=True, slots=True)
class ProcessorPlan:
    """What to run.

    Attributes
    ----------
    file, name, options:
        As `load_processor` takes them.
    endpoint, keys:
        Of the stream.
    report:
        JSON written at the end.
    kind:
        Which poses it gets.
    camera:
        Whose 2D pose is its `pose`; "": the rig's first.
    runtime, outputs:
        Runtime folder and outputs by name.
    save:
        What its `save` is called with at the end; "": the run is not recorded, and it is not called.
    """

    file: str
    name: str
    endpoint: str
    report: str
    options: dict[str, Any] = field(default_factory=dict)
    keys: ClientKeys | None = None
    kind: Kind = "measured"
    camera: str = ""
    runtime: str = ""
    outputs: dict[str, OutputSettings] = field(default_factory=dict)
    save: str = ""


class Pairing:
    """2D and 3D of one set, joined; of several sets the newest.

    Attributes
    ----------
    skipped:
        Sets whose poses came and were not given out, because newer ones were there.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._flat: Received | None = None
        self._newest: Moment | None = None

    def add(self, message: Received) -> None:
        """A pose of the wanted kind, in the order of the stream."""
        session, body = message.session, message.body
        if session is None:
            return
        if isinstance(body, PoseSet):
            self.skipped += self._flat is not None
            self._flat = message
            if not session.calibration_sha256:
                self._complete(message, body, None, session)
        elif isinstance(body, Pose3D):
            flat, self._flat = self._flat, None
            if flat is not None and isinstance(flat.body, PoseSet) and flat.body.index == body.index:
                self._complete(flat, flat.body, body, session)

    def take(self) -> Moment | None:
        """The newest whole set; None where there is none."""
        moment, self._newest = self._newest, None
        return moment

    def _complete(self, message: Received, flat: PoseSet, solid: Pose3D | None, session: Session) -> None:
        self.skipped += self._newest is not None
        self._flat = None
        header = message.header
        self._newest = Moment(
            header.index, header.kind, header.t_exposure_ns, header.t_valid_ns, flat.keypoints,
            None if solid is None else solid.points, session,
        )  # fmt: skip


def run_processor(link: ChildLink, plan: ProcessorPlan) -> None:
    """The process: ready when the processor is made and the stream is heard."""
    processor = load_processor(Path(plan.file), plan.name, plan.options)
    accepted = arguments_of(processor)
    latency, pairing = StageLatency(), Pairing()
    outputs = Outputs(None, {}, ())
    calls, camera = 0, -1
    with PoseSubscriber(
        plan.endpoint, topics=("pose2d", "pose3d"), keys=plan.keys, kinds=(plan.kind,)
    ) as stream:
        while not link.stopping:
            message = stream.receive(timeout_ms=_WAIT_MS)
            while message is not None:
                pairing.add(message)
                message = stream.receive(timeout_ms=0)
            if camera < 0 and stream.session is not None:
                camera = _number_of(plan.camera, stream.session)
                check_keypoints(plan.outputs, stream.session.keypoints)
                runtime = Path(plan.runtime) if plan.outputs else None
                outputs = Outputs(runtime, plan.outputs, stream.session.keypoints)
            moment = pairing.take()
            if moment is not None and camera >= 0:
                outputs.evidence = moment
                begin_ns = time.monotonic_ns()
                processor.process(
                    np.array(moment.keypoints[camera]),
                    **accepted({**_times(moment, begin_ns), "record": bool(plan.save), "moment": moment,
                                "outputs": outputs}),
                )  # fmt: skip
                end_ns = time.monotonic_ns()
                outputs.evidence = None
                outputs.beat(moment.t_exposure_ns)
                calls += 1
                latency.add(
                    {"exposure_to_process": begin_ns - moment.t_exposure_ns, "process": end_ns - begin_ns}
                )
            link.report(state="ready" if camera >= 0 else "listening", calls=calls, skipped=pairing.skipped)
        lost = dict(stream.lost)
    outputs.close()
    saved = processor.save(plan.save) if plan.save else None
    report = {
        "calls": calls, "skipped": pairing.skipped, "lost": lost, "latency": latency.summary(),
        "saved": plan.save if saved is not None else None,
    }  # fmt: skip
    path = Path(plan.report)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(report), encoding="utf-8")
    temporary.replace(path)


def _number_of(camera: str, session: Session) -> int:
    names = [view.name for view in session.cameras]
    if not camera:
        return 0
    if camera not in names:
        raise RigposeError(
            "--processor-camera", expected=f"one of {', '.join(names)}", found=f"'{camera}'",
            remedy="Give the camera whose pose the processor is to get",
        )  # fmt: skip
    return names.index(camera)


def _times(moment: Moment, now_ns: int) -> dict[str, float]:
    """DeepLabCut-Live's times: seconds since 1970, of the exposure and of the pose."""
    clock = moment.session.clock
    offset_ns = clock.t_realtime_ns - clock.t_monotonic_ns
    return {
        "frame_time": (moment.t_exposure_ns + offset_ns) * 1e-9,
        "pose_time": (now_ns + offset_ns) * 1e-9,
    }
