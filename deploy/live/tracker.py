"""The tracker process: frames of all cameras in, poses on the stream out.

Rings -> frame sets -> backlog -> network (all cameras in one call) -> triangulation -> publisher. One thread
does it all; ZeroMQ's own thread sends. A set that lacks frames is tracked with those that are there: NaN for
the absent camera, 3D from fewer views. Filtered and predicted poses go out after the measured ones.
"""

from __future__ import annotations

import gc
import json
import time
from collections import deque
from itertools import chain, dropwhile
from pathlib import Path
from typing import Any

import cv2

from acquisition.child import ChildLink
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased, release
from acquisition.synchronisation.continued_sets import Counter
from acquisition.synchronisation.synchronise import FrameSetMaker, StampSet
from calibration.poses import PoseSet
from deploy.latency import StageLatency
from deploy.live.accounts import SetAccounts
from deploy.live.announcement import announcement
from deploy.live.backlog import Backlog
from deploy.live.estimator import Estimator
from deploy.live.numbering import frame_sets, reported
from deploy.live.pose_output import PoseOutput
from deploy.live.tracker_plan import TrackerPlan
from deploy.stream.messages import Session
from deploy.stream.publisher import Publisher, Stamps

_WAIT_S = 0.005  # a set overdue is noticed this late at most
_HEALTH_NS = 1_000_000_000
_FIRST_FRAMES = 8  # a camera; half of its ring


def track(link: ChildLink, runtime: str, plan: TrackerPlan) -> None:
    """The process: publish the poses of the rings under `runtime` until told to stop."""
    cv2.setNumThreads(1)  # its pool would compete with capture for two cores, and gains nothing at this size
    rings = RingReaders(Path(runtime), plan.cameras, "tracker")
    try:
        tracker = Tracker(link, plan, rings)
    except BaseException:
        rings.close()
        raise
    try:
        tracker.run()
    finally:
        tracker.close()
        rings.close()


class Tracker:
    """One stream session.

    Raises
    ------
    RigposeError
        If the network, the calibration or the endpoint is not as it must be.
    """

    def __init__(self, link: ChildLink, plan: TrackerPlan, rings: RingReaders) -> None:
        self._link = link
        self._plan = plan
        self._rings = rings
        self._estimator = Estimator(plan)
        self._network = self._estimator.predictor.describe()
        self._joining = False
        self._period_ns = 0
        self._accounts = SetAccounts(plan.cameras)
        self._latency = StageLatency()
        self._backlog = Backlog()
        self._counter = Counter(None)
        self._health_ns = 0
        self._publisher = Publisher(plan.stream, self._describe, insider=plan.insider)
        self._output = PoseOutput(plan, self._publisher, self._estimator.predictor.keypoints)

    def run(self) -> None:
        """Connect, warm up, say ready, wait for the pulses, track until told to stop."""
        link = self._link
        # The pulses run already: this tracker replaces one that died, and earlier pulses were not its own.
        self._joining = "pulses" in link.told
        while not self._rings.connected:
            release(self._idle())
            if link.stopping:
                return
        self._warm_up()
        self._publisher.announce()  # now with the image sizes
        link.report(now=True, state="ready", endpoint=self._publisher.endpoint, network=self._network)
        first = {camera: deque[Leased]() for camera in self._plan.cameras}
        while "pulses" not in link.told:
            # The first frames may be here before word of the pulses is.
            for leased in self._idle():
                first[leased.stamp.camera].append(leased)
                if len(first[leased.stamp.camera]) > _FIRST_FRAMES:
                    first[leased.stamp.camera].popleft().release()
            if link.stopping:
                return
        self._period_ns = link.told["pulses"]["period_ns"] or 0
        synchroniser, self._counter = frame_sets(self._plan, link.told, self._joining)
        for leased in chain.from_iterable(first.values()):
            synchroniser.add(leased.stamp, leased)
        facts = {"network": self._network, "calibration_sha256": self._estimator.calibration_sha256}
        self._output.begin(self._period_ns, self._describe(), facts)
        self._publisher.announce()
        while not link.stopping:
            self._take_in(synchroniser, 0.0 if len(self._backlog) else _WAIT_S)
            frame_set = self._backlog.take()
            self._release_skipped()
            if frame_set is not None:
                self._track(frame_set)
            self._housekeeping()
        self._finish(synchroniser)

    def close(self) -> None:
        """Let go of endpoint and table."""
        self._publisher.close()
        self._output.close()

    def _idle(self) -> list[Leased]:
        """Before the sets begin: answer subscribers; the frames that came."""
        self._publisher.service()
        return self._rings.receive(0.02)

    def _warm_up(self) -> None:
        """All that can only be checked now, and everything once that is slow the first time."""
        geometries = {
            name: reader.geometry for name, reader in self._rings.readers.items() if reader.geometry
        }
        self._estimator.warm_up(geometries, lambda: release(self._idle()))
        self._output.warm_up()
        gc.collect()
        gc.freeze()  # what is loaded now lives as long as the process: the collector need not look at it

    def _take_in(self, synchroniser: FrameSetMaker, timeout_s: float) -> None:
        frames = self._rings.receive(timeout_s)
        for leased in frames:
            synchroniser.add(leased.stamp, leased)
        for camera in self._rings.gone():
            synchroniser.gone(camera)
        self._accept(synchroniser, synchroniser.closed(time.monotonic_ns()))

    def _accept(self, synchroniser: FrameSetMaker, sets: list[StampSet]) -> None:
        release(synchroniser.rejected)
        synchroniser.rejected.clear()
        if self._joining:
            sets = list(dropwhile(_before_us, sets))
            self._joining = not sets
        for one in sets:
            self._counter.saw(one)
        self._accounts.arrived(sets)
        self._accounts.resolved(synchroniser.resolved())
        self._backlog.offer(sets)

    def _release_skipped(self) -> None:
        for frame_set in self._backlog.skipped():
            self._accounts.was_skipped(frame_set)
            release(frame_set.payloads)

    def _track(self, frame_set: StampSet) -> None:
        """One frame set: 2D of all cameras, 3D, out, accounts."""
        if not any(stamp is not None for stamp in frame_set.stamps):
            self._accounts.was_empty()
            return
        index, t_exposure_ns = frame_set.index, frame_set.t_exposure_ns
        start_ns = time.monotonic_ns()
        images = [None if leased is None else leased.image for leased in frame_set.payloads]
        poses = PoseSet(index, t_exposure_ns, self._estimator.keypoints(images))
        end_ns = time.monotonic_ns()
        release(frame_set.payloads)
        arrival_ns = max(stamp.t_arrival_ns for stamp in frame_set.stamps if stamp is not None)
        stamps = Stamps(arrival_ns, start_ns, end_ns)
        published_ns = self._output.measured(poses, stamps)
        points = self._estimator.points(index, t_exposure_ns, poses.keypoints)
        triangulated_ns = sent_ns = published_ns
        if points is not None:
            triangulated_ns = time.monotonic_ns()
            sent_ns = self._output.measured(points, stamps)
        done_ns = time.monotonic_ns()
        self._output.derive(poses, points, stamps)
        derived_ns = time.monotonic_ns()
        self._accounts.was_published(frame_set)
        self._output.record(poses, points, stamps, sent_ns, frame_set.absences)
        self._output.tell(self._estimator.news, index)
        self._estimator.news.clear()
        self._backlog.served(time.monotonic_ns() - start_ns)

        times = self._estimator.predictor.times
        self._latency.add(
            {
                "exposure_to_arrival": arrival_ns - t_exposure_ns,
                "arrival_to_inference": start_ns - arrival_ns,
                "preprocess": times.preprocess_ns,
                "network": times.network_ns,
                "decode": times.decode_ns,
                "triangulate": triangulated_ns - published_ns,
                "publish": (published_ns - end_ns) + (done_ns - triangulated_ns),
                "derive": derived_ns - done_ns,
                "arrival_to_publish": sent_ns - arrival_ns,
                "beside_network": sent_ns - arrival_ns - times.network_ns,
                "exposure_to_publish": sent_ns - t_exposure_ns,
            }
        )

    def _housekeeping(self) -> None:
        self._publisher.service()
        now_ns = time.monotonic_ns()
        if now_ns - self._health_ns >= _HEALTH_NS:
            self._health_ns = now_ns
            lost = {f"camera {camera}": causes for camera, causes in self._accounts.lost().items()}
            self._publisher.health({"tracker": self._accounts.counters(), **lost, **self._quality()})
        self._link.report(
            sets=self._accounts.counters(), warnings=self._output.warnings, events=self._output.events,
            **reported(self._counter),
        )  # fmt: skip

    def _finish(self, synchroniser: FrameSetMaker) -> None:
        """Track what is there, give up what is not whole, write the summary."""
        self._take_in(synchroniser, 0.0)
        self._accept(synchroniser, synchroniser.flush())
        while (frame_set := self._backlog.take()) is not None:
            self._track(frame_set)
        self._release_skipped()
        self._publisher.health({"tracker": self._accounts.counters(), **self._quality()})
        self._link.report(now=True, sets=self._accounts.counters())
        report = Path(self._plan.report)
        temporary = report.with_suffix(".part")
        temporary.write_text(json.dumps(self._summary(synchroniser)), encoding="utf-8")
        temporary.replace(report)

    def _quality(self) -> dict[str, dict[str, int | float]]:
        """Counters of 3D, of windows that follow, of prediction: those that there are."""
        return {**self._output.counters(), **self._estimator.counters()}

    def _summary(self, synchroniser: FrameSetMaker) -> dict[str, Any]:
        return {
            **self._accounts.summary(),
            "frames_rejected": dict(synchroniser.counts),
            "stages": self._latency.summary(),
            "stream": {**self._publisher.counters(), "session": self._publisher.session_id},
            **self._output.summary(),
            "follow": self._estimator.counters(),
            "network": self._network,
            "calibration_sha256": self._estimator.calibration_sha256,
        }

    def _describe(self) -> Session:
        estimator = self._estimator
        return announcement(
            self._plan, estimator.predictor, self._rings, estimator.calibration_sha256, self._period_ns
        )


def _before_us(frame_set: StampSet) -> bool:
    return all(stamp is None for stamp in frame_set.stamps)
