"""DeepLabCut's 3D points: `<prefix>_DLC_3D.h5` or `.csv`, columns (scorer DLC_3D, bodyparts, coords x y z).

Here in mm of the calibration's world; DeepLabCut's own are in squares of the first camera's rectified frame.
Rows are frames; a frame set that no file has is an empty row, because DeepLabCut's tools count rows.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.poses_io.write_h5 import write_frame
from deploy.whole_file import whole_file

ENDING = "_DLC_3D"
SCORER = "DLC_3D"
AXES = ("x", "y", "z")


def is_deeplabcut_3d(path: Path) -> bool:
    """Whether a file's name is that of DeepLabCut's 3D points."""
    return path.suffix.lower() in {".h5", ".csv"} and path.stem.endswith(ENDING)


def save_deeplabcut_3d(
    path: Path, keypoints: tuple[str, ...], points: npt.NDArray[np.float32], index: npt.NDArray[np.int64]
) -> None:
    """Write points (T, K, 3 or more), mm, of frame sets `index` (T,); NaN becomes an empty cell.

    Raises
    ------
    RigposeError
        For an h5, where pandas or PyTables is not installed.
    """
    rows = np.full((int(index[-1]) + 1 if len(index) else 0, len(keypoints) * 3), np.nan)
    rows[index] = points[..., :3].reshape(len(index), -1)
    if path.suffix.lower() == ".csv":
        _save_csv(path, keypoints, rows)
        return
    try:
        import pandas
        import tables  # noqa: F401
    except ModuleNotFoundError as error:
        raise RigposeError(
            path, expected="pandas and PyTables, which h5 needs", found=str(error),
            remedy="pip install 'rigpose[train]', or use the CSV, which holds the same",
        ) from None  # fmt: skip
    columns = pandas.MultiIndex.from_product(
        [[SCORER], list(keypoints), list(AXES)], names=["scorer", "bodyparts", "coords"]
    )
    columns = columns.set_levels([level.astype(object) for level in columns.levels])
    with whole_file(path) as temporary:
        write_frame(pandas.DataFrame(rows, columns=columns), temporary)


def _save_csv(path: Path, keypoints: tuple[str, ...], rows: npt.NDArray[np.float64]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["scorer", *[SCORER] * (3 * len(keypoints))])
    writer.writerow(["bodyparts", *(name for name in keypoints for _ in AXES)])
    writer.writerow(["coords", *AXES * len(keypoints)])
    for number, row in enumerate(rows.tolist()):
        writer.writerow([number, *("" if value != value else value for value in row)])
    with whole_file(path) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")
