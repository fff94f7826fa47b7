"""The points of one folder of frames in memory, from its files and back to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from training.labelling.points import NOTHING, Point, from_files
from training.projects.labels import read_folder, write_labels
from training.projects.origins import notes_path, read_notes, write_notes
from training.projects.project import LABELED_DATA, Project

# What a browser can show.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")

# Names, times and sizes of a folder's label files: whether another program has written them.
Signature = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class Folder:
    """`labeled-data/<name>`.

    Attributes
    ----------
    name:
        Of the folder.
    points:
        Image file name -> the project's keypoints in order.
    rows:
        Images that have a row in CollectedData, labelled or not; they keep it.
    signature:
        Of the label files when they were read or written last.
    """

    name: str
    points: dict[str, list[Point]]
    rows: set[str]
    signature: Signature = field(default=())

    def counts(self, image: str) -> tuple[int, int]:
        """Keypoints of an image that are done, and proposals that wait."""
        points = self.points[image]
        return sum(point.is_done for point in points), sum(point.is_proposal for point in points)


def folders_with_images(project: Project) -> list[str]:
    """Names of the folders in `labeled-data` that hold images."""
    base = project.root / LABELED_DATA
    if not base.is_dir():
        return []
    return sorted(entry.name for entry in base.iterdir() if entry.is_dir() and images_in(entry))


def images_in(place: Path) -> list[str]:
    """Image files of a folder, by name."""
    return sorted(
        entry.name
        for entry in place.iterdir()
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    )


def load_folder(project: Project, name: str) -> Folder:
    """Read images, labels and notes of one folder.

    Raises
    ------
    RigposeError
        If the label files do not fit the project or each other, or name an image that is not there.
    """
    place = project.root / LABELED_DATA / name
    images = images_in(place)
    before = signature(project, name)
    labels, notes = read_folder(project, name), read_notes(project, name)
    rows: dict[str, list[tuple[float, float] | None]] = {}
    if labels is not None:
        for image, points in zip(labels.images, labels.points, strict=True):
            rows[image.rsplit("/", 1)[1]] = [
                (float(xy[0]), float(xy[1])) if np.isfinite(xy).all() else None for xy in points
            ]
    if gone := sorted(set(rows) - set(images)):
        raise RigposeError(
            place, expected="the images that its labels name",
            found=f"no {gone[0]}" + (f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""),
            remedy=f"Put the images back, or remove their rows: rigpose check-labels {project.root} --fix",
        )  # fmt: skip
    nothing: Sequence[None] = [None] * len(project.keypoints)
    return Folder(
        name=name,
        points={
            image: [
                from_files(xy, notes.get(image, {}).get(keypoint))
                for keypoint, xy in zip(project.keypoints, rows.get(image, nothing), strict=True)
            ]
            for image in images
        },
        rows=set(rows),
        signature=before,
    )


def write_folder(
    project: Project, name: str, points: Mapping[str, Sequence[Point]], rows: set[str]
) -> tuple[set[str], Signature]:
    """Write CollectedData (csv and h5) and the notes; returns the rows written and the signature.

    An image has a row if it had one, has a label, or if all its keypoints are known not to be seen (then
    the row is empty). A keypoint's note that belongs to none of the project's keypoints, or to an image
    that is gone, is kept as it is.

    Raises
    ------
    RigposeError
        If an image has been removed.
    OSError
        If the disk is full or may not be written.
    """
    written = {
        image
        for image, row in points.items()
        if image in rows or any(point.is_label for point in row) or all(point.is_done for point in row)
    }
    if written:
        names = sorted(written)
        table = np.array(
            [
                [point.xy if point.is_label else (np.nan, np.nan) for point in points[image]]
                for image in names
            ],
            dtype=np.float64,
        )
        write_labels(project, name, names, table)
    notes = {image: dict(there) for image, there in read_notes(project, name).items()}
    for image, row in points.items():
        kept = {key: note for key, note in notes.get(image, {}).items() if key not in project.keypoints}
        made = {key: point.note() for key, point in zip(project.keypoints, row, strict=True)}
        notes[image] = kept | {key: note for key, note in made.items() if note is not None}
    write_notes(project, name, notes)
    return written, signature(project, name)


def signature(project: Project, name: str) -> Signature:
    """Of the label files as they are now."""
    place = project.root / LABELED_DATA / name
    found = []
    for path in (*label_files(project, name), notes_path(project, name), place):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        # of the folder itself only that it is there: its time changes with every temporary file
        found.append((path.name, status.st_mtime_ns, status.st_size) if path != place else (name, 0, 0))
    return tuple(found)


def label_files(project: Project, name: str) -> tuple[Path, Path]:
    """CollectedData's CSV and h5, whether they are there or not."""
    place = project.root / LABELED_DATA / name
    stem = f"CollectedData_{project.scorer}"
    return place / f"{stem}.csv", place / f"{stem}.h5"


def empty_row(project: Project) -> list[Point]:
    """The points of an image that nobody has labelled."""
    return [NOTHING] * len(project.keypoints)
