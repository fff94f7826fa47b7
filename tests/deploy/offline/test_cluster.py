"""A Dask cluster of two workers: the same poses, none lost when a worker dies."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.offline import cluster as cluster_module
from deploy.offline.analyze import Spread, analyze
from deploy.poses_io.readers import load_poses
from tests.deploy.offline.dots import BUNDLE, pictures, truth, write_video

CHECKOUT = Path(__file__).parents[3]
Cluster = tuple[str, list["subprocess.Popen[bytes]"], Callable[[], None]]


def wait_for(fulfilled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def dask() -> None:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("no Dask: pip install 'rigpose[cluster]'")


@pytest.fixture
def scheduler(dask: None, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler and two workers, as a person starts them: its address, the workers, and what starts one."""
    file = tmp_path / "scheduler.json"
    python = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    dask_cli = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common]
    started = [subprocess.Popen(dask_cli, cwd=CHECKOUT, stderr=subprocess.DEVNULL)]
    worker = [*python, "distributed.cli.dask_worker", *common, "--nthreads", "1", "--no-nanny"]
    try:
        wait_for(file.exists)
        workers: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            local = ["--local-directory", str(tmp_path / f"worker{len(workers)}")]
            workers.append(subprocess.Popen([*worker, *local], cwd=CHECKOUT, stderr=subprocess.DEVNULL))
            started.append(workers[-1])

        start()
        start()
        yield json.loads(file.read_text())["address"], workers, start
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
def test_a_dead_worker_of_a_cluster_loses_no_video(scheduler: Cluster, tmp_path: Path) -> None:
    import distributed

    address, workers, _ = scheduler
    bundle = Bundle.load(BUNDLE)
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(30)) for number in range(10)]
    videos.append(tmp_path / "broken.mkv")
    videos[-1].write_text("no video")
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)

    def kill_one() -> None:
        wait_for(lambda: bool(list((tmp_path / "poses").glob("*.meta.json"))))
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
def test_an_embedded_cluster_does_what_one_process_does(
    dask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distributed

    addresses: list[str] = []

    class Watched(distributed.Client):  # type: ignore[misc]
        def __init__(self, address: str, **options: object) -> None:
            addresses.append(address)
            super().__init__(address, **options)

    monkeypatch.setattr(distributed, "Client", Watched)
    bundle = Bundle.load(BUNDLE)
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(8)) for number in range(3)]
    alone = analyze(bundle, videos, tmp_path / "alone")
    result = analyze(bundle, videos, tmp_path / "poses", spread=Spread(jobs=2, cluster="local"))
    assert result["failed"] == []
    (said,) = addresses
    assert said.startswith("tls://127.0.0.1:")  # no other user of this machine gets in
    for one, other in zip(alone["videos"], result["videos"], strict=True):
        np.testing.assert_array_equal(
            load_poses(one["files"][0]).values, load_poses(other["files"][0]).values
        )


@pytest.mark.long
def test_when_all_workers_that_can_run_it_died_new_ones_are_asked_and_without_any_it_ends(
    scheduler: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers is taken for unable, the other is killed, a third one comes, then nobody."""
    import distributed

    address, workers, start = scheduler
    bundle = Bundle.load(BUNDLE)
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(30)) for number in range(8)]
    of_pid: dict[int, str] = {}
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        of_pid = {pid: worker for worker, pid in client.run(os.getpid).items()}
    told = cluster_module._told_of

    def all_but_one(answers: dict[str, str]) -> dict[str, str]:
        return told({worker: "no" if worker == of_pid[workers[1].pid] else "" for worker in answers})

    monkeypatch.setattr(cluster_module, "_told_of", all_but_one)
    monkeypatch.setattr(cluster_module, "NONE_LEFT_S", 3.0)
    output = tmp_path / "poses"
    done: list[int] = []

    def kill_in_turn() -> None:
        for number, worker in enumerate((workers[0], None)):
            wait_for(lambda most=2 * number: len(list(output.glob("*.meta.json"))) > most)
            if worker is None:
                worker = workers[-1]
            worker.kill()
            done.append(len(list(output.glob("*.meta.json"))))
            if number == 0:
                start()

    killer = threading.Thread(target=kill_in_turn, daemon=True)
    killer.start()
    with pytest.raises(RigposeError, match="found that all that can run this batch are gone"):
        analyze(bundle, videos, output, spread=Spread(cluster=address))
    killer.join()
    assert len(done) == 2 and len(list(output.glob("*.meta.json"))) < len(videos)
    again = analyze(bundle, videos, output)
    assert again["failed"] == [] and len(again["videos"]) == len(videos)


def test_no_scheduler_at_the_address_is_one_line(dask: None, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mkv", pictures(3))
    with pytest.raises(RigposeError, match="a Dask scheduler"):
        analyze(BUNDLE, [video], tmp_path / "poses", spread=Spread(cluster="nonsense://127.0.0.1:1"))


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "v.mkv", pictures(3))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[cluster\]'"):
        analyze(BUNDLE, [video], tmp_path / "poses", spread=Spread(cluster="local"))
