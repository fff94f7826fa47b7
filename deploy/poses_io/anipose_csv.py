"""Anipose's 3D file: a CSV with `<keypoint>_x, _y, _z, _error, _ncams, _score` and, last, `fnum`.

Lengths are in the calibration's unit, here mm; `_error` is the reprojection error in px, `_ncams` the
number of views used, `_score` the mean confidence of those views (empty where not known). Anipose
reads columns by name, so ours for the covariance, `<keypoint>_cov_xx ... _cov_zz` in mm^2, stand after
`fnum` and disturb nobody. A keypoint's name may itself hold underscores.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.poses import POSE3D_COLUMNS
from deploy.poses_io.poses import not_poses
from deploy.whole_file import whole_file

_PLAIN = {"x": 0, "y": 1, "z": 2, "error": 10, "ncams": 9}
_COVARIANCE = {f"cov_{name[:2]}": column for column, name in enumerate(POSE3D_COLUMNS) if "mm2" in name}


@dataclass(frozen=True, slots=True, eq=False)
class Poses3D:
    """3D keypoints over time.

    Attributes
    ----------
    keypoints:
        Names, K of them.
    points:
        float32 (T, K, 11), columns as `calibration.poses.POSE3D_COLUMNS`; NaN where absent.
    index:
        int64 (T,): frame or frame-set numbers.
    scores:
        float32 (T, K): mean confidence of the views used; NaN where not known.
    """

    keypoints: tuple[str, ...]
    points: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def is_anipose_csv(path: Path | str) -> bool:
    """Whether a CSV's header is that of 3D points; False where it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return "fnum" in header and any(name.endswith("_ncams") for name in header)


def save_anipose_csv(
    path: Path | str,
    keypoints: tuple[str, ...],
    points: npt.NDArray[np.float32],
    frames: npt.ArrayLike | None = None,
    scores: npt.ArrayLike | None = None,
) -> None:
    """Write 3D points.

    Parameters
    ----------
    points:
        float32 (T, K, 11), columns as `calibration.poses.POSE3D_COLUMNS`.
    frames:
        (T,) integers for `fnum`, the frame or frame-set numbers; by default 0, 1, 2, ...
    scores:
        (T, K) mean confidence of the views used.
    """
    rows, count = points.shape[:2]
    if points.shape != (rows, len(keypoints), len(POSE3D_COLUMNS)):
        raise ValueError(f"points {points.shape} for {len(keypoints)} keypoints")
    numbers = np.arange(rows) if frames is None else np.asarray(frames)
    score = np.full((rows, count), np.nan) if scores is None else np.asarray(scores, np.float64)
    header = [f"{name}_{part}" for name in keypoints for part in (*_PLAIN, "score")]
    header += ["fnum", *(f"{name}_{part}" for name in keypoints for part in _COVARIANCE)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    plain = np.concatenate([points[:, :, list(_PLAIN.values())], score[:, :, None]], axis=2)
    spread = points[:, :, list(_COVARIANCE.values())]
    for number, left, right in zip(
        numbers.tolist(),
        plain.reshape(rows, count * plain.shape[2]).tolist(),
        spread.reshape(rows, count * spread.shape[2]).tolist(),
        strict=True,
    ):
        writer.writerow([*map(_cell, left), int(number), *map(_cell, right)])
    with whole_file(Path(path)) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")


def load_anipose_csv(path: Path | str) -> Poses3D:
    """3D points of an Anipose file, Anipose's or ours.

    What a file does not hold (Anipose's has no covariance) is NaN, and so is what is infinite.

    Raises
    ------
    RigposeError
        If it is missing, damaged, or not such a file.
    """
    path = Path(path)
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        if not lines:
            raise not_poses(path, "an empty file")
        header = lines[0]
        column = {name: number for number, name in enumerate(header)}
        table = np.array([[float(cell) if cell else np.nan for cell in line] for line in lines[1:]])
        table = table.reshape(len(lines) - 1, len(header))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise not_poses(path, f"one that does not read ({error})") from None
    names = tuple(name.removesuffix("_ncams") for name in header if name.endswith("_ncams"))
    if not names or "fnum" not in column or any(f"{n}_{axis}" not in column for n in names for axis in "xyz"):
        raise not_poses(path, "no columns <keypoint>_x, _y, _z, _ncams and fnum")
    points = np.full((len(table), len(names), len(POSE3D_COLUMNS)), np.nan, np.float32)
    scores = np.full(points.shape[:2], np.nan, np.float32)
    for number, name in enumerate(names):
        if f"{name}_score" in column:
            scores[:, number] = table[:, column[f"{name}_score"]]
        for part, target in (_PLAIN | _COVARIANCE).items():
            if f"{name}_{part}" in column:
                points[:, number, target] = table[:, column[f"{name}_{part}"]]
    points[~np.isfinite(points)] = np.nan  # no place is infinitely far
    index = table[:, column["fnum"]]
    if not np.isfinite(index).all():
        raise not_poses(path, "a row without a number in fnum")
    return Poses3D(names, points, index.astype(np.int64), scores)


def _cell(value: float) -> float | str:
    return "" if value != value else value
