"""DeepLabCut's prediction files: `<video><S>.h5` and `<video><S>.csv`, no separator before S.

Columns (scorer = S, bodyparts, coords x y likelihood), float64, rows numbered by frame, h5 key
`df_with_missing`. DeepLabCut stores no time stamps: ours go into the column file beside it.

Traps. DeepLabCut pins pandas 2. An h5 *table* with several column levels that pandas 3 wrote cannot be
read there, so the *fixed* layout is written; and the string type that pandas 3 chooses for the levels
is unknown to pandas 2, so they are plain Python objects. Where the same file name would stand for
another network, DeepLabCut's own result would be lost: S therefore holds our network's name and the
bundle's hash. It begins with `DLC_`, which many tools look for, and has no dot, after which some cut.

pandas and PyTables are not part of an edge install: the CSV needs neither.
"""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from deploy.bundle import Bundle
from deploy.poses_io.poses import Poses, not_poses
from deploy.whole_file import whole_file

H5_KEY = "df_with_missing"
COORDS = ("x", "y", "likelihood")


def scorer_of(bundle: Bundle) -> str:
    """S of a bundle: `DLC_<Network>_<bundle>_rigpose_<first 8 of the hash>`."""
    network = bundle.manifest.provenance.network.title()
    parts = ("DLC", network, bundle.manifest.name, "rigpose", bundle.sha256[:8])
    return "_".join("".join(c for c in part if c.isalnum() or c == "_") for part in parts)


def save_csv(poses: Poses, scorer: str, path: Path | str) -> None:
    """Write the CSV. An empty cell is a missing value."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = len(poses.keypoints) * len(COORDS)
    writer.writerow(["scorer", *[scorer] * columns])
    writer.writerow(["bodyparts", *(name for name in poses.keypoints for _ in COORDS)])
    writer.writerow(["coords", *COORDS * len(poses.keypoints)])
    for row, values in enumerate(_flat(poses).tolist()):
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
    frame = pandas.DataFrame(_flat(poses).astype(np.float64), columns=columns)
    with whole_file(Path(path)) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTables warns of object columns; they are what pandas 2 reads
        frame.to_hdf(temporary, key=H5_KEY, format="fixed", mode="w")


def load_deeplabcut(path: Path | str) -> Poses:
    """Read a CSV or h5 of predictions, DeepLabCut's or ours; labels without likelihood are refused.

    Raises
    ------
    RigposeError
        If it is missing, damaged, of several animals, or not a file of predictions.
    """
    path = Path(path)
    if not path.is_file():
        raise not_poses(path, "no such file")
    header, rows = _read_csv(path) if path.suffix == ".csv" else _read_h5(path)
    if len(header) != 3:
        raise not_poses(path, f"{len(header)} header rows, of several animals perhaps")
    coords = header[2]
    if not coords or coords != list(COORDS) * (len(coords) // 3):
        raise not_poses(path, f"the columns {', '.join(dict.fromkeys(coords)) or '(none)'}")
    names = tuple(header[1][::3])
    if len(set(names)) != len(names):
        raise not_poses(path, "a keypoint that stands there twice")
    return Poses.of_video(names, rows.reshape(len(rows), len(names), 3), {"scorer": header[0][0]})


def _flat(poses: Poses) -> Any:
    return poses.values.reshape(len(poses.values), len(poses.keypoints) * len(COORDS))


def _read_csv(path: Path) -> tuple[list[list[str]], Any]:
    try:
        lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise not_poses(path, f"one that does not read ({error})") from None
    titles = [line[0] for line in lines[:4]]
    heads = titles.index("coords") + 1 if "coords" in titles else 0
    if not heads or titles[0] != "scorer":
        raise not_poses(path, "no header of scorer, bodyparts, coords")
    width = len(lines[0])
    if any(len(line) != width for line in lines):
        raise not_poses(path, "rows of different length")
    try:
        cells = [[float(cell) if cell.strip() else np.nan for cell in line[1:]] for line in lines[heads:]]
    except ValueError as error:
        raise not_poses(path, str(error)) from None
    return [line[1:] for line in lines[:heads]], np.array(cells, np.float64).reshape(-1, width - 1)


def _read_h5(path: Path) -> tuple[list[list[str]], Any]:
    pandas = _pandas(path)
    try:
        frame = pandas.read_hdf(path)
        header = [[str(part) for part in frame.columns.get_level_values(level)] for level in (0, 1, 2)]
        if frame.columns.nlevels != 3:
            header = [[]] * frame.columns.nlevels
        return header, frame.to_numpy(np.float64)
    except Exception as error:  # PyTables and pandas raise a dozen kinds for a damaged file
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise not_poses(path, f"one that does not read ({words})") from None


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
