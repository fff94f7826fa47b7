"""What is wrong with a project's labels, and mending what can be mended without losing a person's click.

Never touched: images, points that lie outside their image, rows of which two differ, and a folder whose
CSV and h5 disagree. Everything that is rewritten is copied to `replaced-labels/<number>/` first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import track
from acquisition.videos.video import IMAGE_SUFFIXES
from training.images import read_image
from training.projects.collected_data import Points, read_rows
from training.projects.labels import (
    SAME_WITHIN_PX,
    Labels,
    differences,
    label_files,
    labelled_folders,
    write_labels,
)
from training.projects.origins import FolderNotes, Origin, notes_path, read_notes, write_notes
from training.projects.project import LABELED_DATA, Project

KEPT = "replaced-labels"


class Kind(str, Enum):
    """What can be wrong; the value is what a person reads."""

    UNREADABLE = "label file that does not fit"
    DISAGREEMENT = "CSV and h5 disagree"
    CONFLICT = "image with two different rows"
    STRAY = "row of another folder's image"
    DUPLICATE = "image with two rows"
    NO_IMAGE = "row without an image"
    OTHER_FOLDER = "row that names a folder that is gone"
    ONE_FILE = "CSV or h5 missing"
    NO_POINT = "note without a point"
    BROKEN_IMAGE = "image that does not read"
    OUTSIDE = "point outside its image"
    UNLABELLED = "image without labels"
    SHARED_NAME = "two videos of one name"


# `--fix` mends these; a folder that also has one of the next line keeps its label files as they are.
MENDABLE = frozenset({Kind.DUPLICATE, Kind.NO_IMAGE, Kind.OTHER_FOLDER, Kind.ONE_FILE, Kind.NO_POINT})
PREVENTING = frozenset({Kind.UNREADABLE, Kind.DISAGREEMENT, Kind.CONFLICT, Kind.STRAY})
# Not a fault: these images wait for a person.
HARMLESS = frozenset({Kind.UNLABELLED})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    kind:
        What it is.
    where:
        The image, file or folder, relative to the project.
    detail:
        What was found there; may be empty.
    """

    kind: Kind
    where: str
    detail: str = ""


@dataclass(slots=True)
class FolderCheck:
    """What was found in one folder of labelled images.

    Attributes
    ----------
    folder:
        Its name.
    images:
        Image files in it, sorted.
    rows:
        Image file -> points (K, 2) px, rows of one image taken together.
    notes:
        Notes that belong to a point.
    sizes_px:
        Width and height of the images that read.
    problems:
        In the order of `Kind`.
    """

    folder: str
    images: tuple[str, ...] = ()
    rows: dict[str, Points] = field(default_factory=dict)
    notes: FolderNotes = field(default_factory=dict)
    sizes_px: dict[str, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def mendable(self) -> bool:
        """Whether `mend` would change anything."""
        kinds = {problem.kind for problem in self.problems}
        return bool(kinds & MENDABLE) and not kinds & PREVENTING


def check_project(project: Project) -> list[FolderCheck]:
    """Check every folder of a project of a single animal. Changes nothing.

    Raises
    ------
    RigposeError
        If it is a project of several animals.
    """
    if project.individuals:
        raise RigposeError(
            project.root, expected="a single-animal project",
            found=f"{len(project.individuals)} individuals in config.yaml",
            remedy="Check the labels of several animals in DeepLabCut",
        )  # fmt: skip
    checks = [check_folder(project, folder) for folder in labelled_folders(project)]
    for folder, videos in project.videos_by_folder().items():
        if len(videos) > 1:
            problem = Problem(Kind.SHARED_NAME, f"{LABELED_DATA}/{folder}", " and ".join(videos))
            if all(check.folder != folder for check in checks):
                checks.append(FolderCheck(folder))
            next(check for check in checks if check.folder == folder).problems.append(problem)
    return checks


def check_folder(project: Project, folder: str) -> FolderCheck:
    """Check `labeled-data/<folder>`. Changes nothing."""
    place = project.root / LABELED_DATA / folder
    check = FolderCheck(folder, images=tuple(sorted(_images_in(place))))
    try:
        files = label_files(project, folder)
        read = [_read_rows(project, path, check) for path in files]
        notes = read_notes(project, folder)
    except RigposeError as error:
        check.problems.append(Problem(Kind.UNREADABLE, f"{LABELED_DATA}/{folder}", str(error)))
        files, read, notes = [], [], {}
    if len(read) == 2:
        for line in differences(*(_labels(project, rows) for rows in read)):
            check.problems.append(Problem(Kind.DISAGREEMENT, f"{LABELED_DATA}/{folder}", line))
    elif len(read) == 1:
        missing = files[0].with_suffix(".h5" if files[0].suffix == ".csv" else ".csv")
        check.problems.append(Problem(Kind.ONE_FILE, str(missing.relative_to(project.root))))
    check.rows = read[0] if read else {}
    check.problems = list(dict.fromkeys(check.problems))  # what both files have is one problem
    _look_at_images(project, check)
    _look_at_notes(project, notes, check)
    order = list(Kind)
    check.problems.sort(key=lambda problem: order.index(problem.kind))
    return check


def mend(project: Project, checks: Sequence[FolderCheck]) -> tuple[list[str], Path | None]:
    """Mend what is mendable of what `check_project` has just found.

    Returns
    -------
    What was done, a sentence each, and the folder that holds what was there before.

    Raises
    ------
    RigposeError
        If a folder's CSV and h5 disagree: which of them is right only a person knows. Nothing is done then.
    """
    for check in checks:
        disagreements = [p.detail for p in check.problems if p.kind is Kind.DISAGREEMENT]
        if disagreements:
            raise RigposeError(
                project.root / LABELED_DATA / check.folder, expected="equal labels in its CSV and its h5",
                found=f"{disagreements[0]} ({len(disagreements)} differences)",
                remedy="Move the file that is out of date out of the folder, then mend the rest",
            )  # fmt: skip
    todo = [check for check in checks if check.mendable]
    if not todo:
        return [], None
    kept = _next_number(project.root / KEPT)
    done: list[str] = []
    for check in todo:
        done += _mend_folder(project, check, kept)
    return done, kept


def _mend_folder(project: Project, check: FolderCheck, kept: Path) -> list[str]:
    files = label_files(project, check.folder)
    notes_file = notes_path(project, check.folder)
    copies = kept / LABELED_DATA / check.folder
    copies.mkdir(parents=True)
    for path in (*files, *([notes_file] if notes_file.exists() else [])):
        shutil.copy2(path, copies)
    rows = {file: points for file, points in check.rows.items() if file in check.images}
    if files and {p.kind for p in check.problems} & (MENDABLE - {Kind.NO_POINT}):
        if rows:
            write_labels(project, check.folder, list(rows), np.stack(list(rows.values())))
        else:
            for path in files:
                path.unlink()
    write_notes(project, check.folder, check.notes)
    return [
        f"{problem.where}: {_DONE[problem.kind]}{f' ({problem.detail})' if problem.detail else ''}"
        for problem in check.problems
        if problem.kind in MENDABLE
    ]


_DONE = {
    Kind.DUPLICATE: "its rows are now one", Kind.NO_IMAGE: "its row is taken out",
    Kind.OTHER_FOLDER: "its row names this folder now", Kind.ONE_FILE: "written from the other file",
    Kind.NO_POINT: "its note is taken out",
}  # fmt: skip


def _read_rows(project: Project, path: Path, check: FolderCheck) -> dict[str, Points]:
    """The rows of one label file by image file; rows of one image are laid together."""
    names, points = read_rows(project, path)
    rows: dict[str, Points] = {}
    for name, row in zip(names, points, strict=True):
        parts = name.split("/")
        file = parts[-1]
        where = f"{LABELED_DATA}/{check.folder}/{file}"
        if len(parts) < 2 or parts[-2] != check.folder:
            # A folder that was renamed, or its file copied? Images of two folders have the same names.
            stray = len(parts) > 1 and (project.root / LABELED_DATA / parts[-2]).is_dir()
            check.problems.append(Problem(Kind.STRAY if stray else Kind.OTHER_FOLDER, where, name))
            if stray:
                continue
        if file not in rows:
            rows[file] = row
            continue
        both = np.isfinite(rows[file]) & np.isfinite(row)
        apart = np.abs(rows[file] - row)[both]
        differ = bool(len(apart) and apart.max() > SAME_WITHIN_PX)
        detail = f"up to {apart.max():.2f} px apart" if differ else ""
        check.problems.append(Problem(Kind.CONFLICT if differ else Kind.DUPLICATE, where, detail))
        rows[file] = np.where(np.isfinite(rows[file]), rows[file], row)
    return rows


def _labels(project: Project, rows: Mapping[str, Points]) -> Labels:
    shape = (len(rows), len(project.keypoints), 2)
    return Labels(tuple(rows), project.keypoints, np.array(list(rows.values())).reshape(shape))


def _images_in(place: Path) -> Iterator[str]:
    for path in place.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            yield path.name


def _look_at_images(project: Project, check: FolderCheck) -> None:
    base = f"{LABELED_DATA}/{check.folder}"
    for file in track(check.images, f"look at {check.folder}"):
        try:
            image = read_image(project.root / base / file)
        except RigposeError as error:
            check.problems.append(Problem(Kind.BROKEN_IMAGE, f"{base}/{file}", error.found))
            continue
        check.sizes_px[file] = image.shape[1], image.shape[0]
    for file, points in check.rows.items():
        labelled = np.isfinite(points).all(axis=1)
        if file not in check.images:
            check.problems.append(Problem(Kind.NO_IMAGE, f"{base}/{file}", f"{int(labelled.sum())} points"))
        elif file in check.sizes_px:
            last = np.array(check.sizes_px[file]) - 0.5
            for k in np.flatnonzero(labelled & ((points < -0.5) | (points > last)).any(axis=1)):
                at = f"{project.keypoints[k]} at ({points[k, 0]:.1f}, {points[k, 1]:.1f}) px"
                size = "{}x{}".format(*check.sizes_px[file])
                check.problems.append(Problem(Kind.OUTSIDE, f"{base}/{file}", f"{at} of {size}"))
    for file in check.images:
        if file not in check.rows or not np.isfinite(check.rows[file]).all(axis=1).any():
            check.problems.append(Problem(Kind.UNLABELLED, f"{base}/{file}"))


def _look_at_notes(project: Project, notes: FolderNotes, check: FolderCheck) -> None:
    """Keep the notes that belong to a point, a proposal, or a keypoint that a person found hidden."""
    for file, points in notes.items():
        for keypoint, note in points.items():
            known = file in check.images and keypoint in project.keypoints
            at = check.rows[file][project.keypoints.index(keypoint)] if known and file in check.rows else None
            placed = at is not None and bool(np.isfinite(at).all())
            hidden = note.origin is Origin.CLICKED and note.occluded
            if known and (placed or hidden or note.origin is Origin.UNREVIEWED):
                check.notes.setdefault(file, {})[keypoint] = note
            else:
                where = f"{LABELED_DATA}/{check.folder}/{file}"
                check.problems.append(Problem(Kind.NO_POINT, where, f"{keypoint}, {note.origin.value}"))


def _next_number(base: Path) -> Path:
    number = 1
    while (base / f"{number:03d}").exists():
        number += 1
    return base / f"{number:03d}"
