"""DeepLabCut's prediction files: `<video><S>.h5` and `<video><S>.csv`, no separator before S.

Columns (scorer = S, bodyparts, coords x y likelihood), float64, rows numbered by frame, h5 key
`df_with_missing`. DeepLabCut stores no time stamps: ours go into the column file beside it.

Traps. DeepLabCut pins pandas 2. An h5 *table* with several column levels that pandas 3 wrote cannot be
read there, so the *fixed* layout is written; and the string type that pandas 3 chooses for the levels
is unknown to pandas 2, so they are plain Python objects. Where the same file name would stand for
another network, DeepLabCut's own result would be lost: S therefore holds our network's name and the
bundle's hash. It begins with `DLC_`, which many tools look for, and has no dot, after which some cut.

pandas and PyTables are not part of an edge install: the CSV needs neither. They only write here;
reading an h5 takes h5py, because pandas would execute what is pickled in it.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.poses_io.deeplabcut_table import read_table
from deploy.poses_io.pandas_h5 import NotAFrame
from deploy.poses_io.poses import Poses, not_poses
from deploy.poses_io.set_rows import of_recording
from deploy.poses_io.write_h5 import write_frame
from deploy.whole_file import whole_file

COORDS = ("x", "y", "likelihood")
_MOST_DIGITS = 9  # of a frame's number; what is longer names something else, a time for instance


def scorer_of(bundle: Bundle) -> str:
    """S of a bundle: `DLC_<Network>_<bundle>_rigpose_<first 8 of the hash>`."""
    network = bundle.manifest.provenance.network.title()
    parts = ("DLC", network, bundle.manifest.name, "rigpose", bundle.sha256[:8])
    return "_".join("".join(c for c in part if c.isalnum() or c == "_") for part in parts)


def is_ours(poses: Poses) -> bool:
    """Whether the scorer is one of `scorer_of`."""
    return re.search(r"_rigpose_[0-9a-f]{8}$", str(poses.about.get("scorer"))) is not None


def save_csv(poses: Poses, scorer: str, path: Path | str) -> None:
    """Write the CSV. An empty cell is a missing value."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = len(poses.keypoints) * len(COORDS)
    writer.writerow(["scorer", *[scorer] * columns])
    writer.writerow(["bodyparts", *(name for name in poses.keypoints for _ in COORDS)])
    writer.writerow(["coords", *COORDS * len(poses.keypoints)])
    for row, values in zip(_row_names(poses).tolist(), _flat(poses).tolist(), strict=True):
        writer.writerow([row, *("" if value != value else value for value in values)])
    with whole_file(Path(path)) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")


def save_h5(poses: Poses, scorer: str, path: Path | str) -> None:
    """Write the h5. Raises `RigposeError` where pandas or PyTables is not installed."""
    pandas = _pandas(path)
    columns = pandas.MultiIndex.from_product(
        [[scorer], list(poses.keypoints), list(COORDS)], names=["scorer", "bodyparts", "coords"]
    )
    columns = columns.set_levels([level.astype(object) for level in columns.levels])
    frame = pandas.DataFrame(_flat(poses).astype(np.float64), index=_row_names(poses), columns=columns)
    with whole_file(Path(path)) as temporary:
        write_frame(frame, temporary)


def load_deeplabcut(path: Path | str) -> Poses:
    """Read a CSV or h5 of predictions, DeepLabCut's or ours; labels without likelihood are refused.

    A row is the frame that it is named by, where all names are numbers that grow (a part of a file was cut
    out). Row n is frame n, from 0, under any other names, and where they are 1, 2, 3 to the end: so R and
    Matlab count.

    Nothing in an h5 is executed (`deploy.poses_io.pandas_h5`).

    Raises
    ------
    RigposeError
        If it is missing, damaged, of several animals, or not a file of predictions.
    """
    path = Path(path)
    if not path.is_file():
        raise not_poses(path, "no such file")
    try:
        table = read_table(path)
        if table.individuals:
            raise not_poses(path, f"a row of individuals: several animals ({', '.join(table.individuals)})")
        if set(table.coords) != set(COORDS):
            raise not_poses(path, f"the columns {', '.join(table.coords) or '(none)'}")
        values = table.points(COORDS)
    except NotAFrame as error:
        raise not_poses(path, str(error)) from None
    poses = Poses.of_video(table.keypoints(), values, {"scorer": table.scorers[0]})
    numbers = _numbers(table.rows)
    return poses if numbers is None else replace(poses, frame=numbers, index=numbers.copy())


def _numbers(names: list[str]) -> npt.NDArray[np.int64] | None:
    """The names of rows as numbers of frames; None where they are none, or count the rows from 1."""
    if not all(name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS for name in names):
        return None
    numbers = np.array([int(name) for name in names], np.int64)
    if (np.diff(numbers) <= 0).any() or np.array_equal(numbers, np.arange(1, len(numbers) + 1)):
        return None
    return numbers


def named_words(poses: Poses) -> str:
    """For an error: that frames of a video were told by the names of rows; empty where row n is frame n."""
    if of_recording(poses) or np.array_equal(poses.frame, np.arange(len(poses.frame))):
        return ""
    return f" (rows named {poses.frame[0]} to {poses.frame[-1]})"


def _row_names(poses: Poses) -> npt.NDArray[np.int64]:
    """Of a video the frames; of a recording, whose column file knows the frames, the rows' own numbers."""
    video = poses.about.get("camera") is None and np.array_equal(poses.frame, poses.index)
    return poses.frame if video else np.arange(len(poses.values))


def _flat(poses: Poses) -> Any:
    return poses.values.reshape(len(poses.values), len(poses.keypoints) * len(COORDS))


def _pandas(path: Path | str) -> Any:
    try:
        import pandas
        import tables  # noqa: F401
    except ModuleNotFoundError as error:
        raise RigposeError(
            path, expected="pandas and PyTables, which h5 needs", found=str(error),
            remedy="pip install 'rigpose[train]', or use the CSV, which holds the same",
        ) from None  # fmt: skip
    return pandas
