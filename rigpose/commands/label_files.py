"""`rigpose check-labels`, `import-labels`: the labels of a project, mended, drawn, and taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rigpose.commands.options import Measured

SHOWN = 10


def check_labels(
    project: Path, /, *,
    fix: Annotated[bool, Parameter(negative="", help="Mend what is safe to mend.")] = False,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="Where the pictures go; PROJECT/label-pictures by default."),
    ] = None,
    pictures: Annotated[bool, Parameter(help="Draw the pictures.")] = True,
) -> Measured:  # fmt: skip
    """Find what is wrong with a project's labels, and draw every labelled frame.

    Found are duplicate rows, rows without images, images without labels or that do not read, points outside
    their images, label files that disagree or do not fit, and notes without points. --fix joins equal rows,
    takes out rows and notes that belong to nothing, and writes a missing CSV or h5; images, and whatever two
    people could mean differently, stay. What it rewrites is copied to PROJECT/replaced-labels first.

    Parameters
    ----------
    project:
        The folder with config.yaml.

    Returns
    -------
    dict
        `folders` with their images, labelled images and labels; `problems` by kind, each with where and
        detail; `mended` and `kept`, the copies of what was there before; `pictures` and their number.

    Raises
    ------
    RigposeError
        If it is no project, or, with --fix, if a folder's CSV and h5 disagree; nothing is changed then.

    Examples
    --------
    rigpose check-labels openfield-Pranav-2018-10-30 --fix
    """
    from training.labelling.lock import ProjectLock
    from training.projects.hygiene import check_project, mend
    from training.projects.label_pictures import draw_folder
    from training.projects.project import Project

    opened = Project.open(project)
    mended: list[str] = []
    kept = None
    if fix:
        with ProjectLock(opened.root):  # a labelling page would write back what is mended here
            checks = check_project(opened)
            mended, kept = mend(opened, checks)
        checks = check_project(opened) if mended else checks
    else:
        checks = check_project(opened)
    folder = (output or opened.root / "label-pictures") if pictures else None
    drawn = sum(draw_folder(opened, check, folder) for check in checks) if folder is not None else 0
    return _print_checks(opened, checks, mended, kept) | {
        "mended": mended, "kept": str(kept) if kept else None,
        "pictures": str(folder) if drawn else None, "pictures_drawn": drawn,
    }  # fmt: skip


def import_labels(project: Path, file: Path, /, *, videos: Path | None = None) -> Measured:
    """Take labels of DeepLabCut, SLEAP, COCO and other formats into a project, with their images.

    Keypoints are matched by name. A person's points become labels, a model's (machinelabels, and COCO's with
    a score) become proposals that the labelling page shows. Images that are labelled already keep their
    labels. Single images that are gone are left out and named. All but DeepLabCut's needs sleap-io: the
    extra slp.

    Parameters
    ----------
    project:
        The folder with config.yaml.
    file:
        DeepLabCut's CSV or config.yaml, or what sleap-io reads: .slp, COCO JSON, NWB, Label Studio, others.
    videos:
        A folder to look in for videos and images that are no longer where the file says.

    Returns
    -------
    dict
        `folders`, `images`, `points`, `proposals`, `already_labelled` images left as they were, and the
        keypoints `only_in_file` and `only_in_project`; `left_out`, a line for each image that is gone and
        each folder without a person's labels.

    Raises
    ------
    RigposeError
        If the file does not read or shows several animals, if no keypoint has a name of the project's, if a
        video or a whole folder of images is not to be found, or if other pictures lie in the project under
        the same numbers; nothing is changed then.

    Examples
    --------
    rigpose import-labels openfield-Pranav-2018-10-30 labels.slp
    """
    from training.labelling.lock import ProjectLock
    from training.projects.label_import import import_labels as take_in
    from training.projects.project import Project

    opened = Project.open(project)
    with ProjectLock(opened.root):
        found = take_in(opened, file, videos=videos)
    print(
        f"{found['images']} images with {found['points']} labels and {found['proposals']} proposals, "
        f"{found['already_labelled']} images labelled already"
    )
    for names, where in ((found["only_in_file"], file), (found["only_in_project"], project)):
        if names:
            print(f"Note: only {where} has {', '.join(names)}")
    for line in found["left_out"][:SHOWN]:
        print(f"Left out: {line}")
    if len(found["left_out"]) > SHOWN:
        print(f"Left out: {len(found['left_out']) - SHOWN} more (--json FILE holds them all)")
    print(f"Next: rigpose check-labels {project}")
    return found


def _print_checks(project: Any, checks: list[Any], mended: list[str], kept: Path | None) -> Measured:
    """Print what `check-labels` found; returns it."""
    import numpy as np

    from training.projects.hygiene import HARMLESS, MENDABLE, Kind

    folders: dict[str, dict[str, int]] = {}
    found: dict[str, list[dict[str, str]]] = {}
    table = Table(title=f"{project.root.name}: labels")
    for heading in ("folder", "images", "labelled", "points", "problems"):
        table.add_column(heading, justify="left" if heading == "folder" else "right")
    for check in checks:
        present = [np.isfinite(points).all(axis=1) for points in check.rows.values()]
        counts = {
            "images": len(check.images), "labelled": sum(bool(row.any()) for row in present),
            "points": sum(int(row.sum()) for row in present),
            "problems": sum(problem.kind not in HARMLESS for problem in check.problems),
        }  # fmt: skip
        folders[check.folder] = counts
        table.add_row(check.folder, *(str(count) for count in counts.values()))
        for problem in check.problems:
            entry = {"where": problem.where, "detail": problem.detail}
            found.setdefault(problem.kind.value, []).append(entry)
    Console().print(table)
    for kind, entries in found.items():
        print(f"{kind}: {len(entries)}")
        for entry in entries[:SHOWN]:
            print(f"  {entry['where']}{': ' if entry['detail'] else ''}{entry['detail']}")
        if len(entries) > SHOWN:
            print(f"  and {len(entries) - SHOWN} more (--json FILE holds them all)")
    for line in mended:
        print(f"Mended: {line}")
    if kept is not None:
        print(f"What was there before: {kept}")
    elif any(Kind(kind) in MENDABLE for kind in found):
        print(f"Next: rigpose check-labels {project.root} --fix")
    return {"project": str(project.root), "folders": folders, "problems": found}
