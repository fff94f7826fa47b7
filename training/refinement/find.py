"""Frames in which a network is probably wrong, taken out for a person to correct.

They go into `labeled-data` with the network's own points as unreviewed notes (`training.projects.origins`).
Those never train, whatever video they are of, a held-out one too: they count once a person has confirmed
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.settings import read_yaml
from calibration.formats.anipose import load_calibration
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.table import AUTO
from training.frames.choice import different, thinned
from training.frames.extraction import (
    LOOKED_AT_MOST,
    footage_of,
    listed,
    not_taken,
    number_in,
    number_of_frames,
    save_instants,
    span_of,
    within,
)
from training.frames.footage import Footage, View
from training.images import read_image
from training.projects.labels import read_folder
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import CONFIG_FILE, LABELED_DATA, Project
from training.projects.video_frames import Numbers
from training.refinement.machine_poses import MachinePoses, by_network, file_of, from_files
from training.refinement.outliers import Scores
from training.refinement.record import Found, read_record, write_record
from training.refinement.search import Search, check, check_files, check_footage

EPSILON_PX = 20.0
CUTOFF = 0.6
LEAST_SURE = 0.5


def find(
    project: Project | Path,
    sources: Sequence[Path] = (),
    *,
    bundle: Path | None = None,
    poses: Sequence[Path] = (),
    by: str = "jump",
    epsilon_px: float = EPSILON_PX,
    cutoff: float | None = None,
    count: int | None = None,
    numbers: Sequence[int] = (),
    calibration: Path | None = None,
    start: float | None = None,
    stop: float | None = None,
    seed: int = 0,
    runtime: str = AUTO,
    precision: str = AUTO,
    threads: int = 1,
) -> dict[str, Any]:
    """Find frames worth relabelling and write them, with the machine's points unreviewed.

    Parameters
    ----------
    sources:
        Videos and session folders; none: the videos of config.yaml (with `poses`: those that have some).
    bundle, poses:
        A network to run, or pose files that were made before; one of the two.
    by:
        One of `search.RULES`. jump: a point moves further than `epsilon_px` between two instants;
        uncertain: a confidence is below `cutoff`; fitting: a point is further than `epsilon_px` from a
        smooth path (`training.refinement.outliers.misfits`); reprojection: from where the cameras together
        see it; list: `numbers`.
    cutoff:
        Least confidence of points that jump, fit and triangulate; None: config.yaml's pcutoff.
    count:
        Frames per source, chosen by k-means among those found; None: config.yaml's numframes2pick.
    calibration:
        Of the rig, for "reprojection".
    start, stop:
        Fractions of the length between which to search; None: as in config.yaml.

    Returns
    -------
    dict
        `by`, per source under `videos` how many were found and which were taken; `left_out`.

    Raises
    ------
    RigposeError
        If an option or a file cannot be used. Of a source whose frames do not decode nothing is written.
    """
    project = project if isinstance(project, Project) else Project.open(project)
    config = read_yaml(project.root / CONFIG_FILE)
    search = Search(
        by,
        epsilon_px,
        number_in(config, "pcutoff", CUTOFF) if cutoff is None else cutoff,
        number_of_frames(config, count),
        tuple(numbers),
        None if calibration is None else load_calibration(calibration),
        span_of(config, start, stop),
        seed,
    )
    check(search, bundle, poses)
    footages, left_out = footage_of(project, sources)
    if poses and not sources:
        having = [each for each in footages if any(file_of(poses, view) for view in each.views)]
        footages = having or footages
    check_files(poses, footages)
    for footage in footages:
        check_footage(search, footage)
    machine = _machine(project, bundle, poses, runtime, precision, threads)
    read_record(project)  # a damaged one is told before the work
    for view in (view for footage in footages for view in footage.views):
        read_folder(project, view.folder)
        read_notes(project, view.folder)
    if poses:
        for footage in footages:
            machine(footage)  # a damaged file is told before anything is written
    videos = [_take(project, footage, machine(footage), search) for footage in footages]
    return {"by": by, "bound": search.bound, "videos": videos, "left_out": left_out}


def _take(project: Project, footage: Footage, poses: MachinePoses, search: Search) -> dict[str, Any]:
    """Choose among what is found in one source; write its images, notes and record."""
    complete, free = footage.complete, not_taken(project, footage)
    if search.by == "list":
        scores = np.full(len(footage.index), np.nan)
        found = np.isin(footage.index, search.numbers)
        instants = listed(footage, search.numbers)
    else:
        scores = search.scores(footage, poses)
        found = (scores > search.bound) & within(len(footage.index), search.span)
        instants = _spread(footage, np.flatnonzero(found & free).astype(np.int64), search)
    names = save_instants(project, footage, instants) if len(instants) else [[] for _ in footage.views]
    try:
        for view, files in zip(footage.views, names, strict=True):
            there = [file for place, file in zip(instants, files, strict=True) if not free[place]]
            _refuse_cropped(project, view, there)
        images = _write(project, footage, poses, search, scores, instants, names)
    except (OSError, RigposeError) as error:
        for view, files in zip(footage.views, names, strict=True):
            for place, file in zip(instants, files, strict=True):
                if free[place]:
                    (project.root / LABELED_DATA / view.folder / file).unlink(missing_ok=True)
        if isinstance(error, RigposeError):
            raise
        raise RigposeError(
            project.root, expected="room for the machine's labels", found=error.strerror or str(error),
            remedy="Free some space, then run it again",
        ) from error  # fmt: skip
    return {
        "source": str(footage.source),
        "folders": [view.folder for view in footage.views],
        "made_by": poses.made_by,
        "instants": len(footage.index),
        "found": int(found.sum()),
        "incomplete": int((found & ~complete).sum()),
        "there_already": int((found & complete & ~free).sum()),
        "frames": [int(index) for index in footage.index[instants]],
        "images": images,
        "notes": [*footage.notes, *poses.notes, *_unsure(poses, search)],
    }


def _unsure(poses: MachinePoses, search: Search) -> list[str]:
    """Says so where a rule had little to look at."""
    confidence = poses.values[..., 2]
    there = np.isfinite(confidence)
    sure = float((confidence[there] >= search.cutoff).mean()) if there.any() else 0.0
    if search.by in ("uncertain", "list") or sure >= LEAST_SURE:
        return []
    return [
        f"only {sure:.0%} of the points reach the confidence {search.cutoff:g} and were looked at: try --by "
        f"uncertain, or a smaller --cutoff"
    ]


def _refuse_cropped(project: Project, view: View, files: Sequence[str]) -> None:
    """Refuse pictures that were taken before and are a part of the video's: points are of the whole."""
    for file in files:
        place = project.root / LABELED_DATA / view.folder / file
        height, width = read_image(place).shape[:2]
        whole = view.video.info.width_px, view.video.info.height_px
        if (width, height) != whole:
            raise RigposeError(
                place, expected=f"a whole picture of {whole[0]}x{whole[1]} px",
                found=f"{width}x{height}, a part of it", remedy="Leave it out of --list, or remove it",
            )  # fmt: skip


def _write(
    project: Project, footage: Footage, poses: MachinePoses, search: Search, scores: Scores,
    instants: Numbers, names: list[list[str]],
) -> list[str]:  # fmt: skip
    """Notes and record of the images of these instants; what has labels or notes already keeps them."""
    record = read_record(project)
    iteration = int(read_yaml(project.root / CONFIG_FILE).get("iteration") or 0)
    images = []
    for number, (view, files) in enumerate(zip(footage.views, names, strict=True)):
        labels = read_folder(project, view.folder)
        labelled = set() if labels is None else set(labels.images)
        notes = read_notes(project, view.folder)
        for place, file in zip(instants, files, strict=True):
            image = f"{LABELED_DATA}/{view.folder}/{file}"
            if image in labelled or file in notes:
                continue
            notes[file] = {
                keypoint: PointNote(
                    Origin.UNREVIEWED, author=poses.made_by, at_px=(round(x, 3), round(y, 3)),
                    confidence=round(confidence, 4),
                )
                for keypoint, (x, y, confidence) in zip(
                    project.keypoints, poses.values[place, number].tolist(), strict=True
                )
                if np.isfinite((x, y, confidence)).all()
            }  # fmt: skip
            score = round(float(scores[place]), 3) if np.isfinite(scores[place]) else None
            record[image] = Found(search.by, score, poses.made_by, iteration)
            images.append(image)
        write_notes(project, view.folder, notes)
    if images:
        write_record(project, record)
    return images


def _spread(footage: Footage, found: Numbers, search: Search) -> Numbers:
    """At most `count` of what was found, different to look at."""
    if len(found) <= search.count:
        return found
    looked = found[thinned(len(found), max(LOOKED_AT_MOST, search.count))]
    seen, pictures = footage.small(looked if len(looked) >= search.count else found)
    if len(seen) <= search.count:
        return seen
    return seen[different(pictures, search.count, search.seed)]


def _machine(
    project: Project, bundle: Path | None, poses: Sequence[Path], runtime: str, precision: str, threads: int
) -> Callable[[Footage], MachinePoses]:
    if bundle is None:
        return lambda footage: from_files(poses, footage, project.keypoints)
    loaded = Bundle.load(bundle)
    if not set(loaded.manifest.keypoints) & set(project.keypoints):
        raise RigposeError(
            bundle, expected=f"a network for the keypoints {', '.join(project.keypoints)}",
            found=", ".join(loaded.manifest.keypoints), remedy="Train one on this project",
        )  # fmt: skip
    return lambda footage: by_network(
        loaded, footage, project.keypoints, runtime=runtime, precision=precision, threads=threads
    )
