"""Who teaches: a trained run, or files of predictions, ours or DeepLabCut's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import load_poses
from training.evaluation.predicting import Predict, network_predictor
from training.frames.footage import Footage, View
from training.projects.project import Crop
from training.projects.splits import Split
from training.run import RunSettings, load_network

PREDICTED_AT_ONCE = 8


class Teacher(Protocol):
    """What labels frames."""

    def knows(self, footage: Footage) -> bool:
        """Whether it can say anything of this video or recording."""
        ...

    def of(
        self, footage: Footage, instants: npt.NDArray[np.int64]
    ) -> Iterator[tuple[str, Image, npt.NDArray[np.float32]]]:
        """Name, picture and points (K, 3) of every view at these instants.

        Points are x, y px of the picture, which is cropped as the footage is, and a confidence; NaN where it
        says nothing.
        """
        ...


class _Run:
    """A trained run as teacher."""

    def __init__(self, predict: Predict, settings: RunSettings, keypoints: tuple[str, ...]) -> None:
        self._predict = predict
        self._columns = [settings.keypoints.index(name) for name in keypoints]

    def knows(self, footage: Footage) -> bool:
        return True

    def of(
        self, footage: Footage, instants: npt.NDArray[np.int64]
    ) -> Iterator[tuple[str, Image, npt.NDArray[np.float32]]]:
        waiting: list[tuple[str, Image]] = []
        for index, pictures in footage.images(instants):
            waiting += [(_name(v, index), image) for v, image in zip(footage.views, pictures, strict=True)]
            if len(waiting) >= PREDICTED_AT_ONCE:
                yield from self._said(waiting)
                waiting = []
        if waiting:
            yield from self._said(waiting)

    def _said(self, waiting: list[tuple[str, Image]]) -> Iterator[tuple[str, Image, npt.NDArray[np.float32]]]:
        found = self._predict([image for _, image in waiting])[:, self._columns]
        for (name, image), one in zip(waiting, found, strict=True):
            yield name, image, one


class _Files:
    """Files of predictions as teacher, each of the video whose name begins its own."""

    def __init__(self, files: Sequence[Path], keypoints: tuple[str, ...]) -> None:
        self._files = {Path(file): load_poses(file) for file in files}
        self._keypoints = keypoints
        for file, poses in self._files.items():
            if missing := [name for name in keypoints if name not in poses.keypoints]:
                raise RigposeError(
                    file, expected=f"predictions of {', '.join(keypoints)}",
                    found=f"no keypoint '{missing[0]}'", remedy="Give predictions of this project",
                )  # fmt: skip

    def knows(self, footage: Footage) -> bool:
        return all(self._file_of(view) is not None for view in footage.views)

    def _file_of(self, view: View) -> Poses | None:
        for file, poses in self._files.items():  # DeepLabCut's names go on without a separator
            if file.name.startswith((f"{view.folder}DLC", f"{view.folder}.")):
                return poses
        return None

    def of(
        self, footage: Footage, instants: npt.NDArray[np.int64]
    ) -> Iterator[tuple[str, Image, npt.NDArray[np.float32]]]:
        tables = []
        for view in footage.views:
            poses = self._file_of(view)
            assert poses is not None
            row = {int(frame): n for n, frame in enumerate(poses.frame) if frame >= 0}
            columns = [poses.keypoints.index(name) for name in self._keypoints]
            tables.append((row, poses.values[:, columns]))
        for instant, (index, pictures) in zip(instants, footage.images(instants), strict=True):
            for view, image, (row, values) in zip(footage.views, pictures, tables, strict=True):
                number = row.get(int(view.frames[instant]))
                if number is not None:
                    yield _name(view, index), image, _within(values[number], footage.crop)


def _within(values: npt.NDArray[np.float32], crop: Crop | None) -> npt.NDArray[np.float32]:
    """Points (K, 3) of the whole picture in px of its part; NaN for those that lie beside it."""
    if crop is None:
        return values
    x1, x2, y1, y2 = crop
    found = values - np.array([x1, y1, 0], np.float32)
    beside = (found[:, :2] < -0.5) | (found[:, :2] > (x2 - x1 - 0.5, y2 - y1 - 0.5))
    found[beside.any(axis=1)] = np.nan
    return found


def find_teacher(teacher: Sequence[Path], split: Split, keypoints: tuple[str, ...]) -> Teacher:
    """The teacher of these names: one run directory, or files of predictions.

    Raises
    ------
    RigposeError
        If it cannot be read, lacks a keypoint, or is a run that was trained on what `split` holds out.
    """
    runs = [path for path in teacher if Path(path).is_dir()]
    if not runs:
        return _Files(teacher, keypoints)
    if len(teacher) > 1:
        raise RigposeError(
            "--teacher", expected="one run, or files of predictions", found="a run among others",
            remedy="Give the run alone",
        )  # fmt: skip
    network, settings = load_network(runs[0])
    if missing := [name for name in keypoints if name not in settings.keypoints]:
        raise RigposeError(
            runs[0], expected=f"a teacher of {', '.join(keypoints)}", found=f"no keypoint '{missing[0]}'",
            remedy="Give a run of this project",
        )  # fmt: skip
    seen = sorted(set(Split.load(Path(runs[0]) / "split.json").train) & set(split.test))
    if seen:
        raise RigposeError(
            runs[0], expected="a teacher that never saw what is held out",
            found=f"{seen[0]} among its training images ({len(seen)} such)",
            remedy=f"Train with its split: --split {Path(runs[0]) / 'split.json'}",
        )  # fmt: skip
    return _Run(network_predictor(network, settings), settings, keypoints)


def _name(view: View, index: int) -> str:
    return f"{view.folder}/{index}"
