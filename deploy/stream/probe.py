"""A subscriber in a process of its own that measures the stream as its users get it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.child import ChildLink
from calibration.poses import Pose3D, PoseSet
from deploy.latency import StageLatency
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Kind
from deploy.stream.subscriber import PoseSubscriber, Received

_KINDS: tuple[Kind, ...] = ("measured", "filtered", "predicted")
_TAIL_MS = 150  # silence that says: nothing is on the way any more
_TAIL_AT_MOST_NS = 1_000_000_000  # where there is no silence, because the publisher goes on


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What to listen to and where to write.

    Attributes
    ----------
    endpoint:
        Of the stream.
    report:
        JSON written at the end: counts and latencies.
    poses:
        If given, an .npz of everything received; it grows in memory until the end.
    keys:
        For a stream with keys.
    """

    endpoint: str
    report: str
    poses: str | None = None
    keys: ClientKeys | None = None


def probe(link: ChildLink, plan: ProbePlan) -> None:
    """The process: ready once it has heard a session; listens until told to stop."""
    latency = StageLatency()
    kept: list[Received] = []
    with PoseSubscriber(plan.endpoint, keys=plan.keys, kinds=_KINDS) as stream:
        last_ns: int | None = None
        while last_ns is None or time.monotonic_ns() < last_ns:
            message = stream.receive(timeout_ms=_TAIL_MS)
            if link.stopping and last_ns is None:
                last_ns = time.monotonic_ns() + _TAIL_AT_MOST_NS
            if message is None:
                if link.stopping:
                    break
            elif isinstance(message.body, PoseSet | Pose3D):
                name, header = _name(message), message.header
                latency.add(
                    {
                        f"exposure_to_subscriber_{name}": message.t_received_ns - header.t_exposure_ns,
                        f"publish_to_subscriber_{name}": message.t_received_ns - header.t_publish_ns,
                    }
                )
                if plan.poses is not None:
                    kept.append(message)
            link.report(
                state="ready" if stream.session is not None else "listening", received=stream.received
            )
        if plan.poses is not None:
            _save(Path(plan.poses), kept)
        _write(Path(plan.report), {
            "received": stream.received, "lost": stream.lost, "malformed": stream.malformed,
            "sessions": stream.sessions, "latency": latency.summary(),
        })  # fmt: skip


def _name(message: Received) -> str:
    """pose2d, pose3d; of derived ones pose2d_filtered, ..."""
    kind = message.header.kind
    return message.topic if kind == "measured" else f"{message.topic}_{kind}"


def _save(path: Path, messages: Sequence[Received]) -> None:
    """All poses: index, t_exposure_ns, t_publish_ns, t_valid_ns, t_received_ns and the arrays, stacked.

    Names begin with the topic; those of derived poses go on with the kind, `pose2d_filtered`.
    """
    arrays: dict[str, Any] = {}
    session = next((message.session for message in reversed(messages) if message.session is not None), None)
    if session is not None:
        arrays["keypoints"] = np.array(session.keypoints)
        arrays["cameras"] = np.array([camera.name for camera in session.cameras])
    for topic in dict.fromkeys(("pose2d", "pose3d", *(_name(message) for message in messages))):
        mine = [message for message in messages if _name(message) == topic]
        for stamp in ("index", "t_exposure_ns", "t_publish_ns", "t_valid_ns"):
            values = [getattr(message.header, stamp) for message in mine]
            arrays[f"{topic}_{stamp}"] = np.array(values, dtype=np.int64)
        arrays[f"{topic}_t_received_ns"] = np.array([m.t_received_ns for m in mine], dtype=np.int64)
        poses = [m.body.keypoints if isinstance(m.body, PoseSet) else m.body.points for m in mine
                 if isinstance(m.body, PoseSet | Pose3D)]  # fmt: skip
        arrays[topic] = np.stack(poses) if poses else np.zeros((0,), np.float32)
    temporary = path.with_name(f".{path.name}.part.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)


def _write(path: Path, report: dict[str, Any]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(report), encoding="utf-8")
    temporary.replace(path)
