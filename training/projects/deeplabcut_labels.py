"""Labels of another DeepLabCut project, of one CSV of it or of all its folders, with their images' names.

A person's labels are in CollectedData. What DeepLabCut's networks proposed (machinelabels, predictions of
images) has a likelihood, and nobody may have looked at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from acquisition.videos.video import IMAGE_SUFFIXES
from deploy.poses_io.deeplabcut_table import read_table
from deploy.poses_io.pandas_h5 import NotAFrame
from training.projects.collected_data import Points, damaged, read_rows_of_animals
from training.projects.label_sources import Frame, Source, find_images
from training.projects.labels import label_files, labelled_folders, read_animals
from training.projects.origins import Origin, PointNote
from training.projects.project import CONFIG_FILE, LABELED_DATA, Project

COLLECTED, MACHINE = "CollectedData_", "machinelabels"


@dataclass(frozen=True, slots=True, eq=False)
class Animal:
    """What a file says of one animal: names of K keypoints, (N, K, 2) px, likelihoods (N, K) of a network."""

    keypoints: tuple[str, ...]
    points: Points
    scores: Points | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """One file: the images of its N rows as it names them, its animals, and whether a person placed them."""

    path: Path
    images: tuple[str, ...]
    animals: tuple[Animal, ...]
    by_person: bool = True


def is_deeplabcut(path: Path) -> bool:
    """Whether a file is DeepLabCut's config.yaml or one of its CSVs."""
    if path.name == CONFIG_FILE:
        return path.is_file()
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        head = [file.readline().lower() for _ in range(4)]
    return all(any(word in line for line in head) for word in ("scorer", "coords"))


def load_files(path: Path) -> tuple[list[LabelFile], list[str]]:
    """The label files that a CSV or a config.yaml stands for; and a line for each folder left out.

    Raises
    ------
    RigposeError
        If one is damaged, or of another scorer, if its h5 says something else, or if there is none.
    """
    if path.name != CONFIG_FILE:
        return [_load_csv(path)], []
    project = Project.open(path)
    files, left_out = [], []
    for folder in labelled_folders(project):
        animals = read_animals(project, folder)
        if animals:
            images = next(iter(animals.values())).images
            those = tuple(Animal(labels.keypoints, labels.points) for labels in animals.values())
            files.append(LabelFile(label_files(project, folder)[0], images, those))
        elif machine := sorted((project.root / LABELED_DATA / folder).glob(f"{MACHINE}-*.csv")):
            left_out.append(f"{folder} has no labels of a person: give {machine[-1]} for its proposals")
    if not files:
        raise RigposeError(
            path, expected=f"{COLLECTED}{project.scorer}.csv or .h5 in folders of {LABELED_DATA}",
            found=left_out[0] if left_out else "none", remedy="Give a file of labels itself",
        )  # fmt: skip
    return files, left_out


def keypoints_of(files: Sequence[LabelFile]) -> list[str]:
    """All keypoints of the files, each once."""
    return list(dict.fromkeys(name for file in files for animal in file.animals for name in animal.keypoints))


def group_rows(
    files: Sequence[LabelFile], keypoints: Sequence[str], videos: Path | None
) -> tuple[list[Source], list[str]]:
    """The labelled rows by the folder of their images; and the names of images that are gone.

    Parameters
    ----------
    videos:
        Where to look for images that are no longer where the file says, nor beside it.

    Raises
    ------
    RigposeError
        If a row has several animals, or if a folder is not to be found with any of its images.
    """
    sources: list[Source] = []
    gone: list[str] = []
    for file in files:
        frames = {
            image: made
            for row, image in enumerate(file.images)
            if (made := _frame(file, row, keypoints)) is not None
        }
        found, missing = find_images(file.images, frames, file.path, videos)
        gone += missing
        in_place: dict[Path, Source] = {}
        for image, place in found.items():
            source = in_place.setdefault(place.parent, Source(place.parent.name))
            source.images[frames[image].number] = place
            source.frames.append(frames[image])
        sources += in_place.values()
    return sources, gone


def _load_csv(path: Path) -> LabelFile:
    images, animals = read_rows_of_animals(path)
    for image in images:
        if Path(image).suffix.lower() not in IMAGE_SUFFIXES:
            raise RigposeError(
                path, expected="rows that name images", found=f"'{image}'",
                remedy="For frames of a video that a network is unsure of: rigpose refine find",
            )  # fmt: skip
    if twice := [image for image, count in Counter(images).items() if count > 1]:
        raise RigposeError(
            path, expected="each image once", found=f"{twice[0]} twice", remedy="Remove one row"
        )
    table = read_table(path)
    # a likelihood that was left standing in CollectedData is no sign of a machine: DeepLabCut trains on it
    by_person = path.name.startswith(COLLECTED) or not (
        path.name.startswith(MACHINE) or "likelihood" in table.coords
    )
    those = []
    for individual, (names, points) in animals.items():
        scores = None
        if not by_person and "likelihood" in table.coords:
            try:
                scores = table.points(("likelihood",), individual)[..., 0]
            except NotAFrame as error:
                raise damaged(path, str(error)) from None
        those.append(Animal(names, points, scores))
    return LabelFile(path, tuple(images), tuple(those), by_person)


def _frame(file: LabelFile, row: int, keypoints: Sequence[str]) -> Frame | None:
    """What a row says of the project's keypoints; None where it says nothing."""
    seen = [animal for animal in file.animals if np.isfinite(animal.points[row]).any()]
    if len(seen) > 1:
        raise RigposeError(
            file.path, expected="one animal in each image", found=f"{len(seen)} in {file.images[row]}",
            remedy="rigpose trains networks for a single animal for now: label one animal a project",
        )  # fmt: skip
    points = np.full((len(keypoints), 2), np.nan)
    notes: dict[str, PointNote] = {}
    for animal in seen:
        for index, (name, at) in enumerate(zip(animal.keypoints, animal.points[row], strict=True)):
            if name not in keypoints or not np.isfinite(at).all():
                continue
            if file.by_person:
                points[keypoints.index(name)] = at
                notes[name] = PointNote(Origin.CLICKED, file.path.name)
                continue
            score = float("nan") if animal.scores is None else float(animal.scores[row, index])
            notes[name] = PointNote(
                Origin.UNREVIEWED, file.path.name, at_px=(float(at[0]), float(at[1])),
                confidence=score if np.isfinite(score) else None,
            )  # fmt: skip
    return Frame(row, points, notes) if notes else None
