"""SLEAP's analysis files (`.analysis.h5`): one video's tracks as plain arrays, read with h5py.

Datasets as SLEAP writes them (https://docs.sleap.ai, "Export data for analysis"): `tracks` (animals, 2,
nodes, frames) px, NaN where nothing was found; `point_scores` (animals, nodes, frames), NaN of points that
a person set; `node_names`; `video_path`. SLEAP's integer is the centre of a pixel, as ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.poses_io.deeplabcut import load_deeplabcut
from deploy.poses_io.poses import Poses, not_poses


def load_h5(path: Path | str) -> Poses:
    """An h5 of poses, SLEAP's or DeepLabCut's, by what is in it; raises `RigposeError`."""
    path = Path(path)
    if path.is_file():
        import h5py

        try:
            with h5py.File(path, "r") as file:
                if "tracks" in file and "node_names" in file:
                    return _read(path, file)
        except (OSError, RuntimeError):  # no h5, or a torn one: the next reader says so
            pass
    return load_deeplabcut(path)


def one_animal(values: npt.NDArray[np.float32], path: Path) -> npt.NDArray[np.float32]:
    """(frames, K, 3) of (animals, frames, K, 3) where one animal only was found; raises `RigposeError`."""
    found = np.isfinite(values[..., 0]).any(axis=(1, 2))
    if found.sum() > 1:
        raise not_poses(path, f"{int(found.sum())} animals: rigpose follows one")
    which = int(np.argmax(found)) if found.any() else 0
    return values[which] if len(values) else np.zeros((0, *values.shape[2:]), np.float32)


def _read(path: Path, file: Any) -> Poses:
    names = tuple(_text(name) for name in file["node_names"][()])
    tracks = np.asarray(file["tracks"][()], np.float32)
    if tracks.ndim != 4 or tracks.shape[1:3] != (2, len(names)):
        raise not_poses(path, f"tracks of shape {tracks.shape} for {len(names)} nodes")
    values = np.full((tracks.shape[0], tracks.shape[3], len(names), 3), np.nan, np.float32)
    values[..., :2] = tracks.transpose(0, 3, 2, 1)
    if "point_scores" in file and file["point_scores"].shape == (tracks.shape[0], *tracks.shape[2:]):
        values[..., 2] = np.asarray(file["point_scores"][()], np.float32).transpose(0, 2, 1)
    else:
        values[..., 2] = 1.0
    # A point that a person set has no score; as in a .slp it counts as sure.
    by_hand = np.isfinite(values[..., 0]) & ~(values[..., 2] >= 0)
    values[..., 2] = np.where(by_hand, 1.0, values[..., 2])
    values[np.isnan(values[..., 0])] = np.nan
    about = {"scorer": "SLEAP"}
    if "video_path" in file:
        about["video"] = _text(file["video_path"][()])
    return Poses.of_video(names, one_animal(values, path), about)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
