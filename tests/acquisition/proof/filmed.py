"""Sessions with real pictures of the simulated rig, without waiting for a rig to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings
from acquisition.simulation.film import load_film
from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.videos.encoder import Encoder
from tests.acquisition.timelines import timeline


def film_session(
    folder: Path, *, sets: int = 110, rate_hz: float = 60, loss: float = 0.02, codec: str = "x264",
    seed: int = 4, restart: bool = False, names: dict[str, str] | None = None, **scene_settings,
) -> Scene:  # fmt: skip
    """Three cameras that lose frames; `names` files one camera's frames under another's name."""
    wished = {"cameras": 3, "size_px": (160, 120), "rate_hz": rate_hz, "frame_sets": 8, **scene_settings}
    # Drawn once for all sessions beside each other: LED and faults come on top.
    scene = Scene(SceneSettings(**wished), folder.parent.parent / "drawn")
    line = timeline(seed, cameras=3, pulses=sets, rate_hz=rate_hz, loss=loss, ignored=0.01, restart=restart)
    rig = RigSettings.model_validate(
        {
            "name": "filmed",
            "cameras": {name: {"uri": f"sim://none#{name}"} for name in line.cameras},
            "trigger": {"port": "sim://none", "rate_hz": rate_hz, "exposure_us": 1000},
        }
    )
    session = Session.create(folder, rig)
    session.began({}, {"period_ns": line.period_ns, "first_exposure_ns": line.first_exposure_ns})
    EventsWriter(folder).close()
    image = np.empty(scene.settings.size_px[::-1], np.uint8)
    counted = {}
    for name in line.cameras:
        film = load_film(scene, name)
        filed = (names or {}).get(name, name)
        table = FrameTableWriter(folder / f"{folder.name}_{filed}.frames", filed)
        width, height = scene.settings.size_px
        encoder = Encoder(folder / f"{folder.name}_{filed}.mkv", codec, width, height, 1, rate_hz)
        for stamp, pulse in line.frames:
            if stamp.camera == name:
                table.append(stamp)
                film.compose(pulse, image)
                encoder.write(image, round((stamp.t_exposure_ns - line.first_exposure_ns) / 1e6))
        counted[filed] = {"recorded": table.rows}
        encoder.close()
        table.close()
    session.end("time is over", cameras=counted)
    return scene
