"""The simulated camera behind the port: every pulse accounted for, without waiting for real time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.camera import CameraTimeout, driver_of
from acquisition.drivers import simulated
from acquisition.drivers.simulated import SimulatedCamera
from acquisition.errors import RigposeError
from acquisition.simulation import trigger as trigger_module
from acquisition.simulation.film import Renderer
from acquisition.simulation.scene import Scene, write_scene
from acquisition.simulation.timeline import ID_WRAP, Cause, Timeline
from acquisition.simulation.trigger import SimulatedTrigger, read_train
from acquisition.simulation.truth import Truth

PERIOD_NS = 33_333_333


class Clock:
    """Stands in for the time module: sleeping moves it."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(simulated, "time", clock)
    monkeypatch.setattr(trigger_module, "time", clock)
    return clock


@pytest.fixture
def scene_path(tmp_path: Path) -> Path:
    rig = write_scene(
        tmp_path, kind="animal", seed=3, cameras=2, size=(96, 72), frame_sets=12,
        loss_rate=0.1, ignored_rate=0.08,
    )  # fmt: skip
    return rig.parent / "scene.yaml"


@pytest.fixture
def camera(scene_path: Path, clock: Clock) -> Iterator[SimulatedCamera]:
    camera = driver_of("sim://x", "left")("left", f"sim://{scene_path}#cam_0")
    assert isinstance(camera, SimulatedCamera)
    camera.open({"exposure_us": 2000.0})
    yield camera
    camera.close()


def test_every_pulse_is_delivered_lost_or_ignored(
    camera: SimulatedCamera, scene_path: Path, clock: Clock
) -> None:
    scene = Scene.load(scene_path)
    timeline, renderer = Timeline(scene, "cam_0"), Renderer(scene)
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    camera.start()
    with pytest.raises(CameraTimeout):
        camera.read(100)  # no pulse, no frame
    t0_ns, period_ns = trigger.start()
    assert t0_ns > clock.now_ns + 200_000_000
    frames = []
    while len(frames) < 300:
        frame = camera.read(1000)
        frames.append((frame.frame_id, frame.t_device_ns, frame.t_arrival_ns, frame.image.copy()))
        assert frame.t_arrival_ns <= clock.now_ns < frame.t_arrival_ns + 2_000_000
    pulses = trigger.stop()
    with pytest.raises(CameraTimeout):
        while True:
            frame = camera.read(100)
            frames.append((frame.frame_id, frame.t_device_ns, frame.t_arrival_ns, frame.image.copy()))
    camera.stop()

    truth = Truth.load(scene.world)
    causes = truth.causes["cam_0"]
    assert len(causes) == pulses
    assert truth.pulses_ns.tolist() == [t0_ns + n * period_ns for n in range(pulses)]
    assert causes.tolist() == [timeline.fate(pulse) for pulse in range(pulses)]
    delivered = np.flatnonzero(causes == Cause.DELIVERED)
    assert len(delivered) == len(frames)
    assert np.bincount(causes, minlength=4)[1:].sum() == pulses
    # The id counts delivered and lost frames, not the ignored pulses, and goes from 65535 to 1.
    counted = np.cumsum(causes != Cause.IGNORED)[delivered] - 1
    ids = [frame_id for frame_id, *_ in frames]
    assert ids == [timeline.frame_id(int(count)) for count in counted]
    assert any(b < a for a, b in pairwise(ids))  # this run meets the wrap
    assert max(ids) <= ID_WRAP
    for pulse, (_, stamp, arrival, image) in zip(delivered.tolist(), frames, strict=True):
        pulse_ns = t0_ns + pulse * period_ns
        assert stamp == timeline.clock.stamp_ns(pulse_ns)
        assert truth.middles_ns["cam_0"][pulse] == pulse_ns + timeline.exposure_ns // 2
        assert arrival >= timeline.arrival_ns(pulse, pulse_ns)
        if pulse % 50 == 0:
            assert np.array_equal(image, renderer.image(0, pulse))


def test_a_slow_reader_loses_what_does_not_fit_the_device(
    camera: SimulatedCamera, scene_path: Path, clock: Clock
) -> None:
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    camera.start()
    trigger.start()
    camera.read(1000)
    clock.sleep(100 * PERIOD_NS * 1e-9)
    ids = [camera.read(0).frame_id for _ in range(32)]
    for _ in range(20):
        ids.append(camera.read(1000).frame_id)
    trigger.stop()
    camera.stop()
    causes = Truth.load(scene_path.parent / "world").causes["cam_0"]
    # About 91 of the 100 pulses were counted meanwhile; 32 of them waited, the others are lost.
    assert np.sum(causes[:101] == Cause.LOST) > 45
    assert (ids[32] - ids[31]) % ID_WRAP > 40
    # Whatever became of it, the id went on by one for each frame delivered or lost.
    read = np.flatnonzero(causes == Cause.DELIVERED)
    counted = np.cumsum(causes != Cause.IGNORED)[read]
    assert np.mod(np.diff(ids), ID_WRAP).tolist() == np.diff(counted[1 : len(ids) + 1]).tolist()


def test_a_camera_that_comes_late_joins_the_running_train(
    camera: SimulatedCamera, scene_path: Path, clock: Clock
) -> None:
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    t0_ns, period_ns = trigger.start()
    clock.sleep(2.0)
    camera.start()
    joined = clock.now_ns
    frame = camera.read(1000)
    timeline = Timeline(Scene.load(scene_path), "cam_0")
    trigger.stop()
    camera.stop()
    causes = Truth.load(scene_path.parent / "world").causes["cam_0"]
    first = int(np.flatnonzero(causes)[0])
    assert t0_ns + first * period_ns >= joined
    assert t0_ns + (first - 1) * period_ns < joined
    assert np.all(causes[:first] == Cause.NONE)
    lost_before = int(np.sum(causes[first : int(np.flatnonzero(causes == Cause.DELIVERED)[0])] == Cause.LOST))
    assert frame.frame_id == timeline.frame_id(lost_before)


def test_a_second_train_begins_anew(camera: SimulatedCamera, scene_path: Path) -> None:
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    runs = []
    for _ in range(2):
        camera.start()
        t0_ns, _ = trigger.start()
        ids = [camera.read(1000).frame_id for _ in range(20)]
        trigger.stop()
        camera.stop()
        runs.append((t0_ns, ids, Truth.load(scene_path.parent / "world").causes["cam_0"][:20].tolist()))
    (t0_first, ids_first, causes_first), (t0_second, ids_second, causes_second) = runs
    assert t0_second > t0_first
    assert ids_first == ids_second  # ids begin anew, and losses follow from the seed
    assert causes_first == causes_second
    earlier = Truth.load(scene_path.parent / "world", t0_ns=t0_first)
    assert earlier.causes["cam_0"][:20].tolist() == causes_first


def test_an_ended_or_orphaned_train_wakes_nobody(
    camera: SimulatedCamera, scene_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    trigger.start()
    trigger.stop()
    camera.start()
    with pytest.raises(CameraTimeout):
        camera.read(500)

    trigger.start()

    def gone(pid: int, signal: int) -> None:
        assert pid == os.getpid()
        raise ProcessLookupError

    monkeypatch.setattr(trigger_module.os, "kill", gone)
    camera.stop()
    camera.start()
    with pytest.raises(CameraTimeout):
        camera.read(500)


def test_stopping_twice_and_closing_unopened(camera: SimulatedCamera, scene_path: Path) -> None:
    trigger = SimulatedTrigger(f"sim://{scene_path}", 30.0)
    assert trigger.stop() == 0
    trigger.start()
    assert trigger.stop() >= 0
    assert trigger.stop() == 0
    camera.close()
    camera.close()
    SimulatedCamera("x", "sim://nowhere#cam_0").close()
    train = read_train(scene_path.parent / "world")
    assert train is not None
    assert train.last is not None


def test_what_the_camera_says_of_itself(camera: SimulatedCamera) -> None:
    info = camera.open({})
    assert (info.width_px, info.height_px, info.channels) == (96, 72, 1)
    assert info.exposure_us == 2000.0
    assert info.stamp_to_middle_ns == 1_000_000
    assert (info.id_modulus, info.id_first) == (ID_WRAP, 1)
    assert info.has_device_clock


@pytest.mark.parametrize(
    ("uri", "wished", "expected"),
    [
        ("sim://{scene}#cam_9", {}, "cam_0, cam_1"),
        ("sim://{scene}", {}, "cam_0, cam_1"),
        ("sim:///nowhere/scene.yaml#cam_0", {}, "No such file"),
        ("sim://{scene}#cam_0", {"gian": 1.0}, "'gian'"),
    ],
)
def test_mistakes_are_named(
    scene_path: Path, uri: str, wished: dict[str, float | str], expected: str
) -> None:
    with pytest.raises(RigposeError, match=expected):
        SimulatedCamera("left", uri.format(scene=scene_path)).open(wished)


def test_a_rate_without_room_for_the_exposure_is_refused(scene_path: Path) -> None:
    with pytest.raises(RigposeError, match="rate_hz: 500"):
        SimulatedTrigger(f"sim://{scene_path}", 500.0)
