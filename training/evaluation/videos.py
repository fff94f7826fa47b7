"""Errors video by video: what a network does on a recording it has seen nothing of.

Frames of one video look alike, so a split within videos flatters a network that will meet others. The
honest figure trains once per video without it (`rigpose compare --leave-one-video-out`); an
evaluation says which of its figures is of that kind, and shows the honest one where it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from training.evaluation.measures import measure
from training.files import read_json

# What `rigpose compare` writes in its folder.
COMPARISON_FILE = "comparison.json"
BY_VIDEO = "video"


def by_video(
    predicted: npt.NDArray[np.float32], points: npt.NDArray[np.float64], keypoints: Sequence[str],
    of: Sequence[str], training: Sequence[str],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Errors of each video's images.

    Parameters
    ----------
    predicted, points:
        (N, K, 3) and (N, K, 2) px.
    of:
        Video of each of the N images.
    training:
        Video of each training image.

    Returns
    -------
    dict
        By video: `images`, `training_images` (how many images of that video were trained on), and the
        errors as in `measure`'s `all`.
    """
    rows = np.array(of)
    return {
        video: {
            "images": int((rows == video).sum()),
            "training_images": list(training).count(video),
            **measure(predicted[rows == video], points[rows == video], keypoints)["all"],
        }
        for video in sorted(set(of))
    }


def leave_one_video_out_of(
    run_dir: Path, network: str, dataset_sha256: str, comparison: Path | None = None
) -> dict[str, Any] | None:
    """The figure of a finished leave-one-video-out comparison with this network and these labels.

    Parameters
    ----------
    comparison:
        The comparison's folder; None: searched for beside the run, and in the folders it lies in.

    Returns
    -------
    dict
        `comparison` (the folder), `videos`, `mean_px` (points pooled), `between_videos_px` (standard
        deviation of the videos' means); None where there is none.

    Raises
    ------
    RigposeError
        If the comparison that is given is another one.
    """
    if comparison is not None:
        found = _figure(Path(comparison) / COMPARISON_FILE, network, dataset_sha256)
        if found is None:
            raise RigposeError(
                comparison, expected=f"a leave-one-video-out comparison of {network} on the run's labels",
                found="another one, or one that is not finished",
                remedy="Make it: rigpose compare PROJECT -o DIR --leave-one-video-out",
            )  # fmt: skip
        return found
    above = Path(run_dir).resolve().parents
    near = [folder / COMPARISON_FILE for folder in above[:3]]
    near += sorted(above[0].glob(f"*/{COMPARISON_FILE}"))
    for path in near:
        if path.is_file():
            try:
                found = _figure(path, network, dataset_sha256)
            except RigposeError:
                continue  # somebody else's file by the same name
            if found is not None:
                return found
    return None


def _figure(path: Path, network: str, dataset_sha256: str) -> dict[str, Any] | None:
    content = read_json(path)
    if content.get("held_out_by") != BY_VIDEO or content.get("dataset_sha256") != dataset_sha256:
        return None
    for row in content.get("rows", ()):
        if row["network"] == network and row["precision"] == "fp32":
            return {
                "comparison": str(path.parent), "videos": row["folds"], "mean_px": row["mean_px"],
                "between_videos_px": row["between_folds_px"],
            }  # fmt: skip
    return None
