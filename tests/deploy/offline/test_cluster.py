"""A Dask cluster of two workers: the same poses, none lost when a worker dies."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.offline.analyze import Spread, analyze
from deploy.poses_io.poses import load_poses
from tests.deploy.offline.dots import BUNDLE, pictures, truth, write_video

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def dask() -> None:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("no Dask: pip install 'rigpose[cluster]'")


@pytest.fixture
def scheduler(dask: None, tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, as a person starts them: its address, and the workers."""
    file = tmp_path / "scheduler.json"
    python = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    dask_cli = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common]
    started = [subprocess.Popen(dask_cli, cwd=CHECKOUT, stderr=subprocess.DEVNULL)]
    worker = [*python, "distributed.cli.dask_worker", *common, "--nthreads", "1", "--no-nanny"]
    try:
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for number in range(2):
            local = ["--local-directory", str(tmp_path / f"worker{number}")]
            started.append(subprocess.Popen([*worker, *local], cwd=CHECKOUT, stderr=subprocess.DEVNULL))
        import json

        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # a worker whose scheduler is gone may go on trying
                process.kill()
                process.wait(10)


@pytest.mark.long
def test_a_dead_worker_of_a_cluster_loses_no_video(
    scheduler: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    import distributed

    address, workers = scheduler
    bundle = Bundle.load(BUNDLE)
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(30)) for number in range(10)]
    videos.append(tmp_path / "broken.mkv")
    videos[-1].write_text("no video")
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)

    def kill_one() -> None:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "poses").glob("*.meta.json")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    result = analyze(bundle, videos, tmp_path / "poses", spread=Spread(cluster=address))
    killer.join()
    assert workers[0].wait(30) == -signal.SIGKILL
    assert len(result["videos"]) == 10
    assert len(result["failed"]) == 1
    assert "broken.mkv: expected a video" in result["failed"][0]["why"]
    for video in result["videos"]:
        poses = load_poses(video["files"][0])
        assert np.linalg.norm(poses.values[..., :2] - truth(), axis=-1).max() < 1.0
        assert poses.about["artifact_sha256"] == result["runs"]["artifact_sha256"]
    again = analyze(bundle, videos[:-1], tmp_path / "poses")
    assert all(video["kept"] for video in again["videos"])


@pytest.mark.long
def test_an_embedded_cluster_does_what_one_process_does(dask: None, tmp_path: Path) -> None:
    bundle = Bundle.load(BUNDLE)
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(8)) for number in range(3)]
    alone = analyze(bundle, videos, tmp_path / "alone")
    result = analyze(bundle, videos, tmp_path / "poses", spread=Spread(jobs=2, cluster="local"))
    assert result["failed"] == []
    for one, other in zip(alone["videos"], result["videos"], strict=True):
        np.testing.assert_array_equal(
            load_poses(one["files"][0]).values, load_poses(other["files"][0]).values
        )


def test_no_scheduler_at_the_address_is_one_line(dask: None, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mkv", pictures(3))
    with pytest.raises(RigposeError, match="a Dask scheduler"):
        analyze(BUNDLE, [video], tmp_path / "poses", spread=Spread(cluster="nonsense://127.0.0.1:1"))


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "v.mkv", pictures(3))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[cluster\]'"):
        analyze(BUNDLE, [video], tmp_path / "poses", spread=Spread(cluster="local"))
