"""Relabelled frames are taken in: reviewed ones count, the project's `iteration` goes up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from training.projects.labels import read_folder
from training.projects.origins import Origin, read_notes
from training.projects.project import LABELED_DATA, Project
from training.refinement.record import read_record, write_record

STATES = ("reviewed", "unreviewed", "unlabelled", "removed")


def merge(project: Project | Path) -> dict[str, Any]:
    """Take in the frames of `refine find` that a person has reviewed.

    A frame is reviewed when none of the machine's points on it is left unreviewed and it has a row in
    CollectedData: confirmed or corrected points, or none because none is to be seen. The others are left
    as they are, for a later merge; their unreviewed points do not train.

    Returns
    -------
    dict
        `iteration` now, and image names under `reviewed`, `unreviewed` (machine's points are left, in
        whatever frame), `unlabelled` (nobody has labelled or saved it) and `removed` (its image is gone).

    Raises
    ------
    RigposeError
        If nothing was reviewed since the last merge; nothing is changed then.
    """
    project = project if isinstance(project, Project) else Project.open(project)
    record = read_record(project)
    states = _states(project, [image for image, found in record.items() if found.merged is None])
    if not states["reviewed"]:
        waiting = len(states["unreviewed"]) + len(states["unlabelled"])
        raise RigposeError(
            project.root, expected="frames that were found by rigpose refine find and reviewed since",
            found=f"none, {waiting} wait for a person" if waiting else "none",
            remedy=f"Review them: rigpose label {project.root}" if waiting
            else f"Find some: rigpose refine find {project.root} --bundle X.bundle",
        )  # fmt: skip
    iteration = project.raise_iteration()
    merged = {image: replace(record[image], merged=iteration) for image in states["reviewed"]}
    kept = {image: found for image, found in record.items() if image not in states["removed"]}
    write_record(project, kept | merged)
    return {"iteration": iteration, **states}


def _states(project: Project, waiting: list[str]) -> dict[str, list[str]]:
    base = project.root / LABELED_DATA
    folders = sorted(entry.name for entry in base.iterdir() if entry.is_dir()) if base.is_dir() else []
    left: set[str] = set()
    labelled: set[str] = set()
    for folder in folders:
        labels = read_folder(project, folder)
        labelled |= set() if labels is None else set(labels.images)
        left |= {
            f"{LABELED_DATA}/{folder}/{file}"
            for file, points in read_notes(project, folder).items()
            if any(note.origin is Origin.UNREVIEWED for note in points.values())
        }
    states: dict[str, list[str]] = {state: [] for state in STATES}
    for image in sorted({*waiting, *left}):
        if not (project.root / image).is_file():
            state = "removed"
        elif image in left:
            state = "unreviewed"
        else:
            state = "reviewed" if image in labelled else "unlabelled"
        states[state].append(image)
    return states
