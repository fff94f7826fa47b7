"""A TTL all the way: outputs, relay, serial trigger, our firmware in a simulated board."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acquisition.supervise import runtime_folder
from acquisition.trigger.serial_trigger import SerialTrigger, train_of
from deploy.closed_loop.outputs.trigger_line import LineRelay
from tests.deploy.closed_loop.outputs.test_serve import events, moment, served, settings, wait_for

pytestmark = [pytest.mark.equipment, pytest.mark.long]


@pytest.fixture
def trigger(board) -> Iterator[SerialTrigger]:
    with board.plug_in(uno=True) as running:
        one = SerialTrigger(running.port, train_of(100, 2000))
        one.open()
        yield one
        one.close()


def high(trigger: SerialTrigger) -> bool:
    """The level of the line, as the board says."""
    assert trigger.link is not None
    trigger.link.ask("beat")
    return bool(trigger.link.beat[5])


def test_a_ttl_rises_and_falls_on_command_by_our_policy_and_by_the_firmwares(
    trigger: SerialTrigger, tmp_path: Path
) -> None:
    told: list[str] = []
    trigger.listen(lambda kind, t_ns, **facts: told.append(kind))
    with (
        runtime_folder() as runtime, LineRelay(runtime, trigger.line),
        served(runtime, tmp_path, ttl=settings("trigger:line", max_on_ms=60)) as (outputs, link),
    ):  # fmt: skip
        outputs.evidence = moment(4)
        assert not high(trigger)
        outputs["ttl"].set(True)
        wait_for(lambda: link.reports["outputs"]["ttl"]["on"])
        wait_for(lambda: link.reports["outputs"]["ttl"]["cut"])  # 60 ms: ours, before the firmware's 100 ms
        wait_for(lambda: not high(trigger))
        assert "line cut" not in told
    with (
        runtime_folder() as runtime, LineRelay(runtime, trigger.line),
        served(runtime, tmp_path, ttl=settings("trigger:line")) as (outputs, link),
    ):  # fmt: skip
        outputs.evidence = moment(5)
        outputs["ttl"].set(True)
        wait_for(lambda: high(trigger), 1)
        wait_for(lambda: "line cut" in told)  # 100 ms: the firmware's, whatever we wish
        assert not high(trigger)
        outputs["ttl"].set(False)
        outputs["ttl"].set(True)
        wait_for(lambda: link.reports["outputs"]["ttl"]["on"] == 2)
    time.sleep(0.05)
    assert not high(trigger)  # whoever switched it is gone
    assert [(e["frame_set"], e["on"]) for e in events(tmp_path, "output")] == [
        (4, True), (5, True), (5, False), (5, True),
    ]  # fmt: skip
