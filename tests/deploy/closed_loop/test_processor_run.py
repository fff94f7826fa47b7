"""The processor's process on a real stream."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.closed_loop.outputs.port import decode
from deploy.closed_loop.outputs.serve import SOCKET
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.processor_run import Pairing, ProcessorPlan, run_processor
from deploy.stream.arrivals import Received
from deploy.stream.messages import CameraView, Header, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings

REALTIME_OFFSET_NS = 1_700_000_000 * 10**9
KEEPER = """
import json
from pathlib import Path

class Keeper:
    def __init__(self):
        self.calls = []
    def process(self, pose, **kwargs):
        moment = kwargs["moment"]
        self.calls.append({
            "index": moment.index, "kind": moment.kind, "x": float(pose[0, 0]), "record": kwargs["record"],
            "frame_time": kwargs["frame_time"], "pose_time": kwargs["pose_time"],
            "z": None if moment.points is None else float(moment.points[0, 2]),
            "exposure_ns": moment.t_exposure_ns,
        })
        pose[:] = 0
        return pose
    def save(self, file):
        Path(file + ".json").write_text(json.dumps(self.calls))
"""


class Link:
    def __init__(self) -> None:
        self.stopping = False
        self.reports: dict[str, Any] = {}

    def report(self, now: bool = False, **counters: Any) -> None:
        self.reports.update(counters)


def session(solid: bool) -> Session:
    now_ns = time.monotonic_ns()
    clock = StreamClock("boot", "host", now_ns, now_ns + REALTIME_OFFSET_NS, 0)
    return Session(
        "arena", (CameraView("top", 64, 48), CameraView("side", 64, 48)), ("nose",), clock,
        calibration_sha256="ab" * 32 if solid else "",
    )  # fmt: skip


@pytest.mark.parametrize("solid", [True, False])
def test_every_set_is_one_call_with_the_times_of_deeplabcut_live(tmp_path: Path, solid: bool) -> None:
    (tmp_path / "keeper.py").write_text(KEEPER)
    settings = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    plan = ProcessorPlan(
        str(tmp_path / "keeper.py"), "Keeper", settings.endpoint, str(tmp_path / "report.json"),
        kind="predicted", camera="side", save=str(tmp_path / "PROC"), runtime=str(tmp_path),
        outputs={"laser": OutputSettings(uri="log:")},
    )  # fmt: skip
    link = Link()
    with (
        Publisher(settings, lambda: session(solid)) as publisher,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        listener.bind(str(tmp_path / SOCKET))
        listener.listen(1)
        thread = threading.Thread(target=run_processor, args=(link, plan))
        thread.start()
        while link.reports.get("state") != "ready":
            publisher.service()
            time.sleep(0.005)
        for index in range(5):
            exposure_ns = time.monotonic_ns() - 8_000_000
            for kind in ("measured", "predicted"):
                keypoints = np.full((2, 1, 3), 10 * index, np.float32)
                keypoints[1] += 1
                flat = PoseSet(index, exposure_ns, keypoints)
                publisher.pose(flat, Stamps(1, 2, 3), kind, exposure_ns + 8_000_000)
                if solid:
                    points = np.full((1, 11), index, np.float32)
                    publisher.pose(Pose3D(index, exposure_ns, points), Stamps(1, 2, 3), kind, exposure_ns)
            until = time.monotonic() + 20
            while link.reports["calls"] + link.reports["skipped"] <= index and time.monotonic() < until:
                publisher.service()
                time.sleep(0.005)
        link.stopping = True
        thread.join(10)
        client, _ = listener.accept()
        with client:
            beats = [decode(client.recv(4096)).t_exposure_ns for _ in range(5)]
    calls = json.loads((tmp_path / "PROC.json").read_text())
    assert [call["index"] for call in calls] == list(range(5))
    assert beats == [call["exposure_ns"] for call in calls]  # a predicted pose is as old as its exposure
    for call in calls:
        assert call["kind"] == "predicted" and call["record"] is True
        assert call["x"] == 10 * call["index"] + 1  # the camera that was asked for
        assert call["z"] == (call["index"] if solid else None)
        assert call["frame_time"] == pytest.approx((call["exposure_ns"] + REALTIME_OFFSET_NS) / 1e9, abs=1e-4)
        assert call["pose_time"] - call["frame_time"] >= 0.008
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["calls"] == 5 and report["latency"]["exposure_to_process"]["p50_ms"] >= 8


def test_a_camera_that_the_stream_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "keeper.py").write_text(KEEPER)
    settings = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    plan = ProcessorPlan(
        str(tmp_path / "keeper.py"), "Keeper", settings.endpoint, str(tmp_path / "r.json"), camera="back"
    )
    found: list[RigposeError] = []

    def run() -> None:
        try:
            run_processor(Link(), plan)
        except RigposeError as error:
            found.append(error)

    with Publisher(settings, lambda: session(False)) as publisher:
        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            publisher.service()
            time.sleep(0.005)
    assert "expected one of top, side, found 'back'" in str(found[0])


@given(
    order=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=30), solid=st.booleans()
)
def test_pairs_are_of_one_set_the_newest_and_all_are_accounted_for(
    order: list[tuple[bool, bool, bool]], solid: bool
) -> None:
    """Of each set the 2D, the 3D or both arrive; now and then somebody looks."""
    pairing, whole, given_out = Pairing(), 0, []
    said = session(solid)
    for index, (flat, deep, look) in enumerate(order):
        header = Header(1, "s", 0, index, "measured", index, 0, 0, 0, 0, index, (1,), "<f4")
        if flat:
            body = PoseSet(index, index, np.full((2, 1, 3), index, np.float32))
            pairing.add(Received("pose2d", header, body, said, 0, 0, False, None, None, 0))
        if deep and solid:
            above = Pose3D(index, index, np.full((1, 11), index, np.float32))
            pairing.add(Received("pose3d", header, above, said, 0, 0, False, None, None, 0))
        whole += flat and (deep or not solid)
        if look:
            moment = pairing.take()
            if moment is not None:
                assert moment.points is None or moment.points[0, 0] == moment.keypoints[0, 0, 0]
                given_out.append(moment.index)
    assert given_out == sorted(set(given_out))
    assert len(given_out) <= whole <= len(given_out) + pairing.skipped + 1
