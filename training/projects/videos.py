"""Videos become a project's: looked at first, linked or copied into `videos/`, entered in `config.yaml`.

The cameras of a recording are entered as they lie in its session, never alone and never moved: only
there their frame tables tell which frames show one instant.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.videos.video import open_video
from training.projects.project import CONFIG_FILE, LABELED_DATA, Crop, Project

VIDEOS = "videos"


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video that was looked at and can be taken in.

    Attributes
    ----------
    source:
        The file, absolute.
    crop:
        The part of its pictures to keep; without a wish all of it.
    recording:
        Name of the recording it is one camera of, empty for a lone video.
    """

    source: Path
    crop: Crop
    recording: str = ""


def look_at_videos(
    paths: Sequence[Path], crops: Sequence[Crop] = (), *, project: Project | None = None
) -> list[NewVideo]:
    """Decode the beginning of every video and check that it can enter the project. Writes nothing.

    Parameters
    ----------
    paths:
        Video files, and folders of recordings, which stand for the videos of their cameras.
    crops:
        None, one for all files, or one for each.
    project:
        What they are to enter; None: one that is still to be made. Where its config.yaml has a crop for a
        lone video of this name, one that was moved, that crop stays unless another is given.

    Raises
    ------
    RigposeError
        If one is missing or does not decode, if a crop does not fit, or if two have one name: their
        images would lie in one folder.
    """
    if len(crops) not in (0, 1, len(paths)):
        raise RigposeError(
            "--crop", expected=f"one crop for all, or {len(paths)}, one per video", found=str(len(crops)),
            remedy="Give --crop once, or once per video in their order",
        )  # fmt: skip
    found: list[NewVideo] = []
    for index, path in enumerate(paths):
        crop = crops[index if len(crops) > 1 else 0] if crops else None
        if (Path(path) / SESSION_FILE).is_file():
            found += _of_recording(Path(path), crop)
        else:
            found.append(_lone(Path(path), crop, project))
    taken: dict[str, Path] = {}
    for video in found:
        folder = video.source.stem
        # one that is no longer to be found may be given again
        there = taken.get(folder) or (find_video(project, folder) if project is not None else None)
        if there is not None:
            raise RigposeError(
                video.source, expected="a name that no other video has", found=f"that of {there}",
                remedy=f"Their images would both lie in {LABELED_DATA}/{folder}: rename the file",
            )  # fmt: skip
        taken[folder] = video.source
    return found


def add_videos(project: Project, videos: Sequence[NewVideo], *, copy: bool = False) -> Project:
    """Take videos in that `look_at_videos` has looked at: `videos/<name>` and an entry in `config.yaml`.

    Parameters
    ----------
    copy:
        Copy them; by default they are linked, and the project needs them where they are.

    Raises
    ------
    RigposeError
        If a file cannot be written; then none of them is entered and none stays in `videos/`.
    """
    if copy and (recorded := [video for video in videos if video.recording]):
        raise RigposeError(
            "--copy", expected="lone videos", found=f"the recording of {recorded[0].source.name}",
            remedy="A recording is used where it lies: leave --copy out",
        )  # fmt: skip
    made: list[Path] = []
    entries: dict[str, Crop] = {}
    try:
        for video in videos:
            place = video.source
            if not video.recording and place.parent != project.root / VIDEOS:
                place = project.root / VIDEOS / video.source.name
                place.parent.mkdir(exist_ok=True)
                if _put(video.source, place, copy):
                    made.append(place)
            entries[str(place)] = video.crop
        return project.enter_videos(
            entries, {video.source.stem: video.recording for video in videos if video.recording}
        )
    except BaseException as error:
        for place in made:
            place.unlink()
        if not isinstance(error, OSError):
            raise
        raise RigposeError(
            error.filename2 or error.filename or project.root / VIDEOS,
            expected="room for a copy" if copy else "a place for a link", found=error.strerror or str(error),
            remedy="Make room, or leave --copy out" if copy else "Give --copy where links cannot be made",
        ) from None  # fmt: skip


def parse_crop(text: str, whose: object) -> Crop:
    """'x1, x2, y1, y2' as four numbers, px. Raises `RigposeError`."""
    try:
        x1, x2, y1, y2 = (int(part) for part in text.split(","))
        if not (0 <= x1 < x2 and 0 <= y1 < y2):
            raise ValueError
    except ValueError:
        raise RigposeError(
            whose, expected="a crop as x1, x2, y1, y2 in px, each first less than its second",
            found=f"'{text}'", remedy="Give for instance --crop 0,640,120,480",
        ) from None  # fmt: skip
    return x1, x2, y1, y2


def _put(source: Path, place: Path, copy: bool) -> bool:
    """Link or copy; False where `place` is that file already."""
    if place.is_symlink() and not place.exists():  # where it led has been moved, and is given again
        place.unlink()
    if place.exists():
        if place.samefile(source):
            return False
        raise RigposeError(
            place, expected="no other video of that name", found="one that config.yaml does not name",
            remedy="Give that file itself, or move it away",
        )  # fmt: skip
    if not copy:
        place.symlink_to(source)
        return True
    temporary = place.with_name(f".{place.name}.part")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _lone(path: Path, crop: Crop | None, project: Project | None) -> NewVideo:
    if path.is_dir():
        raise RigposeError(
            path, expected="a video file, or the folder of a recording", found="another folder",
            remedy="Images are labelled where they are: put them into labeled-data/<name>",
        )  # fmt: skip
    if (path.parent / SESSION_FILE).is_file():
        raise RigposeError(
            path, expected="a lone video or a recording", found="one video of a recording",
            remedy=f"Give the recording, so that all cameras show the same instants: {path.parent}",
        )  # fmt: skip
    entered = _entered_crop(project, path.stem) if crop is None and project is not None else None
    return _checked(path, crop, "", entered)


def _entered_crop(project: Project, folder: str) -> Crop | None:
    """What config.yaml has for the video of this folder."""
    entries = {str(key): value for key, value in project.video_sets().items()}
    for key in project.videos_by_folder().get(folder, ()):
        if isinstance(entries[key], dict) and entries[key].get("crop"):
            return parse_crop(str(entries[key]["crop"]), project.root / CONFIG_FILE)
    return None


def _of_recording(folder: Path, crop: Crop | None) -> list[NewVideo]:
    if crop is not None:
        raise RigposeError(
            "--crop", expected="whole pictures of a recording", found=f"a crop for {folder}",
            remedy="A calibration holds for whole pictures: leave --crop out for recordings",
        )  # fmt: skip
    with Recording.open(folder) as recording:
        name = str(recording.session["name"])
        paths = [recording.video_path(camera) for camera in recording.cameras]
    return [_checked(path, None, name) for path in paths if path.is_file()]


def _checked(path: Path, crop: Crop | None, recording: str, entered: Crop | None = None) -> NewVideo:
    info = open_video(path).info  # decodes the first picture
    whole = (0, info.width_px, 0, info.height_px)
    if crop is not None and (crop[1] > whole[1] or crop[3] > whole[3]):
        raise RigposeError(
            "--crop", expected=f"a part of {info.width_px}x{info.height_px} px",
            found=",".join(map(str, crop)), remedy=f"Give another crop for {path}",
        )  # fmt: skip
    if entered is not None and entered[1] <= whole[1] and entered[3] <= whole[3]:
        crop = entered
    return NewVideo(Path(path).absolute(), crop or whole, recording)


def find_video(project: Project, folder: str) -> Path | None:
    """The video that a folder's images come from; None where config.yaml names none that is there."""
    for key in project.videos_by_folder().get(folder, ()):
        name = key.replace("\\", "/").rsplit("/", 1)[-1]
        for place in (Path(key), project.root / key, project.root / VIDEOS / name):
            if place.is_file():
                return place
    return None
