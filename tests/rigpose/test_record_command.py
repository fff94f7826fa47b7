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

from acquisition.simulation.scene import write_scene

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
