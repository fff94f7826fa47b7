"""A session of cameras that run freely, and the poses that rigpose analyze writes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from acquisition.frame_stamp import FrameStamp
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.recording import Recording
from acquisition.recordings.segments import ENDED, segment_of
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings
from acquisition.videos.encoder import Encoder
from deploy.offline.work import save_json
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.poses import NO_TIME_NS, Poses

PERIOD_NS = 33_333_333
LATER_NS = 2_000_000  # each camera than the one before it
START_NS = 10**12
SCORER = "DLC_x"
ENDINGS = (".poses.npz", ".csv", ".h5")


def write_free_session(folder: Path, spans: Mapping[str, tuple[int, int]], start_ns: int = START_NS) -> Path:
    """Cameras without a trigger, each from one period to another (first, last + 1); the first leads."""
    cameras = {name: {"uri": f"sim://none#{name}"} for name in spans}
    rig = RigSettings.model_validate({"name": "hand", "cameras": cameras, "sync": {"tolerance_ms": 8}})
    session = Session.create(folder, rig, subject="nobody")
    session.began({}, {"period_ns": None, "first_exposure_ns": None})
    events = EventsWriter(folder)
    counted = {name: {"recorded": stop - start} for name, (start, stop) in spans.items()}
    for place, (name, (start, stop)) in enumerate(spans.items()):
        if start == stop:  # it never delivered
            continue
        files = segment_of(folder, name, 0)
        table = FrameTableWriter(files.table, name, start_ns)
        encoder = Encoder(files.video, "x264", 64, 48, 1, 30)
        for number, period in enumerate(range(start, stop)):
            time_ns = start_ns + (100 + period) * PERIOD_NS + place * LATER_NS
            clock_ns = -1 if number == 0 else 0
            table.append(FrameStamp(name, number, time_ns, time_ns, 1000, time_ns + 5_000_000, clock_ns))
            encoder.write(np.full((48, 64), 60, np.uint8), round((time_ns - start_ns) / 1e6))
        encoder.close()
        table.close()
        events.append(ENDED, camera=name, segment=0, rows=table.rows)
    events.close()
    session.end("time is over", cameras=counted)
    return folder


def write_poses(session: Path, folder: Path, rows: str = "frame sets") -> dict[str, dict[str, Path]]:
    """Of each camera the files by their endings; x and y of the only keypoint are the frame's number."""
    written: dict[str, dict[str, Path]] = {}
    with Recording.open(session) as recording:
        sets = recording.frame_sets()
        for place, camera in enumerate(recording.cameras):
            table = recording.frame_table(camera)
            payloads = [each.payloads[place] for each in sets]
            by_set = np.array([-1 if payload is None else payload for payload in payloads], np.int64)
            numbers = np.array([each.index for each in sets], np.int64)
            if rows == "frame sets":
                frame, index = by_set, numbers
            else:
                frame, index = np.arange(len(table)), np.full(len(table), -1)
                index[by_set[by_set >= 0]] = numbers[by_set >= 0]
            values = np.full((len(frame), 1, 3), np.nan, np.float32)
            values[frame >= 0, 0] = np.stack([frame, frame, np.ones(len(frame))], axis=1)[frame >= 0]
            times = np.full(len(frame), NO_TIME_NS)
            times[frame >= 0] = table["t_exposure_ns"][frame[frame >= 0]]
            about = {"scorer": SCORER, "camera": camera, "session": recording.session["name"], "rows": rows}
            poses = Poses(("nose",), values, frame, index, times, about)
            stem = f"{recording.video_name(camera)}{SCORER}"
            files = {ending: folder / f"{stem}{ending}" for ending in ENDINGS}
            save_columns(poses, files[".poses.npz"])
            save_csv(poses, SCORER, files[".csv"])
            save_h5(poses, SCORER, files[".h5"])
            save_json(folder / f"{stem}.meta.json", {"about": about})
            written[camera] = files
    return written
