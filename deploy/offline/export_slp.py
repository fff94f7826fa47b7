"""From files of poses and their videos to one .slp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from deploy.offline.skeleton import load_skeleton
from deploy.offline.views import pair, sort_files
from deploy.poses_io.poses import READERS, load_poses
from deploy.poses_io.slp import ENDING, save_slp


def export_slp(
    files: Sequence[Path], output: Path, *, skeleton: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write poses as SLEAP's predictions.

    Parameters
    ----------
    files:
        Files of 2D poses, and their videos in any order; without videos, those that the files name.
    skeleton:
        Where bones are listed.

    Returns
    -------
    dict
        As `deploy.poses_io.slp.save_slp`.

    Raises
    ------
    RigposeError
        Files that are missing or do not belong together, a video that is not known, an output that exists.
    """
    if output.suffix != ENDING:
        raise RigposeError(
            output, expected=f"a name that ends in {ENDING}", found=f"'{output.name}'",
            remedy="Say for instance -o poses.slp",
        )  # fmt: skip
    if output.exists() and not overwrite:
        raise RigposeError(
            output, expected="an output that does not exist yet", found="a file",
            remedy="Give --overwrite to replace it, or another -o",
        )  # fmt: skip
    if files and all(file.name.endswith(tuple(READERS)) for file in files):
        pairs = [(_own_video(file), file) for file in files]
    else:
        pairs = pair(*sort_files(files))
    items = [(load_poses(file), video) for video, file in pairs]
    bones = () if skeleton is None else load_skeleton(skeleton, items[0][0].keypoints)
    return save_slp(items, output, bones)


def _own_video(file: Path) -> Path:
    """The video that a file of poses says it is of."""
    said = load_poses(file).about.get("video")
    if said is None or not Path(str(said)).exists():
        raise RigposeError(
            file, expected="the video that these poses are of",
            found="no word of it" if said is None else f"nothing at {said}",
            remedy="Name the video as well: m4s1.mp4 m4s1DLC_x.h5",
        )  # fmt: skip
    return Path(str(said))
