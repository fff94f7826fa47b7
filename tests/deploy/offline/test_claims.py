"""Claims: one of several takes a thing; those of the dead are taken over, those of the living are not."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.offline.claims import Claims


def other_host(path: Path) -> None:
    """Make a claim look as if a process of another machine had made it."""
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "boot_id": "elsewhere"}))


def test_a_claim_is_one_process_s_until_it_is_released(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        assert one.take("a")
        assert not one.take("a")
        assert not other.take("a")
        assert (one.view("a"), other.view("a"), other.view("b")) == ("mine", "alive", "free")
        assert one.names() == {"a"}
        one.release("a")
        assert other.view("a") == "free"
        assert other.take("a")
    assert list(tmp_path.iterdir()) == []


def test_names_that_begin_alike_are_not_mixed_up(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims:
        assert claims.take("cam.1")
        assert claims.take("cam")
        assert claims.take("cam.1.2")
        assert claims.names() == {"cam", "cam.1", "cam.1.2"}
        claims.release("cam")
        assert claims.names() == {"cam.1", "cam.1.2"}


def _take(folder: str, start, won, all_told) -> None:
    with Claims(Path(folder)) as claims:
        start.wait()
        won.put([name for name in map(str, range(50)) if claims.take(name)])
        all_told.wait()


def test_of_several_processes_one_gets_each(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    won, start, all_told = context.Queue(), context.Barrier(3), context.Event()
    processes = [context.Process(target=_take, args=(str(tmp_path), start, won, all_told)) for _ in range(3)]
    for process in processes:
        process.start()
    taken = sorted(name for _ in processes for name in won.get(timeout=60))
    all_told.set()
    for process in processes:
        process.join()
    won.close()
    assert taken == sorted(map(str, range(50)))


def test_the_claim_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from deploy.offline.claims import Claims; "
        "claims = Claims(Path(sys.argv[1])); claims.take('a'); print('taken', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert process.stdout is not None
    with process.stdout, Claims(tmp_path) as claims:
        assert process.stdout.readline() == b"taken\n"
        assert claims.view("a") == "alive"
        assert not claims.take("a")
        process.kill()
        process.wait()
        assert claims.view("a") == "stale"
        assert claims.take("a")
        claims.release("a")
        assert list(tmp_path.iterdir()) == []


def test_on_another_host_only_silence_is_death(tmp_path: Path) -> None:
    with Claims(tmp_path, beat_s=60) as owner, Claims(tmp_path, stale_s=0.5) as watcher:
        assert owner.take("a")
        (path,) = tmp_path.iterdir()
        other_host(path)
        assert watcher.view("a") == "unsure"
        for _ in range(6):  # it lives: it is touched
            time.sleep(0.2)
            os.utime(path)
            assert watcher.view("a") == "alive"
        deadline = time.monotonic() + 30
        while watcher.view("a") != "stale":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert watcher.take("a")
        assert owner.view("a") != "mine"


def test_an_owner_touches_its_claims_and_lets_go_of_what_was_taken_over(tmp_path: Path) -> None:
    with Claims(tmp_path, beat_s=0.05) as owner:
        owner.take("a")
        (path,) = tmp_path.iterdir()
        before = path.stat().st_mtime_ns
        deadline = time.monotonic() + 30
        while path.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (tmp_path / "a.1.claim").write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "other"}))
        while owner._held:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        owner.release("a")
        assert (tmp_path / "a.1.claim").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}'])
def test_a_damaged_claim_is_judged_by_its_silence(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.0.claim").write_text(content)
    with Claims(tmp_path, stale_s=0.1) as claims:
        assert claims.view("a") == "unsure"
        threading.Event().wait(0.2)
        assert claims.take("a")
