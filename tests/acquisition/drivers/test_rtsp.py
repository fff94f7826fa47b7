"""A network camera over real RTSP, its plug pulled and put back."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.camera import CameraGone, CameraTimeout, DeviceFrame, driver_of
from acquisition.drivers.rtsp import RtspCamera
from acquisition.errors import RigposeError
from acquisition.frame_stamp import NEW_COUNT
from acquisition.record import record
from acquisition.recordings.frame_table import FRAME_DTYPE
from acquisition.recordings.recording import Recording
from acquisition.rig import RigSettings
from tests.equipment.rtsp.camera import NetworkCamera, network_camera

pytestmark = [pytest.mark.equipment, pytest.mark.long]


@pytest.fixture(scope="module")
def server():
    with network_camera() as camera:
        yield camera


def opened(server: NetworkCamera) -> RtspCamera:
    camera = driver_of(server.uri, "door")("door", server.uri)  # type: ignore[call-arg]
    assert isinstance(camera, RtspCamera)
    return camera


def frames_of(camera: RtspCamera, count: int) -> list[DeviceFrame]:
    frames = []
    while len(frames) < count:
        try:
            frames.append(camera.read(3000))
        except CameraTimeout:
            pytest.fail(f"only {len(frames)} frames came")
    return frames


def test_frames_ids_and_stamps(server: NetworkCamera) -> None:
    camera = opened(server)
    info = camera.open({"transport": "tcp"})
    assert (info.width_px, info.height_px, info.channels, info.rate_hz) == (64, 48, 3, 25.0)
    assert info.features == {"transport": "tcp"}
    assert info.stamp_uncertainty_ns >= 250_000_000
    camera.start()
    with pytest.raises(CameraTimeout):
        camera.read(0)
    frames = frames_of(camera, 40)
    ids = [frame.frame_id for frame in frames]
    assert ids == list(range(ids[0], ids[0] + 40))  # TCP loses nothing
    stamps = [frame.t_device_ns for frame in frames]
    assert all(abs(b - a - 40_000_000) < 2_000_000 for a, b in pairwise(stamps))
    assert all(a.t_arrival_ns <= b.t_arrival_ns <= time.monotonic_ns() for a, b in pairwise(frames))
    assert frames[-1].image.shape == (48, 64, 3)
    assert frames[-1].image.max() > 150 and frames[-1].image.min() < 60  # the ball before its ground
    camera.stop()
    with pytest.raises(CameraTimeout):
        camera.read(200)
    camera.start()
    assert frames_of(camera, 2)[0].frame_id == 0
    camera.close()
    camera.close()


def test_frames_that_nobody_reads_are_missing_by_their_ids(server: NetworkCamera) -> None:
    camera = opened(server)
    camera.open({})
    camera.start()
    first = frames_of(camera, 1)[0]
    time.sleep(1.5)
    waited = frames_of(camera, 20)
    dropped = camera.counts()["dropped"]
    assert dropped > 10
    assert waited[0].frame_id - first.frame_id - 1 == dropped
    camera.close()


def test_a_server_that_is_killed_is_gone_and_comes_back() -> None:
    with network_camera(rate_hz=50) as server:
        camera = opened(server)
        camera.open({})
        camera.start()
        frames_of(camera, 10)
        server.off()
        before_ns = time.monotonic_ns()
        with pytest.raises(CameraGone):
            while time.monotonic_ns() - before_ns < 10e9:
                try:
                    camera.read(50)
                except CameraTimeout:
                    continue
        camera.close()
        with pytest.raises(RigposeError, match="expected a video stream over RTSP"):
            camera.open({})
        server.on()
        camera = opened(server)
        camera.open({})
        camera.start()
        assert [frame.frame_id for frame in frames_of(camera, 5)] == [0, 1, 2, 3, 4]
        camera.close()


def test_what_it_cannot_do_is_refused_before_it_connects() -> None:
    camera = RtspCamera("door", "rtsp://ada:secret@127.0.0.1:9/cam")
    with pytest.raises(RigposeError, match="Remove the trigger section"):
        camera.open({"rate_hz": 100.0})
    with pytest.raises(RigposeError, match="transport, tcp or udp"):
        camera.open({"transport": "pigeon"})
    with pytest.raises(RigposeError) as refused:
        camera.open({})
    assert "ada:***@127.0.0.1:9" in str(refused.value) and "secret" not in str(refused.value)
    camera.close()


@pytest.mark.alone
def test_a_rig_records_on_when_the_server_is_back(tmp_path: Path) -> None:
    """Through capture and recorder: the gap is in the data, and the count begins anew."""
    table_file = tmp_path / "day1" / "day1_door.frames"

    def recorded(rows: int) -> None:
        """Until there are so many rows more."""
        until = time.monotonic() + 120
        size = table_file.stat().st_size if table_file.exists() else 512
        while not table_file.exists() or table_file.stat().st_size < size + rows * FRAME_DTYPE.itemsize:
            assert time.monotonic() < until
            time.sleep(0.05)

    def pull_the_plug() -> None:
        try:
            recorded(25)
            server.off()
            time.sleep(1.0)
            server.on()
            recorded(25)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with network_camera() as server:
        rig = RigSettings.model_validate({"name": "door", "cameras": {"door": {"uri": server.uri}}})
        person = threading.Thread(target=pull_the_plug)
        person.start()
        summary = record(rig, tmp_path / "day1", None)
        person.join()
    assert summary.ended == "interrupted"
    with Recording.open(tmp_path / "day1") as recording:
        table = recording.frame_table("door")
        kinds = [event["kind"] for event in recording.events()]
        assert recording.gaps == []
        assert sum(image is not None for image in recording.images("door")) == len(table)
    assert np.sum(table["lost_before"] == NEW_COUNT) == 2
    anew = int(np.flatnonzero(table["lost_before"] == NEW_COUNT)[1])
    assert table["t_exposure_ns"][anew] - table["t_exposure_ns"][anew - 1] > 900_000_000
    assert anew >= 25 and len(table) - anew > 10
    assert kinds.index("camera gone") < kinds.index("camera back")
