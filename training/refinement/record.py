"""What `refine find` found and `refine merge` has taken in: `rigpose_refine.json` in the project's folder.

{"schema_version": 1,
 "images": {"labeled-data/m4s1/img0012.png": {"by": "jump", "score": 31.2, "made_by": "DLC_...",
                                              "iteration": 0, "merged": null}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from acquisition.errors import RigposeError
from training.files import read_json, write_json
from training.projects.project import Project

RECORD_FILE = "rigpose_refine.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Found:
    """Why an image was taken for relabelling, and what became of it.

    Attributes
    ----------
    by, score:
        The rule that found it and by how much, px or 1 - confidence; None where that is not a number.
    made_by:
        What made the machine labels.
    iteration:
        Of the project when it was found.
    merged:
        The iteration that took it in; None: not yet.
    """

    by: str
    score: float | None
    made_by: str
    iteration: int
    merged: int | None = None


def record_path(project: Project) -> Path:
    """Where the record is kept."""
    return project.root / RECORD_FILE


def read_record(project: Project) -> dict[str, Found]:
    """Image name relative to the project -> what is known of it. Raises `RigposeError`."""
    path = record_path(project)
    if not path.exists():
        return {}
    content = read_json(path)
    try:
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {content['schema_version']}")
        return {str(name): Found(**found) for name, found in content["images"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RigposeError(
            path, expected=f"a record of refine find, version {SCHEMA_VERSION}", found=str(error),
            remedy="Update rigpose, or restore the file from a copy",
        ) from None  # fmt: skip


def write_record(project: Project, images: Mapping[str, Found]) -> None:
    """Replace the record, whole or not at all."""
    content = {name: asdict(found) for name, found in sorted(images.items())}
    write_json(record_path(project), {"schema_version": SCHEMA_VERSION, "images": content})
