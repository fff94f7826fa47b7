"""One CollectedData file: its rows as they stand there, and the content of a new one.

Both layouts of the CSV (one path column, or three index columns) and of the h5 (PyTables *table* and
*fixed*) are read. The CSV is written in the new layout, the h5 in the *fixed* one, because a *table* with
two-level columns written by pandas 3 cannot be read by pandas 2.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.poses_io.deeplabcut_table import DeepLabCutTable, read_table
from deploy.poses_io.pandas_h5 import KEY, NotAFrame
from training.projects.project import Project

Points = npt.NDArray[np.float64]


def read_rows(project: Project, path: Path) -> tuple[list[str], Points]:
    """The names of a file's rows, and its points (N, K, 2) px in the order of the project's keypoints.

    Half a label is none. What the rows name is not looked at.

    Raises
    ------
    RigposeError
        If the file is damaged, of several animals, or of another scorer or other keypoints.
    """
    table = _read(path)
    if table.individuals:
        raise RigposeError(
            path, expected="labels of a single animal", found="a row of individuals",
            remedy="rigpose trains single-animal projects; track one animal per project",
        )  # fmt: skip
    if strange := sorted(set(table.scorers) - {project.scorer}):
        raise RigposeError(
            path, expected=f"the project's scorer '{project.scorer}' in its columns", found=f"'{strange[0]}'",
            remedy="DeepLabCut would skip this folder: rename the scorer in the file or in config.yaml",
        )  # fmt: skip
    if unknown := [name for name in table.keypoints() if name not in project.keypoints]:
        raise RigposeError(
            path, expected=f"the project's keypoints {', '.join(project.keypoints)}",
            found=f"the unknown keypoint '{unknown[0]}'", remedy="Rename it, or add it to bodyparts",
        )  # fmt: skip
    points = np.full((len(table.rows), len(project.keypoints), 2), np.nan)
    points[:, [project.keypoints.index(name) for name in table.keypoints()]] = _points(table, path)
    return table.rows, points


def read_rows_of_animals(path: Path) -> tuple[list[str], dict[str, tuple[tuple[str, ...], Points]]]:
    """The names of a file's rows, and by individual ("" in a file of one animal) its keypoints and points.

    Keypoints are in the file's order; unique ones belong to the individual `single`. Raises `RigposeError`.
    """
    table = _read(path)
    animals = table.individuals or ("",)
    return table.rows, {a: (table.keypoints(a), _points(table, path, a)) for a in animals}


def csv_bytes(project: Project, rows: Sequence[tuple[str, ...]], values: Points) -> bytes:
    """The content of a CSV.

    Parameters
    ----------
    rows:
        `labeled-data`, folder, file; N of them.
    values:
        (N, 2K) px in the order of the project's keypoints, NaN where there is no label.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    twice = [name for name in project.keypoints for _ in range(2)]
    writer.writerow(["scorer", "", "", *[project.scorer] * len(twice)])
    writer.writerow(["bodyparts", "", "", *twice])
    writer.writerow(["coords", "", "", *["x", "y"] * len(project.keypoints)])
    for row, cells in zip(rows, values, strict=True):
        writer.writerow([*row, *("" if np.isnan(cell) else repr(float(cell)) for cell in cells)])
    return stream.getvalue().encode()


def h5_bytes(project: Project, rows: Sequence[tuple[str, ...]], values: Points) -> bytes:
    """The content of an h5, of what `csv_bytes` takes."""
    import pandas

    columns = pandas.MultiIndex.from_product(
        [[project.scorer], list(project.keypoints), ["x", "y"]], names=["scorer", "bodyparts", "coords"]
    )
    # Indices of plain Python strings: pandas 2 does not know the string type that pandas 3 would choose.
    columns = columns.set_levels([level.astype(object) for level in columns.levels])
    index = pandas.MultiIndex.from_tuples(list(rows), names=[None] * 3)
    index = index.set_levels([level.astype(object) for level in index.levels])
    frame = pandas.DataFrame(values, index=index, columns=columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.h5"
        frame.to_hdf(path, key=KEY, format="fixed", mode="w")
        return path.read_bytes()


def damaged(path: Path, found: str) -> RigposeError:
    """The error of a file that should hold labels."""
    return RigposeError(
        path, expected="a CollectedData file", found=found, remedy="Restore it from a copy or label again"
    )


def _read(path: Path) -> DeepLabCutTable:
    try:
        return read_table(path)
    except NotAFrame as error:
        raise damaged(path, str(error)) from None


def _points(table: DeepLabCutTable, path: Path, individual: str = "") -> Points:
    """(N, K, 2) px of one animal; half a label is none. Stray likelihoods are passed over."""
    try:
        points = table.points(("x", "y"), individual)
    except NotAFrame as error:
        raise damaged(path, str(error)) from None
    if strange := set(table.coords) - {"x", "y", "likelihood"}:
        raise damaged(path, f"the coordinate {min(strange)}")
    points[~np.isfinite(points).all(axis=2)] = np.nan
    return points
