"""`rigpose live` and `rigpose watch` as a person runs them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from acquisition.simulation.scene import write_scene
from rigpose.chain import describe

CHECKOUT = Path(__file__).parents[2]
BUNDLE = CHECKOUT / "tests" / "deploy" / "golden" / "schema1.bundle"


def rigpose(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rigpose", *(str(word) for word in words)],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Two small cameras; no frame is given up as late because other programs had the processor."""
    return write_scene(
        tmp_path / "scene", kind="animal", seed=1, frame_sets=10, cameras=2, size=(96, 64),
        rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": 2000.0}},
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.alone
def test_live_says_what_became_of_every_frame_set(tmp_path: Path, rig: Path) -> None:
    run = rigpose(
        "live", rig, "--model", BUNDLE, "--runtime", "onnx", "--seconds", 2, "--record", "day1",
        "--json", "live.json", "--endpoint", f"ipc://{tmp_path}/stream", cwd=tmp_path,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "exposure to subscriber pose2d" in run.stdout and "absent frames: none" in run.stdout
    assert run.stdout.startswith(f"publishing on ipc://{tmp_path}/stream, without keys: for this host only\n")
    measured = json.loads((tmp_path / "live.json").read_text())
    assert (
        measured["balanced"] and measured["published"] > 10 and measured["lost"] == {"cam_0": {}, "cam_1": {}}
    )
    assert "triangulate" in measured["stages"] and measured["subscriber"]["received"]["pose3d"] == 0
    assert (tmp_path / "day1" / "session.json").exists()
    tables = list((tmp_path / "day1" / "poses").glob("*.poses"))
    for path in (tmp_path / "day1", tmp_path / "live.json", *tables):
        assert any(measured["network"]["bundle_sha256"][:12] in link for link in describe(path)["chain"])
    assert describe(tmp_path / "live.json")["kind"] == "figures of a live run"
    assert [describe(path)["kind"] for path in tables] == ["table of live poses"]


@pytest.mark.long
@pytest.mark.alone
def test_live_tells_of_prediction_processor_and_outputs(tmp_path: Path, rig: Path) -> None:
    zone = {"output": "laser", "keypoint": "red", "centre_px": [40, 30], "radius_px": 999}
    content = rig.read_text()
    rig.write_text(content + "outputs:\n  laser: {uri: 'log:', min_confidence: 0, max_age_ms: 5000}\n")
    run = rigpose(
        "live", rig, "--model", BUNDLE, "--runtime", "onnx", "--seconds", 2, "--follow", "--predict",
        "--crop", "cam_0=0,0,80,60", "--processor", CHECKOUT / "examples/processors/zone_entry.py:ZoneEntry",
        "--processor-options", json.dumps(zone),
        "--json", "live.json", "--endpoint", f"ipc://{tmp_path}/stream", cwd=tmp_path,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "poses, " in run.stdout and "output 'laser': on " in run.stdout
    measured = json.loads((tmp_path / "live.json").read_text())
    assert measured["processor"]["calls"] > 10 and measured["outputs"]["laser"]["on"] >= 1
    assert measured["died"] == {} and set(measured["follow"]) == {"follow cam_0", "follow cam_1"}


@pytest.mark.long
def test_what_cannot_work_is_one_line_and_leaves_nothing(tmp_path: Path, rig: Path) -> None:
    damaged = tmp_path / "damaged.bundle"
    shutil.copytree(BUNDLE, damaged)
    artifact = damaged / "fp32.onnx"
    artifact.chmod(0o644)
    artifact.write_bytes(artifact.read_bytes() + b"\0")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        for words, line in [
            (("--model", damaged), "changed or damaged"),
            (("--model", "nowhere.bundle"), "expected a model bundle"),
            (("--model", BUNDLE, "--calibration", "none.toml"), "expected a calibration"),
            (("--model", BUNDLE, "--endpoint", taken), "in use by another process"),
            (("--model", BUNDLE, "--endpoint", "tcp://0.0.0.0:5555"), "no keys"),
            (("--model", BUNDLE, "--endpoint", "tcp://*:5555", "--keys", "none"), "rigpose keys new server"),
            (("--model", BUNDLE, "--seconds", 1, "--minutes", 1), "found both"),
            (("--model", BUNDLE, "--seconds", 0), "a time above 0"),
            (("--model", BUNDLE, "--record", "scene"), "a folder that is not empty"),
            (("--model", BUNDLE, "--record-paused", "--page-control"), "found no --record"),
            (("--model", BUNDLE, "--record", "day1", "--record-paused", "--page"), "found no --page-control"),
            (("--model", BUNDLE, "--crop", "0,0,9,9"), "CAMERA=LEFT,TOP,WIDTH,HEIGHT"),
            (("--model", BUNDLE, "--crop", "cam_0=0,0,9"), "4 whole numbers"),
            (("--model", BUNDLE, "--crop", "cam_7=0,0,9,9"), "cameras of the rig"),
            (("--model", BUNDLE, "--lead-ms", "-3"), "--lead-ms"),
            (("--model", BUNDLE, "--processor", "mine.py"), "FILE.py:CLASS"),
            (("--model", BUNDLE, "--processor", "mine.py:P"), "no such file"),
            (("--model", BUNDLE, "--processor", "mine.py:P", "--processor-options", "3"), "a JSON object"),
        ]:
            run = rigpose("live", rig, *words, cwd=tmp_path)
            assert run.returncode == 2, words
            assert line in run.stderr and len(run.stderr.splitlines()) == 1, run.stderr
            assert run.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.bundle", "scene"]


def test_watch_without_a_stream_says_so(tmp_path: Path) -> None:
    run = rigpose("watch", f"ipc://{tmp_path}/nobody", "--seconds", 0.1, cwd=tmp_path)
    assert run.returncode == 0 and "nothing yet" in run.stdout
