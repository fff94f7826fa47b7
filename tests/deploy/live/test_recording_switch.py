"""A recording paused and resumed at the page while tracking goes on: real processes, a simulated rig."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acquisition.frame import Absence
from acquisition.proof.report import JSON
from acquisition.recordings.events import read_events
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from acquisition.recordings.segments import RECORDER_BACK, segments_of
from acquisition.recordings.switch import NOT_ASKED, OFF, ON
from acquisition.simulation.scene import write_scene
from acquisition.videos.video import open_video
from deploy.offline.analyze import analyze
from deploy.poses_io.pose_table import read_pose_tables
from deploy.poses_io.readers import load_poses
from rigpose.machine.runs import judged_runs
from tests.deploy.live_run import CHECKOUT, LiveRun

BUNDLE = CHECKOUT / "tests" / "deploy" / "golden" / "schema1.bundle"
CAMERAS = ("cam_0", "cam_1")
WITHIN_S = 120.0
pytestmark = [pytest.mark.long, pytest.mark.alone]


class Run(LiveRun):
    """Of two small cameras."""

    def __init__(self, folder: Path, **scene: float) -> None:
        rig = write_scene(
            folder / "scene", kind="animal", seed=5, frame_sets=20, cameras=2, size=(96, 64), **scene,
            rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": 2000.0}, "recording": {"keep_free_gb": 0.0}},
        )  # fmt: skip
        super().__init__(folder, rig, BUNDLE, "--runtime", "onnx")

    def ask(self, path: str, method: str = "GET", **headers: str) -> Any:
        with self.get(path, method, **{"X-Rigpose-Token": self.token, **headers}) as answer:
            return json.load(answer)

    def switch(self, on: bool) -> None:
        """At the page; as soon as the recorder says so."""
        self.ask(f"/record?on={json.dumps(on)}", "POST", **{"X-Rigpose-Control": self.control_token})
        self.until(lambda: self.recording["on"] is on)

    @property
    def recording(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("/state")["recording"]
        return found

    def rows(self, number: int) -> int:
        """Frames of one segment so far, of the camera that has fewest."""
        found = [[one for one in segments_of(self.session, name) if one.number == number] for name in CAMERAS]
        sizes = [one.table.stat().st_size for each in found for one in each if one.table.exists()]
        return min(sizes) // 48 - 10 if len(sizes) == len(CAMERAS) else 0  # without the header

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in read_events(self.session) if event["kind"] == kind]

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.05)

    def kill_recorder(self) -> None:
        """As one that crashed; until the next one has taken over."""
        backs = len(self.events(RECORDER_BACK))
        os.kill(self.ask("/state")["pids"]["recorder"], signal.SIGKILL)
        self.until(lambda: len(self.events(RECORDER_BACK)) > backs)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    monkeypatch.setenv("RIGPOSE_RUN_DIR", str(tmp_path / "runs"))
    made: list[Run] = []

    def begin(**scene: float) -> Run:
        made.append(Run(tmp_path, **scene))
        return made[-1]

    yield begin
    for run in made:
        run.end()


def test_each_stretch_is_whole_and_tracking_misses_nothing(begun: Callable[..., Run], tmp_path: Path) -> None:
    run = begun(loss_rate=0.03)
    assert run.recording["on"] is False
    with pytest.raises(urllib.error.HTTPError) as refused:
        run.ask("/record?on=true", "POST", **{"X-Rigpose-Control": "guess"})
    assert refused.value.code == 403
    refused.value.close()
    run.until(lambda: len(run.events(NOT_ASKED)) >= 16)
    run.until(lambda: [found for _, found in judged_runs() if any("switched off" in f.found for f in found)])
    for number in (0, 1):
        run.switch(True)
        run.until(lambda number=number: run.rows(number) > 25)
        run.switch(False)
        run.until(lambda number=number: len(run.events("segment ended")) == 2 * (number + 1))
        if number == 0:  # while the run goes on
            (first,) = segments_of(run.session, "cam_0")
            (told,) = [one for one in run.events("segment ended") if one["camera"] == "cam_0"]
            assert sum(1 for _ in open_video(first.video)) == told["rows"] > 25
    assert run.end() == 0

    report = json.loads(run.report.read_text())
    session = json.loads((run.session / "session.json").read_text())
    assert report["restarts"] == {} and report["died"] == {} and report["recording"]["ended"] == "stopped"
    for name in CAMERAS:
        counted = session["ended"]["cameras"][name]
        assert counted["frames"] == counted["recorded"] + counted["not_asked"] + counted["ring_full"]
        assert report["recording"]["frames"][name] == counted["recorded"]
        assert report["recording"]["not_asked"][name] == counted["not_asked"] > 8
    # Tracking: every pulse is accounted for, and nothing but what the scene's cameras lose is absent.
    assert report["balanced"] and report["pulses"] - 3 <= report["sets_in"] <= report["pulses"]
    # Of a frame lost at the very end no later one can tell.
    causes = {cause for index, _, cause in report["absences"] if index < report["pulses"] - 3}
    assert causes <= {"lost", "trigger ignored", "ring full"}
    switched = [event for event in read_events(run.session) if event["kind"] in (OFF, ON)]
    assert [event["kind"] for event in switched] == [OFF, ON, OFF, ON, OFF]
    assert [event["by"] for event in switched] == ["--record-paused", *["page"] * 4]
    seams_ns = [event["t_ns"] for event in switched]

    with Recording.open(run.session) as recording:
        assert recording.gaps == []
        first_ns, period_ns = (session["pulses"][name] for name in ("first_exposure_ns", "period_ns"))
        pulses = [(n, first_ns + n * period_ns) for n in range(report["pulses"])]
        stretches = [
            [n for n, t_ns in pulses if begin_ns <= t_ns < end_ns]
            for begin_ns, end_ns in (seams_ns[1:3], seams_ns[3:5])
        ]
        sets = recording.frame_sets()
        assert [one.index for one in sets] == [*stretches[0], *stretches[1]]
        assert min(len(each) for each in stretches) > 25
        live_absent = {(index, name) for index, name, _ in report["absences"]}
        for one in sets:  # live and afterwards the same frames are there
            for name, absence in zip(CAMERAS, one.absences, strict=True):
                full = absence is Absence.RING_FULL
                assert (absence is not None) == ((one.index, name) in live_absent) or full
        for name in CAMERAS:
            for video, rows in recording.rows_by_video(name).items():
                assert sum(1 for _ in open_video(video)) == rows
            assert len(recording.rows_by_video(name)) == 2
            assert len(recording.frame_table(name)) == report["recording"]["frames"][name]
    tracked = read_pose_tables(run.session)[0].records["index"]
    assert set(tracked[[0, -1]]) - {one.index for one in sets}  # poses of the time in between are there too

    found = json.loads((run.session / JSON).read_text())
    assert found["stretches"] == 2 and found["paused_s"] > 0.5
    assert not any("not recorded" in one["found"] for one in found["findings"])
    assert recover(run.session)["finished"] == []
    for video in analyze(BUNDLE, [run.session], tmp_path / "poses")["videos"]:
        assert load_poses(video["files"][0]).index.tolist() == [one.index for one in sets]


def test_a_killed_recorder_comes_back_as_it_was_switched(begun: Callable[..., Run]) -> None:
    run = begun()
    run.switch(True)
    run.until(lambda: run.rows(0) > 5)
    run.switch(False)
    run.until(lambda: len(run.events("segment ended")) == 2)
    run.kill_recorder()
    let_go = len(run.events(NOT_ASKED))
    run.until(lambda: len(run.events(NOT_ASKED)) > let_go)
    assert {one.number for name in CAMERAS for one in segments_of(run.session, name)} == {0}
    run.switch(True)
    run.until(lambda: run.rows(1) > 5)
    run.kill_recorder()
    run.until(lambda: run.rows(2) > 5)
    run.until(lambda: run.recording["on"])
    assert run.end() == 0
    report = json.loads(run.report.read_text())
    assert report["restarts"] == {"recorder": 2} and report["balanced"]
    assert [event["kind"] for event in read_events(run.session) if event["kind"] in (OFF, ON)] == [
        OFF, ON, OFF, ON,
    ]  # fmt: skip
    # What the killed one had not written yet is "not recorded", never lost; what was paused is in no set.
    with Recording.open(run.session) as recording:
        off_ns, on_ns = recording.stretches().seams_ns[2:]
        sets = recording.frame_sets()
        assert not any(off_ns <= one.t_exposure_ns < on_ns for one in sets)
        causes = {absence for one in sets[:-2] for absence in one.absences}
        assert causes - {Absence.RING_FULL} == {None, Absence.NOT_RECORDED}
    finished = recover(run.session)["finished"]
    assert {one["segment"] for one in finished} <= {1} and recover(run.session)["finished"] == []
