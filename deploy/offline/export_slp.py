"""From files of poses and their videos to one .slp.

A camera that was recorded in segments has a video for each, and SLEAP counts the frames of each from 0: its
poses are parted where the segments are. In a damaged video a picture's number is no longer its row's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.recordings.picture_rows import GONE
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from deploy.offline.skeleton import load_skeleton
from deploy.offline.views import pair, recorded_pictures, sort_files, videos_of_camera
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import READERS, load_poses
from deploy.poses_io.set_rows import require_rows
from deploy.poses_io.slp import ENDING, save_slp


def export_slp(
    files: Sequence[Path], output: Path, *, skeleton: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write poses as SLEAP's predictions.

    Parameters
    ----------
    files:
        Files of 2D poses, and their videos or recordings in any order; without, those that the files name.
        Of a camera in segments any of its videos stands for all.
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
        pairs = pair(*sort_files(_first_segments(files)))
    items = [item for video, file in pairs for item in _by_segment(file, video)]
    bones = () if skeleton is None else load_skeleton(skeleton, items[0][0].keypoints)
    return save_slp(items, output, bones)


def _first_segments(files: Sequence[Path]) -> list[Path]:
    """The same with the first video of each camera for a recording's folder, and for any video of one."""
    found: list[Path] = []
    for file in files:
        if (file / SESSION_FILE).is_file():
            with Recording.open(file) as recording:
                videos = [recording.video_paths(camera) for camera in recording.cameras]
            found += [paths[0] for paths in videos if paths]
        else:
            found += list(videos_of_camera(file)[:1]) or [file]
    return list(dict.fromkeys(found))


def _by_segment(file: Path, video: Path) -> list[tuple[Poses, Path]]:
    """The poses in a file beside their video; of a camera in segments in parts, each beside its own."""
    poses, segments = load_poses(file), recorded_pictures(video)
    require_rows(file, poses, sets=not segments, frames=True)  # a packed copy counts frame sets
    if not segments:
        return [(poses, video)]
    rows = sum(len(numbers) for _, numbers in segments)
    if (counted := int(poses.frame.max(initial=-1)) + 1) > rows:
        raise RigposeError(
            file, expected=f"poses of the {rows} frames of its recording", found=f"of {counted}",
            remedy="Give the .poses.npz, whose rows know their frames, or analyse the recording again",
        )  # fmt: skip
    parts, start = [], 0
    for path, numbers in segments:
        here = (poses.frame >= start) & (poses.frame < start + len(numbers))
        here[here] = numbers[poses.frame[here] - start] != GONE
        part = replace(
            poses, values=poses.values[here], frame=numbers[poses.frame[here] - start],
            index=poses.index[here], t_exposure_ns=poses.t_exposure_ns[here],
        )  # fmt: skip
        parts.append((part, path))
        start += len(numbers)
    return [(part, path) for part, path in parts if len(segments) == 1 or len(part.frame)]


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
