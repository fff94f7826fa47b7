"""The table of readers of 2D poses, and how a file of any of these formats is read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from deploy.poses_io.poses import Poses
from deploy.poses_io.set_rows import told_beside

# How a file's name ends -> reader. The first that fits reads it.
READERS = {
    ".poses.npz": "deploy.poses_io.columns:load_columns",
    ".h5": "deploy.poses_io.sleap_h5:load_h5",
    ".slp": "deploy.poses_io.slp:load_slp",
    ".csv": "deploy.poses_io.deeplabcut:load_deeplabcut",
}


def load_poses(path: Path | str) -> Poses:
    """2D poses of any format in `READERS`; a point of which a coordinate is missing or infinite is none.

    The frames, frame sets and times of a CSV's or h5's rows are those of the column file beside it; without
    one row n is frame n (`deploy.poses_io.set_rows` tells who may not rely on that).

    Raises
    ------
    RigposeError
        If the file, or the column file beside it, is missing, of an unknown kind, or damaged.
    """
    path = Path(path)
    for ending, target in READERS.items():
        if path.name.endswith(ending):
            module, _, name = target.partition(":")
            read: Callable[[Path], Poses] = getattr(importlib.import_module(module), name)
            return told_beside(path, _of_places(read(path)))
    raise RigposeError(
        path, expected=f"a pose file ({', '.join(READERS)})", found=f"'{path.name}'",
        remedy="Make one: rigpose analyze X.bundle VIDEO -o DIR",
    )  # fmt: skip


def _of_places(poses: Poses) -> Poses:
    """The same poses with NaN for both coordinates where one is no number; confidences stay."""
    places = poses.values[..., :2]
    odd = ~np.isfinite(places).all(axis=-1) & ~np.isnan(places).all(axis=-1)
    if not odd.any():
        return poses
    values = poses.values.copy()
    values[odd, :2] = np.nan
    return replace(poses, values=values)
