"""What befalls a rig, one row each: how to do it, and within how many seconds poses are to be back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.rig import CHECKOUT, ENVIRONMENT, ChaosRig

_STOPPED_S = 3.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """One row.

    Attributes
    ----------
    what:
        For a person.
    do:
        Does it; poses are counted from when it returns.
    back_within_s:
        Stated time until poses come again.
    dies:
        The process that is another one afterwards; "": none.
    """

    what: str
    do: Callable[[ChaosRig], None]
    back_within_s: float
    dies: str = ""


def _killed(name: str) -> Callable[[ChaosRig], None]:
    def do(rig: ChaosRig) -> None:
        os.kill(rig.pids()[name], signal.SIGKILL)

    return do


def _stopped(name: str) -> Callable[[ChaosRig], None]:
    def do(rig: ChaosRig) -> None:
        pid = rig.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(_STOPPED_S)
        # The supervisor may have replaced it meanwhile.
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return

    return do


def _reader_that_stops(rig: ChaosRig) -> None:
    """A subscriber that takes nothing more, for three seconds."""
    listen = (
        "import sys, time; from deploy.stream.subscriber import PoseSubscriber\n"
        "with PoseSubscriber(sys.argv[1]) as stream:\n"
        "    stream.receive(timeout_ms=5000); time.sleep(60)\n"
    )
    deaf = subprocess.Popen([sys.executable, "-c", listen, rig.endpoint], env=ENVIRONMENT, cwd=CHECKOUT)
    time.sleep(_STOPPED_S)
    deaf.kill()
    deaf.wait(10)


TROUBLES = (
    Trouble("kill -9 of capture", _killed("capture-sim"), 6.0, "capture-sim"),
    Trouble("kill -9 of the tracker", _killed("tracker"), 6.0, "tracker"),
    Trouble("kill -9 of the recorder", _killed("recorder"), 1.0, "recorder"),
    Trouble("kill -9 of the page", _killed("page"), 1.0, "page"),
    Trouble("capture stands still for 3 s", _stopped("capture-sim"), 6.0),
    Trouble("the tracker stands still for 3 s", _stopped("tracker"), 6.0),
    Trouble("the recorder stands still for 3 s", _stopped("recorder"), 1.0),
    Trouble("the page stands still for 3 s", _stopped("page"), 1.0),
    Trouble("a subscriber that takes nothing", _reader_that_stops, 1.0),
)
