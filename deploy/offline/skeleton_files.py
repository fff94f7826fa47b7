"""`X_skeleton.csv` and `.h5` in DeepLabCut's layout, and `X_angles.csv` and `.h5` laid out alike.

Two levels of columns without names, the bone and what of it; rows by frame. h5 is written where pandas
and PyTables are installed, in the fixed layout that pandas 2 reads (`deploy.poses_io.deeplabcut`).
"""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.progress import track
from deploy.offline.skeleton import Measured, load_skeleton, measure_angles, measure_bones
from deploy.offline.tracks import load_tracks, plan_outputs
from deploy.poses_io.write_h5 import write_frame
from deploy.whole_file import whole_file

BONES, ANGLES = "_skeleton", "_angles"


def skeleton_files(
    paths: Sequence[Path], skeleton: Path, *, cutoff: float = 0.0, output: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Measure bones and joint angles in files of poses.

    Returns
    -------
    dict
        `files`: of each what was written, and of every bone (length) and joint (angle) the median, the
        5th and 95th percentile and how many rows had it.

    Raises
    ------
    RigposeError
        A file or skeleton that is missing or of another kind, an output that exists or that two would
        write. Nothing is written then.
    """
    outputs = {mark: plan_outputs(paths, mark, output, overwrite, ending=".csv") for mark in (BONES, ANGLES)}
    for mark in outputs:
        plan_outputs(paths, mark, output, overwrite, ending=".h5")  # written beside
    measured = []
    for path in track(paths, "skeleton"):
        tracks = load_tracks(path)
        bones = load_skeleton(skeleton, tracks.keypoints)
        both = {
            BONES: measure_bones(tracks, bones, cutoff), ANGLES: measure_angles(tracks, bones, cutoff)
        }  # fmt: skip
        measured.append((path, tracks, both))
    files = []
    for number, (path, tracks, both) in enumerate(measured):
        written: list[str] = []
        summary: dict[str, Any] = {}
        for mark, table in both.items():
            if table.columns:
                written += _save(table, tracks.index, outputs[mark][number])
            summary |= _summary(table, tracks.unit)
        files.append({"poses": str(path), "files": written, "rows": len(tracks.index), "measured": summary})
    return {"cutoff": cutoff, "files": files}


def _save(table: Measured, index: npt.NDArray[np.int64], path: Path) -> list[str]:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for level in (0, 1):
        writer.writerow(["", *(column[level] for column in table.columns)])
    for number, row in zip(index.tolist(), table.values.tolist(), strict=True):
        writer.writerow([number, *("" if value != value else value for value in row)])
    with whole_file(path) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")
    if not (importlib.util.find_spec("pandas") and importlib.util.find_spec("tables")):
        return [str(path)]
    import pandas

    columns = pandas.MultiIndex.from_tuples(table.columns)
    columns = columns.set_levels([level.astype(object) for level in columns.levels])
    frame = pandas.DataFrame(table.values, columns=columns, index=index)
    with whole_file(path.with_suffix(".h5")) as temporary:
        write_frame(frame, temporary)
    return [str(path), str(path.with_suffix(".h5"))]


def _summary(table: Measured, unit: str) -> dict[str, Any]:
    units = {"length": f"length_{unit}", "angle": "angle_deg"}
    found: dict[str, Any] = {}
    for (name, part), values in zip(table.columns, table.values.T, strict=True):
        if part in units:
            there = values[np.isfinite(values)]
            middle = np.percentile(there, [50, 5, 95]).tolist() if there.size else [None] * 3
            found[name] = {
                f"{units[part]}_{which}": value
                for which, value in zip(("median", "p5", "p95"), middle, strict=True)
            }
            found[name]["rows"] = int(there.size)
    return found
