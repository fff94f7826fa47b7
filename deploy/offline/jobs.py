"""What there is to analyse: one `Job` per output, from the paths a person gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import RigposeError
from acquisition.recordings.frame_table import SUFFIX as FRAME_TABLE
from acquisition.recordings.recording import Recording
from acquisition.recordings.segments import segments_of
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.settings import parse_settings
from acquisition.videos.video import IMAGE_SUFFIXES
from deploy.poses_io.pose_table import SUFFIX as POSE_TABLE
from deploy.poses_io.pose_table import read_pose_tables
from deploy.tracking_settings import TrackingSettings, Window

VIDEO_SUFFIXES = {
    ".mkv", ".mp4", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".webm", ".ts", ".mts", ".flv",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """One output: a video, an image folder, or one camera of a recording.

    Attributes
    ----------
    source:
        The video, the folder of images, or the session.
    camera:
        Of the session; None otherwise.
    stem:
        What the names of its files begin with.
    window:
        The part of the image that the live tracker looked at, which is looked at again; None: all of it.
    followed:
        Whether the live tracker's window followed the animal, which is not repeated.
    fault:
        Of a session that cannot be read: why, in the parts of a `RigposeError`. The job fails of it.
    """

    source: Path
    camera: str | None
    stem: str
    window: Window | None = None
    followed: bool = False
    fault: tuple[str, str, str, str] | None = None

    @property
    def name(self) -> str:
        """For a person."""
        return str(self.source) if self.camera is None else f"{self.source}, camera {self.camera}"

    def require_sound(self) -> None:
        """Raise the `fault`, where there is one, as a `RigposeError`."""
        if self.fault is not None:
            whose, expected, found, remedy = self.fault
            raise RigposeError(whose, expected=expected, found=found, remedy=remedy)


def plan(inputs: Sequence[Path]) -> list[Job]:
    """One job per output, in the order given; a folder of videos or sessions gives all of them, by name.

    A folder is one of images if it holds neither; pictures beside videos are `left_out`.
    A session in such a folder that cannot be read gives one job, which will fail.

    Raises
    ------
    RigposeError
        For a missing input, a folder with nothing to analyse, two inputs that would write one output.
    """
    jobs = [job for path in inputs for job in _jobs_of(path)]
    claimed: dict[str, Job] = {}
    for job in jobs:
        other = claimed.setdefault(job.stem, job)
        if other is not job:
            raise RigposeError(
                job.source, expected="inputs of different names", found=f"the name of {other.source}, too",
                remedy="Both would write one output: analyze them into different folders",
            )  # fmt: skip
    return jobs


def read_list(file: Path) -> list[Path]:
    """The paths in a text file, one a line, relative to its folder; empty lines and `# ...` are passed over.

    Raises
    ------
    RigposeError
        If there is no such file, it is no text, or it names nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = "no text" if isinstance(error, UnicodeDecodeError) else error.strerror or "nothing"
        raise RigposeError(
            file, expected="a text file with one video a line", found=found, remedy="Check --list"
        ) from None
    named = [line.strip() for line in lines]
    paths = [file.parent / Path(line).expanduser() for line in named if line and not line.startswith("#")]
    if not paths:
        raise RigposeError(
            file, expected="a text file with one video a line", found="none named", remedy="Check --list"
        )
    return paths


def source_state(job: Job) -> str:
    """A hash that changes when the input does: names, sizes and times of change of all files it is made of.

    Raises `OSError` where one cannot be looked at.
    """
    digest = hashlib.sha256()
    for path in _files_of(job):
        facts = path.stat()
        digest.update(f"{path.name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def source_bytes(job: Job) -> int:
    """The size of all files a job is made of. Raises `OSError` where one cannot be looked at."""
    return sum(path.stat().st_size for path in _files_of(job))


def left_out(inputs: Sequence[Path], jobs: Sequence[Job]) -> list[str]:
    """A sentence for every folder of `inputs` with pictures beside the videos or recordings of `jobs`."""
    said, sources = [], {job.source for job in jobs}
    for path in inputs:
        pictures = _of_kind(sorted(path.iterdir()), IMAGE_SUFFIXES) if path.is_dir() else []
        if pictures and path not in sources:
            said.append(
                f"{path}: pictures beside the videos are left out ({len(pictures)}, such as "
                f"{pictures[0].name}); to analyze pictures, put them into a folder without videos"
            )
    return said


def _jobs_of(path: Path) -> list[Job]:
    if not path.exists():
        raise RigposeError(
            path, expected="a video, a folder of images or videos, or a recording", found="nothing there",
            remedy="Check the path",
        )  # fmt: skip
    if not path.is_dir():
        return [Job(path, None, path.stem)]
    if (path / SESSION_FILE).exists():
        return _cameras_of(path)
    inside = sorted(path.iterdir())
    jobs = [Job(video, None, video.stem) for video in _of_kind(inside, VIDEO_SUFFIXES)]
    for folder in inside:
        if (folder / SESSION_FILE).exists():
            try:
                jobs += _cameras_of(folder)
            except RigposeError as error:  # the others' work is not lost for it
                fault = (str(error.whose), error.expected, error.found, error.remedy)
                jobs.append(Job(folder, None, folder.resolve().name, fault=fault))
    if not jobs and _of_kind(inside, IMAGE_SUFFIXES):
        return [Job(path, None, path.resolve().name)]
    if not jobs:
        raise RigposeError(
            path, expected="images, videos or recordings in the folder", found="none",
            remedy="Check the path: folders inside it are not searched",
        )  # fmt: skip
    return jobs


def _cameras_of(session: Path) -> list[Job]:
    with Recording.open(session) as recording:
        names = {name: recording.video_name(name) for name in recording.cameras}
    settings = _live_settings(session)
    followed = settings.followed(tuple(names))
    return [
        Job(session, name, stem, settings.crop.get(name), name in followed) for name, stem in names.items()
    ]


def _live_settings(session: Path) -> TrackingSettings:
    """How the session was tracked live; a session that was only recorded was tracked in no special way."""
    tables = read_pose_tables(session)
    said = tables[-1].about.get("tracking") if tables else None
    if said is None:
        return TrackingSettings()
    return parse_settings(TrackingSettings, said, f"{session}: the settings of its live tracker")


def _files_of(job: Job) -> Iterable[Path]:
    if job.camera is not None:
        tables = sorted(job.source.glob(f"*{FRAME_TABLE}"))  # of all cameras: they make the frame sets
        segments = segments_of(job.source, job.camera, job.stem.removesuffix(f"_{job.camera}"))
        videos = [segment.video for segment in segments if segment.video.exists()]
        return [job.source / SESSION_FILE, *tables, *videos]
    if job.fault is not None:
        return [job.source / SESSION_FILE, *sorted(job.source.rglob(f"*{POSE_TABLE}"))]
    if job.source.is_dir():
        return _of_kind(sorted(job.source.iterdir()), IMAGE_SUFFIXES)
    return [job.source]


def _of_kind(paths: Iterable[Path], suffixes: set[str]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() in suffixes and not path.name.startswith(".")]
