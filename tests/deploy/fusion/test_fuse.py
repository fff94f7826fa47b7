"""`rigpose fuse` as it is run, on hosts with keys and networks of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from calibration.poses import Pose3D
from deploy.stream.messages import Event, Health
from deploy.stream.subscriber import PoseSubscriber
from tests.deploy.fusion.host_process import points_at
from tests.deploy.fusion.rig import ENVIRONMENT, PERIOD_NS, Rig, started
from tests.equipment.network import Star, require_namespaces
from tests.rigpose.calling import run


def hear(subscriber: PoseSubscriber, until) -> None:
    """Take messages until `until(message)`; fails after a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        message = subscriber.receive(timeout_ms=200)
        if message is not None and until(message):
            return
    raise AssertionError("did not happen within a minute")


def error_mm(pose: Pose3D, pulse: int) -> float:
    return float(np.nanmax(np.linalg.norm(pose.points[:, :3] - points_at(pulse), axis=1)))


class Checked:
    """Everything that comes, judged: points where that pulse had them, indices that grow."""

    def __init__(self) -> None:
        self.views: dict[int, float] = {}
        self.events: list[tuple[str, str]] = []
        self.health: dict = {}
        self.worst_mm = 0.0

    def __call__(self, message) -> None:
        if isinstance(message.body, Event):
            self.events.append((message.body.name, message.body.source))
        elif isinstance(message.body, Health):
            self.health = message.body.counters
        elif isinstance(message.body, Pose3D):
            assert message.header.index not in self.views
            assert not self.views or message.header.index > max(self.views)
            self.views[message.header.index] = float(message.body.points[:, 9].min())
            self.worst_mm = max(self.worst_mm, error_mm(message.body, message.header.index))

    def until(self, condition):
        def judge(message) -> bool:
            self(message)
            return condition(self)

        return judge


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.equipment
def test_three_hosts_one_delayed_one_restarted_one_lost(tmp_path: Path) -> None:
    """Own networks, keys, clocks compared over them. No pulse is ever joined to another."""
    require_namespaces()
    checked = Checked()
    with Star(2) as net:
        rig = Rig(tmp_path, ("tcp://10.77.1.1:5555", "tcp://10.77.2.1:5555"), keys=True)
        rig.settings(1, {"late_ms": 12, "first": 37})
        left = net.command(net.hosts[0], rig.host_command(0))
        right = net.command(net.hosts[1], rig.host_command(1))
        fuse = net.command(net.middle, rig.fuse_command())
        topics = ("session", "pose3d", "health", "event")
        with (
            PoseSubscriber(rig.endpoint, topics) as subscriber,
            started(left), started(fuse, stdout=subprocess.DEVNULL) as joining,
        ):  # fmt: skip
            with started(right):
                hear(subscriber, checked.until(lambda seen: len(seen.views) >= 300))
                both = [views == 4 for views in checked.views.values()]
                assert np.mean(both[50:]) > 0.99
                # The cable is pulled: two views remain, and all four come back.
                net.cable(2, up=False)
                hear(subscriber, checked.until(lambda seen: ("host away", "right") in seen.events))
                before = len(checked.views)
                hear(subscriber, checked.until(lambda seen: len(seen.views) > before + 100))
                assert list(checked.views.values())[-50:] == [2.0] * 50
                net.cable(2, up=True)
                hear(subscriber, checked.until(lambda seen: list(seen.views.values())[-50:] == [4.0] * 50))
            # Killed and started again with numbers that begin elsewhere.
            rig.settings(1, {"first": 3, "late_ms": 0})
            hear(subscriber, checked.until(lambda seen: list(seen.views.values())[-5:] == [2.0] * 5))
            with started(right):
                hear(subscriber, checked.until(lambda seen: list(seen.views.values())[-50:] == [4.0] * 50))
            joining.send_signal(signal.SIGINT)
            assert joining.wait(20) == 0
    assert checked.worst_mm < 0.5
    assert ("host back", "right") in checked.events
    report = json.loads((tmp_path / "report.json").read_text())
    for counts in report["hosts"].values():
        became = {
            k: n for k, n in counts.items() if k not in ("here", "received", "lost", "clock_uncertainty_ms")
        }
        assert sum(became.values()) == counts["received"]
    assert report["added_delay_ms"]["p50"] is not None


@pytest.mark.long
def test_a_host_with_another_network_is_refused_at_the_start_and_later(tmp_path: Path) -> None:
    rig = Rig(tmp_path, (f"ipc://{tmp_path}/left", f"ipc://{tmp_path}/right"), keys=False)
    rig.settings(1, {"bundle": "c" * 64})
    with started(rig.host_command(0)), started(rig.host_command(1)):
        said = subprocess.run(
            rig.fuse_command("--seconds", "1"), env=ENVIRONMENT, capture_output=True, text=True, timeout=120
        )
    assert said.returncode == 2
    assert "host 'right'" in said.stderr
    assert "bundle" in said.stderr
    assert "Traceback" not in said.stderr
    rig.settings(1, {"bundle": "b" * 64})
    checked = Checked()
    with (
        PoseSubscriber(rig.endpoint, ("session", "pose3d", "event", "health")) as subscriber,
        started(rig.host_command(0)),
        started(rig.fuse_command(), stdout=subprocess.DEVNULL),
    ):
        with started(rig.host_command(1)):
            hear(subscriber, checked.until(lambda seen: list(seen.views.values())[-20:] == [4.0] * 20))
        rig.settings(1, {"bundle": "c" * 64})
        with started(rig.host_command(1)):
            hear(subscriber, checked.until(lambda seen: ("host refused", "right") in seen.events))
            before = len(checked.views)
            hear(subscriber, checked.until(lambda seen: len(seen.views) > before + 60))
            assert list(checked.views.values())[-50:] == [2.0] * 50


@pytest.mark.long
def test_hosts_that_come_back_at_another_rate_are_joined_by_its_pulses(tmp_path: Path) -> None:
    """At 50 Hz instead of 100 every second pulse of the old count is none: not to be joined with the next."""
    rig = Rig(tmp_path, (f"ipc://{tmp_path}/left", f"ipc://{tmp_path}/right"), keys=False)
    checked, again = Checked(), Checked()
    with (
        PoseSubscriber(rig.endpoint, ("session", "pose3d", "event")) as subscriber,
        started(rig.fuse_command(), stdout=subprocess.DEVNULL),
    ):
        with started(rig.host_command(0)), started(rig.host_command(1)):
            hear(subscriber, checked.until(lambda seen: list(seen.views.values())[-20:] == [4.0] * 20))
        for n, late_ms in ((0, 4), (1, 0)):  # each pulse is heard of the other host first
            rig.settings(n, {"period_ns": 2 * PERIOD_NS, "late_ms": late_ms})
        with started(rig.host_command(0)), started(rig.host_command(1)):
            hear(subscriber, lambda one: isinstance(one.body, Event) and one.body.name == "epoch")
            hear(subscriber, again.until(lambda seen: list(seen.views.values())[-50:] == [4.0] * 50))
            assert subscriber.session is not None and subscriber.session.period_ns == 2 * PERIOD_NS
        # Too fast for the tolerance: refused by name, and the joining goes on.
        rig.settings(0, {"period_ns": 3_000_000})
        with started(rig.host_command(0)):
            hear(subscriber, again.until(lambda seen: ("host refused", "left") in seen.events))
    assert checked.worst_mm < 0.5 and again.worst_mm < 0.5


@pytest.mark.parametrize("option", ["--seconds", "--wait"])
@pytest.mark.parametrize("value", ["inf", "nan", "0"])
def test_a_time_that_is_none_is_one_line(tmp_path: Path, capsys, option: str, value: str) -> None:
    rig = Rig(tmp_path, (f"ipc://{tmp_path}/left", f"ipc://{tmp_path}/right"), keys=False)
    assert run("fuse", rig.file, option, value) == 2
    said = capsys.readouterr().err
    assert f"{option}: expected a time above 0" in said and said.count("\n") == 1


def test_hosts_that_are_not_there_are_named(tmp_path: Path) -> None:
    rig = Rig(tmp_path, (f"ipc://{tmp_path}/left", f"ipc://{tmp_path}/right"), keys=False)
    said = subprocess.run(
        rig.fuse_command("--wait", "0.2"), env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert said.returncode == 2
    assert "'left' (nothing heard), 'right' (nothing heard)" in said.stderr
