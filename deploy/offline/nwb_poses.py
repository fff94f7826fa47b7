"""The poses of a session with the times of their frames: from files, or as the tracker wrote them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from deploy.offline.joined_poses import camera_of
from deploy.offline.live_sets import places_of
from deploy.poses_io.anipose_csv import load_anipose_csv
from deploy.poses_io.deeplabcut import is_ours
from deploy.poses_io.pose_table import PoseTable, read_pose_tables
from deploy.poses_io.poses import NO_TIME_NS, Poses
from deploy.poses_io.readers import load_poses
from deploy.poses_io.set_rows import of_recording, require_rows, told_rows

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_SAME_RECORDING_NS = 10**9  # frames of another are further apart, and no clock is put right by as much


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """2D poses of one camera, of the frames that it has.

    Attributes
    ----------
    frame, t_exposure_ns:
        int64 (T,): number of the frame in the video, and its time on the rig clock.
    points, confidence:
        float32 (T, K, 2) px and (T, K).
    scorer, description:
        What made them.
    """

    camera: str
    keypoints: tuple[str, ...]
    frame: Numbers
    t_exposure_ns: Numbers
    points: Floats
    confidence: Floats
    scorer: str
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class Points3D:
    """3D points by frame set: int64 (T,) times on the rig clock, float32 (T, K, 3) mm and (T, K)."""

    keypoints: tuple[str, ...]
    t_exposure_ns: Numbers
    points_mm: Floats
    confidence: Floats
    description: str


def seen_of(recording: Recording, files: Sequence[Path]) -> list[Seen]:
    """2D poses of files, or without any those of the session's pose tables. Raises `RigposeError`."""
    if not files:
        return _of_tables(recording)
    found: dict[str, Seen] = {}
    for file in files:
        poses = load_poses(file)
        camera = camera_of(file, poses, recording.cameras)
        if camera in found:
            raise RigposeError(
                file, expected="one file per camera", found=f"a second one of camera '{camera}'",
                remedy="Give one of the two",
            )  # fmt: skip
        found[camera] = _of_file(recording, camera, file, poses)
    return [found[camera] for camera in recording.cameras if camera in found]


def points_of(recording: Recording, file: Path | None) -> Points3D | None:
    """3D points of a file, or without one of the session's pose tables; None where there are none."""
    if file is None:
        return _points_of_tables(recording)
    read = load_anipose_csv(file)
    times = {each.index: each.t_exposure_ns for each in recording.frame_sets()}
    known = np.array([int(number) in times for number in read.index], np.bool_)
    if not known.any() or not known.all():
        raise RigposeError(
            file, expected=f"frame sets of {recording.folder.name}",
            found=f"{int((~known).sum())} of {len(known)} that it does not have",
            remedy="Triangulate the poses of this recording",
        )  # fmt: skip
    return Points3D(
        read.keypoints, np.array([times[int(number)] for number in read.index], np.int64),
        read.points[..., :3], read.scores, f"3D points of {file.name}",
    )  # fmt: skip


def _of_file(recording: Recording, camera: str, file: Path, poses: Poses) -> Seen:
    table = recording.frame_table(camera)
    frame = poses.frame if of_recording(poses) else _frames_of(recording, camera, file, poses)
    if (counted := int(frame.max(initial=-1)) + 1) > len(table):
        raise _not_of(file, camera, len(table), counted)
    there = frame >= 0
    timed = there & (poses.t_exposure_ns != NO_TIME_NS)
    apart_ns = np.abs(table["t_exposure_ns"][frame[timed]] - poses.t_exposure_ns[timed])
    if (apart_ns > _SAME_RECORDING_NS).any():
        raise RigposeError(
            file, expected=f"poses of the frames of camera '{camera}'", found="frames of other times",
            remedy="Analyse this recording: rigpose analyze",
        )  # fmt: skip
    return Seen(
        camera, poses.keypoints, frame[there], table["t_exposure_ns"][frame[there]],
        poses.values[there][..., :2], poses.values[there][..., 2],
        str(poses.about.get("scorer") or "unknown"), _description(file, poses),
    )  # fmt: skip


def _frames_of(recording: Recording, camera: str, file: Path, poses: Poses) -> Numbers:
    """The frames of rows that do not state them, as in DeepLabCut's files: by how many rows there are."""
    require_rows(file, poses, sets=False, frames=False)
    frame, frames, place = poses.frame, len(recording.frame_table(camera)), recording.cameras.index(camera)
    sets = [each.payloads[place] for each in recording.frame_sets()]
    by_set = np.array([-1 if payload is None else payload for payload in sets], np.int64)
    all_sets, told = np.array_equal(frame, np.arange(len(by_set))), told_rows(file)
    if told is None and all_sets and len(by_set) == frames and is_ours(poses) and (by_set != frame).any():
        raise RigposeError(
            file, expected="the frame of every row",
            found=f"{frames} rows, as many as there are frames and as there are frame sets",
            remedy="Give the .poses.npz that was written with it",
        )  # fmt: skip
    if all_sets and (told == "frame sets" or (told is None and len(by_set) != frames)):
        return by_set
    if told == "frame sets" or (len(frame) and int(frame.max()) + 1 != frames):
        raise _not_of(file, camera, frames, int(frame.max()) + 1)
    return frame


def _not_of(file: Path, camera: str, frames: int, counted: int) -> RigposeError:
    return RigposeError(
        file, expected=f"poses of the {frames} frames of camera '{camera}'", found=f"of {counted}",
        remedy="Analyse this recording: rigpose analyze",
    )  # fmt: skip


def _description(file: Path, poses: Poses) -> str:
    words = [f"2D poses of {file.name}"]
    if "bundle" in poses.about:
        hashed = str(poses.about.get("bundle_sha256", ""))[:12]
        words.append(f"model bundle {poses.about['bundle']} (hash {hashed})")
    if "filter" in poses.about:
        words.append(f"filtered: {json.dumps(poses.about['filter'])}")
    return "; ".join(words)


def _tables(recording: Recording) -> list[PoseTable]:
    """The tracker's tables, oldest first, of one network."""
    tables = [table for table in read_pose_tables(recording.folder) if len(table.records)]
    if len({table.keypoints for table in tables}) > 1:
        raise RigposeError(
            recording.folder, expected="poses of one network", found="of several",
            remedy="Analyse the recording again, and give the files after --poses",
        )  # fmt: skip
    return tables


def _of_tables(recording: Recording) -> list[Seen]:
    tables = _tables(recording)
    sets = recording.frame_sets() if tables else []
    sync = recording.rig.sync
    belong = [places_of(sets, sync, table.records["t_exposure_ns"].astype(np.int64)) for table in tables]
    found = []
    for place, camera in enumerate(recording.cameras):
        frame, values = [], []
        for table, at in zip(tables, belong, strict=True):
            if camera not in table.cameras:
                continue
            own = table.cameras.index(camera)
            for row in np.flatnonzero(at >= 0):
                record, payload = table.records[row], sets[at[row]].payloads[place]
                if payload is not None and not record["absence"][own]:
                    frame.append(payload)
                    values.append(record["pose2d"][own])
        if frame:
            rows, first = np.unique(np.array(frame, np.int64), return_index=True)
            both = np.array(values, np.float32)[first]
            times = recording.frame_table(camera)["t_exposure_ns"][rows]
            network = _network(recording)
            made = f"2D poses as the tracker measured them live; model bundle {network}"
            found.append(
                Seen(
                    camera, tables[0].keypoints, rows, times, both[..., :2], both[..., 2],
                    network, made,
                )
            )  # fmt: skip
    return found


def _points_of_tables(recording: Recording) -> Points3D | None:
    tables = _tables(recording)
    if not tables:
        return None
    records = np.concatenate([table.records[["index", "t_exposure_ns", "pose3d"]] for table in tables])
    if not np.isfinite(records["pose3d"]).any():
        return None
    _, first = np.unique(records["t_exposure_ns"], return_index=True)
    records = records[first]
    points = records["pose3d"][..., :3]
    unknown = np.full(points.shape[:2], np.nan, np.float32)
    return Points3D(
        tables[0].keypoints, records["t_exposure_ns"].astype(np.int64), points, unknown,
        "3D points as the tracker measured them live",
    )  # fmt: skip


def _network(recording: Recording) -> str:
    said = recording.session.get("bundle") or {}
    name = Path(str(said.get("path", "unknown"))).name
    return f"{name} (hash {str(said['sha256'])[:12]})" if "sha256" in said else name
