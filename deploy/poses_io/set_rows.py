"""The frame sets that rows of a pose file belong to, where the file does not say, or to none.

A recording that was analysed with one row a frame has frames of no set (index -1). Its CSV and h5 have no
column for the set: the column file beside them has.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from deploy.poses_io.columns import META_SUFFIX, SUFFIX, load_columns
from deploy.poses_io.poses import Poses

_WITHOUT_SETS = (".csv", ".h5")
_FILTERED = "_filtered"


def of_sets(poses: Poses) -> Poses:
    """The rows that belong to a frame set."""
    there = poses.index >= 0
    if there.all():
        return poses
    return replace(
        poses, values=poses.values[there], frame=poses.frame[there], index=poses.index[there],
        t_exposure_ns=poses.t_exposure_ns[there],
    )  # fmt: skip


def with_sets(path: Path, poses: Poses) -> Poses:
    """Poses read from `path` with the frame set of each row, those of none left out.

    The sets of a CSV or h5 are those of the column file beside it.

    Raises
    ------
    RigposeError
        If its rows are frames of a recording and nothing says which sets they belong to.
    """
    if path.suffix not in _WITHOUT_SETS:
        return of_sets(poses)
    stem = path.with_suffix("").name.removesuffix(_FILTERED)
    columns, meta = path.with_name(stem + SUFFIX), path.with_name(stem + META_SUFFIX)
    if columns.is_file():
        beside = load_columns(columns)
        if len(beside.index) == len(poses.index):
            return of_sets(replace(poses, index=beside.index, about={**beside.about, **poses.about}))
        about = beside.about
    else:
        about = _about(meta)
    if about.get("rows") == "frames" and about.get("camera") is not None:
        raise RigposeError(
            path, expected="the frame set of every row", found="rows that are frames of a recording",
            remedy=f"Give {columns.name}, or analyse it again with --rows sets",
        )  # fmt: skip
    return of_sets(poses)


def _about(meta: Path) -> dict[str, Any]:
    """What the meta file of an analysis says of its poses; nothing where there is none."""
    try:
        about = json.loads(meta.read_text(encoding="utf-8"))["about"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return about if isinstance(about, dict) else {}
