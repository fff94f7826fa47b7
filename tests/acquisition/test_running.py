"""Runs that tell of themselves: whole files, gone with the run, told apart from those that were killed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from acquisition.running import RUNNING, STARTING, RunFile, runs

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RIGPOSE_RUN_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def wait(until: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not until():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


def facts(state: str = RUNNING, **counts: int) -> Callable[[], dict]:
    return lambda: {"name": "arena", "state": state, "counters": {"camera top": counts}}


def told_last() -> dict:
    return runs()[0].facts if runs() else {}


def test_a_run_is_there_as_long_as_it_runs(folder):
    with RunFile("record") as file:
        file.tell(facts(frames=7))
        wait(runs)
        [run] = runs()
        assert (run.command, run.pid, run.alive) == ("record", os.getpid(), True)
        assert run.facts["name"] == "arena" and run.facts["counters"]["camera top"]["frames"] == 7
        assert 0 <= run.silent_s <= run.age_s
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert runs() == [] and list(folder.iterdir()) == []
    file.close()  # twice


def test_facts_are_asked_for_once_a_second_at_most():
    asked = []

    def counted() -> dict:
        asked.append(time.monotonic())
        return facts()()

    begun = time.monotonic()
    with RunFile("live") as file:
        for _ in range(10_000):
            file.tell(counted)
        file.tell(counted, now=True)
    assert 2 <= len(asked) <= 2 + (time.monotonic() - begun)


def test_rates_are_of_late_and_begin_anew_with_the_state_and_the_counts():
    with RunFile("live") as file:

        def next_rates(state: str, frames: int) -> tuple[float, dict]:
            before = told_last().get("written_ns", 0)
            file.tell(facts(state, frames=frames), now=True)
            wait(lambda: told_last().get("written_ns", 0) > before)
            return told_last()["rates_s"], told_last()["rates_hz"]

        assert next_rates(STARTING, 0) == (0.0, {})
        assert next_rates(RUNNING, 0) == (0.0, {})
        time.sleep(0.05)
        span_s, rates = next_rates(RUNNING, 40)
        assert span_s >= 0.05
        assert rates["camera top"]["frames"] * span_s == pytest.approx(40, rel=0.02)
        assert next_rates(RUNNING, 3) == (0.0, {})  # the process was restarted


def test_a_run_that_was_killed_is_told_apart(folder):
    tell = (
        "import time; from acquisition.running import RunFile; file = RunFile('record')\n"
        "file.tell(lambda: {'name': 'arena', 'state': 'running'}); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen([sys.executable, "-c", tell], env=environment, cwd=CHECKOUT)
    try:
        wait(runs)
        assert runs()[0].alive and runs()[0].pid == process.pid
        process.kill()
        wait(lambda: not runs()[0].alive)  # a zombie, not waited for yet
    finally:
        process.kill()
        process.wait(20)
    assert [run.alive for run in runs()] == [False]
    # The pid given again, to this very process.
    content = json.loads(runs()[0].path.read_text())
    runs()[0].path.write_text(json.dumps({**content, "pid": os.getpid()}))
    assert [(run.pid, run.alive) for run in runs()] == [(os.getpid(), False)]
    # And after a restart of the machine.
    with RunFile("live") as file:
        file.tell(facts())
        wait(lambda: len(runs()) == 2)
        path = next(run.path for run in runs() if run.command == "live")
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "another"}))
        assert not any(run.alive for run in runs())


def test_a_folder_that_others_may_write_is_neither_read_nor_written(folder):
    with RunFile("record") as file:
        file.tell(facts())
        wait(runs)
        folder.chmod(0o777)
        assert runs() == []
    folder.chmod(0o777)
    with RunFile("record") as file:
        file.tell(facts(), now=True)
    assert list(folder.glob("*")) == [] and runs() == []


def test_a_folder_that_goes_is_made_again(folder):
    with RunFile("record") as file:
        file.tell(facts())
        wait(runs)
        shutil.rmtree(folder)

        def told_again() -> bool:
            file.tell(facts(), now=True)
            return bool(runs())

        wait(told_again)


def test_without_a_folder_nothing_fails(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RIGPOSE_RUN_DIR", str(tmp_path / "file" / "runs"))
    with RunFile("record") as file:
        file.tell(facts())
        assert runs() == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "rigpose run", "version": 1}', '{"format": 3}', "\x00", "[" * 100]
)
def test_other_files_are_passed_over(folder, content):
    folder.mkdir(mode=0o700)
    (folder / "1-0.json").write_text(content)
    assert runs() == []
