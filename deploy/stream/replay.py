"""`replay`: the poses of a recorded live run, published again as if they were live."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.recordings.session import read_session
from acquisition.running import RUNNING, STARTING, Facts, RunFile
from calibration.poses import Pose3D, PoseSet
from deploy.poses_io.pose_table import FOLDER, PoseTable, read_pose_tables
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings
from deploy.stream.stream_clock import stream_clock

_SERVICE_NS = 20_000_000
_HEALTH_NS = 1_000_000_000
_LONGEST_NS = 3_600_000_000_000  # from the exposure to the publishing of one set


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Attributes
    ----------
    speed:
        1: at the recording's own pace; 2: twice as fast.
    wait:
        Begin when so many subscribers have joined.
    version:
        Of rigpose, told to subscribers.
    """

    speed: float = 1.0
    wait: int = 0
    version: str = ""


def replay(folder: Path, stream: StreamSettings, options: ReplayOptions) -> dict[str, Any]:
    """Publish the poses stored in a session, in their order and at their pace; payloads are bit-identical.

    Every stamp is moved by the time between the recorded publishing and this one: ages are those of the live
    run. What is stored is as measured, so that is what is published. A tracker that was restarted while it
    was recorded is another stream session here, too. Ctrl-C ends it.

    Returns
    -------
    dict
        `recording`, `endpoint`, `ended`; `sets` published `of` those stored; `sessions`; `seconds`;
        `behind_ms`: how late the latest set was by the recording's pace; `stream`: the publisher's counters.

    Raises
    ------
    RigposeError
        If the folder is no session, holds no poses, or the endpoint cannot be bound.
    """
    name = read_session(folder)["name"]
    tables = [table for table in read_pose_tables(folder) if len(table.records)]
    if not tables:
        raise RigposeError(
            folder, expected="poses of a live run", found=f"none in {FOLDER}/",
            remedy="Record them with: rigpose live RIG.yaml --model X.bundle --record DIR",
        )  # fmt: skip
    announced = [_announced(table, name, folder) for table in tables]
    _require_order(tables, folder)
    total = sum(len(table.records) for table in tables)
    described = partial(_now, announced[0], options.version)
    with Publisher(stream, described) as publisher, RunFile("replay") as run_file:
        facts = {"name": name, "recording": str(folder), "endpoint": publisher.endpoint, "of": total}
        run = _Run(publisher, run_file, facts, options.speed, int(tables[0].records["t_publish_ns"][0]))
        ended = "interrupted"
        with Progress("replay", total) as bar, contextlib.suppress(KeyboardInterrupt):
            print(f"replaying {name} on {publisher.endpoint}: {total} frame sets", flush=True)
            run.wait_for(options.wait)
            for number, (table, session) in enumerate(zip(tables, announced, strict=True)):
                if number:
                    publisher.begin_session(partial(_now, session, options.version))
                run.publish(table, bool(session.calibration_sha256), bar)
            ended = "all published"
        return {
            "recording": name, "endpoint": publisher.endpoint, "ended": ended, "sets": run.sets, "of": total,
            "sessions": len(tables), "seconds": round(run.seconds, 3),
            "behind_ms": round(run.behind_ns / 1e6, 3), "stream": publisher.counters(),
        }  # fmt: skip


class _Run:
    """The publishing, and what became of it."""

    def __init__(
        self, publisher: Publisher, run_file: RunFile, facts: Facts, speed: float, first_ns: int
    ) -> None:
        self.sets = 0
        self.behind_ns = 0
        self._publisher = publisher
        self._run_file = run_file
        self._facts = facts
        self._speed = speed
        self._first_ns = first_ns
        self._start_ns = time.monotonic_ns()
        self._health_ns = 0

    @property
    def seconds(self) -> float:
        return (time.monotonic_ns() - self._start_ns) * 1e-9

    def wait_for(self, subscribers: int) -> None:
        """Serve until so many have joined; the pace counts from then."""
        while self._publisher.joins < subscribers:
            self._tell(STARTING)
            self._publisher.service()
            time.sleep(_SERVICE_NS * 1e-9)
        self._start_ns = time.monotonic_ns()

    def publish(self, table: PoseTable, with_3d: bool, bar: Progress) -> None:
        """All sets of one table."""
        for record in table.records:
            published_ns = int(record["t_publish_ns"])
            self._until(self._start_ns + round((published_ns - self._first_ns) / self._speed))
            moved_ns = time.monotonic_ns() - published_ns
            stamps = Stamps(
                int(record["t_arrival_ns"]) + moved_ns,
                int(record["t_inference_start_ns"]) + moved_ns,
                int(record["t_inference_end_ns"]) + moved_ns,
            )
            index, exposure_ns = int(record["index"]), int(record["t_exposure_ns"]) + moved_ns
            self._publisher.pose(PoseSet(index, exposure_ns, record["pose2d"]), stamps)
            if with_3d:
                self._publisher.pose(Pose3D(index, exposure_ns, record["pose3d"]), stamps)
            self.sets += 1
            bar.advance()

    def _until(self, due_ns: int) -> None:
        """Serve until it is time."""
        while True:
            self._tell(RUNNING)
            self._publisher.service()
            now_ns = time.monotonic_ns()
            if now_ns - self._health_ns >= _HEALTH_NS:
                self._health_ns = now_ns
                self._publisher.health({"replay": {"published": self.sets}})
            if now_ns >= due_ns:
                self.behind_ns = max(self.behind_ns, now_ns - due_ns)
                return
            time.sleep(min(due_ns - now_ns, _SERVICE_NS) * 1e-9)

    def _tell(self, state: str) -> None:
        """To `rigpose status`."""
        self._run_file.tell(lambda: {
            **self._facts, "state": state, "behind_ms": round(self.behind_ns / 1e6, 3),
            "counters": {"replay": {"published": self.sets}},
        })  # fmt: skip


def _announced(table: PoseTable, name: str, folder: Path) -> Session:
    """What subscribers of the live run were told, as the session of a replay."""
    fewer = Session("", tuple(CameraView(camera, 0, 0) for camera in table.cameras), table.keypoints,
                    StreamClock("", "", 0, 0, 0))  # fmt: skip
    about = table.about.get("announcement", msgspec.to_builtins(fewer))
    try:
        session = msgspec.convert(about, Session)
    except msgspec.ValidationError as error:
        raise RigposeError(
            folder, expected="poses with what subscribers were told", found=str(error),
            remedy="Restore the files from a copy",
        ) from None  # fmt: skip
    cameras = tuple(camera.name for camera in session.cameras)
    if (cameras, session.keypoints) != (table.cameras, table.keypoints):
        raise RigposeError(
            folder, expected=f"poses of {cameras} and {session.keypoints}",
            found=f"{table.cameras} and {table.keypoints}", remedy="Restore the files from a copy",
        )  # fmt: skip
    calibration = session.calibration_sha256 or table.about.get("calibration_sha256", "")
    return msgspec.structs.replace(
        session, calibration_sha256=calibration, recording="", replay_of=str(name)
    )  # fmt: skip


def _require_order(tables: list[PoseTable], folder: Path) -> None:
    """Refuse stamps that no clock has shown: a wait for them might never end."""
    latest_ns = 0
    for table in tables:
        published_ns = table.records["t_publish_ns"]
        stamps = (table.records[name] for name in ("t_exposure_ns", "t_arrival_ns", "t_inference_start_ns",
                                                   "t_inference_end_ns"))  # fmt: skip
        if (
            published_ns[0] < latest_ns
            or (np.diff(published_ns) < 0).any()
            or any((np.abs(published_ns - stamp) > _LONGEST_NS).any() for stamp in stamps)
        ):
            raise RigposeError(
                folder, expected="poses in the order they were published", found="stamps that jump",
                remedy="Restore the files from a copy",
            )  # fmt: skip
        latest_ns = int(published_ns[-1])


def _now(session: Session, version: str) -> Session:
    """The announcement with this host's clock."""
    return msgspec.structs.replace(session, clock=stream_clock(), rigpose=version)
