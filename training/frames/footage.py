"""What frames are chosen from: a video, or the synchronised videos of a recording, by instants.

An instant of a lone video is a frame. An instant of a recording is a frame set: the same pulse in every
camera, whatever frames one of them lost before, so its frames have different numbers in different videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from training.projects.project import CONFIG_FILE, Crop, Project
from training.projects.video_frames import Numbers, VideoFrames
from training.projects.videos import parse_crop

NO_FRAME = -1
SMALL_WIDTH_PX = 30


class Undecodable(RigposeError):
    """A picture that is there and does not decode."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One camera's video.

    Attributes
    ----------
    folder:
        Of its images in labeled-data: the stem of the video's name.
    video:
        Its frames.
    frames:
        int64 (T,): number of the decoded frame at each instant, `NO_FRAME` where there is none.
    absences:
        Why there is none, by instant.
    camera:
        Its name in the rig; empty for a lone video.
    """

    folder: str
    video: VideoFrames
    frames: Numbers
    absences: dict[int, str]
    camera: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """One video or recording.

    Attributes
    ----------
    source:
        The file or the session's folder.
    recording:
        The session's name; empty for a lone video.
    index:
        int64 (T,): what instants are called, ascending: frame numbers, or indices of frame sets.
    views:
        One per video, in rig order.
    crop:
        The part of each picture to keep; None: all of it.
    notes:
        What is wrong with it, a sentence each.
    """

    source: Path
    recording: str
    index: Numbers
    views: tuple[View, ...]
    crop: Crop | None
    notes: tuple[str, ...]

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """bool (T,): whether every view has a frame."""
        there: npt.NDArray[np.bool_] = np.all([view.frames != NO_FRAME for view in self.views], axis=0)
        return there

    @property
    def decoded(self) -> int:
        """Frames decoded so far, all views together."""
        return sum(view.video.decoded for view in self.views)

    def images(self, instants: Numbers) -> Iterator[tuple[int, list[Image]]]:
        """(index, one whole picture per view) at these places in `index`, ascending, all complete.

        Raises
        ------
        Undecodable
            If a frame does not decode.
        """
        per_view = [view.video.images(view.frames[instants]) for view in self.views]
        for instant, pictures in zip(instants, zip(*per_view, strict=True), strict=True):
            whole = []
            for view, picture in zip(self.views, pictures, strict=True):
                if picture is None:
                    raise Undecodable(
                        view.video.path, expected=f"frame {view.frames[instant]}",
                        found="pictures that do not decode there",
                        remedy="Leave that part out with --start and --stop, or restore the file from a copy",
                    )  # fmt: skip
                whole.append(picture if self.crop is None else _cropped(picture, self.crop))
            yield int(self.index[instant]), whole

    def small(self, instants: Numbers, *, colour: bool = False) -> tuple[Numbers, npt.NDArray[np.uint8]]:
        """Small pictures at these instants, ascending, all complete; instants that do not decode left out.

        Returns
        -------
        The instants, and uint8 (N, F): the pixels of all views, `SMALL_WIDTH_PX` columns each.
        """
        streams = [
            view.video.small(view.frames[instants], SMALL_WIDTH_PX, crop=self.crop, colour=colour)
            for view in self.views
        ]
        kept: list[int] = []
        rows: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        with Progress(f"look at {self.source.name}", len(instants)) as bar:
            for instant, pictures in zip(instants, zip(*streams, strict=True), strict=True):
                bar.advance()
                if any(picture is None for picture in pictures):
                    continue
                row = np.concatenate([picture.ravel() for picture in pictures if picture is not None])
                if not kept:
                    rows = np.empty((len(instants), len(row)), np.uint8)
                rows[len(kept)] = row
                kept.append(int(instant))
        return np.array(kept, np.int64), rows[: len(kept)]


def open_footage(path: Path, crop: Crop | None = None) -> Footage:
    """A video file or a session folder.

    Raises
    ------
    RigposeError
        If it is missing or damaged, if it is one video of a recording, or if the crop does not fit.
    """
    path = Path(path)
    if (path / SESSION_FILE).is_file():
        return _of_recording(path, crop)
    if (path.parent / SESSION_FILE).is_file() and path.is_file():
        raise RigposeError(
            path, expected="a lone video or a recording", found="one video of a recording",
            remedy=f"Give the recording, so that all cameras show the same instants: {path.parent}",
        )  # fmt: skip
    video = VideoFrames(path)
    if crop is not None:
        _check_crop(crop, video, path)
    numbers = np.arange(len(video), dtype=np.int64)
    return Footage(
        path, "", numbers, (View(path.stem, video, numbers, {}),), crop, (video.gap,) if video.gap else ()
    )


def _of_recording(folder: Path, crop: Crop | None) -> Footage:
    with Recording.open(folder) as recording:
        sets = recording.frame_sets()
        views = []
        for number, camera in enumerate(recording.cameras):
            if not recording.video_path(camera).is_file():
                continue
            rows = [each.payloads[number] for each in sets]
            pictures = recording.picture_numbers(camera)  # other than the rows where the video was damaged
            frames = np.array([NO_FRAME if row is None else pictures[row] for row in rows], np.int64)
            absences = {
                at: "its picture is gone" if (absence := sets[at].absences[number]) is None else absence.value
                for at in np.flatnonzero(frames == NO_FRAME).tolist()
            }
            path = recording.video_path(camera)
            views.append(View(path.stem, VideoFrames(path), frames, absences, camera))
        if not views or not sets:
            raise RigposeError(
                folder, expected="a recording with pictures", found="none", remedy="Record again"
            )
        name, notes = str(recording.session["name"]), tuple(recording.gaps)
    for view in views:
        short = view.frames >= len(view.video)
        view.frames[short] = NO_FRAME
    index = np.array([each.index for each in sets], np.int64)
    footage = Footage(Path(folder), name, index, tuple(views), None, notes)
    if crop is not None:
        refuse_crop(footage, {view.folder: crop for view in views})
    return footage


def project_videos(project: Project) -> tuple[list[tuple[Path, Crop | None]], list[str]]:
    """The videos (recordings) that config.yaml names, with their crops; and the names of those not found.

    A path that is no longer right is looked for by its file name in the project's videos folder. The
    videos of one recording become that recording, which has no crop.
    """
    found: dict[Path, Crop | None] = {}
    missing = []
    crops = crops_of_config(project)
    for key in project.video_sets():
        name = str(key).replace("\\", "/").rsplit("/", 1)[-1]
        places = [Path(str(key)), project.root / str(key), project.root / "videos" / name]
        path = next((place.absolute() for place in places if place.is_file()), None)
        if path is None:
            missing.append(str(key))
        elif (path.parent / SESSION_FILE).is_file():
            found[path.parent] = None
        else:
            found[path] = crops.get(path.stem)
    return list(found.items()), missing


def crops_of_config(project: Project) -> dict[str, Crop]:
    """Folder of labelled images -> the crop that config.yaml's video_sets has for its video."""
    return {
        Path(str(key).replace("\\", "/")).stem: parse_crop(str(value["crop"]), project.root / CONFIG_FILE)
        for key, value in project.video_sets().items()
        if isinstance(value, dict) and value.get("crop")
    }


def refuse_crop(footage: Footage, crops: Mapping[str, Crop]) -> None:
    """Refuse, with `RigposeError`, a crop of a recording that leaves anything out."""
    for view in footage.views:
        whole = (0, view.video.info.width_px, 0, view.video.info.height_px)
        if footage.recording and crops.get(view.folder, whole) != whole:
            raise RigposeError(
                "--crop", expected="whole images of a recording", found=f"a crop of {view.folder}",
                remedy="A calibration holds for whole images: leave --crop out for recordings",
            )  # fmt: skip


def _check_crop(crop: Crop, video: VideoFrames, whose: object) -> None:
    width, height = video.info.width_px, video.info.height_px
    if crop[1] > width or crop[3] > height:
        raise RigposeError(
            whose, expected=f"a crop within {width}x{height} px", found=", ".join(map(str, crop)),
            remedy="Mend it in config.yaml's video_sets, or give another --crop",
        )  # fmt: skip


def _cropped(image: Image, crop: Crop) -> Image:
    x1, x2, y1, y2 = crop
    return image[y1:y2, x1:x2]


def claimed_twice(footages: Sequence[Footage]) -> None:
    """Refuse, with `RigposeError`, two videos whose images would lie in one folder."""
    owner: dict[str, Path] = {}
    for footage in footages:
        for view in footage.views:
            other = owner.setdefault(view.folder, view.video.path)
            if other != view.video.path:
                raise RigposeError(
                    view.video.path, expected="videos of different names", found=f"the name of {other}, too",
                    remedy="Their images would lie in one folder: rename one",
                )  # fmt: skip
