"""A pandas frame in an h5 file, read without pandas, PyTables, or executing anything in the file.

PyTables pickles what HDF5 has no type for, and unpickles it when the file is opened or an attribute is
looked at: an h5 from a stranger could run anything there. Here h5py reads, which unpickles nothing, and
pickled lists of names are read by `acquisition.plain_pickle`. One pickle anywhere in the frame that would
run something, and the whole file is refused: DeepLabCut would run it.

Layouts (pandas/io/pytables.py, pandas 1 to 3). *fixed*: group `axis0` the columns, `axis1` the rows, each
either one array or, as `multi`, `level<i>` with the names and `label<i>` with the index into them;
`block<j>_items` and `block<j>_values`. *table*: one table with a field `index` and one field
`values_block_<j>`, whose columns are listed in the attribute `values_block_<j>_kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.plain_pickle import Damaged, NotPlain, read_plain_pickle

KEY = "df_with_missing"

Column = tuple[str, ...]


class NotAFrame(ValueError):
    """A file that holds no frame of numbers that could be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A table of numbers with names.

    Attributes
    ----------
    levels:
        Names of the column levels.
    columns:
        One name a level, for each of C columns.
    rows:
        One or more parts, for each of N rows.
    values:
        float64 (N, C), NaN where empty.
    """

    levels: tuple[str, ...]
    columns: list[Column]
    rows: list[Column]
    values: npt.NDArray[np.float64]


def read_frame(path: Path) -> Frame:
    """The frame `df_with_missing` of an h5 file, or the only one in it.

    Raises
    ------
    NotAFrame
        If the file is damaged, holds no such frame, or a pickle that would run something.
    RigposeError
        Where h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise RigposeError(
            path, expected="h5py, which h5 needs", found=str(error),
            remedy="pip install 'rigpose[train]', or use the CSV, which holds the same",
        ) from None  # fmt: skip
    try:
        with h5py.File(path, "r", locking=False) as file:
            group = file.get(KEY)
            if group is None:
                frames = [node for node in file.values() if "pandas_type" in node.attrs]
                if len(frames) != 1:
                    raise NotAFrame(f"no {KEY} in it")
                group = frames[0]
            _refuse_programs(file, group)
            kind = _text(group, "pandas_type")
            if kind == "frame":
                return _fixed(group)
            if kind == "frame_table":
                return _table(group)
            raise NotAFrame(f"a pandas object of the kind {kind!r}")
    except NotAFrame:
        raise
    except NotPlain as error:
        raise NotAFrame(str(error)) from None
    except Exception as error:  # h5py raises a dozen kinds for a damaged file
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "plugin" in words or "filter" in words:
            words = "compressed by other means than zlib; write it again without compression"
        raise NotAFrame(f"one that does not read ({words})") from None


def _refuse_programs(file: Any, group: Any) -> None:
    """Look at every pickle that PyTables would execute on the way to this frame."""

    def look(_: str, node: Any) -> None:
        for name in node.attrs:
            try:
                _attribute(node, name)
            except Damaged:  # a pickle of an older Python, or of a class: unread here, and no danger
                continue
            except NotPlain as error:
                raise NotAFrame(f"{error} (attribute {name} of {node.name})") from None

    look("", file)
    look("", group)
    group.visititems(look)


def _attribute(node: Any, name: str) -> Any:
    """An attribute as PyTables would give it (its rule: text that ends with a dot may be a pickle)."""
    value = node.attrs.get(name)
    if isinstance(value, bytes):
        if len(value) > 1 and value.endswith(b"."):
            try:
                return read_plain_pickle(bytes(value))
            except Damaged:
                pass
        return value.decode("utf-8", "replace")
    return value


def _text(node: Any, name: str) -> str:
    value = _attribute(node, name)
    return value if isinstance(value, str) else ""


def _array(node: Any) -> Any:
    """A dataset as it was before it was written; pandas writes arrays of objects as one pickle."""
    import h5py

    shape = _attribute(node, "shape")
    if isinstance(shape, tuple):  # pandas puts something in the place of an empty array
        return np.empty(shape)
    if h5py.check_vlen_dtype(node.dtype) is not None:
        values = read_plain_pickle(bytes(node[0]))
        if not isinstance(values, np.ndarray):
            raise NotAFrame("an array that is none")
    else:
        values = node[()]
    return values.T if node.attrs.get("transposed", False) else values


def _names(values: Any) -> list[str]:
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in np.asarray(values).tolist()]


def _axis(group: Any, key: str) -> tuple[tuple[str, ...], list[Column]]:
    """Names of the levels, and the parts of every name, of an axis in the fixed layout."""
    if _text(group, f"{key}_variety") != "multi":
        node = group[key]
        return (_text(node, "name"),), [(name,) for name in _names(_array(node))]
    levels, parts = [], []
    for level in range(int(group.attrs[f"{key}_nlevels"])):
        node = group[f"{key}_level{level}"]
        names = np.array([*_names(_array(node)), ""], dtype=object)  # -1 is a missing name
        levels.append(_text(node, "name"))
        parts.append(names[np.asarray(_array(group[f"{key}_label{level}"]), np.intp)].tolist())
    return tuple(levels), list(zip(*parts, strict=True))


def _fixed(group: Any) -> Frame:
    levels, columns = _axis(group, "axis0")
    _, rows = _axis(group, "axis1")
    values = np.full((len(rows), len(columns)), np.nan)
    place = {column: index for index, column in enumerate(columns)}
    for block in range(int(group.attrs["nblocks"])):
        _, items = _axis(group, f"block{block}_items")
        content = np.asarray(_array(group[f"block{block}_values"]), np.float64).T
        values[:, [place[item] for item in items]] = content.reshape(len(rows), len(items))
    return Frame(levels, columns, rows, values)


def _table(group: Any) -> Frame:
    if _attribute(group, "index_cols") != [(0, "index")]:
        raise NotAFrame("a table with rows of a kind unknown here")
    table = group["table"]
    ((_, named),) = _attribute(group, "non_index_axes")
    columns = [_column(name) for name in named]
    names = (_attribute(group, "info") or {}).get(1, {}).get("names")
    content = table[()]
    rows: list[Column] = [(name,) for name in _names(content["index"])]
    values = np.full((len(rows), len(columns)), np.nan)
    place = {column: index for index, column in enumerate(columns)}
    for field in _attribute(group, "values_cols"):
        items = [_column(name) for name in _attribute(table, f"{field}_kind")]
        values[:, [place[item] for item in items]] = content[field].reshape(len(rows), len(items))
    return Frame(tuple(str(name) for name in names or ()), columns, rows, values)


def _column(name: Any) -> Column:
    return tuple(str(part) for part in name) if isinstance(name, tuple) else (str(name),)
