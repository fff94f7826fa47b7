"""Everything that reads a file somebody else may have written or broken: how to make one, how to read it."""

from __future__ import annotations

import pickle  # noqa: TID251 - to have one to read
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.frame_table import read_frame_table
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import read_session
from acquisition.recordings.stamp_file import read_stamps
from acquisition.settings import read_settings
from calibration.boards import BoardSettings
from calibration.formats.anipose import load_calibration, load_toml, save_toml
from calibration.formats.opencv_yaml import load_opencv, save_opencv
from calibration.known_length import read_length
from deploy.bundles.bundle import Bundle
from deploy.fusion.settings import load_fuse
from deploy.poses_io.anipose_csv import load_anipose_csv, save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import load_poses
from deploy.stream.keys import new_pair, read_public
from rigpose.chain import describe
from rigpose.rig_file import load_rig
from tests.acquisition.sessions import write_session
from tests.calibration.synthetic import ring
from tests.training.dots import dot_project
from training.projects.labels import read_labels
from training.projects.project import Project
from training.projects.shuffles import read_shuffle

GOLDEN = Path(__file__).resolve().parents[1] / "deploy" / "golden" / "six_artifacts.bundle"
RIG = """
name: arena
cameras:
  top:  {uri: "sim://scene.yaml#cam_0", settings: mono8.yaml}
  side: {uri: "sim://scene.yaml#cam_1"}
trigger: {port: /dev/ttyACM0, rate_hz: 100, exposure_us: 2000}
sync: {tolerance_ms: 4, max_delay_ms: 40}
recording: {codec: x264, directory: recordings, keep_free_gb: 5}
stream: {endpoint: "tcp://127.0.0.1:5555"}
calibration: calibration.toml
"""
FUSE = """
name: arena
hosts: {left: {endpoint: "tcp://10.0.0.1:5555"}, right: {endpoint: "tcp://10.0.0.2:5555"}}
calibration: calibration.toml
join: {tolerance_ms: 2, max_delay_ms: 40}
"""
BOARD = "kind: charuco\nsquares: [8, 11]\nsquare_mm: 24.0\nmarker_mm: 18.75\ndictionary: DICT_4X4_1000\n"
LENGTH = "length_mm: 100\nends:\n  cam_0: [[10, 20], [30, 40]]\n  cam_1: [[10.5, 20], [3.0e+1, 40]]\n"
META = """{"format": "rigpose analysis of a video", "version": 1, "state": "done", "why": "", "stem": "a",
"about": {"scorer": "S", "bundle": "mouse", "bundle_sha256": "ab12", "artifact": "int8.tflite",
 "runtime": "litert", "version": "2.3", "session": "day1", "camera": "top", "device": {"serial": "S1"},
 "videos": ["a.mkv", "b.mkv"], "rows": "frame sets", "window": [0, 0, 64, 48]},
"execution": {"bundle_sha256": "ab12", "reason": "the fastest"}, "sizes": {"a.csv": 12},
"figures": {"frames": 60, "rows": 61, "warning": null}, "made_from": {}}
"""
REPORT = """{"session": "day1", "verdict": "WARN", "pulses": 60, "optical": null, "frame_sets": 60,
"findings": [{"level": "WARN", "whose": "top", "found": "x", "remedy": "y"}],
"complete_sets": 59, "uncertain_sets": 0}
"""
STAMPS = "frame,time_ns\n" + "".join(f"{n},{1_000_000_000 + n * 16_666_667}\n" for n in range(40))


@dataclass(frozen=True, slots=True)
class Reader:
    """One format.

    Attributes
    ----------
    name:
        Of the corpus folder.
    make:
        Writes a good file into an empty folder; which of the files there is to be damaged.
    read:
        Reads what `make` returned.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


def _text(name: str, content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_text(content)
        return path

    return make


def _poses() -> Poses:
    values = np.random.default_rng(0).random((6, 3, 3)).astype(np.float32)
    return Poses.of_video(("nose", "ear", "tail"), values)


def _saved(name: str, save: Callable[[Path], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        save(folder / name)
        return folder / name

    return make


def _calibration(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        save_toml(ring(3), folder / "calibration.toml", {"report": {"rms_px": 0.2}})
        return folder / part

    return make


def _session(part: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_session(folder / "session", pulses=12)
        return part(folder / "session")

    return make


def _project(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        project = dot_project(folder, 4)
        return next(iter(sorted(project.root.glob(part))))

    return make


def _labels(path: Path) -> Any:
    return read_labels(Project.open(path.parents[2]))


def _whole_session(path: Path) -> None:
    read_session(path.parent)
    Recording.open(path.parent).close()


def _events(folder: Path) -> Path:
    with_events = EventsWriter(folder)
    for n in range(8):
        with_events.append("ttl", n * 1_000_000, level=n % 2)
    with_events.close()
    return next(iter(folder.glob("events*")))


def _bundle(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        shutil.copytree(GOLDEN, folder / "x.bundle")
        return folder / "x.bundle" / part

    return make


def _shuffle(folder: Path) -> Path:
    entry = {"image": ("labeled-data", "a", "img0.png"), "joints": [np.array([[0, 1, 2]])]}
    path = folder / "Documentation_data-dots_95shuffle1.pickle"
    path.write_bytes(pickle.dumps([[entry], [0, 1], [2], 0.95], protocol=4))
    return path


READERS = (
    Reader("anipose-toml", _calibration("calibration.toml"), load_toml),
    Reader(
        "calibration-json", _calibration("calibration.json"),
        lambda p: load_calibration(p.with_suffix(".toml")),
    ),
    Reader("opencv-yaml", _saved("rig.yaml", lambda p: save_opencv(ring(2), p)), load_opencv),
    Reader("deeplabcut-csv", _saved("aDLC_net.csv", lambda p: save_csv(_poses(), "DLC_net", p)), load_poses),
    Reader("deeplabcut-h5", _saved("aDLC_net.h5", lambda p: save_h5(_poses(), "DLC_net", p)), load_poses),
    Reader("columns", _saved("a.poses.npz", lambda p: save_columns(_poses(), p)), load_poses),
    Reader(
        "anipose-csv",
        _saved("a.csv", lambda p: save_anipose_csv(p, ("a", "b"), np.ones((4, 2, 11), np.float32))),
        load_anipose_csv,
    ),
    Reader("labels-csv", _project("labeled-data/*/*.csv"), _labels),
    Reader("labels-h5", _project("labeled-data/*/*.h5"), _labels),
    Reader("config-yaml", _project("config.yaml"), lambda p: Project.open(p.parent)),
    Reader("shuffle-pickle", _shuffle, read_shuffle),
    Reader("session-json", _session(lambda s: s / "session.json"), _whole_session),
    Reader("frame-table", _session(lambda s: next(iter(sorted(s.glob("*.frames"))))), read_frame_table),
    Reader("events", _events, lambda p: read_events(p.parent)),
    Reader("stamps-csv", _text("stamps.csv", STAMPS), read_stamps),
    Reader("manifest", _bundle("manifest.json"), lambda p: Bundle.load(p.parent)),
    Reader("manifest-sums", _bundle("manifest.sha256"), lambda p: Bundle.load(p.parent)),
    Reader("rig-yaml", _text("rig.yaml", RIG), load_rig),
    Reader("fuse-yaml", _text("fuse.yaml", FUSE), load_fuse),
    Reader("board-yaml", _text("board.yaml", BOARD), lambda p: read_settings(BoardSettings, p)),
    Reader("length-yaml", _text("length.yaml", LENGTH), lambda p: read_length(p, ("cam_0", "cam_1"))),
    Reader("inspect-meta", _text("a.meta.json", META), describe),
    Reader("inspect-report", _text("synchronisation.json", REPORT), describe),
    Reader("inspect-video", _session(lambda s: next(iter(sorted(s.glob("*.mkv"))))), describe),
    Reader("inspect-rig", _text("rig.yaml", RIG), describe),
    Reader("key", lambda folder: new_pair(folder, "ada")[0], read_public),
)  # fmt: skip
