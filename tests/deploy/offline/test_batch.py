"""Batches: the status file, what is kept and what is done again, several at once, workers that die."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
from deploy.offline import batch as batch_module
from deploy.offline import work as work_module
from deploy.offline.analyze import Spread, analyze
from deploy.offline.batch import batch_folder, settle, status_file
from deploy.offline.workers import cores_of
from deploy.poses_io.readers import load_poses
from tests.deploy.offline.dots import BUNDLE, pictures, truth, write_video

CHECKOUT = Path(__file__).parents[3]
SHORT = 6


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(BUNDLE)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    (tmp_path / "videos").mkdir()
    return [write_video(tmp_path / "videos" / f"v{number}.mkv", pictures(SHORT)) for number in range(4)]


def status(output: Path, bundle: Bundle) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(status_file(output, bundle).read_text())
    return said


def states(output: Path, bundle: Bundle) -> dict[str, str]:
    return {Path(row["video"]).stem: row["state"] for row in status(output, bundle)["videos"]}


def kept(result: dict[str, Any]) -> dict[str, bool]:
    return {Path(video["video"]).stem: video["kept"] for video in result["videos"]}


def wait_until(fulfilled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_status_file_says_what_became_of_every_video(
    videos: list[Path], bundle: Bundle, tmp_path: Path
) -> None:
    content = videos[1].read_bytes()
    videos[1].write_bytes(content[: len(content) * 2 // 3])
    videos[2].write_text("no video")
    analyze(bundle, videos, tmp_path / "poses")
    assert states(tmp_path / "poses", bundle) == {"v0": "done", "v1": "partial", "v2": "failed", "v3": "done"}
    said = status(tmp_path / "poses", bundle)
    assert said["counts"] == {"done": 2, "failed": 1, "partial": 1}
    assert "v1.mkv: ends after" in said["videos"][1]["why"]
    assert "v2.mkv: expected a video" in said["videos"][2]["why"]
    assert said["execution"]["bundle_sha256"] == bundle.sha256
    assert (said["execution"]["runtime"], said["execution"]["precision"]) == ("litert", "int8")
    assert list(batch_folder(tmp_path / "poses", bundle).glob("*.claim")) == []


def test_the_status_file_keeps_what_earlier_commands_made(
    videos: list[Path], bundle: Bundle, tmp_path: Path
) -> None:
    videos[1].write_text("no video")
    analyze(bundle, videos[:2], tmp_path / "poses")
    analyze(bundle, videos[2:3], tmp_path / "poses")
    rows = {row["name"]: row["state"] for row in status(tmp_path / "poses", bundle)["videos"]}
    assert rows == {"v0": "done", "v1": "failed", "v2": "done"}


def test_every_output_tells_what_the_batch_ran_on(videos: list[Path], bundle: Bundle, tmp_path: Path) -> None:
    result = analyze(bundle, videos[:2], tmp_path / "poses", precision="fp32")
    metas = [json.loads(path.read_text()) for path in (tmp_path / "poses").glob("*.meta.json")]
    assert [meta["execution"] for meta in metas] == [result["runs"]] * 2
    for video in result["videos"]:
        about = load_poses(video["files"][0]).about
        for name in ("bundle_sha256", "runtime", "precision", "artifact", "artifact_sha256", "threads"):
            assert about[name] == result["runs"][name]


def test_the_same_command_again_does_only_the_rest(
    videos: list[Path], bundle: Bundle, tmp_path: Path
) -> None:
    good = videos[1].read_bytes()
    videos[1].write_text("no video")
    first = analyze(bundle, videos, tmp_path / "poses")
    assert kept(first) == {"v0": False, "v2": False, "v3": False}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "poses").glob("*.poses.npz")}
    videos[1].write_bytes(good)
    second = analyze(bundle, videos, tmp_path / "poses")
    assert kept(second) == {"v0": True, "v1": False, "v2": True, "v3": True}
    assert second["failed"] == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert states(tmp_path / "poses", bundle) == dict.fromkeys(("v0", "v1", "v2", "v3"), "done")


def test_what_changed_is_done_again(videos: list[Path], bundle: Bundle, tmp_path: Path) -> None:
    output = tmp_path / "poses"
    result = analyze(bundle, videos[:3], output)
    write_video(videos[0], pictures(SHORT + 2))
    Path(next(file for file in result["videos"][1]["files"] if file.endswith(".csv"))).write_text("cut")
    again = analyze(bundle, videos[:3], output)
    assert kept(again) == {"v0": False, "v1": False, "v2": True}
    assert [video["frames"] for video in again["videos"]] == [SHORT + 2, SHORT, SHORT]
    other = analyze(bundle, videos[:3], output, precision="fp32")  # asked for by name: another execution
    assert kept(other) == dict.fromkeys(("v0", "v1", "v2"), False)
    assert kept(analyze(bundle, videos[:3], output)) == dict.fromkeys(("v0", "v1", "v2"), True)
    assert status(output, bundle)["execution"]["precision"] == "fp32"


def test_a_batch_keeps_to_what_it_began_with(videos: list[Path], bundle: Bundle, tmp_path: Path) -> None:
    output = tmp_path / "poses"
    analyze(bundle, videos[:1], output, runtime="onnx")
    assert analyze(bundle, videos[:2], output)["runs"]["runtime"] == "onnx"  # not litert, which auto prefers
    with pytest.raises(RigposeError, match=r"onnx fp32, on which this batch runs, found --runtime litert"):
        analyze(bundle, videos[:2], output, runtime="litert", spread=Spread(shard=(1, 2)))


def test_a_machine_that_cannot_run_the_batch_says_why(
    videos: list[Path], bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    analyze(bundle, videos[:1], tmp_path / "poses", runtime="onnx")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if "onnx" in name else found(name, *rest)
    )
    with pytest.raises(
        RigposeError,
        match=r"onnx fp32, on which this batch runs, found onnxruntime is not inst.*rigpose\[onnx\]",
    ):
        analyze(bundle, videos, tmp_path / "poses")


def test_a_full_disk_stops_the_batch_and_the_rest_is_done_later(
    videos: list[Path], bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = work_module.save_columns

    def full(poses: Any, path: Path) -> None:
        from deploy.whole_file import whole_file

        if "v1" not in path.name:
            save(poses, path)
            return
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    output = tmp_path / "poses"
    with monkeypatch.context() as patch:
        patch.setattr(work_module, "save_columns", full)
        with pytest.raises(RigposeError, match=r"v1.*No space left on device. Free some space"):
            analyze(bundle, videos, output)
    told = states(output, bundle)
    assert (told["v0"], told["v1"], told["v3"]) == ("done", "failed", "waiting")
    assert not list(output.glob(".unfinished-*"))
    again = analyze(bundle, videos, output)
    assert again["failed"] == []
    assert kept(again)["v0"] and not kept(again)["v1"]


@pytest.mark.long
def test_a_killed_run_is_taken_up_where_it_was(bundle: Bundle, tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(30)) for number in range(12)]
    command = [sys.executable, "-m", "rigpose", "analyze", bundle.path, *videos, "-o", tmp_path / "poses"]
    process = subprocess.Popen([str(word) for word in command], cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    wait_until(lambda: len(list((tmp_path / "poses").glob("*.meta.json"))) >= 2)
    process.kill()
    process.wait()
    whole = {path: path.stat().st_mtime_ns for path in (tmp_path / "poses").glob("*.meta.json")}
    assert len(whole) < 12
    result = analyze(bundle, videos, tmp_path / "poses")
    assert sum(kept(result).values()) == len(whole)
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert set(states(tmp_path / "poses", bundle).values()) == {"done"}
    assert not list(batch_folder(tmp_path / "poses", bundle).glob("*.claim"))


def test_shards_share_a_folder_and_do_each_video_once(bundle: Bundle, tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(SHORT)) for number in range(8)]
    results: dict[int, dict[str, Any]] = {}

    def shard(number: int) -> None:
        spread = Spread(shard=(number, 3))
        results[number] = analyze(bundle, videos, tmp_path / "poses", spread=spread)

    shards = [threading.Thread(target=shard, args=(number,)) for number in (1, 2, 3)]
    for thread in shards:
        thread.start()
    for thread in shards:
        thread.join()
    done_here = [
        name for result in results.values() for name, was_there in kept(result).items() if not was_there
    ]
    assert sorted(done_here) == [f"v{number}" for number in range(8)]
    assert set(states(tmp_path / "poses", bundle).values()) == {"done"}


def test_a_shard_does_the_videos_of_one_that_never_came(
    videos: list[Path], bundle: Bundle, tmp_path: Path
) -> None:
    videos[3].write_text("no video")
    result = analyze(bundle, videos, tmp_path / "poses", spread=Spread(shard=(2, 2)))
    assert len(result["videos"]) == 3
    assert len(result["failed"]) == 1
    other = analyze(bundle, videos, tmp_path / "poses", spread=Spread(shard=(1, 2)))
    assert all(kept(other).values())
    assert "v3.mkv" in other["failed"][0]["why"]  # not tried again: it was not this shard's


@pytest.mark.parametrize(("spread", "says"), [
    (Spread(jobs=0), "--jobs"), (Spread(shard=(0, 3)), "--shard"), (Spread(shard=(4, 3)), "--shard"),
    (Spread(shard=(1, 2), cluster="local"), "a cluster or shards"),
])  # fmt: skip
def test_spreads_without_sense_are_refused(
    spread: Spread, says: str, videos: list[Path], bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(RigposeError, match=says):
        analyze(bundle, videos, tmp_path / "poses", spread=spread)
    assert not (tmp_path / "poses").exists()


def test_cores_are_divided_among_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(2, 9)))
    shares = cores_of(3)
    assert sorted(core for share in shares for core in share) == list(range(2, 9))
    assert {len(share) for share in shares} == {2, 3}
    assert cores_of(20) == [set(range(2, 9))] * 20
    assert Spread(jobs=1).threads == 3
    assert Spread(jobs=7).threads == 1


@pytest.mark.long
def test_several_at_once_find_the_same_and_a_dead_worker_loses_no_video(
    bundle: Bundle, tmp_path: Path
) -> None:
    videos = [write_video(tmp_path / f"v{number}.mkv", pictures(30)) for number in range(8)]
    videos.append(tmp_path / "broken.mkv")
    videos[-1].write_text("no video")
    alone = analyze(bundle, videos, tmp_path / "alone")
    killed = threading.Event()

    def kill_one() -> None:
        wait_until(lambda: bool(list((tmp_path / "poses").glob("*.meta.json"))))
        children = _children(os.getpid())
        os.kill(children[0], signal.SIGKILL)
        killed.set()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    result = analyze(bundle, videos, tmp_path / "poses", spread=Spread(jobs=2))
    killer.join()
    assert killed.is_set()
    assert len(result["videos"]) == 8
    assert "broken.mkv" in result["failed"][0]["why"]
    for one, other in zip(alone["videos"], result["videos"], strict=True):
        a, b = load_poses(one["files"][0]), load_poses(other["files"][0])
        np.testing.assert_array_equal(a.values, b.values)
        assert np.linalg.norm(b.values[..., :2] - truth(), axis=-1).max() < 1.0
    assert _children(os.getpid()) == []


def _children(pid: int) -> list[int]:
    """Spawned workers of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            words = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and b"spawn_main" in words:
            found.append(int(path.parent.name))
    return sorted(found)


def settled_file(output: Path, bundle: Bundle) -> Path:
    return batch_folder(output, bundle) / "execution.json"


def test_what_another_settles_in_the_same_moment_stands(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = replace(Execution.resolve(bundle, "auto", "auto", threads=1), reason="theirs")
    file = settled_file(tmp_path, bundle)
    read, save = batch_module._read_execution, batch_module.save_json
    looks: list[Execution | None] = []
    appeared: list[bool] = []

    def appear() -> None:
        if not appeared:
            appeared.append(True)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(theirs.as_json()))

    def read_then_it_appears(path: Path) -> Execution | None:
        found = read(path)
        looks.append(found)
        if looks == [None, None]:  # the look that might decide to remove it
            appear()
        return found

    def it_appears_then_save(path: Path, content: dict[str, Any]) -> None:
        appear()
        save(path, content)

    monkeypatch.setattr(batch_module, "_read_execution", read_then_it_appears)
    monkeypatch.setattr(batch_module, "save_json", it_appears_then_save)
    assert settle(tmp_path, bundle, "auto", "auto", 1, shared=True).reason == "theirs"
    assert json.loads(file.read_text()) == theirs.as_json()


def test_where_there_are_no_links_the_first_settles_all_the_same(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    settled_file(tmp_path, bundle).parent.mkdir(parents=True)
    settled_file(tmp_path, bundle).write_text("half of a f")
    first = settle(tmp_path, bundle, "auto", "fp32", 1, shared=True)
    assert json.loads(settled_file(tmp_path, bundle).read_text()) == first.as_json()
    assert settle(tmp_path, bundle, "auto", "auto", 1, shared=True) == first
    assert [path.name for path in settled_file(tmp_path, bundle).parent.iterdir()] == ["execution.json"]


def test_a_file_that_another_bundle_of_this_name_settled_does_not_count(
    bundle: Bundle, tmp_path: Path
) -> None:
    first = settle(tmp_path, bundle, "auto", "fp32", 1, shared=True)
    file = settled_file(tmp_path, bundle)
    file.write_text(json.dumps({**first.as_json(), "bundle_sha256": "0" * 64}))
    assert settle(tmp_path, bundle, "auto", "fp32", 1, shared=True) == first
    assert json.loads(file.read_text()) == first.as_json()
