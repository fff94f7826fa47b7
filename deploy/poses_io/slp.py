"""SLEAP's label files (.slp), through sleap-io: points of videos, to be looked at, mended and read.

Every frame with a point becomes a labelled frame with one predicted instance; points keep their own
confidence as score, the instance has their mean. SLEAP's integer is the centre of a pixel, as ours.

Trap: SLEAP seeks frames by number, which goes wrong in a recording's videos where frames were lost. Of the
copies that `rigpose video pack` makes, every picture has its number, and `packed.json` beside them says
which frame set it is.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.recordings.pack import FILE as PACKED_FILE
from acquisition.videos.decoded import count_frames
from acquisition.videos.video import open_video
from deploy.poses_io.deeplabcut import named_words
from deploy.poses_io.poses import Poses, not_poses
from deploy.poses_io.set_rows import of_recording
from deploy.poses_io.sleap_h5 import one_animal
from deploy.whole_file import whole_file

ENDING = ".slp"


def save_slp(
    items: Sequence[tuple[Poses, Path]], path: Path, bones: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Write the poses of several videos into one file.

    Parameters
    ----------
    items:
        Poses, all with the same keypoints, and the video each is of.
    bones:
        Pairs of keypoints.

    Returns
    -------
    dict
        `labelled_frames`, `points`, and `videos`: of each its frames and how many are labelled.

    Raises
    ------
    RigposeError
        If sleap-io is not installed, keypoints differ, a video is missing or shorter than its poses, or
        there is no place to write.
    """
    sleap_io = _sleap_io(path)
    keypoints = items[0][0].keypoints
    nodes = {name: sleap_io.Node(name) for name in keypoints}
    edges = [sleap_io.Edge(nodes[a], nodes[b]) for a, b in bones]
    skeleton = sleap_io.Skeleton(list(nodes.values()), edges)
    frames, videos, said = [], [], []
    for poses, video in items:
        if set(poses.keypoints) != set(keypoints):
            raise RigposeError(
                video, expected=f"the keypoints {', '.join(keypoints)}", found=", ".join(poses.keypoints),
                remedy="Export poses of one network together",
            )  # fmt: skip
        own, count = _video(sleap_io, video)
        numbers = picture_numbers(poses, video)
        if len(numbers) and numbers.max() >= count:
            raise RigposeError(
                video,
                expected=f"at least {numbers.max() + 1} frames, of which its poses speak{named_words(poses)}",
                found=f"{count}", remedy="Give the video that these poses are of",
            )  # fmt: skip
        made = [
            sleap_io.LabeledFrame(own, int(number), [_instance(sleap_io, values, poses.keypoints, skeleton)])
            for number, values in zip(numbers, poses.values, strict=True)
            if number >= 0 and np.isfinite(values[:, :2]).all(axis=1).any()
        ]
        frames += made
        videos.append(own)
        said.append({"video": str(video), "frames": count, "labelled_frames": len(made)})
    labels = sleap_io.Labels(frames, videos, [skeleton])
    labels.provenance["rigpose"] = [poses.about.get("bundle_sha256", "") for poses, _ in items]
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of attributes that its own dependencies will rename
        sleap_io.save_slp(labels, str(temporary), embed=False, verbose=False)
    points = sum(int(np.isfinite(poses.values[..., 0]).sum()) for poses, _ in items)
    return {"output": str(path), "labelled_frames": len(frames), "points": points, "videos": said}


def load_slp(path: Path | str) -> Poses:
    """Read the predictions of one animal in one video; a user's own points count with confidence 1.

    Raises
    ------
    RigposeError
        If sleap-io is not installed, or the file is damaged, of several videos or of several animals.
    """
    path = Path(path)
    if not path.is_file():
        raise not_poses(path, "no such file")
    sleap_io = _sleap_io(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            labels = sleap_io.load_slp(str(path), open_videos=False)
            if len(labels.videos) != 1:
                raise not_poses(path, f"{len(labels.videos)} videos: give a file of one camera's video")
            found = labels.numpy(video=0, untracked=not labels.tracks, return_confidence=True)
    except RigposeError:
        raise
    except Exception as error:  # whatever its readers make of bytes that are no such file
        raise not_poses(path, " ".join(str(error).split())[:200]) from None
    values = np.asarray(found, np.float32).transpose(1, 0, 2, 3)
    values[..., 2] = np.where(np.isfinite(values[..., 0]) & ~(values[..., 2] >= 0), 1.0, values[..., 2])
    values[np.isnan(values[..., 0])] = np.nan
    about = {"scorer": "SLEAP", "video": str(labels.videos[0].filename)}
    return Poses.of_video(tuple(labels.skeletons[0].node_names), one_animal(values, path), about)


def _instance(sleap_io: Any, values: npt.NDArray[np.float32], names: tuple[str, ...], skeleton: Any) -> Any:
    rows = [names.index(name) for name in skeleton.node_names]
    ordered = values[rows].astype(np.float64)
    there = np.isfinite(ordered).all(axis=1)
    score = float(ordered[there, 2].mean()) if there.any() else 0.0
    scores = np.where(np.isfinite(ordered[:, 2]), ordered[:, 2], 0.0)
    return sleap_io.PredictedInstance.from_numpy(ordered[:, :2], skeleton, scores, score)


def _video(sleap_io: Any, path: Path) -> tuple[Any, int]:
    """The video as sleap-io names it, its shape included, so that it need not be opened; its frames."""
    info = open_video(path).info
    count = info.frames or 0 if path.is_dir() else count_frames(path)
    shape = [count, info.height_px, info.width_px, info.channels]
    about = {"shape": shape, "grayscale": info.channels == 1}
    return sleap_io.Video(str(path.resolve()), backend_metadata=about, open_backend=False), count


def picture_numbers(poses: Poses, video: Path) -> npt.NDArray[np.int64]:
    """int64 (T,): of each row the number of its picture in the video, -1 where there is none.

    In a packed copy of a recording a picture is a frame set; in any other video it is a frame.
    """
    try:
        packed = json.loads((video.parent / PACKED_FILE).read_text(encoding="utf-8"))
        names = {Path(each["file"]).name for each in packed["videos"].values() if each["file"]}
        first, pictures = int(packed["first_index"]), int(packed["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        return poses.frame
    if video.name not in names or not of_recording(poses):  # poses of the copy itself
        return poses.frame
    numbers = poses.index - first
    numbers[(numbers < 0) | (numbers >= pictures) | (poses.frame < 0)] = -1
    return numbers


def _sleap_io(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import sleap_io
    except ModuleNotFoundError as error:
        raise RigposeError(
            path, expected="sleap-io, which writes it", found=str(error),
            remedy="pip install 'rigpose[slp]'",
        ) from None  # fmt: skip
    return sleap_io
