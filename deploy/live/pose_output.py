"""What becomes of a set's poses: onto the stream, into the table of the recording, through the filters."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from acquisition.frame import Absence
from calibration.poses import Pose3D, PoseSet
from deploy.live.derived_poses import DerivedPoses
from deploy.live.estimator import SIZE, News
from deploy.live.tracker_plan import TrackerPlan
from deploy.live.view_accounts import ViewAccounts
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.stream.messages import Event, Session
from deploy.stream.publisher import Publisher, Stamps

_EVENTS = 5


class PoseOutput:
    """The way out of one tracker. The recording keeps the measured poses, whatever is derived from them.

    Attributes
    ----------
    warnings:
        What a person should mend, in sentences.
    events:
        The last few: `t_ns`, `name`, `source`, `detail`.

    Parameters
    ----------
    plan:
        The tracker's orders.
    publisher:
        Of the stream; whoever made it closes it.
    keypoints:
        Names, in the order of the arrays.
    """

    def __init__(self, plan: TrackerPlan, publisher: Publisher, keypoints: tuple[str, ...]) -> None:
        self.warnings: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._plan = plan
        self._publisher = publisher
        self._keypoints = keypoints
        self._views = ViewAccounts(plan.cameras)
        self._derived = DerivedPoses(plan.tracking, len(plan.cameras), len(keypoints), 0)
        self._table: PoseTableWriter | None = None
        self._table_error = ""

    def warm_up(self) -> None:
        """Compile the filters."""
        self._derived.warm_up()

    def begin(self, period_ns: int, announcement: Session, facts: dict[str, Any]) -> None:
        """The sets begin, `period_ns` apart (0: not known). A recorded run gets a table.

        The table says all that subscribers are told, enough to publish it again, and `facts`.
        """
        plan = self._plan
        self._derived = DerivedPoses(plan.tracking, len(plan.cameras), len(self._keypoints), period_ns)
        if plan.session_dir is None:
            return
        facts = {
            **facts, "tracking": plan.tracking.model_dump(mode="json"),
            "announcement": msgspec.to_builtins(announcement),
        }  # fmt: skip
        try:
            self._table = PoseTableWriter(
                Path(plan.session_dir), self._publisher.session_id, plan.cameras, self._keypoints, facts
            )
        except OSError as error:
            self._table_error = error.strerror or str(error)

    def measured(self, pose: PoseSet | Pose3D, stamps: Stamps) -> int:
        """Publish a measured pose; returns when."""
        published_ns = self._publisher.pose(pose, stamps)
        if isinstance(pose, Pose3D):
            self._views.add(pose)
        return published_ns

    def derive(self, poses: PoseSet, points: Pose3D | None, stamps: Stamps) -> None:
        """Publish what is made of them: filtered and predicted poses."""
        for kind, t_ns, keypoints in self._derived.of_2d(poses, time.monotonic_ns()):
            derived = PoseSet(poses.index, poses.t_exposure_ns, keypoints)
            self._publisher.pose(derived, stamps, kind, t_ns)
        if points is None:
            return
        for kind, t_ns, found in self._derived.of_3d(points, time.monotonic_ns()):
            self._publisher.pose(Pose3D(points.index, points.t_exposure_ns, found), stamps, kind, t_ns)

    def record(
        self, poses: PoseSet, points: Pose3D | None, stamps: Stamps, published_ns: int,
        absences: tuple[Absence | None, ...],
    ) -> None:  # fmt: skip
        """Count the views; into the table, if the disk allows: tracking goes on without it."""
        self.tell(self._views.present([cause is None for cause in absences]), poses.index)
        if self._table is None:
            return
        times = (stamps.t_arrival_ns, stamps.t_inference_start_ns, stamps.t_inference_end_ns, published_ns)
        try:
            self._table.append(poses, points, times, absences)
        except OSError as error:
            self._table_error = error.strerror or str(error)
            self._table.close()
            self._table = None

    def tell(self, news: Iterable[News], index: int) -> None:
        """Events, out; what a person should mend is a warning besides."""
        for name, camera, detail in news:
            now_ns = time.monotonic_ns()
            self._publisher.event(Event(name, camera, detail), now_ns, index)
            event = {"t_ns": now_ns, "name": name, "source": camera, "detail": detail}
            self.events = [*self.events[1 - _EVENTS :], event]
            if name == SIZE:
                self.warnings.append(detail)

    def counters(self) -> dict[str, dict[str, int | float]]:
        """For `health`: of 3D and of prediction, where there are any."""
        solid = self._views.counters()
        return {**({"pose3d": solid} if solid else {}), **self._derived.counters()}

    def summary(self) -> dict[str, Any]:
        """Rows written and why no more were, warnings, quality of 3D, errors of prediction."""
        return {
            "poses_written": self._table.rows if self._table is not None else 0,
            "poses_stopped": self._table_error,
            "warnings": self.warnings,
            "pose3d": self._views.counters(),
            "prediction": self._derived.summary(),
        }

    def close(self) -> None:
        """Finish the table."""
        if self._table is not None:
            self._table.close()
