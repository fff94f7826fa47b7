"""`rigpose new`, `add-videos`, `open`: a project, its videos, what is labelled in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rigpose.commands.options import Measured

Copy = Annotated[bool, Parameter(negative="", help="Copy the videos; by default the project links to them.")]
Crop = Annotated[
    list[str] | None,
    Parameter(help="Part of the pictures to keep, x1,x2,y1,y2 px: once for all videos, or once for each."),
]


def new(
    name: str, /, *videos: Path, keypoints: str, scorer: str = "me", folder: Path = Path(),
    copy: Copy = False, crop: Crop = None,
) -> Measured:  # fmt: skip
    """Make a project for labels, in DeepLabCut's folder layout.

    Parameters
    ----------
    name:
        Of the task; the folder is called NAME-SCORER-DATE.
    videos:
        Video files, and folders of recordings, to take in.
    keypoints:
        Names, separated by commas. Left and right are told apart by those words in the names.
    scorer:
        Who labels.
    folder:
        Where the project's folder is made.

    Returns
    -------
    dict
        `project`, `keypoints`, `symmetric_pairs`, `skeleton`, `videos`.

    Raises
    ------
    RigposeError
        If the project exists, a name cannot be one, or a video cannot be taken in; nothing is made then.

    Examples
    --------
    rigpose new openfield m4s1.mp4 m3v1.mp4 --keypoints snout,leftear,rightear,tailbase --scorer Ada
    """
    from training.projects.project import Project
    from training.projects.videos import add_videos, look_at_videos

    found = look_at_videos(videos, _crops(crop))
    project = Project.create(
        folder, task=name, scorer=scorer,
        keypoints=[part.strip() for part in keypoints.split(",") if part.strip()],
    )  # fmt: skip
    project = add_videos(project, found, copy=copy)
    after = "rigpose frames" if found else "rigpose add-videos"
    print(f"{project.root}\nNext: {after} {project.root}{'' if found else ' VIDEO'}")
    return _described(project) | {"videos": [str(video.source) for video in found]}


def add_videos(project: Path, /, *videos: Path, copy: Copy = False, crop: Crop = None) -> Measured:
    """Take videos, or the videos of recordings, into a project.

    Parameters
    ----------
    project:
        The folder with config.yaml.
    videos:
        Video files, and folders of recordings; a recording is used where it lies.

    Returns
    -------
    dict
        `project`, `videos`: path, folder of its images, crop.

    Raises
    ------
    RigposeError
        If a video is missing or does not decode, or has the name of another one; nothing is changed then.

    Examples
    --------
    rigpose add-videos openfield-Pranav-2018-10-30 m3v1.mp4 --crop 0,640,100,480
    """
    from acquisition.errors import RigposeError
    from training.projects.project import Project
    from training.projects.videos import add_videos as take_in
    from training.projects.videos import look_at_videos

    if not videos:
        raise RigposeError(
            "add-videos", expected="videos or folders of recordings", found="none",
            remedy=f"rigpose add-videos {project} VIDEO",
        )  # fmt: skip
    opened = Project.open(project)
    found = look_at_videos(videos, _crops(crop), project=opened)
    take_in(opened, found, copy=copy)
    for video in found:
        print(f"{video.source} -> {opened.root}/labeled-data/{video.source.stem}")
    print(f"Next: rigpose frames {project}")
    rows = [
        {"video": str(video.source), "folder": video.source.stem, "crop": list(video.crop)} for video in found
    ]
    return {"project": str(opened.root), "videos": rows}


def open(project: Path, /) -> Measured:
    """Open a project, DeepLabCut's included, as it is: what is labelled, what to do next.

    Parameters
    ----------
    project:
        The folder with config.yaml. Nothing in it is changed.

    Returns
    -------
    dict
        `project`, `keypoints`, `symmetric_pairs`, `skeleton`, `images`, `labels` by keypoint,
        `image_sizes_px`, `animal_px`, `input_size_px` that training would choose, `warnings`. Of a project
        of several animals `individuals`, `images` and `labels` by animal and keypoint.

    Raises
    ------
    RigposeError
        If it is no project, its labels do not fit it, or an image is missing or cut off.

    Examples
    --------
    rigpose open openfield-Pranav-2018-10-30
    """
    import numpy as np

    from training.images import ImageStore
    from training.learning.input_size import animal_extent, choose_input_size
    from training.projects.labels import read_labels
    from training.projects.project import Project

    opened = Project.open(project)
    warnings = [
        f"{' and '.join(videos)} have one name: their images lie in one folder, labeled-data/{folder}. "
        "Rename one of them"
        for folder, videos in opened.videos_by_folder().items()
        if len(videos) > 1
    ]
    if opened.individuals:
        return _several_animals(opened, warnings)
    labels = read_labels(opened)
    store = ImageStore(opened.root, labels.images, cache_at_most_bytes=0)
    sizes = [store.sizes_px[name] for name in labels.images]
    labelled = np.isfinite(labels.points).all(axis=2).sum(axis=0)
    extent = animal_extent(labels.points)
    outside = (labels.points < -0.5) | (labels.points > np.array(sizes)[:, None] - 0.5)
    if outside.any():
        warnings.append(f"{int(outside.any(axis=2).sum())} points lie outside their images")
    for name, count in zip(labels.keypoints, labelled, strict=True):
        if not count:
            warnings.append(f"no image has a label of {name}: nothing can be learnt of it")
    measured = _described(opened) | {
        "images": len(labels),
        "labels": {name: int(count) for name, count in zip(labels.keypoints, labelled, strict=True)},
        "image_sizes_px": [list(size) for size in sorted(set(sizes))],
        "animal_px": round(extent, 1) if np.isfinite(extent) else None,
        "input_size_px": list(choose_input_size(list(labels.points), sizes)),
        "warnings": warnings,
    }
    table = Table(title=f"{opened.root.name}: {len(labels)} labelled images")
    table.add_column("keypoint")
    table.add_column("labels", justify="right")
    for name, count in measured["labels"].items():
        table.add_row(name, str(count))
    Console().print(table)
    _print_warnings(warnings)
    print(f"Next: rigpose check-labels {project}, then rigpose train {project} -o run")
    return measured


def _several_animals(project: Any, warnings: list[str]) -> Measured:
    """What `open` says of a project of several animals."""
    import numpy as np

    from training.projects.labels import labelled_folders, read_animals

    counts: dict[str, dict[str, int]] = {}
    images = 0
    for folder in labelled_folders(project):
        animals = read_animals(project, folder)
        present = [np.isfinite(labels.points).all(axis=2) for labels in animals.values()]
        if present:
            images += int(np.concatenate(present, axis=1).any(axis=1).sum())
        for (animal, labels), of in zip(animals.items(), present, strict=True):
            row = counts.setdefault(animal, {})
            for name, count in zip(labels.keypoints, of.sum(axis=0), strict=True):
                row[name] = row.get(name, 0) + int(count)
    warnings = [
        *warnings, "several animals in one picture: rigpose trains networks for a single animal for now",
    ]  # fmt: skip
    table = Table(
        title=f"{project.root.name}: {images} labelled images of {len(project.individuals)} animals"
    )
    names = list(dict.fromkeys(name for row in counts.values() for name in row))
    table.add_column("keypoint")
    for animal in counts:
        table.add_column(animal, justify="right")
    for name in names:
        table.add_row(name, *(str(row.get(name, "")) for row in counts.values()))
    Console().print(table)
    _print_warnings(warnings)
    return _described(project) | {
        "individuals": list(project.individuals), "images": images, "labels": counts, "warnings": warnings,
    }  # fmt: skip


def _described(project: Any) -> Measured:
    return {
        "project": str(project.root), "keypoints": list(project.keypoints),
        "symmetric_pairs": [list(pair) for pair in project.symmetric_pairs],
        "skeleton": [list(bone) for bone in project.skeleton],
    }  # fmt: skip


def _crops(texts: list[str] | None) -> list[tuple[int, int, int, int]]:
    from training.projects.videos import parse_crop

    return [parse_crop(text, "--crop") for text in texts or ()]


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"Note: {warning}")
