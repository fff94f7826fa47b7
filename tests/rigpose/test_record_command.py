"""`rigpose record` as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acquisition.recordings.recording import Recording
from acquisition.simulation.scene import write_scene
from tests.acquisition.sessions import write_session
from tests.equipment.disk import small_disk
from tests.rigpose import calling

CHECKOUT = Path(__file__).parents[2]


def rigpose(*words: object, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "rigpose", *(str(word) for word in words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def rig(tmp_path):
    return write_scene(tmp_path / "scene", kind="animal", seed=1, frame_sets=10, cameras=2, size=(96, 64))


@pytest.mark.long
@pytest.mark.alone
def test_interrupted_recording_is_whole_and_says_so(tmp_path, rig):
    run = rigpose("record", rig, "-o", "day1", "--notes", "n", "--json", "figures.json", cwd=tmp_path)
    table = tmp_path / "day1" / "day1_cam_0.frames"
    until = time.monotonic() + 120
    while not (table.exists() and table.stat().st_size > 2000):
        assert time.monotonic() < until and run.poll() is None, run.communicate()
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "")
    assert "frame sets complete" in out and "ended: interrupted" in out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["frame_sets"] == figures["complete_sets"] > 10
    assert figures["cameras"]["cam_1"]["absent"] == {}
    assert json.loads((tmp_path / "day1" / "session.json").read_text())["ended"]["how"] == "interrupted"


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--seconds", "0"], "expected a time above 0"),
        (["--seconds", "1", "--minutes", "1"], "expected --minutes or --seconds, found both"),
        (["--seconds", "1", "-o", "scene"], "found a folder that is not empty"),
        (["--seconds", "1", "-o", "scene/rig.yaml"], "found a file of that name"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(tmp_path, rig, words, line):
    run = rigpose("record", rig, *(["-o", "day1"] if "-o" not in words else []), *words, cwd=tmp_path)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 2 and line in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "day1").exists()


@pytest.mark.long
def test_camera_that_is_not_there_is_one_line_and_exit_code_2(tmp_path, rig):
    rig.write_text(rig.read_text().replace("#cam_1", "#cam_7"))
    run = rigpose("record", rig, "-o", "day1", "--seconds", "1", cwd=tmp_path)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 2 and "camera 'cam_1': expected one of cam_0, cam_1" in err
    assert len(err.strip().splitlines()) == 1 and not (tmp_path / "day1").exists()


@pytest.mark.long
@pytest.mark.alone
def test_sigterm_ends_a_recording_within_two_seconds_with_everything_flushed(tmp_path, rig):
    rig.write_text(rig.read_text() + "recording: {segment_minutes: 0.02}\n")
    run = rigpose("record", rig, "-o", "day1", cwd=tmp_path)
    table = tmp_path / "day1" / "day1_cam_0.0002.frames"
    until = time.monotonic() + 120
    while not (table.exists() and table.stat().st_size > 1000):
        assert time.monotonic() < until and run.poll() is None, run.communicate()
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    asked_ns = time.monotonic_ns()
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "")
    ended = json.loads((tmp_path / "day1" / "session.json").read_text())["ended"]
    assert ended["how"] == "interrupted" and (ended["t_ns"] - asked_ns) * 1e-9 <= 2.0
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.gaps == []
        sets = recording.frame_sets()
        assert all(len(recording.video_paths(camera)) > 1 for camera in recording.cameras)
        # Up to the last pulse that was given, over all segments, every picture is there.
        assert len(sets) == ended["pulses"] and all(one.complete for one in sets)
        for camera in recording.cameras:
            assert sum(image is not None for image in recording.images(camera)) == len(sets)


@pytest.mark.long
def test_recording_that_ends_before_its_time_exits_with_1(tmp_path, rig):
    """Onto the disk that the rig file names: nobody said -o."""
    with small_disk(tmp_path / "disk") as disk:
        rig.write_text(rig.read_text() + f"recording: {{keep_free_gb: 0.002, directory: {disk}}}\n")
        run = rigpose("record", rig, "--seconds", "60", "--json", "figures.json", cwd=tmp_path)
        until = time.monotonic() + 120
        while not any(table.stat().st_size > 2000 for table in disk.glob("*-1/*_cam_0.frames")):
            assert time.monotonic() < until and run.poll() is None, run.communicate()
            time.sleep(0.02)
        (disk / "hog").write_bytes(bytes(4_500_000))
        _, err = run.communicate(timeout=60)
        assert run.returncode == 1 and len(err.strip().splitlines()) == 1
        assert "the recording ended early: disk: " in err and "0.002 GB to be kept" in err
        assert json.loads((tmp_path / "figures.json").read_text())["frame_sets"] > 5


@pytest.mark.long
def test_recover_as_a_person_runs_it(tmp_path, capsys):
    for name in ("one", "two"):
        write_session(tmp_path / name, ended=name == "two", cut_at=(30,))
    assert calling.run("recover", tmp_path / "one", tmp_path / "two", "--json", tmp_path / "said.json") == 0
    said = json.loads((tmp_path / "said.json").read_text())["sessions"]
    assert len(said[0]["finished"]) == 4 and said[1]["finished"] == []
    out = capsys.readouterr().out
    assert "cam_0, segment 1:" in out and "0 cut off" in out and "two: whole; ended: time is over" in out
    assert "cut-off; delete them when all is well" in out
    assert calling.run("recover", tmp_path / "two", "--join") == 0
    assert "cam_1: 2 segments joined" in capsys.readouterr().out
    assert calling.run("recover", tmp_path) == 2
    assert "expected a recorded session" in capsys.readouterr().err
