"""Keypoints over time as filters, charts and measurements see them: 2D or 3D, whatever file they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.offline.live_sets import recorded_rows
from deploy.poses_io.anipose_csv import Poses3D, is_anipose_csv, load_anipose_csv, save_anipose_csv
from deploy.poses_io.columns import SUFFIX, save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.pose_table import SUFFIX as TABLE_SUFFIX
from deploy.poses_io.pose_table import read_pose_table
from deploy.poses_io.poses import Poses, not_poses
from deploy.poses_io.readers import READERS, load_poses
from deploy.poses_io.set_rows import tell_beside, with_sets

Floats = npt.NDArray[np.float64]

# The upper triangle of a covariance among the columns of 3D points.
_TRIANGLE = np.array([[3, 4, 5], [4, 6, 7], [5, 7, 8]])
_SCORER_UNKNOWN = "rigpose"
# A table beside a recording is never written again: what is made of one is a CSV.
WRITTEN_AS = {TABLE_SUFFIX: ".csv", ".slp": ".csv"}


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """K keypoints over T instants in D dimensions.

    Attributes
    ----------
    keypoints:
        Names.
    index:
        int64 (T,): numbers of the frames or frame sets.
    points:
        float64 (T, K, D): D = 2 px, or D = 3 mm; NaN where there is none.
    confidence:
        float64 (T, K), 0..1; NaN where not known.
    covariance:
        float64 (T, K, 3, 3) mm^2 of 3D points, NaN where not known; None in 2D.
    source:
        What was read. Of 2D poses it may have rows of no frame set (index -1) besides.
    """

    keypoints: tuple[str, ...]
    index: npt.NDArray[np.int64]
    points: Floats
    confidence: Floats
    covariance: Floats | None
    source: Poses | Poses3D

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.points.shape[2])

    @property
    def unit(self) -> str:
        """Of the points: px or mm."""
        return "mm" if self.dimensions == 3 else "px"

    def sure(self, cutoff: float) -> npt.NDArray[np.bool_]:
        """bool (T, K): where there is a point of at least this confidence (an unknown one counts)."""
        with np.errstate(invalid="ignore"):
            doubtful = self.confidence < cutoff
        there: npt.NDArray[np.bool_] = np.isfinite(self.points).all(axis=2) & ~doubtful
        return there


def load_tracks(path: Path | str) -> Tracks:
    """2D poses of any format in `READERS`; 3D points of an Anipose CSV, or of a live session's `.poses`.

    Rows of a recording's frames that belong to no frame set are left out.

    Raises
    ------
    RigposeError
        If the file is missing, damaged, of another kind, or a table of a session that had no 3D points; if
        nothing says which frame sets the rows of a recording's frames belong to.
    """
    path = Path(path)
    if path.suffix == TABLE_SUFFIX:
        return _spatial(_of_table(path))
    if path.suffix == ".csv" and is_anipose_csv(path):
        return _spatial(load_anipose_csv(path))
    read = load_poses(path)
    poses = with_sets(path, read)
    both = poses.values.astype(np.float64)
    # In a CSV or h5 a row is known by its number: those that are left out are empty in what is made of it.
    source = poses if path.name.endswith(SUFFIX) else read
    return Tracks(poses.keypoints, poses.index, both[..., :2], both[..., 2], None, source)


def _spatial(points: Poses3D) -> Tracks:
    values = points.points.astype(np.float64)
    return Tracks(
        points.keypoints, points.index, values[..., :3], points.scores.astype(np.float64),
        values[..., _TRIANGLE], points,
    )  # fmt: skip


def _of_table(path: Path) -> Poses3D:
    """3D points as the tracker measured them."""
    table = read_pose_table(path)
    index, records = recorded_rows(path, table)
    points = records["pose3d"]
    if len(points) and not np.isfinite(points[..., :3]).any():
        raise not_poses(path, "a table without 3D points: the session had no calibration")
    scores = np.full(points.shape[:2], np.nan, np.float32)
    return Poses3D(table.keypoints, points, index, scores)


def with_points(tracks: Tracks, points: Floats, covariance: Floats | None, note: dict[str, object]) -> Tracks:
    """The same tracks with other points; what else their file holds stays.

    Parameters
    ----------
    covariance:
        Of the new points, float64 (T, K, 3, 3); None keeps the old one. Only 3D files hold any.
    note:
        What was done to them; only the column file has room for it.
    """
    if isinstance(tracks.source, Poses3D):
        values = tracks.source.points.copy()
        values[..., :3] = points
        if covariance is not None:
            values[..., _TRIANGLE] = covariance
        gone = ~np.isfinite(points).all(axis=2)
        values[gone, :9] = np.nan
        return replace(
            tracks, points=points, source=replace(tracks.source, points=values),
            covariance=values[..., _TRIANGLE].astype(np.float64),
        )  # fmt: skip
    both = tracks.source.values.copy()
    there = tracks.source.index >= 0
    both[~there] = np.nan
    both[there, :, :2] = points
    about = {**tracks.source.about, **note}
    return replace(tracks, points=points, source=replace(tracks.source, values=both, about=about))


def save_tracks(tracks: Tracks, path: Path) -> None:
    """Write tracks into a file of the kind its name says, whole or not at all. Raises `RigposeError`."""
    source = tracks.source
    if isinstance(source, Poses3D):
        save_anipose_csv(path, source.keypoints, source.points, source.index, source.scores)
    elif path.name.endswith(SUFFIX):
        save_columns(source, path)
    else:
        save = save_h5 if path.suffix == ".h5" else save_csv
        save(source, str(source.about.get("scorer") or _SCORER_UNKNOWN), path)
        tell_beside(path, source)


def stem_and_ending(path: Path) -> tuple[str, str]:
    """A pose file's name in two: `m4s1DLC_x` and `.poses.npz`."""
    for ending in (*READERS, TABLE_SUFFIX):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending), ending
    return path.stem, path.suffix


def plan_outputs(
    paths: Sequence[Path], mark: str, output: Path | None, overwrite: bool, ending: str | None = None
) -> list[Path]:
    """`X<mark><ending>` for each file, checked before work starts.

    Parameters
    ----------
    output:
        A folder; None: beside each input.
    ending:
        With its dot; None: that of the input.

    Raises
    ------
    RigposeError
        None given; an input that is missing or has the mark already; an output that exists, or that two
        would write.
    """
    if not paths:
        raise RigposeError("poses", expected="files of poses", found="none", remedy="Name at least one")
    claimed: dict[Path, Path] = {}
    for path in paths:
        stem, own = stem_and_ending(path)
        if stem.endswith(mark):
            raise RigposeError(
                path, expected=f"a file without '{mark}' in its name", found="one that was made of another",
                remedy="Give the measured poses",
            )  # fmt: skip
        if not path.is_file():
            raise not_poses(path, "no such file")
        target = (
            path.parent if output is None else output
        ) / f"{stem}{mark}{ending or WRITTEN_AS.get(own, own)}"
        other = claimed.setdefault(target.resolve(), path)
        if other is not path:
            raise RigposeError(
                path, expected="inputs of different names", found=f"the name of {other}, too",
                remedy=f"Both would write {target.name}: give one, or write into different folders",
            )  # fmt: skip
        if target.exists() and not overwrite:
            raise RigposeError(
                target, expected="an output that does not exist yet", found="a file",
                remedy="Give --overwrite to replace it, or another folder after -o",
            )  # fmt: skip
    return [(p.parent if output is None else output) / t.name for p, t in zip(paths, claimed, strict=True)]
