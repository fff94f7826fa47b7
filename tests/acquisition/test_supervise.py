"""Supervised processes: heard, told, restarted within a budget, stopped in order, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from acquisition.supervise import Process, Supervisor, runtime_folder
from tests.acquisition import children


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_counters_come_up_and_facts_go_down():
    with Supervisor([Process("a", children.count), Process("b", children.count)]) as supervisor:
        supervisor.tell("a", pulses={"period_ns": 5})
        supervisor.wait_until(lambda: supervisor.counters.get("a", {}).get("told"), 60, "a")
        supervisor.wait_until(lambda: "b" in supervisor.counters, 60, "b")
        assert supervisor.counters["a"]["told"] == {"pulses": {"period_ns": 5}}
        assert supervisor.counters["b"]["told"] == {}
        pids = [counters["pid"] for counters in supervisor.counters.values()]
    assert all(supervisor.counters[name]["ended"] for name in "ab")
    assert not any(alive(pid) for pid in pids) and supervisor.dead == {}


def test_what_a_child_cannot_do_is_raised_here_and_the_others_end():
    pid = 0
    with (
        pytest.raises(RigposeError, match=r"camera 'top': expected an answer, found none\. Plug it in"),
        Supervisor(
            [Process("good", children.count), Process("bad", children.fail, restarts=3)]
        ) as supervisor,
    ):
        supervisor.wait_until(lambda: False, 60, "nothing")
    pid = supervisor.counters.get("good", {}).get("pid", 0)
    assert not pid or not alive(pid)
    assert supervisor.restarts == {}  # trying again does not mend it


def test_killed_child_is_restarted_within_its_budget_and_told_again():
    with Supervisor([Process("a", children.count, restarts=1)]) as supervisor:
        supervisor.tell(rate=30)
        supervisor.wait_until(lambda: "a" in supervisor.counters, 60, "a")
        first = supervisor.counters["a"]["pid"]
        os.kill(first, signal.SIGKILL)
        supervisor.wait_until(lambda: supervisor.counters["a"]["pid"] != first, 60, "a again")
        supervisor.wait_until(lambda: supervisor.counters["a"]["told"] == {"rate": 30}, 60, "told")
        assert supervisor.restarts == {"a": 1}
        os.kill(supervisor.counters["a"]["pid"], signal.SIGKILL)
        with pytest.raises(RigposeError, match=r"process 'a': .*found signal 9"):
            supervisor.wait_until(lambda: False, 60, "its death")


def test_wedged_child_is_killed_and_restarted():
    """Stopped, it does not even know that it is to end."""
    plans = [Process("a", children.count, restarts=1, silent_s=1.0), Process("b", children.count)]
    with Supervisor(plans) as supervisor:
        supervisor.wait_until(lambda: len(supervisor.counters) == 2, 60, "both")
        first, other = (supervisor.counters[name]["pid"] for name in "ab")
        os.kill(first, signal.SIGSTOP)
        supervisor.wait_until(lambda: supervisor.counters["a"]["pid"] != first, 60, "a again")
        assert supervisor.restarts == {"a": 1} and not alive(first)
        assert supervisor.counters["b"]["pid"] == other
        os.kill(supervisor.counters["a"]["pid"], signal.SIGSTOP)
        with pytest.raises(RigposeError, match=r"process 'a': .*found silence for 1 s"):
            supervisor.wait_until(lambda: False, 60, "its death")


def test_death_of_one_that_is_not_essential_is_noted():
    plans = [Process("main", children.count), Process("extra", children.die, essential=False)]
    with Supervisor(plans) as supervisor:
        supervisor.wait_until(lambda: "extra" in supervisor.dead, 60, "its death")
        assert supervisor.dead["extra"] == "signal 9"
        assert alive(supervisor.counters["main"]["pid"]) if "main" in supervisor.counters else True


def test_stopped_in_reverse_order(tmp_path):
    file = tmp_path / "order"
    plans = [Process(name, children.log_end, (str(file),)) for name in ("one", "two", "three")]
    with Supervisor(plans) as supervisor:
        supervisor.wait_until(lambda: len(supervisor.counters) == 3, 60, "all")
        supervisor.stop(30)
    assert file.read_text().split() == ["three", "two", "one"]


def test_one_that_does_not_stop_is_killed_and_named():
    with Supervisor([Process("mule", children.stubborn)]) as supervisor:
        supervisor.wait_until(lambda: "mule" in supervisor.counters, 60, "mule")
        pid = supervisor.counters["mule"]["pid"]
        supervisor.stop(0.2)
    assert not alive(pid) and "was killed" in supervisor.dead["mule"]


def test_reports_are_heard_while_another_takes_its_time_to_end():
    """Unread, they fill the socket: whoever sends them is stuck there when its own turn to end comes."""
    plans = [Process("chatter", children.chatter), Process("slow", children.slow_end)]
    with Supervisor(plans) as supervisor:
        supervisor.wait_until(lambda: len(supervisor.counters) == 2, 60, "both")
        before = supervisor.counters["chatter"]["n"]
        supervisor.stop_one("slow", 10)
        assert supervisor.counters["chatter"]["n"] > before + 20
        supervisor.stop(10)
        assert supervisor.dead == {} and supervisor.counters["chatter"]["ended"]


def test_what_a_process_had_counted_is_at_hand_when_it_is_restarted():
    told = []
    with Supervisor([Process("a", children.count, restarts=1)]) as supervisor:
        supervisor.restarted = lambda name: told.append((name, supervisor.counters[name]["pid"]))
        supervisor.wait_until(lambda: "a" in supervisor.counters, 60, "a")
        first = supervisor.counters["a"]["pid"]
        os.kill(first, signal.SIGKILL)
        supervisor.wait_until(lambda: supervisor.counters["a"]["pid"] != first, 60, "a again")
    assert told == [("a", first)]


PARENT = """
import sys, time
from acquisition.supervise import Process, Supervisor
from tests.acquisition import children
if __name__ == "__main__":
    with Supervisor([Process("a", children.count), Process("b", children.count)]) as supervisor:
        supervisor.wait_until(lambda: len(supervisor.counters) == 2, 60, "all")
        print(*(c["pid"] for c in supervisor.counters.values()), flush=True)
        while not supervisor.stopping:
            supervisor.poll(0.1)
    print("clean", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_running_however_the_parent_ends(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    )
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    parent.send_signal(number)
    rest, _ = parent.communicate(timeout=60)
    assert rest == ("" if number == signal.SIGKILL else "clean\n")
    until = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_runtime_folder_has_a_short_path_and_goes(monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with runtime_folder() as folder:
        assert len(str(folder)) < 60
        (folder / "x.ring").touch()
    assert not folder.exists()
