"""The page's server: its files, the state of the rig as JSON, pictures and poses as one endless answer.

`/frames` is a sequence of packets, made for whoever reads it as fast as they read:

    uint32 length of what follows | uint32 length of the JSON | JSON | the cameras' JPEG files, end to end

little-endian. A reader that is slower than the rig gets the newest each time: nothing queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from acquisition.pages.access import Access, control_route, stop_route
from acquisition.pages.look import statics
from acquisition.pages.serving import bound_socket, running, shown_host
from calibration.formats.anipose import load_calibration
from calibration.poses import Pose3D, PoseSet
from deploy.page.asked import Asked
from deploy.page.listening import SAME_SET_NS, Listening, listed
from deploy.page.machine import machine_facts
from deploy.page.pictures import LARGEST_HZ, Picture, Pictures
from deploy.page.plan import USUAL_PORT, PagePlan
from deploy.page.table import process_lines

STATIC = Path(__file__).parent / "static"
USUAL_HZ = 15.0
_LENGTHS = struct.Struct("<II")
_WAIT_NS = 150_000_000  # pictures whose neighbours are not there by then are shown without
_PATIENCE_NS = 500_000_000  # so long after the last picture with poses, those without are shown
_SHOWN = [0, 1, 2, 3, 6, 8, 9, 10]  # of POSE3D_COLUMNS: x y z, their variances, views, reprojection
_numbers = itertools.count()

PoseAt = Callable[[int], "tuple[PoseSet, Pose3D | None] | None"]
Told = Callable[[], dict[str, Any]]


@contextlib.contextmanager
def served(
    plan: PagePlan,
    pictures: Pictures,
    listening: Listening,
    told: Callable[[], dict[str, Any]],
    asked: Asked,
) -> Iterator[dict[str, str]]:
    """Serve inside the block; `address` and, where there is one, `control`, tokens included."""
    address = plan.address
    with contextlib.closing(bound_socket(address.host, address.port, USUAL_PORT)) as bound:
        number = int(bound.getsockname()[1])
        closing = threading.Event()
        app = Access(
            page_app(plan, pictures, listening, told, asked, closing), command="live", token=plan.token,
            port=number, host=address.host,
        )  # fmt: skip
        with running(app, bound):
            where = f"http://{shown_host(address.host)}:{number}/?token={plan.token}"
            try:
                yield {"address": where, "control": f"{where}&control={plan.control}" if plan.control else ""}
            finally:
                closing.set()  # the endless answers end before the server does


def page_app(
    plan: PagePlan, pictures: Pictures, listening: Listening, told: Told, asked: Asked,
    closing: threading.Event,
) -> Starlette:  # fmt: skip
    """The routes. `told`: what the parent said last; `asked`: what somebody who may has asked for;
    `closing`: the server is about to end."""
    space = _cameras_in_space(plan.calibration)

    def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def state(request: Request) -> Response:
        known, parent = listening.state(), told()
        processes = [asdict(line) for line in process_lines(parent.get("processes", {}), time.monotonic_ns())]
        return JSONResponse({
            **known, "topics": [asdict(line) for line in known["topics"]], "processes": processes,
            "pids": {name: one.get("pid") for name, one in parent.get("processes", {}).items()},
            "cameras": parent.get("cameras", {}), "elapsed_s": parent.get("elapsed_s"),
            "space": space, "machine": machine_facts(plan.disk), "watchers": pictures.watchers,
            "controls": bool(plan.control), "recording": _recording(plan, parent),
        })  # fmt: skip

    def frames(request: Request) -> Response:
        try:
            hz = min(LARGEST_HZ, max(0.5, float(request.query_params.get("hz", USUAL_HZ))))
        except ValueError:
            raise HTTPException(400, "hz is a number") from None
        return StreamingResponse(
            packets(pictures, listening, hz, closing), media_type="application/octet-stream"
        )

    def record(request: Request) -> Response:
        on = {"true": True, "false": False}.get(request.query_params.get("on", ""))
        if on is None:
            raise HTTPException(400, "on is true or false")
        recording = _recording(plan, told())
        if recording is None:
            raise HTTPException(409, "Nothing is recorded into: start rigpose live with --record FOLDER.")
        if recording["ended"]:
            raise HTTPException(409, f"The recording has ended: {recording['ended']}.")
        asked.switch(on)
        return JSONResponse({"asked": "record", "on": on})

    return Starlette(routes=[
        Route("/", index), Route("/state", state), Route("/frames", frames),
        stop_route(plan.control, asked.stop), control_route("/record", plan.control, record), statics(STATIC),
    ])  # fmt: skip


async def packets(
    pictures: Pictures, listening: Listening, hz: float, closing: threading.Event
) -> AsyncIterator[bytes]:
    """Packets for one reader, `hz` at most, until the server closes."""
    watcher = next(_numbers)
    pictures.watched(watcher, hz)
    order = tuple(pictures.newest())
    shown_ns = posed_ns = 0
    try:
        while not closing.is_set():
            begun = time.monotonic()
            patient = time.monotonic_ns() - posed_ns < _PATIENCE_NS
            t_ns, chosen = _choose(pictures.newest(), listening.pose_at, shown_ns, patient)
            if t_ns > shown_ns:
                shown_ns = t_ns
                if listening.pose_at(t_ns) is not None:
                    posed_ns = time.monotonic_ns()
                yield packet(chosen, listening.pose_at, order)
            await asyncio.sleep(max(0.002, 0.5 / hz - (time.monotonic() - begun)))
    finally:
        pictures.watched(watcher, None)


def _choose(
    kept: dict[str, tuple[Picture, ...]], pose_at: PoseAt, shown_ns: int = 0, patient: bool = False
) -> tuple[int, dict[str, Picture]]:
    """Of the instants after `shown_ns` the newest of which poses and all pictures are there, or poses and no
    longer to be waited for the other pictures; a camera without a picture of it shows its last one before.

    An overloaded tracker skips sets: the pictures of those are passed over while there is patience, and shown
    without. (0, {}) while there is nothing to show.
    """
    late_ns = time.monotonic_ns() - _WAIT_NS
    instants = sorted({p.t_exposure_ns for each in kept.values() for p in each}, reverse=True)
    bare: tuple[int, dict[str, Picture]] = (0, {})
    for t_ns in instants:
        if t_ns <= shown_ns:
            break
        before = {
            camera: next((p for p in each if p.t_exposure_ns <= t_ns + SAME_SET_NS), None)
            for camera, each in kept.items()
        }
        chosen = {camera: picture for camera, picture in before.items() if picture is not None}
        found = max(picture.t_exposure_ns for picture in chosen.values()), chosen
        whole = len(chosen) == len(kept) and all(
            t_ns - picture.t_exposure_ns <= SAME_SET_NS for picture in chosen.values()
        )
        late = t_ns < late_ns
        if pose_at(t_ns) is not None and (whole or late):
            return found
        if late and not bare[0] and not patient:
            bare = found
    return bare


def packet(chosen: dict[str, Picture], pose_at: PoseAt, order: tuple[str, ...]) -> bytes:
    """Pictures of some cameras, each with the keypoints of its own instant, and the newest's 3D points.

    `order`: all cameras, as the stream has them.
    """
    cameras: dict[str, Any] = {}
    newest_ns = max(picture.t_exposure_ns for picture in chosen.values())
    for camera, picture in chosen.items():
        found = pose_at(picture.t_exposure_ns)
        cameras[camera] = {
            "bytes": len(picture.jpeg), "width_px": picture.width_px, "height_px": picture.height_px,
            "behind_ms": round((newest_ns - picture.t_exposure_ns) / 1e6, 1),
            "keypoints": None if found is None else listed(found[0].keypoints[order.index(camera)]),
        }  # fmt: skip
    about: dict[str, Any] = {"cameras": cameras, "index": None, "points": None}
    newest = pose_at(newest_ns)
    if newest is not None:
        pose, points = newest
        about["index"] = pose.index
        about["points"] = None if points is None else listed(points.points[:, _SHOWN])
    header = json.dumps(about).encode()
    body = header + b"".join(picture.jpeg for picture in chosen.values())
    return _LENGTHS.pack(len(body) + 4, len(header)) + body


def _recording(plan: PagePlan, parent: dict[str, Any]) -> dict[str, Any] | None:
    """The recording beside; None where there is no session to record into."""
    if plan.session is None:
        return None
    said = parent.get("recorder", {})
    switch, counted = said.get("recording", {}), said.get("cameras", {})
    since_ns = switch.get("since_ns")
    return {
        "session": plan.session, "on": switch.get("on"), "refused": switch.get("refused", ""),
        "ended": said.get("ended", ""), "disk_left_s": said.get("disk_left_s"),
        "since_s": None if since_ns is None else max(0.0, (time.monotonic_ns() - since_ns) * 1e-9),
        "frames": sum(camera["frames"] for camera in counted.values()),
    }  # fmt: skip


def _cameras_in_space(calibration: str | None) -> list[dict[str, Any]]:
    """Centre and viewing direction of each camera, world mm."""
    if calibration is None:
        return []
    rig = load_calibration(Path(calibration))
    return [
        {
            "name": camera.name, "centre_mm": camera.centre_mm.tolist(),
            "looks_along": camera.rotation_matrix[2].tolist(),
        }
        for camera in rig.cameras
    ]  # fmt: skip
