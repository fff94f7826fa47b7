"""The stream of a rig of several hosts: their sets heard, placed, joined, triangulated, published."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from typing import Any

import numpy as np
import zmq

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.running import RUNNING, Facts, RunFile
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import calibration_hash
from calibration.poses import Pose3D, PoseSet
from calibration.triangulation import triangulate
from deploy.fusion.agreement import Agreement
from deploy.fusion.host import Host
from deploy.fusion.joining import Joined, Joiner
from deploy.fusion.pulse_grid import PulseGrid
from deploy.fusion.settings import FuseSettings
from deploy.stream.messages import Event, Session
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.stream_clock import stream_clock
from deploy.stream.subscriber import Received

_WAIT_MS = 20
_HEALTH_NS = 1_000_000_000
_DELAYS = 100_000  # frame sets whose delay is kept for the summary
_EVENTS = 5  # kept for `rigpose status`
_OTHER_RATE = 0.01  # of a period: more than a resonator or its measurement is off


class JointStream:
    """The joining, and what became of it. A context manager.

    Attributes
    ----------
    publisher:
        Of the joint stream.

    Raises
    ------
    RigposeError
        A tolerance of half a period or more, an endpoint in use.
    """

    def __init__(
        self, settings: FuseSettings, version: str, hosts: list[Host], agreement: Agreement,
        calibration: CalibratedRig,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._version = version
        self._hosts = hosts
        self._agreement = agreement
        self._rig = calibration.subset([view.name for view in agreement.cameras])
        self._sha256 = calibration_hash(settings.calibration)
        self._keypoints = len(agreement.sessions[0].keypoints)
        self._period_ns = agreement.sessions[0].period_ns
        self.publisher = Publisher(settings.stream, self._describe)
        self._away = [False] * len(hosts)
        self._sets = self._complete = 0
        self._delays_ns: deque[int] = deque(maxlen=_DELAYS)
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self._start_ns = time.monotonic_ns()
        self._health_ns = 0
        self._begin()

    def __enter__(self) -> JointStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.close()

    def join(self, seconds: float | None, stopped: threading.Event, run_file: RunFile) -> None:
        """Until the time is over, or a signal came; `run_file` is told how it goes."""
        with Progress("joining", total=seconds) as bar:
            shown = 0.0
            while not stopped.is_set() and (seconds is None or shown < seconds):
                self._wait()
                for number, host in enumerate(self._hosts):
                    for message in host.messages():
                        self._heard(number, host, message)
                now_ns = time.monotonic_ns()
                away = [n for n, host in enumerate(self._hosts) if host.away or host.refused]
                for joined in self._joiner.closed(now_ns, away):
                    self._publish(joined)
                self._housekeeping(now_ns)
                run_file.tell(self._facts)
                elapsed = (now_ns - self._start_ns) * 1e-9
                bar.advance(elapsed - shown)
                shown = elapsed
        for joined in self._joiner.flush():
            self._publish(joined)

    def summary(self) -> dict[str, Any]:
        """What there is to say at the end."""
        delays_ms = np.array(self._delays_ns) / 1e6
        p50, p95, most = np.percentile(delays_ms, (50, 95, 100)).round(3) if len(delays_ms) else [None] * 3
        return {
            "seconds": round((time.monotonic_ns() - self._start_ns) * 1e-9, 3),
            "sets": self._sets, "complete": self._complete,
            "added_delay_ms": {"p50": p50, "p95": p95, "max": most},
            "hosts": self._host_counters(), "stream": self.publisher.counters(),
        }  # fmt: skip

    def _begin(self) -> None:
        """Count pulses anew."""
        join = self._settings.join
        try:
            self._grid = PulseGrid(self._period_ns, round(join.tolerance_ms * 1e6))
        except ValueError:
            raise RigposeError(
                "join.tolerance_ms", expected=f"less than half a period, {self._period_ns / 2e6:g} ms",
                found=f"{join.tolerance_ms:g} ms", remedy="Mend it in the file",
            ) from None  # fmt: skip
        self._joiner = Joiner(len(self._hosts), round(join.max_delay_ms * 1e6))

    def _wait(self) -> None:
        poller = zmq.Poller()
        for host in self._hosts:
            for zmq_socket in host.sockets:
                poller.register(zmq_socket, zmq.POLLIN)
        due_ns = self._joiner.due_ns()
        wait_ms = _WAIT_MS
        if due_ns is not None:
            wait_ms = min(wait_ms, max(0, -(-(due_ns - time.monotonic_ns()) // 1_000_000)))
        poller.poll(wait_ms)

    def _heard(self, number: int, host: Host, message: Received) -> None:
        loads = number == 0 and message.session is not None and not message.session.period_ns
        if message.session is not None and (not loads or isinstance(message.body, PoseSet)):
            self._admit(host, self._refusal(number, message.session))
        if not isinstance(message.body, PoseSet):
            return
        if host.refused or message.session is None:
            host.counts["refused"] += 1
            return
        found = host.part_of(message)
        if found is None:
            return
        part, uncertainty_ns = found
        of = (message.header.session, part.pose.index, part.pose.t_exposure_ns)
        if number == 0 and message.header.session != self._grid.reference:
            self._new_count(message.session.period_ns, *of, uncertainty_ns)
        if not self._grid.begun:
            host.counts["before the trigger's"] += 1
            return
        placed = self._grid.place(*of, uncertainty_ns)
        if placed.pulse is None:
            host.counts[placed.why] += 1
        else:
            host.counts[self._joiner.add(number, placed.pulse, part)] += 1

    def _new_count(self, period_ns: int, session: str, index: int, t_ns: int, uncertainty_ns: int) -> None:
        """The host with the trigger has started, or started again, perhaps at another rate."""
        other_rate = abs(period_ns - self._period_ns) > _OTHER_RATE * self._period_ns
        if self._grid.begun and not other_rate and self._grid.follows(session, index, t_ns, uncertainty_ns):
            return
        if self._grid.begun or other_rate:
            for joined in self._joiner.flush():
                self._publish(joined)
            self._period_ns = period_ns
            self._begin()
            self.publisher.begin_session(self._describe)
            self._tell("epoch", self._hosts[0].name, "the trigger's host counts anew")
        self._grid.begin(session, index, t_ns)

    def _refusal(self, number: int, session: Session) -> str:
        """Why a host's announcement does not fit; "" where it does."""
        refusal = self._agreement.refusal(number, session)
        tolerance_ms, period_ms = self._settings.join.tolerance_ms, session.period_ns / 1e6
        if refusal or number or 2 * tolerance_ms < period_ms:
            return refusal
        return f"join.tolerance_ms, {tolerance_ms:g}, is not below half of its period, {period_ms:g} ms"

    def _admit(self, host: Host, refusal: str) -> None:
        if refusal != host.refused:
            host.refused = refusal
            self._tell("host refused" if refusal else "host admitted", host.name, refusal)

    def _publish(self, joined: Joined) -> None:
        """One frame set of the joint rig: 2D, 3D."""
        parts = [part for part in joined.parts if part is not None]
        t_exposure_ns = int(statistics.median(part.pose.t_exposure_ns for part in parts))
        keypoints = np.full((len(self._agreement.cameras), self._keypoints, 3), np.nan, np.float32)
        for rows, part in zip(self._agreement.rows, joined.parts, strict=True):
            if part is not None:
                keypoints[rows] = part.pose.keypoints
        stamps = Stamps(
            max(part.stamps.t_arrival_ns for part in parts),
            min(part.stamps.t_inference_start_ns for part in parts),
            max(part.stamps.t_inference_end_ns for part in parts),
        )
        self.publisher.pose(PoseSet(joined.pulse, t_exposure_ns, keypoints), stamps)
        points = triangulate(self._rig, keypoints)
        sent_ns = self.publisher.pose(Pose3D(joined.pulse, t_exposure_ns, points), stamps)
        self._sets += 1
        self._complete += joined.complete
        if joined.complete:
            self._delays_ns.append(sent_ns - max(part.t_published_ns for part in parts))

    def _housekeeping(self, now_ns: int) -> None:
        self.publisher.service()
        for number, host in enumerate(self._hosts):
            if host.away != self._away[number]:
                self._away[number] = host.away
                self._tell("host away" if host.away else "host back", host.name, host.trouble)
        if now_ns - self._health_ns >= _HEALTH_NS:
            self._health_ns = now_ns
            counts = {"sets": self._sets, "complete": self._complete}
            named = {f"host {name}": counted for name, counted in self._host_counters().items()}
            self.publisher.health({"fuse": counts, **named})

    def _facts(self) -> Facts:
        """For `rigpose status`."""
        hosts: dict[str, Facts] = {}
        counters = {"fuse": {"sets": self._sets, "complete": self._complete}}
        for host in self._hosts:
            counted = host.counters()
            counters[f"host {host.name}"] = {name: int(counted[name]) for name in ("received", "lost")}
            hosts[host.name] = {
                "away": host.away, "refused": host.refused, "trouble": host.trouble,
                "clock_uncertainty_ms": counted.get("clock_uncertainty_ms"),
            }  # fmt: skip
        return {
            "name": self._settings.name, "state": RUNNING, "endpoint": self.publisher.endpoint,
            "hosts": hosts, "counters": counters, "events": list(self._events),
        }  # fmt: skip

    def _host_counters(self) -> dict[str, dict[str, int | float]]:
        return {host.name: host.counters() for host in self._hosts}

    def _tell(self, name: str, source: str, detail: str) -> None:
        now_ns = time.monotonic_ns()
        self._events.append({"t_ns": now_ns, "name": name, "source": source, "detail": detail})
        self.publisher.event(Event(name, source, detail), now_ns)

    def _describe(self) -> Session:
        first = self._agreement.sessions[0]
        return Session(
            rig=self._settings.name, cameras=self._agreement.cameras, keypoints=first.keypoints,
            clock=stream_clock(), skeleton=first.skeleton, network=first.network,
            calibration_sha256=self._sha256, period_ns=self._period_ns, rigpose=self._version,
        )  # fmt: skip
