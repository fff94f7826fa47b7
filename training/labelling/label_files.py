"""Between the points in memory and CollectedData: written whole, and read again where others wrote.

Another program's labels are never overwritten by older ones: before a folder is written, its files are
looked at, and if they are not as they were left, they are read and this session's edits put on top.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from acquisition.errors import RigposeError
from training.labelling.folder import (
    Folder,
    folders_with_images,
    images_in,
    label_files,
    load_folder,
    signature,
    write_folder,
)
from training.projects.project import LABELED_DATA, Project

if TYPE_CHECKING:
    from training.labelling.store import LabelStore


class LabelFiles:
    """The label files of a store's project; every method may be called from any thread.

    Parameters
    ----------
    store:
        Whose points they hold.

    Attributes
    ----------
    trouble:
        Folder -> why its files cannot be read or written at the moment; its edits wait in the journal.
    """

    def __init__(self, store: LabelStore) -> None:
        self.trouble: dict[str, str] = {}
        self._store = store
        self._project = store.project
        self._busy = threading.RLock()

    def refresh(self) -> None:
        """Take up frames and labels that other programs have written since."""
        with self._busy:
            for name in folders_with_images(self._project):
                known = self._store.folders.get(name)
                if known is None or known.signature != signature(self._project, name):
                    try:
                        self._reload(name)
                    except RigposeError as error:
                        self.trouble[name] = str(error)
                else:
                    for image in images_in(self._project.root / LABELED_DATA / name):
                        self._store.add_image(name, image)

    def save(self) -> None:
        """Write every folder that changed, then empty the journal.

        Raises
        ------
        RigposeError, OSError
            If a folder cannot be written; its edits stay in the journal, the other folders are written.
        """
        failure: Exception | None = None
        with self._busy:
            for name in self._store.folders_to_write():
                try:
                    self._save(name)
                except (RigposeError, OSError) as error:
                    failure = failure or error
                    self.trouble[name] = str(error)
            self._store.forget_journal()
        if failure is not None:
            raise failure

    def _save(self, name: str) -> None:
        if self._store.folders[name].signature != signature(self._project, name):
            self._reload(name)
        self._store.journal.append([{"saving": name}])  # first: what stands before it is in what is written
        points, rows, unwritten = self._store.to_write(name)
        kept, now = write_folder(self._project, name, points, rows)
        self._store.written(name, kept, now, unwritten)
        self.trouble.pop(name, None)
        self._store.journal.append([{"saved": name}])

    def _reload(self, name: str) -> None:
        self._store.replace_folder(load_folder(self._project, name))
        self.trouble.pop(name, None)


def load_after(project: Project, name: str, *, killed: bool) -> Folder:
    """Read a folder; `killed`: the last server was killed while it wrote the folder's files.

    Raises
    ------
    RigposeError
        As `load_folder`; not for two label files that disagree because of the kill.
    """
    try:
        return load_folder(project, name)
    except RigposeError:
        present = [path for path in label_files(project, name) if path.is_file()]
        if not killed or len(present) < 2:
            raise
    # The newer one is whole and holds all that the older one does; the journal holds the rest.
    min(present, key=lambda path: path.stat().st_mtime_ns).unlink()
    return load_folder(project, name)
