"""Which images train and which measure. Nothing seen in training may look like what measures.

Frames of one recording that lie close in time look alike, and so do the views of one frame set. A
split therefore deals out whole blocks of consecutive instants, all cameras together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from training.files import read_json, write_json
from training.projects.labels import Labels
from training.projects.project import Project
from training.projects.shuffles import read_shuffle

BLOCKS_PER_FOLD = 4


@dataclass(frozen=True, slots=True)
class Split:
    """A division of a project's labelled images, by their names.

    Attributes
    ----------
    name:
        For people and for tables of results.
    train, test:
        Image names relative to the project.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, {"name": self.name, "train": list(self.train), "test": list(self.test)})

    @classmethod
    def load(cls, path: Path) -> Split:
        """A stored split: JSON, or the pickle of one of DeepLabCut's shuffles. Raises `RigposeError`."""
        path = Path(path)
        if path.suffix == ".pickle":
            split = cls(*read_shuffle(path))
        else:
            content = read_json(path)
            try:
                split = cls(str(content["name"]), tuple(content["train"]), tuple(content["test"]))
            except (KeyError, TypeError) as error:
                raise RigposeError(
                    path, expected="a split: name, train and test", found=f"no {error}",
                    remedy="See split.json in a run directory",
                ) from None  # fmt: skip
        both = sorted(set(split.train) & set(split.test))
        if both:
            raise RigposeError(
                path, expected="no image in both parts", found=both[0], remedy="Remove it from one part"
            )
        return split

    def check(self, labels: Labels, whose: object, part: str) -> None:
        """Refuse, with `RigposeError`, a split of images that are not labelled, or with an empty `part`."""
        known = set(labels.images)
        missing = [name for name in (*self.train, *self.test) if name not in known]
        if missing:
            raise RigposeError(
                whose, expected="labelled images of the project",
                found=f"{missing[0]} ({len(missing)} unknown)", remedy="Make a split of this project",
            )  # fmt: skip
        if not (self.train if part == "train" else self.test):
            raise RigposeError(
                whose, expected=f"images in its {part} part", found=f"none ({self.name})",
                remedy="Label more frames, or give another split",
            )  # fmt: skip


def k_fold(project: Project, labels: Labels, *, folds: int, fold: int, seed: int = 0) -> Split:
    """Fold `fold` (from 0) of `folds`, dealt out in blocks of consecutive instants.

    Raises
    ------
    RigposeError
        If there are fewer instants than folds.
    """
    if not 0 <= fold < folds or folds < 2:
        raise RigposeError(
            "--fold", expected="K/N with 0 <= K < N and N >= 2", found=f"{fold}/{folds}",
            remedy="Give for instance --fold 0/5",
        )  # fmt: skip
    instants = [instant_of(project, name) for name in labels.images]
    distinct = sorted(set(instants))
    if len(distinct) < folds:
        raise RigposeError(
            project.root, expected=f"at least {folds} labelled instants to hold some out",
            found=f"{len(distinct)}", remedy="Label more frames, or give --split FILE",
        )  # fmt: skip
    blocks = np.array_split(np.arange(len(distinct)), min(len(distinct), folds * BLOCKS_PER_FOLD))
    order = np.random.default_rng(seed).permutation(len(blocks))
    held_out = {distinct[i] for position in order[fold::folds] for i in blocks[position]}
    test = [name for name, at in zip(labels.images, instants, strict=True) if at in held_out]
    train = [name for name, at in zip(labels.images, instants, strict=True) if at not in held_out]
    return Split(f"fold {fold} of {folds}, seed {seed}", tuple(train), tuple(test))


def videos(project: Project, images: Sequence[str]) -> tuple[str, ...]:
    """The video each image came from: its recording where known (all cameras are one), else its folder."""
    folders = (name.split("/")[1] for name in images)
    return tuple(project.recordings.get(folder, folder) for folder in folders)


def hold_out_folders(labels: Labels, folders: Sequence[str], project: Project | None = None) -> Split:
    """Whole folders (videos) held out, with all other views of the same recordings where they are known.

    Raises
    ------
    RigposeError
        For a folder without labels.
    """
    by_folder = {name: name.split("/")[1] for name in labels.images}
    for folder in folders:
        if folder not in by_folder.values():
            raise RigposeError(
                f"the folder '{folder}'", expected=f"one of {', '.join(sorted(set(by_folder.values())))}",
                found="no labels by that name", remedy="Check the name",
            )  # fmt: skip
    recordings = project.recordings if project is not None else {}
    held_out = {recordings.get(folder, folder) for folder in folders}
    chosen = {folder for folder in by_folder.values() if recordings.get(folder, folder) in held_out}
    return Split(
        f"held out {', '.join(sorted(chosen))}",
        tuple(name for name in labels.images if by_folder[name] not in chosen),
        tuple(name for name in labels.images if by_folder[name] in chosen),
    )


def leave_one_video_out(project: Project, labels: Labels) -> dict[str, Split]:
    """By video, the split that holds out that video and nothing else.

    Raises
    ------
    RigposeError
        If all labels are of one video.
    """
    of = videos(project, labels.images)
    distinct = sorted(set(of))
    if len(distinct) < 2:
        raise RigposeError(
            project.root, expected="labels of several videos, to leave one out", found=f"one, {distinct[0]}",
            remedy="Give --folds 5 instead, or label frames of another video",
        )  # fmt: skip
    return {
        video: Split(
            f"left out {video}",
            tuple(name for name, its in zip(labels.images, of, strict=True) if its != video),
            tuple(name for name, its in zip(labels.images, of, strict=True) if its == video),
        )
        for video in distinct
    }


def everything(labels: Labels) -> Split:
    """All images train; nothing measures."""
    return Split("nothing held out", labels.images, ())


def instant_of(project: Project, image: str) -> tuple[str, int, str]:
    """The recording and the index in it; a name without a number is an instant of its own."""
    _, folder, file = image.split("/")
    numbers = re.findall(r"\d+", Path(file).stem)
    recording = project.recordings.get(folder, folder)
    return (recording, int(numbers[-1]), "") if numbers else (recording, -1, file)
