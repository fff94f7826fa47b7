"""What is left of a recording when its recorder is killed, or its disk is full: real processes and disks."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from acquisition.frame_stamp import FrameStamp
from acquisition.recordings.events import read_events
from acquisition.recordings.recorder import RecorderPlan, recorder
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings
from acquisition.rings.ring import RingGeometry, RingReader, ring_path
from acquisition.rings.writer import RingWriter
from acquisition.supervise import Process, Supervisor, runtime_folder
from acquisition.videos.video import open_video
from tests.acquisition.sessions import number_of, picture
from tests.equipment.disk import small_disk

RATES_HZ = {"slow": 5.0, "usual": 30.0, "fast": 200.0}
SHAPE = (48, 64)
LOST_S = 1.0


def session(folder: Path, cameras: list[str], **recording) -> RecorderPlan:
    """A session folder, and how to record into it (its rings' folder is still to be given)."""
    rig = RigSettings.model_validate(
        {
            "name": "hand", "recording": recording,
            "cameras": {name: {"uri": f"sim://none#{name}"} for name in cameras},
        }
    )  # fmt: skip
    Session.create(folder, rig)
    return RecorderPlan("", str(folder), tuple(cameras), rig.recording)


class Source(threading.Thread):
    """Publishes noisy pictures that carry their number, each camera at its rate, once a recorder reads."""

    def __init__(self, runtime: Path, rates_hz: dict[str, float]) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.published = dict.fromkeys(rates_hz, 0)
        self._rates_hz = rates_hz
        self._rings = {
            name: RingWriter(ring_path(runtime, name), name, RingGeometry(16, *SHAPE, 1), {"rate_hz": rate})
            for name, rate in rates_hz.items()
        }

    def run(self) -> None:
        noise = np.random.default_rng(1).integers(-12, 13, (64, *SHAPE))
        due = dict.fromkeys(self._rates_hz, time.monotonic_ns())
        heard: set[str] = set()
        while not self.over.wait(0.001):
            for name, ring in self._rings.items():
                ring.serve()
                now_ns = time.monotonic_ns()
                heard.update({name} if "recorder" in ring.readers else ())
                if now_ns < due[name] or name not in heard:
                    continue
                due[name] = max(due[name] + round(1e9 / self._rates_hz[name]), now_ns - 10**8)
                seq = self.published[name]
                image = (picture(seq % 65536) + noise[seq % 64]).astype(np.uint8)
                ring.publish(FrameStamp(name, seq, now_ns, now_ns, 1, now_ns, 0), image)
                self.published[name] = seq + 1
        for ring in self._rings.values():
            ring.close()


@pytest.mark.long
@pytest.mark.alone
def test_a_killed_recorder_loses_a_second_at_most_at_any_rate(tmp_path):
    folder = tmp_path / "day1"
    plan = session(folder, list(RATES_HZ))
    with runtime_folder() as runtime:
        source = Source(runtime, RATES_HZ)
        source.start()
        plan = RecorderPlan(str(runtime), plan.session, plan.cameras, plan.settings)
        with Supervisor([Process("recorder", recorder, (plan,), essential=False)]) as supervisor:
            supervisor.wait_until(lambda: source.published["slow"] >= 20, 120, "frames")
            pid = supervisor._children["recorder"].process.pid
            os.kill(pid, signal.SIGKILL)
            killed_ns = time.monotonic_ns()
            supervisor.wait_until(lambda: "recorder" in supervisor.dead, 30, "its death")
        source.over.set()
        source.join()
    said = recover(folder)
    with Recording.open(folder) as recording:
        for name in RATES_HZ:
            table = recording.frame_table(name)
            assert len(table) == said["frames"][name] > 0
            assert (killed_ns - table["t_exposure_ns"][-1]) * 1e-9 <= LOST_S, name
            numbers = [number_of(image) for image in recording.images(name)]
            assert numbers == table["seq"].tolist() == list(range(len(table)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("keep_free_gb", "why"),
    [(0.0, "No space left on device"), (0.0015, "disk: 0.00 GB free, 0.0015 GB to be kept")],
)  # fmt: skip
def test_a_full_disk_ends_the_recording_cleanly_and_nothing_else(tmp_path, keep_free_gb, why):
    with small_disk(tmp_path / "disk") as disk:
        fill(disk / "day1", keep_free_gb, why)


def fill(folder: Path, keep_free_gb: float, why: str) -> None:
    plan = session(folder, ["a", "b"], codec="raw", keep_free_gb=keep_free_gb)
    with runtime_folder() as runtime:
        plan = RecorderPlan(str(runtime), plan.session, plan.cameras, plan.settings)
        source = Source(runtime, {"a": 300.0, "b": 300.0})
        tracked = []
        with (
            RingReader(ring_path(runtime, "a"), "tracker") as tracker,
            Supervisor([Process("recorder", recorder, (plan,))]) as supervisor,
        ):
            assert tracker.connect()
            source.start()

            def ended() -> bool:
                while (leased := tracker.receive()) is not None:
                    tracked.append(leased.stamp.seq)
                    leased.release()
                return supervisor.counters.get("recorder", {}).get("state") == "ended"

            supervisor.wait_until(ended, 60, "the end")
            at_end = len(tracked)
            supervisor.wait_until(lambda: ended() and len(tracked) > at_end + 50, 60, "tracking")
            assert supervisor.dead == {} and why in supervisor.counters["recorder"]["ended"]
        source.over.set()
        source.join()
    assert tracked == sorted(set(tracked))
    (event,) = [event for event in read_events(folder) if event["kind"] == "recording ended"]
    assert why in event["why"]
    with Recording.open(folder) as recording:
        for name in ("a", "b"):
            rows = len(recording.frame_table(name))
            assert rows > 300
            numbers = [number_of(image) for image in recording.images(name)]
            assert numbers == recording.frame_table(name)["seq"].tolist()
            assert len(list(open_video(recording.video_path(name)))) >= rows
