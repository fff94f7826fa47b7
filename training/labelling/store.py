"""All points of a project while it is being labelled: edits come in, and none that was acknowledged is lost.

An edit is in the journal before it is acknowledged; the label files follow (`label_files`). Where two
people edit one point, the later edit stands, and its author is told whose it replaced.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from acquisition.errors import RigposeError
from training.labelling.edits import Edit, Target
from training.labelling.folder import Folder, Signature, empty_row, folders_with_images, load_folder
from training.labelling.image_files import image_size
from training.labelling.journal import Journal
from training.labelling.label_files import load_after
from training.labelling.points import Point, from_json, versioned
from training.projects.project import LABELED_DATA, Project

CHANGES_KEPT = 20_000  # a page that missed more than these loads everything anew
EDITS_REMEMBERED = 20_000  # by id: one that a page sends again after a lost answer is not done twice


class LabelStore:
    """The points of a project; every method may be called from any thread.

    Parameters
    ----------
    project:
        A single-animal project.
    journal:
        Open; what it holds of an interrupted session is replayed.

    Attributes
    ----------
    replayed:
        Edits of an interrupted session that were replayed.
    edits:
        Edits done since.
    folders:
        Name -> its frames and their points.

    Raises
    ------
    RigposeError
        If the labels of a folder cannot be read, or the project has several animals.
    """

    def __init__(self, project: Project, journal: Journal) -> None:
        if project.individuals:
            raise RigposeError(
                project.root, expected="a single-animal project",
                found=f"{len(project.individuals)} individuals in config.yaml",
                remedy="rigpose labels and trains single-animal projects",
            )  # fmt: skip
        self.project = project
        self.journal = journal
        self.edits = 0
        self.dirty = threading.Condition(threading.RLock())
        self._column = {name: column for column, name in enumerate(project.keypoints)}
        self._version = 0
        self._pending: dict[Target, Point] = {}  # edits since the files were written
        self._last_client: dict[Target, str] = {}
        self._changes: deque[tuple[int, Target]] = deque(maxlen=CHANGES_KEPT)
        self._done: OrderedDict[str, None] = OrderedDict()
        self.folders: dict[str, Folder] = {}
        interrupted: set[str] = set()
        for entry in journal.left:
            interrupted |= {entry["saving"]} if "saving" in entry else set()
            interrupted -= {entry["saved"]} if "saved" in entry else set()
        for name in folders_with_images(project):
            self.folders[name] = load_after(project, name, killed=name in interrupted)
        self.replayed = self._replay()

    def _replay(self) -> int:
        count = 0
        in_files = self._journal_in_files()
        for number, entry in enumerate(self.journal.left):
            if "edit" not in entry:
                continue
            target = entry["folder"], entry["image"], entry["keypoint"]
            if not self._exists(target):
                continue  # the frame has been removed since, and its label with it
            if number < in_files.get(target[0], 0):
                self._done[str(entry["edit"])] = None
                continue  # the label files had it, and may say something newer
            self._done[str(entry["edit"])] = None
            self._set(target, from_json(entry["point"]))
            count += 1
        return count

    def _journal_in_files(self) -> dict[str, int]:
        """By folder: entries of the journal before that one are in its label files."""
        begun: dict[str, int] = {}
        whole: dict[str, int] = {}
        for number, entry in enumerate(self.journal.left):
            if "saving" in entry:
                begun[entry["saving"]] = number
            if entry.get("saved") in begun:
                whole[entry["saved"]] = begun[entry["saved"]]
        return whole

    # What pages read

    def overview(self) -> list[dict[str, Any]]:
        """Folders with their images and, for each image, (done, waiting) keypoints."""
        with self.dirty:
            return [
                {
                    "name": folder.name,
                    "images": [[image, *folder.counts(image)] for image in folder.points],
                }
                for folder in self.folders.values()
            ]

    def points(self, folder: str, image: str) -> list[Point]:
        """The keypoints of one image in the project's order. Raises `KeyError`."""
        with self.dirty:
            return list(self.folders[folder].points[image])

    def changes(self, since: int) -> tuple[int, list[tuple[Target, Point]] | None]:
        """The newest version, and the points changed after version `since`; None: too many to tell."""
        with self.dirty:
            if since > self._version or (self._changes and since < self._changes[0][0] - 1):
                return self._version, None
            newer = itertools.takewhile(lambda change: change[0] > since, reversed(self._changes))
            targets = {target for _, target in newer}
            return self._version, [(target, self._get(target)) for target in sorted(targets)]

    def counts(self, frames: Iterable[tuple[str, str]]) -> list[tuple[str, str, int, int]]:
        """(folder, image, done keypoints, waiting proposals) of some frames."""
        with self.dirty:
            return [(folder, image, *self.folders[folder].counts(image)) for folder, image in sorted(frames)]

    @property
    def version(self) -> int:
        """Of the newest edit."""
        return self._version

    @property
    def unsaved(self) -> int:
        """Points that are in the journal but not yet in the label files."""
        return len(self._pending)

    # What pages change

    def apply(self, edits: Sequence[Edit], client: str) -> list[dict[str, Any]]:
        """Do edits, all or none; when it returns they survive a kill.

        Returns
        -------
        One answer an edit: `point` as it is now, `overwrote` the author whose later edit was replaced,
        `refused` whether a careful edit was not done.

        Raises
        ------
        ValueError
            If an edit names no frame or keypoint, or puts a point outside its image.
        OSError
            If the journal cannot be written; nothing has changed then.
        """
        for edit in edits:
            if not self._exists(edit.target):
                raise ValueError("no such point: " + " / ".join(edit.target))
            if edit.point.xy is not None:
                self._check_inside(edit)
        with self.dirty:
            todo, answers = [], []
            for edit in edits:
                current = self._get(edit.target)
                other = current.version > edit.seen and self._last_client.get(edit.target) != client
                again = edit.id in self._done
                refused = other and edit.careful and not again
                answers.append(
                    {
                        "id": edit.id, "refused": refused,
                        "overwrote": (current.author or "somebody") if other and not again else None,
                    }
                )  # fmt: skip
                if not again and not refused:
                    todo.append(edit)
            if todo:
                self.journal.append(edit.entry() for edit in todo)
            for edit in todo:
                self._set(edit.target, edit.point)
                self._last_client[edit.target] = client
                self._done[edit.id] = None
                self.edits += 1
            while len(self._done) > EDITS_REMEMBERED:
                self._done.popitem(last=False)
            for edit, answer in zip(edits, answers, strict=True):
                answer["point"] = self._get(edit.target).as_json()
            return answers

    def add_image(self, folder: str, image: str) -> None:
        """A frame that has just been written into `labeled-data/<folder>`."""
        with self.dirty:
            if folder not in self.folders:
                self.folders[folder] = load_folder(self.project, folder)  # refuses rows without images
                self.folders = dict(sorted(self.folders.items()))
            points = self.folders[folder].points
            if image not in points:
                points[image] = empty_row(self.project)
                self.folders[folder].points = dict(sorted(points.items()))

    # What the label files take and bring

    def folders_to_write(self) -> list[str]:
        """Folders with points that are not in their files yet."""
        with self.dirty:
            return sorted({target[0] for target in self._pending})

    def to_write(self, name: str) -> tuple[dict[str, tuple[Point, ...]], set[str], dict[Target, Point]]:
        """A folder's points by image, the images that have a row, and which points are not written yet."""
        with self.dirty:
            folder = self.folders[name]
            points = {image: tuple(row) for image, row in folder.points.items()}
            unwritten = {target: point for target, point in self._pending.items() if target[0] == name}
            return points, set(folder.rows), unwritten

    def written(self, name: str, rows: set[str], now: Signature, points: dict[Target, Point]) -> None:
        """These points are in the files; what was edited since is not."""
        with self.dirty:
            self.folders[name].rows |= rows
            self.folders[name].signature = now
            for target, point in points.items():
                if self._pending.get(target) == point:
                    del self._pending[target]

    def forget_journal(self) -> None:
        """Empty the journal, if all of it stands in the label files."""
        with self.dirty:
            if not self._pending:
                self.journal.clear()

    def replace_folder(self, fresh: Folder) -> None:
        """Take a folder as another program wrote it, with this session's unwritten edits on top."""
        with self.dirty:
            before = self.folders.get(fresh.name)
            self.folders[fresh.name] = fresh
            self.folders = dict(sorted(self.folders.items()))
            for image, points in fresh.points.items():
                old = before.points.get(image) if before is not None else None
                for keypoint, column in self._column.items():
                    target = fresh.name, image, keypoint
                    if target in self._pending:
                        points[column] = self._pending[target]
                    elif old is None:
                        continue
                    elif replace(old[column], version=0) == points[column]:
                        points[column] = old[column]
                    else:
                        self._version += 1
                        points[column] = versioned(points[column], self._version)
                        self._last_client.pop(target, None)
                        self._changes.append((self._version, target))
            self._pending = {target: point for target, point in self._pending.items() if self._exists(target)}

    # Inside

    def _exists(self, target: Target) -> bool:
        folder, image, keypoint = target
        return keypoint in self._column and folder in self.folders and image in self.folders[folder].points

    def _get(self, target: Target) -> Point:
        folder, image, keypoint = target
        return self.folders[folder].points[image][self._column[keypoint]]

    def _set(self, target: Target, point: Point) -> None:
        folder, image, keypoint = target
        self._version += 1
        point = versioned(point, self._version)
        self.folders[folder].points[image][self._column[keypoint]] = point
        self._pending[target] = point
        self._changes.append((self._version, target))
        self.dirty.acquire()
        self.dirty.notify_all()
        self.dirty.release()

    def _check_inside(self, edit: Edit) -> None:
        folder, image, _ = edit.target
        size = image_size(self.project.root / LABELED_DATA / folder / image)
        from_json(edit.point.as_json(), size)
