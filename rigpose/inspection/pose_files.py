"""Files of poses and what is measured on them: 2D, 3D, labels, bones and angles, by row or by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from rigpose.inspection.links import Facts, description, joined, of_bundle, of_calibration, of_footage
from rigpose.inspection.other_files import csv_rows

_FILTERED = "_filtered"


def poses(path: Path) -> Facts:
    """2D poses of any format; what made a CSV or h5 is told by the meta file beside it."""
    from deploy.poses_io.readers import load_poses

    poses = load_poses(path)
    about, beside = poses.about, ""
    if "bundle_sha256" not in about:
        told, beside = _beside(path)
        about = {**told, **about}
    there = np.isfinite(poses.values[..., 0])
    facts: Facts = {
        "rows": len(poses.values), "rows with a frame": int((poses.frame >= 0).sum()),
        "rows are": about.get("rows"), "points": int(there.sum()), "keypoints": ", ".join(poses.keypoints),
        "scorer": about.get("scorer", "unknown"),
        "filtered": json.dumps(about["filter"]) if "filter" in about else None,
        "chain told by": beside,
    }  # fmt: skip
    return description("file of poses", facts, of_bundle(about) + of_footage(about))


def points_3d(path: Path) -> Facts:
    """3D points as Anipose has them, which hold no word of what made them."""
    from deploy.poses_io.anipose_csv import load_anipose_csv

    found = load_anipose_csv(path)
    there = np.isfinite(found.points[..., 0])
    facts = {
        "frame sets": len(found.index), "points": f"{int(there.sum())} of {there.size}",
        "keypoints": ", ".join(found.keypoints),
        "covariances": bool(np.isfinite(found.points[..., 3]).any()),
        "made of": "not told in such a file; rigpose triangulate --json FILE keeps it",
    }  # fmt: skip
    return description("file of 3D points", facts)


def deeplabcut_table(path: Path) -> Facts:
    """Labels (CollectedData), or DeepLabCut's 3D points."""
    from deploy.poses_io.deeplabcut_table import read_table
    from deploy.poses_io.pandas_h5 import NotAFrame
    from deploy.poses_io.poses import not_poses

    try:
        table = read_table(path)
    except NotAFrame as error:
        raise not_poses(path, str(error)) from None
    facts: Facts = {
        "rows": len(table.rows), "keypoints": joined(table.keypoints(next(iter(table.individuals), ""))),
        "scorer": joined(table.scorers), "animals": joined(table.individuals),
        "points": int(np.isfinite(table.values).sum()) // max(1, len(table.coords)),
    }  # fmt: skip
    kind = (
        "file of labels"
        if path.name.startswith("CollectedData")
        else "file of 3D points in DeepLabCut's form"
    )
    return description(kind, facts)


def measures(path: Path) -> Facts:
    """Bones or angles of rigpose skeleton."""
    kind = "file of bones" if "_skeleton" in path.stem else "file of angles at keypoints"
    facts: Facts = {}
    if path.suffix == ".csv":
        rows = csv_rows(path)
        facts = {
            "rows": max(0, len(rows) - 2),
            "of": joined(list(dict.fromkeys(rows[0][1:]))) if rows else "",
        }
    else:
        from deploy.poses_io.pandas_h5 import NotAFrame, read_frame
        from deploy.poses_io.poses import not_poses

        try:
            frame = read_frame(path)
        except NotAFrame as error:
            raise not_poses(path, str(error)) from None
        facts = {
            "rows": len(frame.rows),
            "of": joined(list(dict.fromkeys(each[0] for each in frame.columns))),
        }
    return description(kind, facts)


def pose_table(path: Path) -> Facts:
    """The poses that a live tracker measured beside a recording."""
    from deploy.poses_io.pose_table import read_pose_table

    table = read_pose_table(path)
    facts = {
        "frame sets": len(table.records), "cameras": ", ".join(table.cameras),
        "keypoints": ", ".join(table.keypoints),
    }  # fmt: skip
    network: dict[str, Any] = table.about.get("network") or {}
    session = path.resolve().parents[1].name
    chain = [*of_bundle(network), *of_calibration(table.about.get("calibration_sha256"))]
    return description("table of live poses", facts, [*chain, f"recording {session}"])


def slp(path: Path) -> Facts:
    """SLEAP's labels, through h5py."""
    with Hdf5(path, "slp") as file:
        videos = [json.loads(text(each))["filename"] for each in file["videos_json"][()]]
        said = json.loads(text(file["metadata"].attrs["json"]))
        origin = said.get("provenance") or {}
        if "provenance_json" in file:
            origin = json.loads(text(file["provenance_json"][()]))
        facts = {
            "labelled frames": len(file["frames"]),
            "keypoints": ", ".join(str(node["name"]) for node in said.get("nodes", [])),
        }  # fmt: skip
    bundles = [sha for sha in dict.fromkeys(origin.get("rigpose", [])) if sha]
    chain = [link for sha in bundles for link in of_bundle({"bundle_sha256": sha})]
    return description("SLEAP file", facts, [*chain, *(f"video {video}" for video in videos)])


def nwb(path: Path) -> Facts:
    """A Neurodata Without Borders file, through h5py."""
    with Hdf5(path, "nwb") as file:
        if "nwb_version" not in file.attrs:
            raise _not_whole(path, "no NWB version in it")

        def at(name: str) -> str:
            return text(file[name][()]) if name in file else ""

        modules = file.get("processing/behavior", {})
        estimates = {
            name: group for name, group in modules.items()
            if text(group.attrs.get("neurodata_type", "")).endswith("PoseEstimation")
        }  # fmt: skip
        devices = file.get("general/devices", {})
        calibrated = [
            name for name, group in devices.items()
            if text(group.attrs.get("neurodata_type", "")) == "CalibratedCamera"
        ]  # fmt: skip
        facts = {
            "session": at("general/session_id"), "start": at("session_start_time"),
            "description": at("session_description"), "cameras": ", ".join(devices),
            "subject": " ".join(
                filter(None, (at("general/subject/subject_id"), at("general/subject/species")))
            ),
            "cameras with lens and place": ", ".join(calibrated), "poses": ", ".join(estimates),
            "NWB": text(file.attrs["nwb_version"]),
        }  # fmt: skip
        chain = [
            f"{name}: {text(group['description'][()])}"
            for name, group in estimates.items()
            if "description" in group
        ]
        for name, series in file.get("acquisition", {}).items():
            if "external_file" in series:
                chain += [f"{name}: video {text(each)}" for each in series["external_file"][()]]
    return description("NWB file", facts, chain)


def text(value: Any) -> str:
    """What HDF5 gives for a text."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class Hdf5:
    """An HDF5 file for reading; whatever is wrong with it becomes one `RigposeError`.

    Parameters
    ----------
    extra:
        Which of rigpose's extras brings h5py.
    """

    def __init__(self, path: Path, extra: str) -> None:
        self._path = path
        try:
            import h5py
        except ModuleNotFoundError as error:
            raise RigposeError(
                path, expected="h5py, which reads it", found=str(error),
                remedy=f"pip install 'rigpose[{extra}]'",
            ) from None  # fmt: skip
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise _not_whole(path, str(error)) from None

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, kind: Any, error: BaseException | None, _: object) -> None:
        self._file.close()
        if isinstance(error, (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError)):
            raise _not_whole(self._path, f"{type(error).__name__}: {error}") from None


def _not_whole(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="a whole HDF5 file of its kind", found=found,
        remedy="Restore the file from a copy, or export it again",
    )  # fmt: skip


def _beside(path: Path) -> tuple[dict[str, Any], str]:
    """What the meta file of an analysis says of this file, and its name; nothing where there is none."""
    from deploy.offline.tracks import stem_and_ending
    from deploy.poses_io.columns import META_SUFFIX

    stem = stem_and_ending(path)[0]
    meta = path.with_name(stem.removesuffix(_FILTERED) + META_SUFFIX)
    try:
        said = json.loads(meta.read_text(encoding="utf-8"))
        about: dict[str, Any] = said["about"]
        if not stem.endswith(_FILTERED) and said["sizes"].get(path.name) != path.stat().st_size:
            return {}, ""  # a file that was changed since, or of another time
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, ""
    return about, meta.name
