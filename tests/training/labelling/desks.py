"""A small project to label, and edits as a page sends them."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np

from training.labelling.edits import Edit
from training.labelling.journal import JOURNAL_FILE, Journal
from training.labelling.points import Point
from training.labelling.store import LabelStore
from training.projects.project import LABELED_DATA, Project

KEYPOINTS = ("nose", "tail", "left_ear", "right_ear")
SIZE_PX = (64, 48)
_numbers = itertools.count()


def make_project(folder: Path, frames: int = 3, folders: tuple[str, ...] = ("clip",)) -> Project:
    """Frames that nobody has labelled: grey, with a white pixel at (10 + n, 20)."""
    project = Project.create(
        folder, task="mouse", scorer="Ada", keypoints=KEYPOINTS,
        skeleton=(("nose", "tail"), ("left_ear", "right_ear")),
    )  # fmt: skip
    for name in folders:
        project = project.add_labelled_folder(name, size_px=SIZE_PX)
        for number in range(frames):
            image = np.full(SIZE_PX[::-1], 90, np.uint8)
            image[20, 10 + number] = 255
            cv2.imwrite(str(project.root / LABELED_DATA / name / f"img{number:04d}.png"), image)
    return project


def open_store(project: Project) -> LabelStore:
    return LabelStore(project, Journal(project.root / JOURNAL_FILE))


def edit(
    point: Point, keypoint: str = "nose", image: str = "img0000.png", folder: str = "clip", *, seen: int = 0,
    careful: bool = False, name: str = "",
) -> Edit:  # fmt: skip
    return Edit(name or f"edit {next(_numbers)}", (folder, image, keypoint), seen, careful, point)
