"""`rigpose status` while rigpose runs, and after it was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.running import runs
from acquisition.simulation.scene import write_scene
from calibration.poses import PoseSet
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.stream.replay import ReplayOptions, replay
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from tests.acquisition.sessions import write_session
from tests.deploy.fusion.rig import Rig, started
from tests.rigpose import calling

CHECKOUT = Path(__file__).parents[2]
BUNDLE = CHECKOUT / "tests" / "deploy" / "golden" / "schema1.bundle"
WITHIN_S = 120.0


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RIGPOSE_RUN_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def status(tmp_path: Path) -> tuple[int, dict[str, Any]]:
    """Exit code, and what it says."""
    code = calling.run("status", "--quiet", "--json", tmp_path / "status.json")
    return code, json.loads((tmp_path / "status.json").read_text())


def status_when(tmp_path: Path, condition) -> tuple[int, dict[str, Any]]:
    """As soon as the one run that there is fulfils it."""
    end = time.monotonic() + WITHIN_S
    while True:
        code, said = status(tmp_path)
        if said["runs"] and condition(said["runs"][0]):
            return code, said
        assert time.monotonic() < end, said
        time.sleep(0.1)


def test_nothing_runs(tmp_path, capsys):
    assert calling.run("status", "--json", tmp_path / "said.json") == 0
    assert json.loads((tmp_path / "said.json").read_text()) == {"runs": [], "well": True}
    assert capsys.readouterr().out == "nothing of rigpose runs here\n"


def test_a_killed_run_is_named_as_long_as_its_recording_is_cut_off(tmp_path, folder, capsys):
    session = tmp_path / "day1"
    write_session(session, ended=False)
    gone = {
        "format": "rigpose run", "version": 1, "command": "record", "pid": os.getpid(), "boot_id": "before",
        "process_started": 1, "since": "2024-05-01T10:00:00+00:00", "since_ns": 0, "written_ns": 0,
        "name": "arena", "state": "running", "session": str(session), "rates_s": 0.0, "rates_hz": {},
        "counters": {},
    }  # fmt: skip
    folder.mkdir(mode=0o700)
    (folder / "1-0.json").write_text(json.dumps(gone))
    (folder / "2-0.json").write_text(json.dumps({**gone, "session": None}))
    for _ in range(2):
        code, said = status(tmp_path)
        assert code == 1 and not said["well"]
        [run] = said["runs"]
        assert not run["alive"] and run["findings"][0]["remedy"] == f"Run: rigpose recover {session}"
    assert [path.name for path in folder.iterdir()] == ["1-0.json"]
    capsys.readouterr()
    assert calling.run("recover", session, "--quiet") == 0
    assert status(tmp_path) == (0, {"runs": [], "well": True})
    assert list(folder.iterdir()) == []


def test_a_replay(tmp_path):
    session = tmp_path / "day1"
    session.mkdir()
    about = {"format": "rigpose session", "version": 1, "name": "day1", "rig": {}}
    (session / "session.json").write_text(json.dumps(about))
    table = PoseTableWriter(session, "a", ("top",), ("nose",), {"calibration_sha256": ""})
    for index in range(2):
        t_ns = 10**12 + index * 1_200_000_000
        table.append(PoseSet(index, t_ns, np.zeros((1, 1, 3), np.float32)), None, (t_ns,) * 4, (None,))
    table.close()
    stream = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    replaying = threading.Thread(target=replay, args=(session, stream, ReplayOptions(wait=1)))
    replaying.start()
    code, said = status_when(tmp_path, lambda run: run["state"] == "starting")
    assert code == 0 and said["runs"][0]["findings"][0]["found"].endswith("waits for its beginning")
    with PoseSubscriber(stream.endpoint) as subscriber:
        while replaying.is_alive():
            subscriber.receive(timeout_ms=50)
            code, said = status(tmp_path)
            for run in said["runs"]:
                assert (run["command"], run["name"], run["endpoint"]) == ("replay", "day1", stream.endpoint)
                assert code == 0 and run["counters"]["replay"]["published"] <= 2
    replaying.join()
    assert runs() == []


@pytest.mark.long
@pytest.mark.alone
def test_a_live_run_from_its_start_to_its_death(tmp_path):
    """Recorded, tracked, killed, recovered; every line is green until then."""
    rig = write_scene(
        tmp_path / "scene", kind="animal", seed=1, frame_sets=10, cameras=2, size=(96, 64),
        rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": 2000.0}, "recording": {"keep_free_gb": 0.0}},
    )  # fmt: skip
    endpoint = f"ipc://{tmp_path}/stream"
    words = ["live", rig, "--model", BUNDLE, "--runtime", "onnx", "--record", tmp_path / "day1",
             "--endpoint", endpoint]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "rigpose", *map(str, words)], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        code, said = status_when(tmp_path, lambda run: run["state"] == "starting")
        assert code == 0 and said["runs"][0]["pid"] == process.pid

        def recorded(run: dict[str, Any]) -> bool:
            counted = [run["counters"].get(f"camera cam_{n}", {}).get("recorded", 0) for n in (0, 1)]
            return min(counted) > 30 and run["counters"].get("tracker", {}).get("published", 0) > 30

        code, said = status_when(tmp_path, recorded)
        [run] = said["runs"]
        assert run["session"] == str(tmp_path / "day1") and run["endpoint"] == endpoint
        whats = [one["what"] for one in run["findings"]]
        assert whats[0].startswith("live ") and {"camera cam_0", "camera cam_1", "processes", "frame sets",
                                                 "stream", "recording", "disk"} <= set(whats)  # fmt: skip
        sets = run["counters"]["tracker"]
        assert sets["sets_in"] >= sets["published"] + sets["skipped"] + sets["empty"]
        assert all(bool(one["remedy"]) == (one["state"] != "ok") for one in run["findings"])
        assert code == int(not said["well"])
        states = {one["what"]: one["state"] for one in run["findings"]}
        assert states["processes"] == states["stream"] == states["recording"] == "ok"
        process.kill()
        process.wait(20)
        code, said = status(tmp_path)
        assert code == 1 and "rigpose recover" in said["runs"][0]["findings"][0]["remedy"]
    finally:
        process.kill()
        process.wait(20)

    def recovered() -> bool:  # refused as long as the recorder, an orphan, has not ended
        return calling.run("recover", tmp_path / "day1", "--quiet") == 0

    end = time.monotonic() + WITHIN_S
    while not recovered():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert status(tmp_path) == (0, {"runs": [], "well": True})


@pytest.mark.long
@pytest.mark.alone
def test_a_joint_rig_with_a_host_that_goes(tmp_path):
    rig = Rig(tmp_path, (f"ipc://{tmp_path}/left", f"ipc://{tmp_path}/right"), keys=False)
    joining = [sys.executable, "-m", "rigpose", "fuse", str(rig.file), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with started(rig.host_command(0)), started(rig.host_command(1)) as right:
        process = subprocess.Popen(joining, env=environment)
        try:
            _, said = status_when(
                tmp_path, lambda run: run["counters"].get("fuse", {}).get("complete", 0) > 9
            )
            [run] = said["runs"]
            assert (run["command"], run["name"], run["endpoint"]) == ("fuse", "arena", rig.endpoint)
            right.kill()

            def away(run: dict[str, Any]) -> bool:
                return any(
                    one["what"] == "host right" and one["state"] == "broken" for one in run["findings"]
                )

            code, said = status_when(tmp_path, away)
            assert code == 1 and "rigpose live" in str(said["runs"][0]["findings"])
            status_when(tmp_path, lambda run: any("host away" in each["what"] for each in run["events"]))
        finally:
            process.terminate()
            process.wait(20)
    assert runs() == []
