"""A session written by hand: no processes, no simulated rig, known to the last number."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.segments import ENDED, segment_of
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings
from acquisition.videos.encoder import Encoder
from tests.acquisition.timelines import Timeline, timeline

SHAPE = (48, 64)
TIMES = ("t_device_ns", "t_exposure_ns", "t_arrival_ns")


def picture(pulse: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """An image that carries its number: sixteen blocks, bright for a one (survives lossy codecs)."""
    image = np.full(shape, 60, np.uint8)
    for bit in range(16):
        if pulse >> bit & 1:
            row, column = divmod(bit, 8)
            image[row * 24 : row * 24 + 24, column * 8 : column * 8 + 8] = 190
    return image


def number_of(image: np.ndarray) -> int:
    """The number that `picture` wrote."""
    image = image if image.ndim == 2 else image[..., 0]
    bits = [
        image[r * 24 + 8 : r * 24 + 16, c * 8 + 2 : c * 8 + 6].mean() > 125 for r in (0, 1) for c in range(8)
    ]
    return sum(1 << bit for bit, one in enumerate(bits) if one)


def rewrite_packets(video: Path, numbers: Container[int], content: bytes | None) -> None:
    """Put `content` into these packets of a video, or leave them out, as damage would; all else stays."""
    whole = video.rename(video.with_suffix(".whole"))
    with av.open(str(whole)) as source, av.open(str(video), "w") as copy:
        copy.metadata.update(source.metadata)
        stream = copy.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if not packet.size or (number in numbers and content is None):
                continue
            if number in numbers:
                changed = av.Packet(content)
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                packet = changed
            packet.stream = stream
            copy.mux(packet)
    whole.unlink()


def write_session(
    folder: Path,
    *,
    codec: str = "x264",
    ended: bool = True,
    cut_at: tuple[int, ...] = (),
    not_recorded: Container[int] = (),
    second_train: int | None = None,
    **line_settings,
) -> Timeline:
    """A triggered session of two cameras at 30 Hz; images carry their pulse number.

    A new segment begins at each pulse of `cut_at`; pulses `not_recorded` are in no file; from pulse
    `second_train` on the trigger counted anew, 9.7 periods later, at frame set `second_train` + 10.
    """
    line = timeline(4, cameras=2, rate_hz=30, **{"pulses": 60, **line_settings})
    rig = RigSettings.model_validate(
        {
            "name": "hand",
            "cameras": {name: {"uri": f"sim://none#{name}"} for name in line.cameras},
            "trigger": {"port": "sim://none", "rate_hz": 30, "exposure_us": 1000},
            "recording": {"codec": codec},
        }
    )
    session = Session.create(folder, rig, subject="nobody")
    pulses = {"period_ns": line.period_ns, "first_exposure_ns": line.first_exposure_ns}
    session.began({}, pulses)
    shift_ns = round(9.7 * line.period_ns)
    if second_train is not None:
        first_ns = line.first_exposure_ns + second_train * line.period_ns + shift_ns
        again = {**pulses, "first_exposure_ns": first_ns, "first_index": second_train + 10}
        session.facts["trains"] = [{**pulses, "first_index": 0}, again]
        session.write()
    events = EventsWriter(folder)
    counted = {}
    for name in line.cameras:
        counted[name] = {"recorded": 0}
        for number, (start, stop) in enumerate(pairwise((0, *cut_at, 1 << 30))):
            files = segment_of(folder, name, number)
            table = FrameTableWriter(files.table, name, line.first_exposure_ns)
            encoder = Encoder(files.video, codec, SHAPE[1], SHAPE[0], 1, 30)
            for stamp, pulse in line.frames:
                if stamp.camera != name or not start <= pulse < stop or pulse in not_recorded:
                    continue
                if second_train is not None and pulse >= second_train:
                    later = {key: getattr(stamp, key) + shift_ns for key in TIMES}
                    stamp = replace(stamp, **later)
                table.append(stamp)
                encoder.write(picture(pulse), round((stamp.t_exposure_ns - line.first_exposure_ns) / 1e6))
            encoder.close()
            table.close()
            counted[name]["recorded"] += table.rows
            if ended:
                events.append(ENDED, camera=name, segment=number, rows=table.rows)
    events.close()
    if ended:
        session.end("time is over", cameras=counted)
    return line
