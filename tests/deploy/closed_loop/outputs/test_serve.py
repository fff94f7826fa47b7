"""The process of the outputs, with real sockets and devices; only the processor's code is the test's."""

import dataclasses
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from acquisition.errors import RigposeError
from acquisition.recordings.events import read_events
from acquisition.supervise import Process, Supervisor, runtime_folder
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.triangulation import triangulate
from deploy.closed_loop.outputs.client import Outputs, support
from deploy.closed_loop.outputs.port import Command
from deploy.closed_loop.outputs.serve import OutputsPlan, serve_outputs
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.outputs.trigger_line import LineRelay, TriggerLine
from deploy.closed_loop.processor import Moment
from deploy.stream.messages import CameraView, Session, StreamClock

MS = 1_000_000


class Link:
    def __init__(self) -> None:
        self.stopping = False
        self.reports: dict[str, Any] = {}

    def report(self, now: bool = False, **counters: Any) -> None:
        self.reports.update(counters)


@pytest.fixture
def runtime() -> Iterator[Path]:
    with runtime_folder() as folder:
        yield folder


@contextmanager
def served(runtime: Path, session: Path, **outputs: OutputSettings) -> Iterator[tuple[Outputs, Link]]:
    """A processor's handles on outputs that are being served, and the server's reports."""
    link = Link()
    plan = OutputsPlan(str(runtime), outputs, str(runtime / "report.json"), str(session))
    with serving(runtime, outputs, link, lambda: serve_outputs(link, plan)) as handles:
        yield handles, link


@contextmanager
def serving(
    runtime: Path, outputs: dict[str, OutputSettings], link: Link, serve: Callable[[], None]
) -> Iterator[Outputs]:
    """A processor's handles on outputs that `serve` serves until the link says that it is to stop."""
    thread = threading.Thread(target=serve)
    thread.start()
    handles = Outputs(runtime, outputs, ("nose", "tail"))
    try:
        wait_for(lambda: link.reports.get("state") == "ready" or not thread.is_alive())
        yield handles
    finally:
        link.stopping = True
        thread.join(10)
        handles.close()
        assert not thread.is_alive()


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def moment(index: int = 3, age_ms: float = 5, confidence: float = 0.9, views: int | None = None) -> Moment:
    clock = StreamClock("", "", 0, 0, 0)
    session = Session("arena", (CameraView("top", 64, 48),), ("nose", "tail"), clock)
    keypoints = np.full((2, 2, 3), confidence, np.float32)
    points = None
    if views is not None:
        points = np.full((2, 11), views, np.float32)
    t_ns = time.monotonic_ns() - round(age_ms * MS)
    return Moment(index, "measured", t_ns, t_ns, keypoints, points, session)


def settings(uri: str = "log:", **changes: Any) -> OutputSettings:
    return OutputSettings(uri=uri, **{"max_age_ms": 2000, "max_on_ms": 5000, "silence_ms": 5000, **changes})


def events(session: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in read_events(session) if event["kind"] == kind]


def answered(device: Any) -> list[bool]:
    """Answer a device's requests until nobody asks it any more: what it was asked for."""
    asked: list[bool] = []
    assert device.poll(10_000)
    while device.poll(500):
        asked.append(json.loads(device.recv())["on"])
        device.send(b"ok")
        assert len(asked) < 20
    return asked


def test_commands_are_logged_with_their_frame_set_and_refused_by_the_policy(
    runtime: Path, tmp_path: Path
) -> None:
    with served(runtime, tmp_path, laser=settings(min_confidence=0.6, min_views=2, max_age_ms=500)) as (
        outputs, link,
    ):  # fmt: skip
        for step, (one, on) in enumerate([
            (moment(10, views=3), True), (moment(11, views=3), True), (moment(12, views=3), False),
            (moment(13, age_ms=800, views=3), True), (moment(14, confidence=0.3, views=3), True),
            (moment(15, views=1), True), (moment(16, confidence=np.nan, views=0), False),
        ]):  # fmt: skip
            outputs.evidence = one
            outputs["laser"].set(on, f"step {step}")
        wait_for(lambda: sum(link.reports["outputs"]["laser"]["refused"].values()) == 3)
    done = events(tmp_path, "output")
    assert [(e["frame_set"], e["on"], e["note"]) for e in done] == [
        (10, True, "step 0"),
        (12, False, "step 2"),
    ]
    assert all(e["output"] == "laser" and e["pose_age_ms"] >= 5 and e["views"] == 3 for e in done)
    refused = [(e["frame_set"], e["why"]) for e in events(tmp_path, "output refused")]
    assert refused == [(13, "age"), (14, "confidence"), (15, "views")]
    report = json.loads((runtime / "report.json").read_text())["laser"]
    assert (report["on"], report["off"], report["held"]) == (1, 1, 2)
    assert report["exposure_to_output"]["count"] == 2 and report["exposure_to_output"]["p50_ms"] >= 5


def test_an_output_falls_after_its_longest_time_and_stays_low_until_asked_to(
    runtime: Path, tmp_path: Path
) -> None:
    with served(runtime, tmp_path, laser=settings(max_on_ms=60)) as (outputs, link):

        def ask(index: int, on: bool) -> None:
            outputs.evidence = moment(index)
            outputs["laser"].set(on)

        ask(1, True)
        wait_for(lambda: link.reports["outputs"]["laser"]["cut"])
        ask(2, True)
        ask(3, False)
        ask(4, True)
        wait_for(lambda: link.reports["outputs"]["laser"]["on"] == 2)
    (cut, *_) = events(tmp_path, "output cut")
    assert cut["why"] == "longest time"
    (refused,) = events(tmp_path, "output refused")
    assert (refused["frame_set"], refused["why"]) == (2, "cut before")
    on_ns, cut_ns = events(tmp_path, "output")[0]["t_ns"], cut["t_ns"]
    assert cut_ns - on_ns >= 60 * MS


def test_a_processor_that_hangs_or_dies_lets_its_outputs_fall(runtime: Path, tmp_path: Path) -> None:
    with served(runtime, tmp_path, laser=settings(silence_ms=80), lamp=settings()) as (outputs, link):
        outputs.evidence = moment(1)
        outputs["laser"].set(True)
        outputs["lamp"].set(True)
        for _ in range(10):  # while poses are dealt with, both stay high
            outputs.beat(time.monotonic_ns())
            time.sleep(0.02)
        assert not link.reports["outputs"]["laser"]["cut"]
        wait_for(lambda: link.reports["outputs"]["laser"]["cut"])  # it hangs
        assert not link.reports["outputs"]["lamp"]["cut"]
        outputs.close()  # it is dead
        wait_for(lambda: link.reports["outputs"]["lamp"]["cut"])
        outputs.evidence = moment(2)  # a new one
        outputs["lamp"].set(False)
        outputs["lamp"].set(True)
        wait_for(lambda: link.reports["outputs"]["lamp"]["on"] == 2)
    whys = {(e["output"], e["why"]) for e in events(tmp_path, "output cut")}
    assert whys == {("laser", "silence"), ("lamp", "processor gone"), ("lamp", "stopped")}


def test_evidence_that_no_longer_suffices_makes_it_fall(runtime: Path, tmp_path: Path) -> None:
    with served(runtime, tmp_path, laser=settings()) as (outputs, link):
        for index, confidence in ((1, 0.9), (2, 0.2), (3, 0.9)):
            outputs.evidence = moment(index, confidence=confidence)
            outputs["laser"].set(True)
        wait_for(lambda: link.reports["outputs"]["laser"]["on"] == 2)
    (refused,) = events(tmp_path, "output refused")
    assert refused["frame_set"] == 2 and refused["fell"] is True


def test_a_published_output_is_heard_and_repeats_its_state(runtime: Path, tmp_path: Path) -> None:
    address = f"ipc://{runtime}/cue"
    with (
        served(runtime, tmp_path, cue=settings(f"zmq-pub:{address}")) as (outputs, link),
        zmq.Context() as context, context.socket(zmq.SUB) as listener,
    ):  # fmt: skip
        listener.subscribe("output")
        listener.connect(address)

        def hear() -> dict[str, Any]:
            assert listener.poll(10_000)
            return json.loads(listener.recv_multipart()[1])

        assert hear() == {"on": False}
        outputs.evidence = moment(77)
        outputs["cue"].set(True, "now")
        while "frame_set" not in (heard := hear()):
            pass
        assert (heard["on"], heard["frame_set"], heard["note"]) == (True, 77, "now")
        assert hear() == {"on": True}
        link.stopping = True
        while hear()["on"]:
            pass


def test_a_requested_output_waits_for_its_answer_and_says_when_there_is_none(
    runtime: Path, tmp_path: Path
) -> None:
    address = f"ipc://{runtime}/device"
    with zmq.Context() as context, context.socket(zmq.REP) as device:
        device.bind(address)
        heard: list[dict[str, Any]] = []
        with served(runtime, tmp_path, valve=settings(f"zmq-req:{address}")) as (outputs, link):

            def answer(times: int) -> None:
                for _ in range(times):
                    assert device.poll(10_000)
                    heard.append(json.loads(device.recv()))
                    device.send(b"ok")

            assert set(answered(device)) == {False}  # at the start: it may have been left high
            outputs.evidence = moment(5)
            outputs["valve"].set(True)
            answer(1)
            wait_for(lambda: link.reports["outputs"]["valve"]["on"] == 1)
            outputs["valve"].set(False)
            wait_for(lambda: link.reports["outputs"]["valve"]["refused"])  # nobody answered
            answer(2)  # it is asked again until it is low
            wait_for(lambda: link.reports["outputs"]["valve"]["on"] == 1)
        assert heard[0]["on"] is True and heard[0]["frame_set"] == 5 and heard[-1]["on"] is False
    (refused,) = events(tmp_path, "output refused")
    assert "did not answer within 50 ms" in refused["why"]


def test_a_device_that_rose_without_saying_so_is_asked_to_fall(runtime: Path, tmp_path: Path) -> None:
    """Its answer to "on" came too late: it may be high, and nothing else would ever ask it for low."""
    address = f"ipc://{runtime}/device"
    with zmq.Context() as context, context.socket(zmq.REP) as device:
        device.bind(address)
        with served(runtime, tmp_path, valve=settings(f"zmq-req:{address}")) as (outputs, link):
            assert set(answered(device)) == {False}
            outputs.evidence = moment(5)
            outputs["valve"].set(True)
            assert device.poll(10_000)
            assert json.loads(device.recv())["on"] is True
            wait_for(lambda: link.reports["outputs"]["valve"]["refused"])
            device.send(b"ok")  # of a connection that is given up
            assert set(answered(device)) == {False}  # until it has said that it is low


def test_outputs_that_were_killed_are_served_again(runtime: Path, tmp_path: Path) -> None:
    for number in (1, 2):  # the socket's file of the first is still there
        with served(runtime, tmp_path, led=settings()) as (outputs, link):
            outputs.evidence = moment(number)
            outputs["led"].set(True)
            wait_for(lambda: link.reports["outputs"]["led"]["on"] == 1)


def test_a_device_left_high_by_a_process_that_was_killed_is_asked_to_fall(
    runtime: Path, tmp_path: Path
) -> None:
    """Nobody but the restarted process would ever ask it: what it fell from is not known there."""
    address, over, asked = f"ipc://{runtime}/device", threading.Event(), []
    valve = {"valve": settings(f"zmq-req:{address}", max_on_ms=60_000, silence_ms=60_000)}
    plan = OutputsPlan(str(runtime), valve, str(runtime / "report.json"), str(tmp_path))

    def device() -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as socket_:
            socket_.bind(address)
            while not over.is_set():
                if socket_.poll(20):
                    asked.append(json.loads(socket_.recv())["on"])
                    socket_.send(b"ok")

    thread = threading.Thread(target=device)
    thread.start()
    try:
        with Supervisor([Process("outputs", serve_outputs, (plan,), restarts=1)]) as supervisor:

            def until(condition: Callable[[], object]) -> None:
                assert supervisor.wait_until(lambda: bool(condition()), 60, "the outputs")

            until(lambda: supervisor.counters.get("outputs", {}).get("state") == "ready")
            outputs = Outputs(runtime, valve, ("nose", "tail"))
            outputs.evidence = moment(1)
            outputs["valve"].set(True)
            until(lambda: asked[-1:] == [True])
            pid = supervisor.health()["outputs"]["pid"]
            os.kill(pid, signal.SIGKILL)
            until(lambda: supervisor.restarts)
            until(lambda: asked[-1:] == [False])
            outputs.close()
    finally:
        over.set()
        thread.join()
    assert asked == [False, True, False]  # and once it has answered nobody asks again


def test_a_late_answer_of_the_triggers_line_is_no_answer_to_the_next_command(runtime: Path) -> None:
    slow = threading.Event()

    def line(high: bool) -> None:
        if high and not slow.is_set():
            slow.set()
            time.sleep(0.6)
            raise RigposeError("trigger", expected="a line", found="none", remedy="Ask for low")

    with LineRelay(runtime, line):
        output = TriggerLine("trigger:line", runtime)
        with pytest.raises(TimeoutError):
            output.switch(Command("ttl", True, 1, 0, 0, 1.0, 2, ""))
        time.sleep(1.0)  # now the answer lies there: that it failed
        output.switch(Command("ttl", False, 2, 0, 0, 1.0, 2, ""))
        output.close()


def test_a_line_that_was_asked_to_rise_and_given_up_does_not_rise_later(runtime: Path) -> None:
    answers, levels = threading.Event(), []

    def line(high: bool) -> None:
        answers.wait()
        levels.append(high)

    with LineRelay(runtime, line):
        output = TriggerLine("trigger:line", runtime)
        for on in (False, True):  # the trigger is busy with the first
            with pytest.raises(TimeoutError):
                output.switch(Command("ttl", on, 1, 0, 0, 1.0, 2, ""))
        answers.set()
        output.switch(Command("ttl", False, 2, 0, 0, 1.0, 2, ""))
        assert levels == [False, False]
        output.switch(Command("ttl", True, 3, 0, 0, 1.0, 2, ""))
        output.close()
        wait_for(lambda: levels == [False, False, True, False])


def test_the_triggers_line_is_switched_where_the_trigger_is(runtime: Path, tmp_path: Path) -> None:
    levels: list[bool] = []

    def line(high: bool) -> None:
        if high and len(levels) > 5:
            raise RigposeError("trigger", expected="a line that may rise", found="cut", remedy="Ask for low")
        levels.append(high)

    with LineRelay(runtime, line):
        with served(runtime, tmp_path, ttl=settings("trigger:line")) as (outputs, link):
            outputs.evidence = moment(1)
            for on in (True, False, True, False, True, False, True):
                outputs["ttl"].set(on)
            wait_for(lambda: link.reports["outputs"]["ttl"]["refused"])
        wait_for(lambda: len(levels) >= 8)
    assert levels[:7] == [False, True, False, True, False, True, False] and not any(levels[7:])
    (refused,) = events(tmp_path, "output refused")
    assert "a line that may rise" in refused["why"]


def test_the_line_falls_when_whoever_switched_it_is_killed(runtime: Path) -> None:
    levels: list[bool] = []
    with LineRelay(runtime, levels.append):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(str(runtime / "line"))
        client.send(struct.pack("=B?q", 7, True, time.monotonic_ns() + 60_000 * MS))
        assert client.recv(100) == b"\x07"
        client.close()
        wait_for(lambda: levels == [True, False])


def test_an_output_that_cannot_be_opened_ends_it_in_one_line(runtime: Path, tmp_path: Path) -> None:
    plan = OutputsPlan(str(runtime), {"ttl": settings("trigger:line")}, str(runtime / "r.json"))
    with pytest.raises(RigposeError, match="expected a trigger with an output line"):
        serve_outputs(Link(), plan)


def test_garbage_is_passed_over_and_told(runtime: Path, tmp_path: Path) -> None:
    with served(runtime, tmp_path, laser=settings()) as (outputs, link):
        outputs.beat(time.monotonic_ns())
        assert outputs._socket is not None
        outputs._socket.send(b"\xff not msgpack")
        outputs.evidence = moment(1)
        outputs["laser"].set(True)
        wait_for(lambda: link.reports["outputs"]["laser"]["on"] == 1)
        assert link.reports["malformed"] == 1
    assert len(events(tmp_path, "output message malformed")) == 1


@pytest.mark.parametrize("note", [7, None, 3.5, np.int64(4), ["a"], b"b", "\ud800", "long " * 20_000])
def test_whatever_is_noted_the_command_arrives(runtime: Path, tmp_path: Path, note: object) -> None:
    with served(runtime, tmp_path, laser=settings()) as (outputs, link):
        outputs.evidence = moment(1)
        outputs["laser"].set(True)
        outputs["laser"].set(False, note)
        wait_for(lambda: link.reports["outputs"]["laser"]["off"] == 1)
        assert link.reports["malformed"] == 0
    said = events(tmp_path, "output")[1]["note"]
    assert said == ("?" if note == "\ud800" else str(note)[:1000])


def test_a_predicted_pose_is_as_old_as_its_exposure(runtime: Path, tmp_path: Path) -> None:
    """What it speaks of lies ahead of now, however long ago the exposure it was made from."""
    with served(runtime, tmp_path, laser=settings(max_age_ms=500, silence_ms=400)) as (outputs, link):

        def predict(age_ms: float) -> None:
            old = moment(1, age_ms=age_ms)
            ahead_ns = time.monotonic_ns() + 60_000 * MS
            outputs.evidence = dataclasses.replace(old, kind="predicted", t_valid_ns=ahead_ns)

        predict(800)
        outputs["laser"].set(True)
        wait_for(lambda: link.reports["outputs"]["laser"]["refused"] == {"age": 1})
        predict(0)
        outputs["laser"].set(True)
        wait_for(lambda: link.reports["outputs"]["laser"]["on"])
        wait_for(lambda: link.reports["outputs"]["laser"]["cut"] == {"silence": 1})


def test_what_supports_a_command() -> None:
    one = moment()
    keypoints = one.keypoints
    keypoints[:, 0, 2] = 0.9, 0.3  # nose: seen well by one camera
    keypoints[:, 1, 2] = 0.8, np.nan
    assert support(one, [0], 0.5) == (pytest.approx(0.9), 1)
    assert support(one, [0], 0.2) == (pytest.approx(0.9), 2)
    assert support(one, [0, 1], 0.2) == (pytest.approx(0.8), 1)
    assert support(one, [1], 0.0) == (pytest.approx(0.8), 1)  # a camera that does not have it is no view
    solid = moment(views=3)
    assert solid.points is not None
    solid.points[1, 9] = 2
    assert support(solid, [0, 1], 0.5) == (pytest.approx(0.9), 2)
    assert support(solid, [], 0.5) == (0.0, 0)


def test_views_that_contradict_each_other_are_none() -> None:
    """As triangulation says it: it has counted them, and there is no place."""
    matrix, size = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]]), (640, 480)
    ahead = np.array([0, 0, 1000.0])
    rig = CalibratedRig((
        CameraModel("front", size, matrix, np.zeros(5), np.zeros(3), ahead),
        CameraModel("side", size, matrix, np.zeros(5), np.array([0, np.pi / 2, 0]), ahead),
    ))  # fmt: skip
    for below_px, views in ((0, 2), (100, 0)):
        keypoints = np.array([[[320, 240, 0.95]], [[320, 240 + below_px, 0.95]]], np.float32)
        points = triangulate(rig, keypoints)
        assert np.isfinite(points[0, :3]).all() == (views > 0)
        one = dataclasses.replace(moment(), keypoints=keypoints, points=points)
        assert support(one, [0], 0.6) == (pytest.approx(0.95), views)


def test_an_output_is_not_set_between_poses() -> None:
    outputs = Outputs(None, {"laser": settings()}, ("nose",))
    with pytest.raises(RuntimeError, match="while a pose is processed"):
        outputs["laser"].set(True)
    assert list(outputs) == ["laser"] and len(outputs) == 1
