"""DeepLabCut's splits: `training-datasets/iteration-I/UnaugmentedDataSet_*/Documentation_data-*.pickle`.

A shuffle is stored as row numbers of the CollectedData in the same folder, into which DeepLabCut merges
the labels of all videos whenever it makes a training dataset. Labels added later move the rows, and an
older shuffle then means other images than it did: the images it was made of are named beside the
numbers, and are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.plain_pickle import NotPlain, read_plain_pickle
from acquisition.settings import read_yaml
from deploy.poses_io.deeplabcut_table import read_table
from training.projects.project import CONFIG_FILE, LABELED_DATA, Project

DATASETS = "training-datasets"
_NAME = re.compile(r"Documentation_data-.+_(\d+)shuffle(\d+)\.pickle")


def read_shuffle(path: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A name for people, and the images that train and test, as `labeled-data/<folder>/<file>`.

    Images without any label are left out. Nothing in the pickle is executed.

    Raises
    ------
    RigposeError
        If the file is damaged or no documentation of a shuffle, or if the labels beside it are not those
        it was made of.
    """
    try:
        data, train, test, fraction = read_plain_pickle(path.read_bytes())
        parts = [np.array([index for index in part if index != -1], np.int64) for part in (train, test)]
        known = {_image(entry["image"]) for entry in data}
        name = f"DeepLabCut's {path.stem.removeprefix('Documentation_data-')}, {float(fraction):.0%} train"
    except OSError as error:
        raise _no_shuffle(path, error.strerror or "no such file") from None
    except NotPlain as error:
        raise _no_shuffle(path, str(error)) from None
    except (TypeError, ValueError, KeyError, IndexError):
        raise _no_shuffle(path, "other contents") from None
    images, labelled = _merged(path)
    if any(len(part) and not 0 <= part.min() <= part.max() < len(images) for part in parts):
        raise _changed(path, f"{len(images)} rows")
    chosen = [[images[index] for index in part] for part in parts]
    if strange := sorted(known - set(chosen[0])):
        raise _changed(path, f"{strange[0]} no longer in its place")
    first, second = (tuple(image for image in part if image in labelled) for part in chosen)
    return name, first, second


def find_shuffle(project: Project, number: int) -> Path:
    """The documentation of a shuffle in the project's present iteration, by its number.

    Raises
    ------
    RigposeError
        If there is none, or if it exists for several training fractions of which none is the first in
        config.yaml.
    """
    config = read_yaml(project.root / CONFIG_FILE)
    folder = project.root / DATASETS / f"iteration-{config.get('iteration') or 0}"
    found: dict[int, list[tuple[int, Path]]] = {}
    for path in sorted(folder.glob("*/Documentation_data-*.pickle")):
        if named := _NAME.fullmatch(path.name):
            found.setdefault(int(named[2]), []).append((int(named[1]), path))
    if number not in found:
        raise RigposeError(
            folder, expected=f"shuffle {number}",
            found=f"shuffles {', '.join(map(str, sorted(found)))}" if found else "no shuffles",
            remedy="Give one of them, or a split of your own: --split FILE",
        )  # fmt: skip
    fractions = config.get("TrainingFraction") or []
    first = int(100 * fractions[0]) if fractions else None
    candidates = [path for percent, path in found[number] if len(found[number]) == 1 or percent == first]
    if len(candidates) != 1:
        raise RigposeError(
            folder, expected=f"one shuffle {number}", found=f"{len(found[number])}",
            remedy=f"Choose one: --split {found[number][0][1]}",
        )  # fmt: skip
    return candidates[0]


def _merged(path: Path) -> tuple[list[str], set[str]]:
    """The rows of the CollectedData beside a shuffle, and those of them that have a label."""
    files = sorted(path.parent.glob("CollectedData_*.h5")) or sorted(path.parent.glob("CollectedData_*.csv"))
    if len(files) != 1:
        raise RigposeError(
            path, expected="one CollectedData file beside it, whose rows it numbers", found=f"{len(files)}",
            remedy="Restore the folder, or make the training dataset again",
        )  # fmt: skip
    try:
        table = read_table(files[0])
        images = [_image(row) for row in table.rows]
    except ValueError as error:
        raise RigposeError(
            files[0], expected="a CollectedData file", found=str(error),
            remedy="Make the training dataset again",
        ) from None  # fmt: skip
    return images, {images[row] for row in np.flatnonzero(np.isfinite(table.values).any(axis=1))}


def _image(name: Any) -> str:
    parts: Iterable[str] = name if isinstance(name, tuple) else str(name).replace("\\", "/").split("/")
    folder, file = tuple(parts)[-2:]  # a ValueError where it is no path
    return f"{LABELED_DATA}/{folder}/{file}"


def _no_shuffle(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="the documentation of one of DeepLabCut's shuffles", found=found,
        remedy="Give a Documentation_data-*.pickle of training-datasets, or a split as JSON",
    )  # fmt: skip


def _changed(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="the CollectedData beside it to be what it was made of", found=found,
        remedy="Labels were merged again since: make the shuffle again in DeepLabCut",
    )  # fmt: skip
