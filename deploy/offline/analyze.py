"""Offline: poses of videos, image folders and recordings, written into files that others read.

Each input gives `<video><S>.h5`, `.csv` and `.poses.npz` (`deploy.poses_io` tells what they hold). A
recording gives one of each per camera, with one row per frame set, NaN where the camera had no frame,
so that all its cameras have equal rows. Decoding, inference and writing overlap, a thread each.
"""

from __future__ import annotations

import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import FILE as SESSION_FILE
from acquisition.videos.video import open_video
from deploy.bundles.animal_size import AnimalSizeWatch
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.bundles.runtimes.table import AUTO
from deploy.poses_io.columns import SUFFIX, save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5, scorer_of
from deploy.poses_io.poses import NO_FRAME, NO_TIME_NS, Poses

DECODED_AHEAD = 16
FORMATS = ("h5", "csv")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """One output: a video, an image folder, or one camera of a recording."""

    source: Path
    camera: str | None
    stem: str


def analyze(
    bundle: Bundle | Path | str,
    inputs: Sequence[Path | str],
    output: Path | str,
    *,
    runtime: str = AUTO,
    precision: str = AUTO,
    threads: int = 1,
) -> dict[str, Any]:
    """Find the keypoints in every frame of `inputs` and write them into the folder `output`.

    Parameters
    ----------
    bundle:
        A loaded bundle or its path.
    inputs:
        Video files, folders of images, session folders.
    threads:
        Of the inference.

    Returns
    -------
    dict
        `runs` (what ran and why), `scorer`, `videos`: for each its files, frames, rows, frames a second,
        `gap`, None or what its source lacks, and `warning`, None or why not to trust it; `failed`: inputs
        that could not be read, and why.

    Raises
    ------
    RigposeError
        Before any work: if an input is missing, two inputs would write one output, or the bundle or a
        runtime is not there. Later: if the only input holds no picture, or the disk is full.
    """
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    output = Path(output)
    jobs = plan([Path(path) for path in inputs])
    predictor = Predictor(loaded, runtime=runtime, precision=precision, threads=threads)
    scorer = scorer_of(loaded)
    runs = predictor.describe()
    videos: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    pending: list[Future[list[str]]] = []
    with ThreadPoolExecutor(1, "writer") as writer:
        for job in jobs:
            try:
                poses, measured = _track(job, predictor, {"scorer": scorer, **runs})
            except RigposeError as error:
                if len(jobs) == 1:
                    raise
                failed.append({"video": str(job.source), "camera": job.camera or "", "why": str(error)})
                continue
            videos.append(measured)
            pending.append(writer.submit(_write, poses, scorer, output / f"{job.stem}{scorer}"))
        for measured, files in zip(videos, pending, strict=True):
            measured["files"] = files.result()
    return {"runs": runs, "scorer": scorer, "videos": videos, "failed": failed}


def plan(inputs: Sequence[Path]) -> list[Job]:
    """One job per output. Raises `RigposeError` for a missing input, or two that would write one output."""
    jobs: list[Job] = []
    for path in inputs:
        if not path.exists():
            raise RigposeError(
                path, expected="a video, a folder of images or a recording", found="nothing there",
                remedy="Check the path",
            )  # fmt: skip
        if (path / SESSION_FILE).exists():
            recording = Recording.open(path)
            jobs += [Job(path, name, recording.video_path(name).stem) for name in recording.cameras]
        else:
            jobs.append(Job(path, None, path.resolve().name if path.is_dir() else path.stem))
    claimed: dict[str, Job] = {}
    for job in jobs:
        other = claimed.setdefault(job.stem, job)
        if other is not job:
            raise RigposeError(
                job.source, expected="inputs of different names", found=f"the name of {other.source}, too",
                remedy="Both would write one output: analyze them into different folders",
            )  # fmt: skip
    return jobs


def _track(job: Job, predictor: Predictor, about: dict[str, Any]) -> tuple[Poses, dict[str, Any]]:
    start_ns = time.monotonic_ns()
    about = {**about, "video": str(job.source), "camera": job.camera}
    size = AnimalSizeWatch(predictor.bundle.manifest.animal_size, job.stem, "crop (rigpose video crop)")
    if job.camera is None:
        video = open_video(job.source)
        found = _keypoints(iter(video), video.info.frames, job, predictor, size)
        poses, gap = Poses.of_video(predictor.keypoints, found, about), video.gap
    else:
        with Recording.open(job.source) as recording:
            about["video"] = str(recording.video_path(job.camera))
            rows = len(recording.frame_table(job.camera))
            found = _keypoints(recording.images(job.camera), rows, job, predictor, size)
            poses = _by_frame_set(recording, job.camera, found, predictor.keypoints, about)
            gap = "; ".join(said for said in recording.gaps if said.startswith(f"{job.camera}:")) or None
    seconds = (time.monotonic_ns() - start_ns) / 1e9
    return poses, {
        "video": about["video"], "camera": job.camera, "frames": len(found), "rows": len(poses.values),
        "frames_per_s": round(len(found) / seconds, 1), "gap": gap,
        "warning": size.said or None,
    }  # fmt: skip


def _keypoints(
    images: Iterator[Image], expected: int | None, job: Job, predictor: Predictor, size: AnimalSizeWatch
) -> npt.NDArray[np.float32]:
    """float32 (frames, K, 3) of all `images`, which a thread of its own decodes."""
    found: list[npt.NDArray[np.float32]] = []
    with Progress(job.stem, total=expected) as bar:
        for image in ahead(images, DECODED_AHEAD):
            found.append(predictor.predict([image])[0])
            size.add(found[-1], predictor.whole_frame(image).scale)
            bar.advance()
    return np.array(found, np.float32).reshape(-1, len(predictor.keypoints), 3)


def _by_frame_set(
    recording: Recording,
    camera: str,
    found: npt.NDArray[np.float32],
    keypoints: tuple[str, ...],
    about: dict[str, Any],
) -> Poses:
    """One row per frame set of the recording, NaN where this camera had no frame."""
    sets = recording.frame_sets()
    number = recording.cameras.index(camera)
    rows = [each.payloads[number] for each in sets]
    frame = np.array([NO_FRAME if row is None else row for row in rows], np.int64)
    there = (frame >= 0) & (frame < len(found))
    frame[~there] = NO_FRAME
    values = np.full((len(sets), *found.shape[1:]), np.nan, np.float32)
    values[there] = found[frame[there]]
    stamps = [each.stamps[number] for each in sets]
    times = [NO_TIME_NS if stamp is None else stamp.t_exposure_ns for stamp in stamps]
    about = {**about, "session": recording.session["name"], "rows": "frame sets"}
    index = np.array([each.index for each in sets], np.int64)
    return Poses(keypoints, values, frame, index, np.array(times, np.int64), about)


def _write(poses: Poses, scorer: str, stem: Path) -> list[str]:
    """Write every format this installation can; returns the paths."""
    files: list[tuple[Path, Callable[[Path], None]]] = [
        (stem.with_name(stem.name + SUFFIX), lambda path: save_columns(poses, path)),
        (stem.with_name(stem.name + ".csv"), lambda path: save_csv(poses, scorer, path)),
    ]
    if importlib.util.find_spec("pandas") and importlib.util.find_spec("tables"):
        files.append((stem.with_name(stem.name + ".h5"), lambda path: save_h5(poses, scorer, path)))
    for path, save in files:
        save(path)
    return [str(path) for path, _ in files]


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """`items` in order, made by a thread of its own, at most `depth` of them waiting.

    What the thread raises is raised here. Leaving early stops the thread.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: T | None, error: BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item, None):
                    return
            offer(None, StopIteration())
        except BaseException as error:
            offer(None, error)

    thread = threading.Thread(target=work, name="decoder", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
