"""Outputs beside each other: a device that hangs, does not answer, or breaks costs nobody but itself."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from acquisition.supervise import runtime_folder
from deploy.closed_loop.outputs.client import Outputs
from deploy.closed_loop.outputs.keeper import OutputKeeper
from deploy.closed_loop.outputs.port import Command, OutputDevice
from deploy.closed_loop.outputs.serve import OutputsPlan, _Server
from tests.deploy.closed_loop.outputs.test_serve import Link, moment, serving, settings, wait_for


class Device:
    """Says what it was asked for; `first` is called before, and may keep it waiting or raise."""

    def __init__(self, first: Callable[[bool], object] = lambda on: None) -> None:
        self.asked: list[bool] = []
        self._first = first

    def switch(self, command: Command) -> None:
        self.asked.append(command.on)
        self._first(command.on)

    def tend(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def runtime() -> Iterator[Path]:
    with runtime_folder() as folder:
        yield folder


@contextmanager
def served(
    runtime: Path, max_on_ms: float = 60_000, **devices: OutputDevice
) -> Iterator[tuple[Outputs, Link, list[BaseException]]]:
    """Handles on devices of the test, the server's reports, and what it died of."""
    link, died = Link(), list[BaseException]()
    one = settings(max_on_ms=max_on_ms, max_age_ms=60_000, silence_ms=60_000)
    policy = dict.fromkeys(devices, one)
    keepers = [OutputKeeper(name, one, device, None) for name, device in devices.items()]

    def run() -> None:
        try:
            server.run()
        except Exception as error:
            died.append(error)

    with (
        closing(_Server(link, OutputsPlan(str(runtime), policy, ""), keepers, None)) as server,
        serving(runtime, policy, link, run) as outputs,
    ):
        outputs.evidence = moment(1)
        yield outputs, link, died


def test_an_output_falls_in_time_beside_a_device_that_hangs(runtime: Path) -> None:
    hangs, let_go = threading.Event(), threading.Event()

    def wait(on: bool) -> None:
        if on:
            hangs.set()
            let_go.wait()

    laser, valve = Device(), Device(wait)
    with served(runtime, 20, valve=valve, laser=laser) as (outputs, link, died):
        try:
            outputs["valve"].set(True)
            assert hangs.wait(10)
            outputs["laser"].set(True)
            wait_for(lambda: laser.asked == [False, True, False])  # after its longest time
            outputs["laser"].set(False)
            outputs["laser"].set(True)
            wait_for(lambda: laser.asked[3:] == [True, False])
            outputs.close()
            assert valve.asked == [False, True]  # it hangs all the time
        finally:
            let_go.set()
        wait_for(lambda: valve.asked == [False, True, False])
    assert link.reports["outputs"]["laser"]["cut"] == {"longest time": 2} and not died


def test_a_device_that_does_not_answer_is_not_asked_with_every_command(runtime: Path) -> None:
    """It may keep waiting each time, and commands would pile up: it is asked at times until it answers."""
    answers, answered = threading.Event(), threading.Event()

    def fail(on: bool) -> None:
        if not answers.is_set():
            raise TimeoutError("no answer")
        answered.set()

    valve = Device(fail)
    with served(runtime, valve=valve) as (outputs, link, _):
        begun_s = time.monotonic()
        for _ in range(50):
            outputs["valve"].set(False)
            outputs["valve"].set(True)
        wait_for(lambda: sum(link.reports["outputs"]["valve"]["refused"].values()) == 50)
        assert link.reports["outputs"]["valve"]["held"] == 50  # "off" is what it is being asked anyway
        assert len(valve.asked) <= 2 + 3 * (time.monotonic() - begun_s) / 0.2
        answers.set()
        assert answered.wait(10)
        asked = len(valve.asked)
        time.sleep(0.5)
        assert len(valve.asked) == asked and valve.asked[-1] is False  # nobody asks again


def test_an_absent_device_that_was_never_asked_to_be_high_costs_no_refusals(runtime: Path) -> None:
    def absent(on: bool) -> None:
        raise OSError("no answer")

    with served(runtime, reward=Device(absent)) as (outputs, link, _):
        for _ in range(50):
            outputs["reward"].set(False)
        wait_for(lambda: link.reports["outputs"]["reward"]["held"] == 50)
    said = link.reports["outputs"]["reward"]
    assert said["refused"] == {} and said["cut"] == {}


def test_a_device_that_breaks_ends_the_process_with_every_output_low(runtime: Path) -> None:
    """It is started again then. Nobody would look after that output if only its thread had ended."""

    def break_(on: bool) -> None:
        if on:
            raise ValueError("a mistake in a driver")

    laser = Device()
    with served(runtime, valve=Device(break_), laser=laser) as (outputs, _, died):
        outputs["laser"].set(True)
        wait_for(lambda: laser.asked == [False, True])
        outputs["valve"].set(True)
        wait_for(lambda: died)
        assert str(died[0]) == "a mistake in a driver" and laser.asked == [False, True, False]


def test_a_device_that_breaks_at_the_start_ends_the_process(runtime: Path) -> None:
    def break_(on: bool) -> None:
        raise ValueError("a mistake in a driver")

    with served(runtime, valve=Device(break_), laser=Device()) as (_, link, died):
        assert str(died[0]) == "a mistake in a driver" and "state" not in link.reports
