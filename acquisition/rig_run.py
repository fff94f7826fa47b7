"""A rig brought up in the right order: cameras armed, readers connected, then the trigger.

`record` and `live` are both this with other readers. The reverse order stops it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from acquisition.capture import capture
from acquisition.capture_counts import CaptureCounts
from acquisition.capture_plan import capture_plans
from acquisition.errors import RigposeError
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.segments import counts_from_ns
from acquisition.rig import RigSettings
from acquisition.rig_status import rig_facts
from acquisition.running import ENDING, RUNNING, STARTING, Facts, RunFile
from acquisition.supervise import Process, Supervisor
from acquisition.synchronisation.ptp import PtpWatch
from acquisition.trigger.port import Trigger, trigger_of

READY_S = 300.0
_TAIL_S = 0.3
_TAIL_MOST_S = 2.0
_ANEW_MOST = 3
_ANEW_S = 20.0
_TRY_S = 0.5


class RigRun:
    """A running rig. A context manager: whatever happens, nothing is left running.

    Readers are processes of the caller (recorder, tracker, ...). A reader connects to the rings under
    `runtime` with `RingReaders`, then reports `state="ready"` with `link.report`, and finds in
    `link.told["pulses"]` once the trigger runs: `{"period_ns": int | None, "first_exposure_ns":
    int | None}`, the last two arguments of `Synchroniser`.

    Attributes
    ----------
    pulses:
        What the readers are told.
    started_ns:
        Pulse 0 (free-running: when all was ready) on the rig clock; 0 before.
    pulse_count:
        Pulses given, by the trigger's own count; None before `stop` and on a free-running rig.
    fault:
        What befell the trigger and ended the run; '' while nothing has.
    trains:
        Every count of pulses: `period_ns`, `first_exposure_ns`, `first_index` (of its first frame set in the
        recording) and, when it is over, `pulses`. More than one where the trigger was started anew.

    Parameters
    ----------
    rig:
        The rig's settings.
    runtime:
        Folder for sockets (`supervise.runtime_folder`).
    readers:
        Processes that read the rings, stopped before the cameras, the last one first.
    counts_anew:
        Whether the readers can follow a trigger whose count begins again (`link.told["counts_anew_ns"]`).
        It is then started again when it fails, up to three times; otherwise that ends the run.
    command:
        What `rigpose status` calls the run; "": it is not told of. A reader that reports `sets`, its accounts
        of frame sets, has them told.
    """

    def __init__(
        self, rig: RigSettings, runtime: Path, readers: Sequence[Process], *, counts_anew: bool = False,
        command: str = "",
    ) -> None:  # fmt: skip
        self.rig = rig
        self.pulses: dict[str, int | None] = {"period_ns": None, "first_exposure_ns": None}
        self.started_ns = 0
        self.pulse_count: int | None = None
        self.fault = ""
        self.trains: list[dict[str, int]] = []
        self._counts_anew = counts_anew
        self._readers = list(readers)
        captures = [
            Process(f"capture-{driver}", capture, (str(runtime), plans), restarts=3)
            for driver, plans in capture_plans(rig).items()
        ]
        self.supervisor = Supervisor([*captures, *self._readers], restarted=self._restarted)
        self._counts = CaptureCounts(self.supervisor, [plan.name for plan in captures])
        self._trigger: Trigger | None = trigger_of(rig)
        self._events: EventsWriter | None = None
        self._ptp: PtpWatch | None = None
        self._command = command
        self._run_file: RunFile | None = None
        self._session: Path | None = None

    def __enter__(self) -> RigRun:
        if self._trigger is not None:
            self._trigger.open()
        try:
            self.supervisor.__enter__()
        except BaseException:
            self._close_trigger()
            raise
        if self._command:
            self._run_file = RunFile(self._command)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close_trigger()
        finally:
            self.supervisor.__exit__()
            if self._run_file is not None:
                self._run_file.close()

    @property
    def line(self) -> Callable[[bool], None] | None:
        """Makes the trigger's closed-loop output high or low; None where there is none."""
        line: Callable[[bool], None] | None = getattr(self._trigger, "line", None)
        return line

    def write_events(self, session: Path) -> None:
        """From now on what the trigger (pulses, edges of its input) and PTP tell goes into the events."""
        self._session = session
        self._events = EventsWriter(session)
        if self._trigger is not None:
            self._trigger.listen(self._note)
        if self.rig.sync.ptp_socket.exists():
            self._ptp = PtpWatch(self._note, self.rig.sync.ptp_socket).start()

    def start(self, timeout_s: float = READY_S, ready: Callable[[], None] | None = None) -> bool:
        """Wait for cameras and readers, then start the pulses. False where a signal came before.

        `ready` is called in between: what the cameras are is known, and nothing has begun.

        Raises
        ------
        RigposeError
            A camera that is not there, a reader that cannot start, nobody ready in time, or frame sets of a
            free-running rig that would reach into each other.
        """
        if not self.supervisor.wait_until(self._all_ready, timeout_s, "the rig"):
            return False
        self._refuse_wide_tolerance()
        if ready is not None:
            ready()
        if self._trigger is not None:
            self.started_ns = self._start_train(self._trigger)
        else:
            self.started_ns = time.monotonic_ns()
            self.supervisor.tell(pulses=self.pulses, first_pulse_ns=None)
        self.supervisor.service.ready(f"{self.rig.name}: {len(self.rig.cameras)} cameras")
        return True

    def run(self, seconds: float | None, each: Callable[[], bool] | None = None) -> str:
        """Poll until the time is over; how it ended: "time is over", "interrupted", "asked to", or what
        befell the trigger.

        `each` is called about ten times a second and ends the run by returning False.
        """
        while True:
            if self.supervisor.stopping:
                return "interrupted"
            if self._trigger is not None and self._trigger.fault:
                self.fault = self._count_anew(self._trigger)
                if self.fault:
                    return self.fault
            if seconds is not None and time.monotonic_ns() >= self.started_ns + int(seconds * 1e9):
                return "time is over"
            if each is not None and not each():
                return "asked to"
            self._tell(RUNNING)
            self.supervisor.poll(0.1)

    def stop(self, limit_s: float = 10.0) -> None:
        """Trigger first; the frames on their way arrive; then readers, the last first; cameras last."""
        self.supervisor.service.stopping()
        self._tell(ENDING, now=True)
        if self._trigger is not None and self.started_ns:
            self._end_train(self._trigger)
            self.pulse_count = sum(train["pulses"] for train in self.trains)
            self._await_tails()
        self.supervisor.stop(limit_s)

    @property
    def elapsed_s(self) -> float:
        """Seconds since pulse 0, 0 before."""
        return max(0.0, (time.monotonic_ns() - self.started_ns) * 1e-9) if self.started_ns else 0.0

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Newest counters of every camera, in rig order; counted from the start of the run."""
        found = self._counts.newest()
        return {name: found[name] for name in self.rig.cameras if name in found}

    def _await_tails(self) -> None:
        """Until the last pulse's frames have had time to come, and then have been read."""
        there_ns = time.monotonic_ns() + int(_TAIL_S * 1e9)
        until_ns = there_ns + int(_TAIL_MOST_S * 1e9)
        while (now_ns := time.monotonic_ns()) < until_ns:
            if now_ns >= there_ns and not self._counts.delivering(there_ns):
                return
            with contextlib.suppress(RigposeError):  # what dies now, `supervisor.dead` tells of
                self.supervisor.poll(0.05)

    def _restarted(self, process: str) -> None:
        cameras = self._counts.restarted(process)
        if cameras:
            self._note("capture restarted", time.monotonic_ns(), cameras=cameras)

    def _refuse_wide_tolerance(self) -> None:
        """Of a free-running rig the period is that of its first camera, and known only now."""
        first, *others = self.rig.cameras
        rate_hz = float(self.cameras()[first].get("info", {}).get("rate_hz") or 0.0)
        wide = rate_hz and self.rig.sync.tolerance_ms >= 500.0 / rate_hz
        if self.rig.trigger is None and others and wide:
            raise RigposeError(
                "sync.tolerance_ms", found=f"{self.rig.sync.tolerance_ms:g}",
                expected=f"less than half a period of camera '{first}', {500.0 / rate_hz:g} ms",
                remedy="Set it in the rig file, or give the cameras a trigger",
            )  # fmt: skip

    def _all_ready(self) -> bool:
        self._tell(STARTING)
        for reader in self._readers:
            if reader.name in self.supervisor.dead:
                raise RigposeError(
                    f"process '{reader.name}'", expected="it to be ready before the first pulse",
                    found=self.supervisor.dead[reader.name], remedy="Mend that and start again",
                )  # fmt: skip
        cameras = self.cameras()
        return all(cameras.get(name, {}).get("state") == "armed" for name in self.rig.cameras) and all(
            self.supervisor.counters.get(reader.name, {}).get("state") == "ready" for reader in self._readers
        )

    def _start_train(self, trigger: Trigger) -> int:
        """Start the pulses and tell everybody; the first one on the rig clock, ns."""
        first_pulse_ns, period_ns = trigger.start()
        half_exposure_ns = round(self.rig.trigger.exposure_us * 500) if self.rig.trigger else 0
        train = {"period_ns": period_ns, "first_exposure_ns": first_pulse_ns + half_exposure_ns}
        self.pulses = {**train}
        earlier = self.trains[0] if self.trains else train
        elapsed_ns = train["first_exposure_ns"] - earlier["first_exposure_ns"]
        first_index = round(elapsed_ns / earlier["period_ns"])
        if self.trains:  # the first second's period may have drifted since: no index is given twice
            last = self.trains[-1]
            first_index = max(first_index, last["first_index"] + last.get("pulses", 0))
        self.trains.append({**train, "first_index": first_index})
        self.supervisor.tell(
            pulses=self.pulses, first_pulse_ns=first_pulse_ns,
            counts_anew_ns=[counts_from_ns(later) for later in self.trains[1:]],
        )  # fmt: skip
        return first_pulse_ns

    def _end_train(self, trigger: Trigger) -> None:
        count = trigger.stop()
        self.trains[-1].setdefault("pulses", count)

    def _count_anew(self, failed: Trigger) -> str:
        """Start the trigger again after a fault: it counts anew, what was counted stays. '' or the fault."""
        fault = failed.fault
        self._note("trigger fault", time.monotonic_ns(), why=fault)
        self._end_train(failed)
        if not self._counts_anew or len(self.trains) > _ANEW_MOST:
            return fault
        failed.close()
        until_ns = time.monotonic_ns() + int(_ANEW_S * 1e9)
        while not self.supervisor.stopping:
            trigger = trigger_of(self.rig)
            assert trigger is not None
            try:
                trigger.open()
                trigger.listen(self._note)
                self._trigger = trigger
                first_ns = self._start_train(trigger)
            except RigposeError as error:
                trigger.close()
                if time.monotonic_ns() > until_ns:
                    return f"{fault}; it does not come back: {error.found}"
                self._poll_for(_TRY_S)
            else:
                self._note("trigger counts anew", first_ns, **self.trains[-1])
                return ""
        return fault

    def _poll_for(self, seconds: float) -> None:
        until_ns = time.monotonic_ns() + int(seconds * 1e9)
        while time.monotonic_ns() < until_ns and not self.supervisor.stopping:
            self._tell(RUNNING)
            self.supervisor.poll(0.05)

    def _note(self, kind: str, t_ns: int, **facts: Any) -> None:
        if self._events is not None:
            with contextlib.suppress(OSError):  # a full disk: the recorder ends the recording, and says so
                self._events.append(kind, t_ns, **facts)

    def _tell(self, state: str, *, now: bool = False) -> None:
        """To `rigpose status`."""
        if self._run_file is None:
            return
        fault = "" if self._trigger is None else self._trigger.fault

        def facts() -> Facts:
            cameras = self.cameras()
            return rig_facts(self.rig, state, self.elapsed_s, self._session, fault, cameras, self.supervisor)

        self._run_file.tell(facts, now=now)

    def _close_trigger(self) -> None:
        if self._trigger is not None:
            self._trigger.close()
        if self._ptp is not None:
            self._ptp.stop()
        if self._events is not None:
            self._events.close()
