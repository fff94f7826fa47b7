"""Videos beside their poses: which file belongs to which, and which frame to which row.

Instants are the frame sets (frames, of lone videos) that any file of poses has, and after them frames
that no row speaks of. Frame n is the n-th decoded one; a column file knows the frame of each row, its own
and those of the CSV and h5 beside it; of one of DeepLabCut's the names of the rows tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.videos.decoded import count_frames
from acquisition.videos.video import VideoInfo, open_video
from deploy.offline.tracks import stem_and_ending
from deploy.poses_io.anipose_csv import is_anipose_csv
from deploy.poses_io.deeplabcut import named_words
from deploy.poses_io.poses import Poses, not_poses
from deploy.poses_io.readers import READERS, load_poses
from deploy.poses_io.set_rows import of_recording, with_sets
from deploy.poses_io.slp import picture_numbers

NONE = -1
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One video and its poses.

    Attributes
    ----------
    video:
        A file, or a folder of images.
    info:
        What it says of itself.
    file, poses:
        Its poses.
    frames:
        How many the video has.
    frame, row:
        int64 (T,): at each instant the frame, the row of `poses`; `NONE` where there is none.
    """

    video: Path
    info: VideoInfo
    file: Path
    poses: Poses
    frames: int
    frame: Numbers
    row: Numbers


def sort_files(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Videos (those of a recording, in rig order, for its folder) and files of poses. `RigposeError`."""
    videos: list[Path] = []
    poses: list[Path] = []
    for file in files:
        if file.name.endswith(tuple(READERS)):
            if not file.is_file():
                raise not_poses(file, "no such file")
            if file.suffix == ".csv" and is_anipose_csv(file):
                raise RigposeError(
                    file, expected="2D poses beside the videos", found="3D points",
                    remedy="Give it after --points",
                )  # fmt: skip
            poses.append(file)
        elif (file / SESSION_FILE).exists():
            recording = Recording.open(file)
            videos += [path for path in map(recording.video_path, recording.cameras) if path.exists()]
        else:
            videos.append(file)
    for found, words in ((videos, "at least one video"), (poses, "the poses of each video")):
        if not found:
            raise RigposeError(
                "files", expected=words, found="none",
                remedy="Give videos and files of poses: m4s1.mp4 m4s1DLC_x.h5",
            )  # fmt: skip
    return videos, poses


def pair(videos: Sequence[Path], poses: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each video with the file of poses whose name begins with its own. Raises `RigposeError`."""
    if len(videos) == len(poses) == 1:
        return [(videos[0], poses[0])]
    found: dict[Path, Path] = {}
    for file in poses:
        stem = stem_and_ending(file)[0]
        fits = [video for video in videos if stem.startswith(_stem(video))]
        longest = max((len(_stem(video)) for video in fits), default=0)
        best = [video for video in fits if len(_stem(video)) == longest]
        if len(best) != 1 or best[0] in found:
            raise RigposeError(
                file, expected="a name that begins with that of one video, each once",
                found="none that fits" if not best
                else f"{found[best[0]].name}, for {best[0].name} too" if best[0] in found
                else f"{len(best)} videos of that name",
                remedy="Give one file of poses for each video: top.mp4 side.mp4 topDLC_x.h5 sideDLC_x.h5",
            )  # fmt: skip
        found[best[0]] = file
    if missing := [video for video in videos if video not in found]:
        raise RigposeError(
            missing[0], expected="a file of its poses", found="none whose name begins with its own",
            remedy="Analyse it, or leave it out",
        )  # fmt: skip
    return [(video, found[video]) for video in videos]


def line_up(pairs: Sequence[tuple[Path, Path]], *, unequal: bool) -> tuple[Numbers, list[View]]:
    """What the instants are called (T,), and the views.

    Parameters
    ----------
    unequal:
        Whether a video may have more or fewer frames than its poses say. A recording's may have more anyway:
        a camera can run on when the others have ended.

    Raises
    ------
    RigposeError
        If they differ and may not; a file that does not read, has no rows, or of whose rows nothing says
        which frames and frame sets they are.
    """
    read: list[tuple[Path, Path, Poses, int]] = []
    for video, file in pairs:
        poses = with_sets(file, load_poses(file), frames=True)
        if not len(poses.index):
            raise not_poses(file, "no rows")
        recorded = recorded_pictures(video)
        may_run_on = bool(recorded) and of_recording(poses)  # before or after the other cameras: in no set
        named = named_words(poses)
        poses = _of_pictures(poses, video, recorded)
        if (np.diff(poses.index) <= 0).any() or (np.diff(poses.frame[poses.frame >= 0]) <= 0).any():
            raise not_poses(file, "rows whose frame numbers do not grow")
        frames = open_video(video).info.frames or 0 if video.is_dir() else count_frames(video)
        counted = int(poses.frame.max()) + 1
        if not unequal and (counted > frames or (counted < frames and not may_run_on)):
            raise RigposeError(
                video, expected=f"the {counted} frames that {file.name} speaks of{named}", found=f"{frames}",
                remedy="Give the poses of this very video (of a recording that lost frames the .poses.npz), "
                "or --unequal to draw what there is of both",
            )  # fmt: skip
        read.append((video, file, poses, frames))
    index = np.unique(np.concatenate([poses.index for _, _, poses, _ in read]))
    further = max(max(0, frames - int(poses.frame.max()) - 1) for _, _, poses, frames in read)
    index = np.concatenate([index, index[-1] + 1 + np.arange(further)])
    views = []
    for video, file, poses, frames in read:
        frame, row = np.full(len(index), NONE, np.int64), np.full(len(index), NONE, np.int64)
        at = np.searchsorted(index, poses.index)
        row[at] = np.arange(len(at))
        frame[at] = poses.frame
        rest = np.arange(int(poses.frame.max()) + 1, frames)
        frame[len(index) - further : len(index) - further + len(rest)] = rest
        frame[frame >= frames] = NONE
        views.append(View(video, open_video(video).info, file, poses, frames, frame, row))
    return index, views


def videos_of_camera(video: Path) -> tuple[Path, ...]:
    """If it is a recording's: all videos of its camera."""
    with _recording_of(video) as found:
        return () if found is None else found[0].video_paths(found[1])


def recorded_pictures(video: Path) -> list[tuple[Path, Numbers]]:
    """If it is a recording's: all videos of its camera, and for each row of theirs the picture's number.

    The number is `NONE` where the picture is gone; of a damaged video the later ones are no longer the rows'.
    """
    with _recording_of(video) as found:
        if found is None:
            return []
        recording, camera = found
        paths, rows = recording.video_paths(camera), recording.rows_by_video(camera)
        ends = np.cumsum([rows.get(path, 0) for path in paths])
        return list(zip(paths, np.split(recording.picture_numbers(camera), ends[:-1]), strict=True))


@contextmanager
def _recording_of(video: Path) -> Iterator[tuple[Recording, str] | None]:
    """The recording that a video is of, and its camera there."""
    folder = video.resolve().parent
    if video.is_dir() or not (folder / SESSION_FILE).is_file():
        yield None
        return
    with Recording.open(folder) as recording:
        cameras = [c for c in recording.cameras if folder / video.name in recording.video_paths(c)]
        yield (recording, cameras[0]) if cameras else None


def _of_pictures(poses: Poses, video: Path, recorded: Sequence[tuple[Path, Numbers]]) -> Poses:
    """The same with the numbers of the pictures in a recording's only video, or in a packed copy."""
    if len(recorded) != 1:
        return poses if recorded else replace(poses, frame=picture_numbers(poses, video))
    numbers = recorded[0][1]
    known = (poses.frame >= 0) & (poses.frame < len(numbers))
    frame = poses.frame.copy()
    frame[known] = numbers[poses.frame[known]]
    return replace(poses, frame=frame)


def _stem(video: Path) -> str:
    return video.resolve().name if video.is_dir() else video.stem
