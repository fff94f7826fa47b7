"""A project's labels, from the CollectedData files of its folders and back to them.

Every folder has a CSV and an h5 that say the same, as DeepLabCut, napari and others write them
(`training.projects.collected_data`); what they do not hold is in `training.projects.origins`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from training.files import write_bytes
from training.projects.collected_data import Points, csv_bytes, h5_bytes, read_rows, read_rows_of_animals
from training.projects.origins import Origin, read_notes
from training.projects.project import LABELED_DATA, Project

# A label's last digits may differ between decimal text and binary; a person's edit never is this small.
SAME_WITHIN_PX = 1e-3

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labelled images.

    Attributes
    ----------
    images:
        Names relative to the project, `labeled-data/<folder>/<file>`, N of them.
    keypoints:
        Names, K of them.
    points:
        float64 (N, K, 2) px of the image; NaN where there is no label.
    reprojected:
        bool (N, K): placed from the other cameras' views. They train, but an error against them would
        measure the calibration too. None given: none are.
    """

    images: tuple[str, ...]
    keypoints: tuple[str, ...]
    points: Points
    reprojected: Flags = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.reprojected is None:
            object.__setattr__(self, "reprojected", np.zeros(self.points.shape[:2], np.bool_))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def seen(self) -> Points:
        """float64 (N, K, 2): points that were placed by what the image shows; NaN for reprojected ones."""
        return np.where(self.reprojected[..., None], np.nan, self.points)

    def select(self, images: Iterable[str]) -> Labels:
        """The labels of these images, in this order. Raises `KeyError` for one that is not there."""
        row = {name: index for index, name in enumerate(self.images)}
        chosen = tuple(images)
        rows = [row[name] for name in chosen]
        return Labels(chosen, self.keypoints, self.points[rows], self.reprojected[rows])

    def in_order(self, keypoints: Sequence[str], whose: object) -> Labels:
        """The labels of these keypoints, in this order. Raises `RigposeError` if one is not there."""
        if missing := [name for name in keypoints if name not in self.keypoints]:
            raise RigposeError(
                whose, expected=f"the network's keypoints {', '.join(keypoints)}",
                found=f"no keypoint '{missing[0]}'", remedy="Measure on a project with the same keypoints",
            )  # fmt: skip
        columns = [self.keypoints.index(name) for name in keypoints]
        return Labels(self.images, tuple(keypoints), self.points[:, columns], self.reprojected[:, columns])


def read_labels(project: Project, folders: Sequence[str] | None = None) -> Labels:
    """All labels of a project (of some folders), images without any label left out.

    A point that its note calls unreviewed is left out, unless it has been moved since.

    Raises
    ------
    RigposeError
        If there are none, if a file does not fit the project, or if a folder's h5 and CSV disagree.
    """
    if project.individuals:
        raise RigposeError(
            project.root, expected="a single-animal project",
            found=f"{len(project.individuals)} individuals in config.yaml",
            remedy="rigpose trains single-animal projects; track one animal per project",
        )  # fmt: skip
    if folders is None:
        folders = labelled_folders(project)
    images: list[str] = []
    points: list[Points] = [np.empty((0, len(project.keypoints), 2))]
    reprojected: list[Flags] = [np.empty((0, len(project.keypoints)), np.bool_)]
    for folder in folders:
        found = read_folder(project, folder)
        if found is not None:
            found = _with_notes(found, project, folder)
            images.extend(found.images)
            points.append(found.points)
            reprojected.append(found.reprojected)
    stacked = np.concatenate(points)
    labelled = np.isfinite(stacked).all(axis=2).sum(axis=1) > 0
    if not labelled.any():
        raise RigposeError(
            project.root / LABELED_DATA, expected=f"labels in CollectedData_{project.scorer}.csv or .h5",
            found=f"none in {len(folders)} folders" if folders else "no folder of labelled images",
            remedy="Label some frames first",
        )  # fmt: skip
    kept = tuple(name for name, keep in zip(images, labelled, strict=True) if keep)
    return Labels(kept, project.keypoints, stacked[labelled], np.concatenate(reprojected)[labelled])


def read_folder(project: Project, folder: str) -> Labels | None:
    """The labels of one folder, None where it holds no label file. Raises `RigposeError`."""
    place = project.root / LABELED_DATA / folder
    found = [_labels_of(path, project, folder) for path in label_files(project, folder)]
    if len(found) == 2:
        _refuse_difference(found[0], found[1], place)
    return found[0] if found else None


def read_animals(project: Project, folder: str) -> dict[str, Labels]:
    """The labels of one folder of a project of several animals, by individual; {} where it has none.

    The keypoints are those in the file, in its order: unique ones belong to the individual `single`.

    Raises
    ------
    RigposeError
        If the file does not fit the project, or if the folder's h5 and CSV disagree.
    """
    found = []
    for path in label_files(project, folder):
        rows, animals = read_rows_of_animals(path)
        images = tuple(_images(rows, folder, path))
        found.append({animal: Labels(images, *its) for animal, its in animals.items()})
    place = project.root / LABELED_DATA / folder
    if len(found) == 2:
        if {a: labels.keypoints for a, labels in found[0].items()} != {
            a: labels.keypoints for a, labels in found[1].items()
        }:
            raise RigposeError(
                place, expected="the same animals and keypoints in its CSV and its h5", found="others",
                remedy="Move the file that is out of date out of the folder",
            )  # fmt: skip
        for animal, labels in found[0].items():
            _refuse_difference(labels, found[1][animal], place)
    return found[0] if found else {}


def labelled_folders(project: Project) -> list[str]:
    """The folders in `labeled-data`, sorted, without the pictures that DeepLabCut draws of them."""
    base = project.root / LABELED_DATA
    names = {entry.name for entry in base.iterdir() if entry.is_dir()} if base.is_dir() else set()
    return sorted(name for name in names if name.removesuffix("_labeled") not in names - {name})


def label_files(project: Project, folder: str) -> list[Path]:
    """A folder's label files, the CSV first, then the h5.

    Raises
    ------
    RigposeError
        If there are none but those of another scorer.
    """
    place = project.root / LABELED_DATA / folder
    paths = [place / f"CollectedData_{project.scorer}.{kind}" for kind in ("csv", "h5")]
    others = sorted(path.name for path in place.glob("CollectedData_*") if path.suffix in (".csv", ".h5"))
    found = [path for path in paths if path.is_file()]
    if others and not found:
        raise RigposeError(
            place, expected=f"labels by the project's scorer '{project.scorer}'", found=others[0],
            remedy="Rename the scorer in the file and its name, or the scorer in config.yaml",
        )  # fmt: skip
    return found


def write_labels(project: Project, folder: str, image_names: Sequence[str], points: npt.ArrayLike) -> None:
    """Write `CollectedData_<scorer>.csv` and `.h5` of one folder, replacing what is there.

    Parameters
    ----------
    image_names:
        File names in `labeled-data/<folder>`, N of them.
    points:
        (N, K, 2) px in the order of the project's keypoints; NaN where there is no label.

    Raises
    ------
    RigposeError
        If an image is not there.
    """
    xy = np.asarray(points, dtype=np.float64)
    if xy.shape != (len(image_names), len(project.keypoints), 2):
        raise ValueError(
            f"points {xy.shape} for {len(image_names)} images, {len(project.keypoints)} keypoints"
        )
    place = project.root / LABELED_DATA / folder
    for name in image_names:
        if not (place / name).is_file():
            raise RigposeError(
                place / name, expected="an image to label", found="no such file",
                remedy="Extract the frame first",
            )  # fmt: skip
    order = sorted(range(len(image_names)), key=lambda row: image_names[row])
    rows = [(LABELED_DATA, folder, image_names[row]) for row in order]
    values = xy[order].reshape(len(order), -1)
    csv_content = csv_bytes(project, rows, values)
    h5_content = h5_bytes(project, rows, values)
    write_bytes(place / f"CollectedData_{project.scorer}.h5", h5_content)
    write_bytes(place / f"CollectedData_{project.scorer}.csv", csv_content)


def dataset_hash(project: Project, labels: Labels) -> str:
    """SHA-256 over names, points and image files: what a network was trained on."""
    digest = hashlib.sha256(repr((project.keypoints, labels.images)).encode())
    digest.update(np.ascontiguousarray(labels.points).tobytes())
    for name in labels.images:
        digest.update(hashlib.sha256((project.root / name).read_bytes()).digest())
    return digest.hexdigest()


def _labels_of(path: Path, project: Project, folder: str) -> Labels:
    rows, points = read_rows(project, path)
    return Labels(tuple(_images(rows, folder, path)), project.keypoints, points)


def _images(rows: Sequence[str], folder: str, path: Path) -> list[str]:
    """Names relative to the project of a folder's rows, whatever stood before the folder."""
    images = []
    for name in rows:
        parts = name.split("/")
        if len(parts) < 2 or parts[-2] != folder:
            raise RigposeError(
                path, expected=f"images of the folder '{folder}'", found=name,
                remedy="Move that row to the label file of its own folder",
            )  # fmt: skip
        images.append(f"{LABELED_DATA}/{folder}/{parts[-1]}")
    if len(set(images)) != len(images):
        twice = next(name for name in images if images.count(name) > 1)
        raise RigposeError(path, expected="each image once", found=f"{twice} twice", remedy="Remove one row")
    return images


def _with_notes(labels: Labels, project: Project, folder: str) -> Labels:
    """The labels of a folder with what its notes say of them."""
    notes = read_notes(project, folder)
    points, reprojected = labels.points.copy(), labels.reprojected.copy()
    for row, image in enumerate(labels.images):
        for keypoint, note in notes.get(image.rsplit("/", 1)[1], {}).items():
            if keypoint not in labels.keypoints:
                continue
            at = row, labels.keypoints.index(keypoint)
            if note.origin is Origin.UNREVIEWED:
                if np.allclose(points[at], note.at_px or (), rtol=0, atol=SAME_WITHIN_PX):
                    points[at] = np.nan
            elif note.origin is Origin.REPROJECTED:
                reprojected[at] = bool(np.isfinite(points[at]).all())
    return Labels(labels.images, labels.keypoints, points, reprojected)


def differences(in_csv: Labels, in_h5: Labels) -> list[str]:
    """What a folder's two files disagree about, a line each. The labels have the same keypoints."""
    csv_names, h5_names = set(in_csv.images), set(in_h5.images)
    lines = [
        f"{name} in the {'CSV' if name in csv_names else 'h5'} alone" for name in sorted(csv_names ^ h5_names)
    ]
    both = [name for name in in_csv.images if name in h5_names]
    a, b = in_csv.select(both).points, in_h5.select(both).points
    same = np.isclose(a, b, rtol=0, atol=SAME_WITHIN_PX, equal_nan=True).all(axis=2)
    for row, keypoint in np.argwhere(~same):
        at = [
            f"at ({p[0]:.2f}, {p[1]:.2f}) px" if np.isfinite(p).all() else "without a label"
            for p in (a[row, keypoint], b[row, keypoint])
        ]
        name = in_csv.keypoints[keypoint]
        lines.append(f"{name} of {both[row]} {at[0]} in the CSV, {at[1]} in the h5")
    return lines


def _refuse_difference(in_csv: Labels, in_h5: Labels, place: Path) -> None:
    """Whoever edited one of the two files only must say which is right."""
    if found := differences(in_csv, in_h5):
        more = f" (and {len(found) - 1} more: rigpose check-labels)" if len(found) > 1 else ""
        raise RigposeError(
            place, expected="equal labels in its CSV and its h5", found=found[0] + more,
            remedy="Move the file that is out of date out of the folder",
        )  # fmt: skip
