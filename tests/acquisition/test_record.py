"""Recording the simulated rig, against its truth; and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from acquisition.record import RecordingSummary, record, summarise
from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from acquisition.rig_run import RigRun
from acquisition.simulation.scene import write_scene
from acquisition.simulation.timeline import Cause
from acquisition.simulation.trigger import SimulatedTrigger
from acquisition.simulation.truth import Truth
from acquisition.supervise import runtime_folder
from rigpose.rig_file import load_rig
from tests.acquisition.sessions import write_session

CAUSES = {Cause.DELIVERED: None, Cause.LOST: Absence.LOST, Cause.IGNORED: Absence.IGNORED}


def small_rig(folder: Path, **settings) -> Path:
    wished = {"kind": "animal", "seed": 3, "frame_sets": 20, "cameras": 3, "size": (160, 120), **settings}
    return write_scene(folder / "scene", **wished)


def children_of(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[RecordingSummary, Path, Truth]:
    """Five seconds of three cameras that lose 8 % and ignore 3 %."""
    folder = tmp_path_factory.mktemp("rig")
    rig = load_rig(small_rig(folder, loss_rate=0.08, ignored_rate=0.03)).acquisition
    summary = record(rig, folder / "day1", 5, subject="mouse-7", notes="first")
    return summary, folder / "day1", Truth.load(folder / "scene" / "world")


@pytest.mark.long
@pytest.mark.alone
def test_every_loss_is_reported_where_it_was_injected_and_none_invented(recorded):
    summary, folder, truth = recorded
    with Recording.open(folder) as recording:
        sets = recording.frame_sets()
        assert len(sets) > 120
        for position, camera in enumerate(recording.cameras):
            table = recording.frame_table(camera)
            found = [one.absences[position] for one in sets]
            true = [CAUSES[Cause(cause)] for cause in truth.causes[camera][: len(sets)]]
            for gap in gaps(true):
                # Lost and ignored pulses in one gap: counts tell how many of each, not in which order.
                assert Counter(found[gap]) == Counter(true[gap]), f"{camera}: pulses {gap}"
                if len(set(true[gap])) == 1:
                    assert found[gap] == true[gap]
            assert [a is None for a in found] == [a is None for a in true[: len(found)]]
            rows = [one.payloads[position] for one in sets if one.payloads[position] is not None]
            assert rows == list(range(len(table)))
            pulses = [one.index for one in sets if one.payloads[position] is not None]
            off = np.abs(table["t_exposure_ns"] - truth.middles_ns[camera][pulses])
            assert (off <= table["uncertainty_ns"]).mean() > 0.95
            assert off.max() < 3_000_000
            assert sum(image is not None for image in recording.images(camera)) == len(table)
        injected = sum(int((c == Cause.LOST).sum()) for c in truth.causes.values())
        assert injected > 20
    assert summary.frame_sets == len(sets)
    assert summary.complete_sets == sum(one.complete for one in sets)


def gaps(causes: list[Absence | None]) -> list[slice]:
    """Runs of absences that have a frame before and after."""
    found, start = [], None
    for n, cause in enumerate(causes):
        if cause is not None and start is None:
            start = n
        if cause is None and start is not None:
            found.append(slice(start, n))
            start = None
    return found


@pytest.mark.long
@pytest.mark.alone
def test_session_says_what_it_is(recorded):
    summary, folder, _ = recorded
    with Recording.open(folder) as recording:
        session = recording.session
        assert (session["subject"], session["notes"]) == ("mouse-7", "first")
        assert session["ended"]["how"] == "time is over" == summary.ended
        assert all(session["cameras"][c]["serial"].startswith("SIM-") for c in recording.cameras)
        assert set(session["hashes"]) == {"rig"}
        kinds = Counter(event["kind"] for event in recording.events())
        assert kinds["clock"] >= 5 and kinds["recording ended"] == 1 and not kinds["ring full"]
        for camera in recording.cameras:
            counts = summary.cameras[camera]
            assert counts["recorded"] == counts["frames"] and counts["ring_full"] == 0
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        [
            "session.json",
            "events.jsonl",
            *(f"synchronisation.{s}" for s in ("html", "json", "svg")),
            *(f"day1_cam_{n}.{s}" for n in range(3) for s in ("mkv", "frames")),
        ]
    )


def process_that_holds(file: Path, among: set[int]) -> int | None:
    for pid in among:
        with contextlib.suppress(OSError):
            if str(file) in [str(f.readlink()) for f in Path(f"/proc/{pid}/fd").iterdir() if f.is_symlink()]:
                return pid
    return None


@pytest.mark.long
@pytest.mark.alone
def test_recorder_that_is_killed_is_followed_by_another(tmp_path):
    rig = load_rig(small_rig(tmp_path)).acquisition
    before = children_of(os.getpid())
    killed = []

    def kill() -> None:
        tables = [tmp_path / "day1" / f"day1_cam_{n}.frames" for n in range(3)]
        while not all(t.exists() and t.stat().st_size > 512 + 48 * 60 for t in tables):
            time.sleep(0.02)
        killed.append(process_that_holds(tables[0], children_of(os.getpid()) - before))
        os.kill(killed[0], signal.SIGKILL)
        second = tmp_path / "day1" / "day1_cam_2.0001.frames"
        while not (second.exists() and second.stat().st_size > 512 + 48 * 30):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill, daemon=True).start()
    summary = record(rig, tmp_path / "day1", 120)
    assert killed and children_of(os.getpid()) <= before | helpers()
    assert summary.ended == "interrupted"
    assert summary.interruptions == ["the recorder died and was restarted, into segment 1"]
    assert {set(counts["absent"]) == {"not recorded"} for counts in summary.cameras.values()} == {True}
    recover(tmp_path / "day1")
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.gaps == []
        for camera in recording.cameras:
            (_, first), (_, second) = recording.rows_by_video(camera).items()
            assert first > 60 - 30 and second >= 30  # less than a second is lost
            assert sum(image is not None for image in recording.images(camera)) == first + second
        sets = recording.frame_sets()
        whole = [n for n, one in enumerate(sets) if one.complete]
        assert len(whole) > 60
        assert [one.index for one in sets] == list(range(len(sets)))


@pytest.mark.long
@pytest.mark.alone
def test_trigger_that_fails_is_started_again_and_counts_anew(tmp_path, monkeypatch):
    start = SimulatedTrigger.start

    def fail_soon(self) -> tuple[int, int]:
        if not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            threading.Timer(1.5, setattr, (self, "fault", "the trigger was reset: epoch 3 after 2")).start()
        return start(self)

    monkeypatch.setattr(SimulatedTrigger, "start", fail_soon)
    rig = load_rig(small_rig(tmp_path)).acquisition
    summary = record(rig, tmp_path / "day1", 4)
    assert summary.ended == "time is over"
    assert summary.interruptions == ["the trigger was reset: epoch 3 after 2"]
    with Recording.open(tmp_path / "day1") as recording:
        first, second = recording.session["trains"]
        assert recording.session["pulses"]["first_exposure_ns"] == first["first_exposure_ns"]
        assert second["first_index"] >= first["pulses"] > 20 and second["pulses"] > 20
        truths = [
            Truth.load(tmp_path / "scene" / "world", t0_ns=train["first_exposure_ns"] - half_exposure_ns(rig))
            for train in (first, second)
        ]
        counts = [0, 0]
        for one in recording.frame_sets():
            which = int(one.index >= second["first_index"])
            pulse = one.index - (second["first_index"] if which else 0)
            assert one.complete
            counts[which] += 1
            for camera, stamp in zip(recording.cameras, one.stamps, strict=True):
                off_ns = abs(stamp.t_exposure_ns - truths[which].middles_ns[camera][pulse])
                assert off_ns < first["period_ns"] // 2  # of this pulse and no other
        assert counts == [first["pulses"], second["pulses"]]
        for camera in recording.cameras:
            rows = recording.rows_by_video(camera)
            assert [path.name for path in rows] == [f"day1_{camera}.mkv", f"day1_{camera}.0001.mkv"]
            assert list(rows.values()) == counts


@pytest.mark.long
@pytest.mark.alone
def test_frames_that_are_read_late_after_the_last_pulse_are_recorded(tmp_path, monkeypatch):
    """The machine is so busy that capture stands still when the trigger stops."""
    end = RigRun._end_train

    def end_and_stall(self, trigger) -> None:
        pid = self.supervisor.health()["capture-sim"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
        end(self, trigger)

    monkeypatch.setattr(RigRun, "_end_train", end_and_stall)
    summary = record(load_rig(small_rig(tmp_path, cameras=2)).acquisition, tmp_path / "day1", 2)
    assert summary.ended == "time is over" and summary.interruptions == []
    with Recording.open(tmp_path / "day1") as recording:
        pulses = recording.session["ended"]["pulses"]
        sets = recording.frame_sets()
    assert len(sets) == pulses > 30 and all(one.complete for one in sets)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("pulses_go_on", [False, True])
def test_a_stop_waits_for_the_last_frames_and_for_nothing_after_them(tmp_path, monkeypatch, pulses_go_on):
    """Neither for frames that were exposed since, nor from cameras that have no more."""
    monkeypatch.setattr("acquisition.rig_run._TAIL_MOST_S", 30.0)
    rig = load_rig(small_rig(tmp_path, cameras=2)).acquisition
    with runtime_folder() as runtime, RigRun(rig, runtime, []) as run:
        assert run.start()
        run.run(1.5)
        if not pulses_go_on:
            run._end_train(run._trigger)
        begun_s = time.monotonic()
        run._await_tails()
        assert time.monotonic() - begun_s < 10
        run.stop()


@pytest.mark.long
@pytest.mark.alone
def test_what_was_counted_stays_counted_when_capture_is_killed(tmp_path):
    rig = load_rig(small_rig(tmp_path, cameras=2, loss_rate=0.2)).acquisition
    (tmp_path / "day1").mkdir()
    with runtime_folder() as runtime, RigRun(rig, runtime, []) as run:
        run.write_events(tmp_path / "day1")
        assert run.start()
        seen, killed = Counter(), {}

        def each() -> bool:
            for name, camera in run.cameras().items():
                for what in ("frames", "lost"):
                    assert camera[what] >= seen[name, what]
                    seen[name, what] = camera[what]
            if not killed and min(seen[name, "lost"] for name in rig.cameras) >= 5:
                killed.update(seen)
                os.kill(run.supervisor.health()["capture-sim"]["pid"], signal.SIGKILL)
            again = [camera["state"] == "armed" for camera in run.cameras().values()]
            return not (killed and all(again) and all(seen[one] > killed[one] + 3 for one in killed))

        assert run.run(60, each) == "asked to"
        run.stop()
        assert run.supervisor.restarts == {"capture-sim": 1}
        for (name, what), before in killed.items():
            assert run.cameras()[name][what] > before
    told = [one["cameras"] for one in read_events(tmp_path / "day1") if one["kind"] == "capture restarted"]
    assert told == [["cam_0", "cam_1"]]


def test_a_capture_that_was_restarted_is_an_interruption(tmp_path):
    write_session(tmp_path / "day1")
    events = EventsWriter(tmp_path / "day1")
    events.append("capture restarted", 10**12, cameras=["cam_0", "cam_1"])
    events.close()
    said = summarise(tmp_path / "day1").interruptions
    assert said == ["the capture of cam_0, cam_1 died and was restarted"]


def half_exposure_ns(rig) -> int:
    return round(rig.trigger.exposure_us * 500)


def helpers() -> set[int]:
    """Python's own resource tracker, one a process."""
    from multiprocessing import resource_tracker

    return {resource_tracker._resource_tracker._pid}


def test_disk_without_room_is_refused_before_work_starts(tmp_path):
    path = small_rig(tmp_path, rig={"recording": {"keep_free_gb": 1e6}})
    with pytest.raises(RigposeError, match=r"expected room for a recording, found .* 1e.06 GB to be kept"):
        record(load_rig(path).acquisition, tmp_path / "day1", 60)
    assert not (tmp_path / "day1").exists()


@pytest.mark.long
def test_camera_that_is_not_there_is_one_line_and_leaves_nothing(tmp_path):
    path = small_rig(tmp_path)
    path.write_text(path.read_text().replace("#cam_1", "#cam_9"))
    before = children_of(os.getpid())
    with pytest.raises(RigposeError, match=r"camera 'cam_1': expected one of cam_0, cam_1, cam_2"):
        record(load_rig(path).acquisition, tmp_path / "day1", 5)
    assert not (tmp_path / "day1").exists()
    assert children_of(os.getpid()) <= before | helpers()


@pytest.mark.long
def test_camera_with_another_serial_number_is_refused(tmp_path):
    rig = load_rig(small_rig(tmp_path)).acquisition
    other = rig.cameras["cam_2"].model_copy(update={"serial": "S-17"})
    rig = rig.model_copy(update={"cameras": {**rig.cameras, "cam_2": other}})
    with pytest.raises(RigposeError, match=r"camera 'cam_2' .*expected serial number S-17, found SIM-1-2"):
        record(rig, tmp_path / "day1", 5)


def test_existing_output_and_unknown_driver_are_refused_before_work_starts(tmp_path):
    rig = load_rig(small_rig(tmp_path)).acquisition
    with pytest.raises(RigposeError, match="not empty"):
        record(rig, tmp_path, 5)
    other = rig.cameras["cam_2"].model_copy(update={"uri": "nikon://7"})
    rig = rig.model_copy(update={"cameras": {**rig.cameras, "cam_2": other}})
    with pytest.raises(RigposeError, match="camera 'cam_2': expected a URI beginning with sim://"):
        record(rig, tmp_path / "day1", 5)
    assert not (tmp_path / "day1").exists()
