"""What a network sees in footage: by running it, or from the pose files of an earlier run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.table import AUTO
from deploy.offline.analyze import analyze
from deploy.poses_io.columns import SUFFIX as COLUMNS
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import READERS, load_poses
from training.frames.footage import Footage, View

HELD_OUT = "held out "  # how `training.projects.splits.hold_out_folders` begins the name of its split


@dataclass(frozen=True, slots=True, eq=False)
class MachinePoses:
    """Keypoints that a machine found in some footage.

    Attributes
    ----------
    values:
        float32 (T, V, K, 3) x px, y px, confidence by instant and view; NaN where there is none.
    made_by:
        The network's name as a scorer.
    notes:
        What a person should know about them, a sentence each.
    """

    values: npt.NDArray[np.float32]
    made_by: str
    notes: tuple[str, ...] = ()


def by_network(
    bundle: Bundle,
    footage: Footage,
    keypoints: Sequence[str],
    *,
    runtime: str = AUTO,
    precision: str = AUTO,
    threads: int = 1,
) -> MachinePoses:
    """Run a network over all of `footage`, whole pictures.

    Raises
    ------
    RigposeError
        If nothing can run it here, a video breaks, or it knows none of `keypoints`.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = analyze(
            bundle, [footage.source], folder, runtime=runtime, precision=precision, threads=threads
        )
        written = [Path(name) for video in result["videos"] for name in video["files"]]
        files = [path for path in written if path.name.endswith(COLUMNS)]
        found = from_files(files, footage, keypoints)
    split = bundle.manifest.provenance.split
    held_out = set(split.removeprefix(HELD_OUT).split(", ")) if split.startswith(HELD_OUT) else set()
    notes = tuple(
        f"{view.folder} is held out in the split of {bundle.name}: once its frames are labelled, train with "
        f"--hold-out {view.folder} to keep it so"
        for view in footage.views
        if view.folder in held_out
    )
    return MachinePoses(found.values, result["scorer"], notes)


def from_files(files: Sequence[Path], footage: Footage, keypoints: Sequence[str]) -> MachinePoses:
    """Read pose files: of each view the one whose name begins with the video's.

    Raises
    ------
    RigposeError
        If a file is damaged, no view or a view twice has one, none of `keypoints` is in one, or one has
        more rows than its video has frames.
    """
    values = np.full((len(footage.index), len(footage.views), len(keypoints), 3), np.nan, np.float32)
    scorers = []
    for number, view in enumerate(footage.views):
        path = file_of(files, view)
        if path is None:
            continue
        poses = load_poses(path)
        known = [place for place, name in enumerate(keypoints) if name in poses.keypoints]
        if not known:
            raise RigposeError(
                path, expected=f"keypoints of the project ({', '.join(keypoints)})",
                found=", ".join(poses.keypoints), remedy="Give poses of a network for this project",
            )  # fmt: skip
        columns = [poses.keypoints.index(keypoints[place]) for place in known]
        rows, instants = _rows(path, poses, footage, view)
        values[instants[:, None], number, known] = poses.values[rows[:, None], columns]
        values[view.frames < 0, number] = np.nan
        scorers.append(str(poses.about.get("scorer") or path.name))
    if not scorers:
        raise RigposeError(
            footage.source, expected=f"a pose file whose name begins with '{footage.views[0].folder}'",
            found=", ".join(path.name for path in files) or "none",
            remedy="Make one: rigpose analyze X.bundle VIDEO -o DIR",
        )  # fmt: skip
    return MachinePoses(values, scorers[0])


def file_of(files: Sequence[Path], view: View) -> Path | None:
    """The pose file of a view; of one result in several formats the column file, then h5, then CSV.

    Raises
    ------
    RigposeError
        If two results are of this view.
    """
    name = re.compile(re.escape(view.folder) + r"(?=DLC|\.)(.*?)(\.poses\.npz|\.h5|\.csv)")
    found: dict[str, dict[str, Path]] = {}
    for path in files:
        if match := name.fullmatch(path.name):
            found.setdefault(str(path.parent / match[1]), {})[match[2]] = path
    if len(found) > 1:
        paths = [next(iter(formats.values())) for formats in found.values()]
        raise RigposeError(
            paths[1], expected=f"one result of {view.folder}", found=f"{paths[0].name} as well",
            remedy="Give one of the two",
        )  # fmt: skip
    formats = next(iter(found.values()), {})
    return next((formats[ending] for ending in READERS if ending in formats), None)


def _rows(
    path: Path, poses: Poses, footage: Footage, view: View
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which rows of a file are which instants."""
    if footage.recording:
        if not path.name.endswith(COLUMNS):
            raise RigposeError(
                path, expected=f"the column file ({COLUMNS}) of a recording's poses",
                found="a file that does not say which frame sets its rows are",
                remedy="Give the column file, which rigpose analyze wrote beside it",
            )  # fmt: skip
        names = poses.index
    else:
        names = poses.frame
    rows = np.flatnonzero(names >= 0)
    if len(rows) and names.max() > footage.index[-1]:
        raise RigposeError(
            path, expected=f"poses of {view.video.path}, which has {len(footage.index)} frames",
            found=f"frame {names.max()}", remedy="Give the poses of that video",
        )  # fmt: skip
    instants = np.searchsorted(footage.index, names[rows])
    there = footage.index[instants] == names[rows]
    return rows[there], instants[there]
