"""CPU time and memory of a tree of processes."""

import os
import subprocess
import sys
import time

import pytest

from deploy.bench.usage import UsageWatch, cpu_s, look, pss_mb, tree

CHILD = "import sys; kept = bytearray(b'x') * (40 << 20); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def grandchild():
    """A shell whose own child holds 40 MiB of its own."""
    shell = subprocess.Popen(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "{CHILD}"; true'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert shell.stdout is not None and shell.stdout.readline() == "ready\n"
    yield shell
    shell.communicate()


def test_children_of_children_count(grandchild: subprocess.Popen[str]) -> None:
    pids = tree(grandchild.pid)
    assert len(pids) == 2 and pids[0] == grandchild.pid
    assert set(pids) < set(tree(os.getpid()))
    assert 42 < pss_mb(pids) < 120
    assert pss_mb([grandchild.pid]) < 10


def test_cpu_time_grows_with_work_and_is_that_of_the_process_asked_for() -> None:
    before_s, own_s = cpu_s([os.getpid()]), time.process_time()
    while time.process_time() - own_s < 0.2:
        sum(range(1000))
    spent_s = cpu_s([os.getpid()]) - before_s
    assert spent_s == pytest.approx(time.process_time() - own_s, abs=0.05)


def test_what_has_ended_counts_nothing(grandchild: subprocess.Popen[str]) -> None:
    grandchild.communicate()
    assert pss_mb([grandchild.pid]) == 0 and cpu_s([grandchild.pid]) == 0
    assert look(grandchild.pid).processes == 1


def test_a_watch_looks_more_than_once() -> None:
    with UsageWatch(every_s=0.02) as watch:
        until = time.monotonic() + 10
        while len(watch.looks) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    first, second = watch.looks[:2]
    assert second.t_ns > first.t_ns and first.pss_mb > 10 and second.cpu_s >= first.cpu_s
