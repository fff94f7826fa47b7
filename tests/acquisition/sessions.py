"""A session written by hand: no processes, no simulated rig, known to the last number."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings
from acquisition.videos.encoder import Encoder
from tests.acquisition.timelines import Timeline, timeline

SHAPE = (48, 64)


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


def write_session(folder: Path, *, codec: str = "x264", ended: bool = True, **line_settings) -> Timeline:
    """A triggered session of two cameras at 30 Hz; images carry their pulse number."""
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
    session.began({}, {"period_ns": line.period_ns, "first_exposure_ns": line.first_exposure_ns})
    EventsWriter(folder).close()
    counted = {}
    for name in line.cameras:
        table = FrameTableWriter(folder / f"{folder.name}_{name}.frames", name)
        encoder = Encoder(folder / f"{folder.name}_{name}.mkv", codec, SHAPE[1], SHAPE[0], 1, 30)
        for stamp, pulse in line.frames:
            if stamp.camera == name:
                table.append(stamp)
                encoder.write(picture(pulse), round((stamp.t_exposure_ns - line.first_exposure_ns) / 1e6))
        counted[name] = {"recorded": table.rows}
        encoder.close()
        table.close()
    if ended:
        session.end("time is over", cameras=counted)
    return line
