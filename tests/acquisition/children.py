"""What the supervised processes of the tests do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from acquisition.child import ChildLink
from acquisition.errors import RigposeError


def count(link: ChildLink) -> None:
    """Report as fast as allowed what it has been told."""
    n = 0
    while not link.wait(0.005):
        n += 1
        link.report(n=n, told=link.told, pid=os.getpid())
    link.report(now=True, ended=True)


def fail(link: ChildLink) -> None:
    """Something a person can mend."""
    raise RigposeError("camera 'top'", expected="an answer", found="none", remedy="Plug it in")


def die(link: ChildLink) -> None:
    """End without a word, the hard way, after one report."""
    link.report(now=True, pid=os.getpid())
    link.wait(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def stubborn(link: ChildLink) -> None:
    """Not to be stopped."""
    link.report(now=True, pid=os.getpid())
    while True:
        time.sleep(1)


def chatter(link: ChildLink) -> None:
    """Report more than a socket holds that nobody reads from."""
    n = 0
    while not link.wait(0.005):
        n += 1
        link.report(now=True, n=n, ballast="x" * 50_000)
    link.report(now=True, ended=True)


def slow_end(link: ChildLink) -> None:
    """Has much to finish when it is stopped."""
    link.report(now=True, up=True)
    link.wait(60)
    time.sleep(1)


def log_end(link: ChildLink, file: str) -> None:
    """Note when it ended."""
    link.report(now=True, up=True)
    link.wait(60)
    with Path(file).open("a") as stream:
        stream.write(link.name + "\n")
