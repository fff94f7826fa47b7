"""What `test_v4l2.py` runs inside the guest, on vivid's cameras: one line of JSON for each piece of work."""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
from linuxpy.video.device import Device

from acquisition.camera import CameraGone, CameraTimeout
from acquisition.drivers.v4l2 import V4L2Camera
from acquisition.drivers.v4l2_controls import control_name
from acquisition.errors import RigposeError
from acquisition.synchronisation.unwrap import FrameCount

PLACE = "v4l2://platform:vivid-000"
SMALL = {"pixelformat": "GREY", "width": 320, "height": 180, "rate_hz": 30.0}


def tell(work: str, **found) -> None:
    print(json.dumps({"work": work, **found}), flush=True)


def press(label: str, value: int = 1) -> None:
    """A control of vivid, by another hand than ours."""
    with Device("/dev/video0") as device:
        control = next(c for c in device.controls.values() if control_name(c.name) == label)
        control.push() if hasattr(control, "push") else setattr(control, "value", value)


def opened(**features) -> tuple[V4L2Camera, object]:
    camera = V4L2Camera("top", PLACE)
    return camera, camera.open({**SMALL, **features})


def refused(**features) -> str:
    camera = V4L2Camera("top", features.pop("uri", PLACE))
    try:
        camera.open({**SMALL, **features})
    except RigposeError as error:
        return str(error)
    finally:
        camera.close()
    return ""


def identity() -> None:
    found = [(camera.uri, camera.model, camera.serial) for camera in V4L2Camera.find()]
    camera, info = opened(brightness=99, horizontal_flip=True, test_pattern="100% Colorbar")
    features = {f.name: (f.value, f.low, f.high, f.choices) for f in camera.features()}
    busy = refused()
    camera.close()
    by_path = V4L2Camera("top", "v4l2:///dev/video0")
    same = by_path.open(SMALL).serial == info.serial
    by_path.close()
    tell(
        "identity", found=found, serial=info.serial, set=info.features, silence_s=info.silence_s,
        rate_hz=info.rate_hz, busy=busy,
        same=same, features={name: features[name] for name in ("pixelformat", "brightness", "test_pattern")},
    )  # fmt: skip


def mistakes() -> None:
    tell(
        "mistakes",
        no_such=refused(brightnes=3), too_much=refused(brightness=5000),
        no_word=refused(test_pattern="Mona Lisa"),
        format=refused(pixelformat="HEVC"), size=refused(width=321), rate=refused(rate_hz=31.7),
        word=refused(width="wide"),
        exposure=refused(exposure_us=1000.0), nobody=refused(uri="v4l2://usb-0000:00:14.0-9"),
    )  # fmt: skip


def gaps() -> None:
    camera, info = opened(percentage_of_dropped_buffers=20, timestamp_source="Start of Exposure")
    count = FrameCount(info.id_modulus, info.id_first, info.id_start - 1)
    camera.start()
    seqs, stamps, lates, losses = [], [], [], []
    while len(seqs) < 60:
        frame = camera.read(2000)
        seq, lost = count.unwrap(frame.frame_id)
        seqs.append(seq)
        losses.append(lost)
        stamps.append(frame.t_device_ns)
        lates.append(frame.t_arrival_ns - frame.t_device_ns)
    try:
        for _ in range(1000):
            camera.read(0)
        emptied = False
    except CameraTimeout:
        emptied = True
    camera.stop()
    camera.start()  # once more: it counts anew
    again = camera.read(2000).frame_id
    camera.close()
    press("percentage_of_dropped_buffers", 0)
    tell(
        "gaps", seqs=seqs, losses=losses, stamps_ns=stamps, rate_hz=info.rate_hz, late_min_ns=min(lates),
        late_median_ns=statistics.median(lates), emptied=emptied, again=again, id_start=info.id_start,
    )  # fmt: skip


def damage() -> None:
    camera, _ = opened()
    camera.start()
    damaged = [camera.read(2000).damaged for _ in range(3)]
    for _ in range(3):
        press("inject_v4l2_buf_flag_error")
        damaged += [camera.read(2000).damaged for _ in range(20)]
    camera.close()
    tell("damage", damaged=sum(damaged), frames=len(damaged))


def wrap() -> None:
    camera, info = opened(wrap_sequence_number=True, rate_hz=60.0)
    count = FrameCount(info.id_modulus, info.id_first)
    camera.start()
    ids, lost = [], 0
    for _ in range(160):
        frame = camera.read(2000)
        ids.append(frame.frame_id)
        seq, before = count.unwrap(frame.frame_id)
        lost += max(before, 0)
    camera.close()
    press("wrap_sequence_number", 0)
    tell("wrap", first=ids[0], last=ids[-1], frames=len(ids), lost=lost, seq=seq)


def stamps() -> None:
    meanings = {}
    for source in ("End of Frame", "Start of Exposure"):
        camera, info = opened(timestamp_source=source)
        meanings[source] = (
            info.stamp_to_middle_ns,
            info.stamp_uncertainty_ns,
            info.stamp_meaning,
            info.rate_hz,
        )
        camera.close()
    tell("stamps", meanings=meanings)


def formats() -> None:
    bars = {}
    for fourcc in ("RGB3", "YUYV", "UYVY", "NV12", "GREY", "Y16", "RGGB"):
        text = {
            "osd_text_mode": "None",
            "test_pattern": "75% Colorbar",
            "horizontal_flip": False,
            "brightness": 128,
        }
        try:
            camera, info = opened(pixelformat=fourcc, **text)
        except RigposeError as error:
            bars[fourcc] = str(error)
            continue
        camera.start()
        image = camera.read(2000).image
        camera.close()
        middles = (np.arange(8) * 2 + 1) * image.shape[1] // 16
        bars[fourcc] = image[90, middles].tolist()
    camera, info = opened(pixelformat="YUYV", channels=1)
    camera.start()
    grey = camera.read(2000).image[90, (np.arange(8) * 2 + 1) * 20].tolist()
    camera.close()
    tell("formats", bars=bars, grey=grey, channels=info.channels)


def unplugged() -> None:
    camera, _ = opened()
    camera.start()
    for _ in range(5):
        camera.read(2000)
    press("disconnect")
    started_ns = time.monotonic_ns()
    gone = ""
    try:
        for _ in range(100):
            camera.read(1000)
    except CameraGone as error:
        gone = str(error)
    took_ms = (time.monotonic_ns() - started_ns) / 1e6
    camera.close()
    camera.close()
    # vivid comes back when the last program has let go of it.
    camera, _ = opened()
    camera.start()
    back = camera.read(2000).frame_id
    camera.close()
    tell("unplugged", gone=gone, took_ms=took_ms, back=back)


if __name__ == "__main__":
    for work in (identity, mistakes, gaps, damage, wrap, stamps, formats, unplugged):
        if len(sys.argv) == 1 or work.__name__ in sys.argv[1:]:
            work()
