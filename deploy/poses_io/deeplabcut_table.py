"""DeepLabCut's tables, CSV and h5: names over the columns, an image or a frame number before each row.

Labels (CollectedData) and predictions share the form. Over the columns stand scorer, individuals (in
projects of several animals only), bodyparts and coords; x and y, in predictions likelihood too. A row
begins with its name, in one cell, or in newer label files in three: `labeled-data,<folder>,<image>`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.poses_io.pandas_h5 import NotAFrame, read_frame

LEVELS = ("scorer", "bodyparts", "coords")
LEVELS_OF_SEVERAL = ("scorer", "individuals", "bodyparts", "coords")
_THREE_CELLS = "labeled-data"


@dataclass(frozen=True, slots=True, eq=False)
class DeepLabCutTable:
    """A file of labels or predictions.

    Attributes
    ----------
    scorers:
        The names in the scorer row, each once.
    individuals:
        Names of the animals, each once; empty in a file of a single animal.
    columns:
        (individual or "", keypoint, coordinate) of each of C columns, no two alike.
    rows:
        Name of each of N rows, an image's path with `/`, or a frame number.
    values:
        float64 (N, C), NaN where empty.
    """

    scorers: tuple[str, ...]
    individuals: tuple[str, ...]
    columns: list[tuple[str, str, str]]
    rows: list[str]
    values: npt.NDArray[np.float64]

    @property
    def coords(self) -> tuple[str, ...]:
        """The coordinates that occur, in order."""
        return tuple(dict.fromkeys(column[2] for column in self.columns))

    def keypoints(self, individual: str = "") -> tuple[str, ...]:
        """Names of an animal's keypoints, in the file's order."""
        return tuple(dict.fromkeys(name for animal, name, _ in self.columns if animal == individual))

    def points(self, coords: tuple[str, ...], individual: str = "") -> npt.NDArray[np.float64]:
        """(N, K, len(coords)) of one animal. Raises `NotAFrame` where a keypoint lacks one of `coords`."""
        place = {column: index for index, column in enumerate(self.columns)}
        names = self.keypoints(individual)
        wanted = [(individual, name, coord) for name in names for coord in coords]
        if missing := [column for column in wanted if column not in place]:
            raise NotAFrame(f"no {missing[0][2]} of {missing[0][1]}")
        chosen = self.values[:, [place[column] for column in wanted]]
        return chosen.reshape(len(self.rows), len(names), len(coords))


def read_table(path: Path) -> DeepLabCutTable:
    """The table in a `.csv` or `.h5` file.

    Raises
    ------
    NotAFrame
        If the file is damaged or none of DeepLabCut's, with words for a person.
    RigposeError
        Where h5py is not installed.
    """
    if path.suffix == ".csv":
        levels, columns, rows, values = _read_csv(path)
    else:
        frame = read_frame(path)
        levels, columns, values = frame.levels, frame.columns, frame.values
        rows = ["/".join(parts) for parts in frame.rows]
    if levels not in (LEVELS, LEVELS_OF_SEVERAL):
        raise NotAFrame(
            f"columns of {', '.join(levels) or 'no names'}, no header of scorer, bodyparts, coords"
        )
    several = levels == LEVELS_OF_SEVERAL
    named = [(column[1] if several else "", column[-2], column[-1]) for column in columns]
    if len(set(named)) != len(named):
        raise NotAFrame("a keypoint that stands there twice")
    return DeepLabCutTable(
        scorers=tuple(dict.fromkeys(column[0] for column in columns)),
        individuals=tuple(dict.fromkeys(column[0] for column in named)) if several else (),
        columns=named,
        rows=[row.replace("\\", "/") for row in rows],
        values=values,
    )


_Parts = tuple[tuple[str, ...], list[tuple[str, ...]], list[str], npt.NDArray[np.float64]]


def _read_csv(path: Path) -> _Parts:
    """Names of the header rows, names over the columns, names of the rows, values (N, C)."""
    try:
        lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NotAFrame(f"one that does not read ({error})") from None
    titles = [line[0] for line in lines[:4]]
    heads = titles.index("coords") + 1 if "coords" in titles else 0
    if not heads or titles[0] != "scorer":
        raise NotAFrame("no header of scorer, bodyparts, coords")
    width = len(lines[0])
    if any(len(line) != width for line in lines):
        raise NotAFrame("rows of different length")
    header, body = lines[:heads], lines[heads:]
    three = body[0][0] == _THREE_CELLS if body else header[0][1:3] == ["", ""]
    index = 3 if three else 1
    try:
        cells = [[float(cell) if cell.strip() else np.nan for cell in line[index:]] for line in body]
    except ValueError as error:
        raise NotAFrame(str(error)) from None
    values = np.array(cells, np.float64).reshape(len(body), width - index)
    columns = list(zip(*(line[index:] for line in header), strict=True))
    return tuple(titles[:heads]), columns, ["/".join(line[:index]) for line in body], values
