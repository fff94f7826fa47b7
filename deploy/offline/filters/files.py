"""Filtering pose files: `X.h5` gives `X_filtered.h5`, as in DeepLabCut; what was measured stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import track
from deploy.offline.filters.table import FILTERS, FilterSettings
from deploy.offline.skeleton import load_skeleton
from deploy.offline.tracks import Tracks, load_tracks, plan_outputs, save_tracks, with_points
from deploy.poses_io.poses import not_poses

MARK = "_filtered"


def filter_files(
    paths: Sequence[Path], kind: str, settings: FilterSettings, *, output: Path | None = None,
    overwrite: bool = False, skeleton: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Filter files of poses, each into a file of its own kind.

    Parameters
    ----------
    kind:
        A name in `FILTERS`.
    output:
        A folder; None: beside each input.
    overwrite:
        Replace outputs that are there.
    skeleton:
        kalman, in 3D: where the bones are listed that keep their lengths (`load_skeleton`).

    Returns
    -------
    dict
        `files`: of each its output, rows, points measured, filtered, bridged and left out, how far
        points were moved, and what the filter found.

    Raises
    ------
    RigposeError
        A file that is missing, of another layout or filtered already; an output that exists, or that
        two inputs would write; settings that mean nothing. Nothing is written then.
    """
    settings.check()
    outputs = plan_outputs(paths, MARK, output, overwrite)
    for path in paths:  # read twice rather than held: nothing is written if the last one is damaged
        before = load_tracks(path)
        _check_index(path, before)
        if skeleton is not None:
            _check_bones(skeleton, path, before, kind)
    files = []
    for path, target in track(list(zip(paths, outputs, strict=True)), "filter"):
        tracks = load_tracks(path)
        if skeleton is not None:
            settings = replace(settings, bones=load_skeleton(skeleton, tracks.keypoints))
        result = FILTERS[kind](tracks, settings)
        note: dict[str, object] = {"filter": {"kind": kind, **asdict(settings)}}
        save_tracks(with_points(tracks, result.points, result.covariance, note), target)
        files.append({"poses": str(path), "output": str(target), **_figures(tracks, result.points, settings)})
        files[-1] |= result.found or {}
    return {"kind": kind, **asdict(settings), "files": files}


def _check_bones(skeleton: Path, path: Path, tracks: Tracks, kind: str) -> None:
    if kind != "kalman" or tracks.dimensions != 3:
        raise RigposeError(
            "--skeleton", expected="--kind kalman and 3D points, whose bones keep their lengths",
            found=f"--kind {kind}" if kind != "kalman" else f"2D points in {path}",
            remedy="Triangulate first, or leave it out",
        )  # fmt: skip
    load_skeleton(skeleton, tracks.keypoints)


def _check_index(path: Path, tracks: Tracks) -> None:
    if (np.diff(tracks.index) <= 0).any():
        raise not_poses(path, "rows whose frame numbers do not grow")


def _figures(tracks: Tracks, points: np.ndarray[Any, np.dtype[np.float64]], settings: FilterSettings) -> Any:
    measured = tracks.sure(settings.cutoff)
    there = np.isfinite(points).all(axis=2)
    moved = np.linalg.norm(points - tracks.points, axis=2)[measured & there]
    return {
        "rows": len(points), "measured": int(measured.sum()), "filtered": int((measured & there).sum()),
        "bridged": int((~measured & there).sum()), "left_out": int((~there).sum()),
        f"moved_median_{tracks.unit}": float(np.median(moved)) if moved.size else None,
        f"moved_p99_{tracks.unit}": float(np.quantile(moved, 0.99)) if moved.size else None,
    }  # fmt: skip
