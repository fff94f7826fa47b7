"""The poses of one job: decoded and resampled in one thread, found in another; one row a frame, or a set."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from acquisition.recordings.recording import Recording
from acquisition.recordings.segments import VIDEO_SUFFIX
from acquisition.videos.video import open_video
from calibration.camera_identity import device_of
from calibration.image_transform import ImageTransform
from deploy.bundles.animal_size import AnimalSizeWatch
from deploy.bundles.predictor import Predictor
from deploy.bundles.preprocess import to_network
from deploy.offline.jobs import Job
from deploy.poses_io.poses import NO_FRAME, NO_TIME_NS, Poses

DECODED_AHEAD = 16
_TIMES_ROUNDED_S = 0.0011  # Matroska's are whole milliseconds
Rows = Literal["sets", "frames"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Fed:
    """One frame on its way to the network.

    Attributes
    ----------
    image:
        The network's input already, or the frame itself where the runtime resamples; None where no picture
        decodes.
    to_input:
        From the frame to the network's input.
    resampled:
        Which of the two it is.
    """

    image: Image | None
    to_input: ImageTransform
    resampled: bool


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """The poses of a job and what is to be said of them: figures, and sentences or None."""

    poses: Poses
    frames: int
    frames_per_s: float
    gap: str | None
    warning: str | None


def track(
    job: Job, predictor: Predictor, about: dict[str, Any], rows: Rows = "sets",
    decoder_core: int | None = None,
) -> Tracked:  # fmt: skip
    """Find the keypoints in every frame of a job.

    Parameters
    ----------
    about:
        What made the poses, as JSON; what they are of is added.
    rows:
        Of a recording: one row a frame set, NaN where this camera has no frame, or one row a frame. A video
        always has one row a frame.
    decoder_core:
        The only core for decoding and resampling; None: any.

    Raises
    ------
    RigposeError
        If the source holds no picture, or one of a kind that has no meaning here.
    """
    job.require_sound()
    start_ns = time.monotonic_ns()
    about = {**about, "video": str(job.source), "camera": job.camera, "rows": "frames", "window": job.window}
    size = AnimalSizeWatch(predictor.bundle.manifest.animal_size, job.stem, "crop (rigpose video crop)")
    found: npt.NDArray[np.float32]
    if job.camera is None:
        video = open_video(job.source)
        about["size_px"] = [video.info.width_px, video.info.height_px]
        found = _keypoints(iter(video), video.info.frames, job, predictor, size, decoder_core)
        if not len(found):
            raise RigposeError(
                job.source, expected="a video with pictures", found="none that decodes",
                remedy="Record it again, or restore the file from a copy",
            )  # fmt: skip
        poses, gap = Poses.of_video(predictor.keypoints, found, about), video.gap
    else:
        with Recording.open(job.source) as recording:
            videos = [str(path) for path in recording.video_paths(job.camera)]
            nominal = str(job.source / f"{job.stem}{VIDEO_SUFFIX}")  # of a camera that never delivered
            about |= {"video": videos[0] if videos else nominal, "videos": videos}
            about["session"] = recording.session["name"]
            info = recording.session["cameras"].get(job.camera, {})
            about["device"] = device_of(info)
            if "width_px" in info:
                about["size_px"] = [info["width_px"], info["height_px"]]
            expected = len(recording.frame_table(job.camera))
            images = recording.images(job.camera)
            found = _keypoints(images, expected, job, predictor, size, decoder_core)
            by = _by_frame_set if rows == "sets" else _by_frame
            poses = by(recording, job.camera, found, predictor.keypoints, about)
            gap = "; ".join(said for said in recording.gaps if said.startswith(f"{job.camera}:")) or None
    seconds = (time.monotonic_ns() - start_ns) / 1e9
    holes = "" if job.camera is not None else said_of_holes(job.stem, video.times_s)
    followed = f"{job.stem}: live followed the animal, here the whole image was looked at"
    warning = "; ".join(said for said in (size.said, holes, followed if job.followed else "") if said)
    frames = int(_seen_rows(found).sum())
    return Tracked(poses, frames, round(frames / seconds, 1), gap, warning or None)


def fed(images: Iterator[Image | None], job: Job, predictor: Predictor) -> Iterator[Fed]:
    """Every image as the network takes it; each is overwritten when `DECODED_AHEAD` + 2 more were taken."""
    width, height = predictor.bundle.input_wh
    slots = [np.empty((height, width, 3), np.uint8) for _ in range(DECODED_AHEAD + 3)]
    for number, image in enumerate(images):
        if image is None:
            yield Fed(None, ImageTransform.identity(), False)
            continue
        view = _seen(image, job)
        to_input = predictor.whole_frame(view)
        if predictor.resamples:
            yield Fed(view, to_input, False)
        else:
            slot = slots[number % len(slots)]
            yield Fed(to_network(view, to_input, (width, height), out=slot), to_input, True)


def _seen(image: Image, job: Job) -> Image:
    """The part of the image that is looked at: a view."""
    if job.window is None:
        return image
    left, top, width, height = job.window
    if left + width > image.shape[1] or top + height > image.shape[0]:
        raise RigposeError(
            job.name, expected=f"images that hold the window of the live tracker, {list(job.window)}",
            found=f"{image.shape[1]}x{image.shape[0]} px", remedy="Restore the session's files from a copy",
        )  # fmt: skip
    return image[top : top + height, left : left + width]


def _keypoints(
    images: Iterator[Image | None], expected: int | None, job: Job, predictor: Predictor,
    size: AnimalSizeWatch, decoder_core: int | None,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """float32 (frames, K, 3) of `images` (NaN of None), which a thread of its own decodes and resamples."""
    found: list[npt.NDArray[np.float32]] = []
    corner = np.zeros(2) if job.window is None else np.array(job.window[:2], np.float64)
    with (
        Progress(job.stem, total=expected) as bar,
        contextlib.closing(ahead(fed(images, job, predictor), DECODED_AHEAD, decoder_core)) as frames,
    ):
        to_input: ImageTransform | None = None
        back, scale = ImageTransform.identity(), 1.0
        for frame in frames:
            bar.advance()
            if frame.image is None:
                found.append(np.full((len(predictor.keypoints), 3), np.nan, np.float32))
                continue
            if frame.to_input is not to_input:  # one for all frames of a size
                to_input, scale = frame.to_input, frame.to_input.scale
                undone = to_input.inverse() if frame.resampled else ImageTransform.identity()
                back = undone.then(ImageTransform.crop(*-corner))
            keypoints = predictor.predict([frame.image])[0]
            keypoints[:, :2] = back.apply(keypoints[:, :2])
            found.append(keypoints)
            size.add(keypoints, scale)
    return np.array(found, np.float32).reshape(-1, len(predictor.keypoints), 3)


def _seen_rows(found: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool (N,): whether the network was given a picture of this row."""
    return np.asarray(np.isfinite(found).any(axis=(1, 2)), np.bool_)


def said_of_holes(whose: str, times_s: Sequence[float | None]) -> str:
    """A sentence about pictures that are missing between others; "" where there is nothing to say.

    Told by the times, and only of a video of constant rate (nine steps of ten are the median step): a
    damaged packet is left out by the decoder without a word, and a frame that a camera lost was never there.
    Rows count decoded frames, so that all that follow come too early.
    """
    times = np.array([np.nan if time_s is None else time_s for time_s in times_s])
    steps = np.diff(times)
    if len(steps) < 2 or np.isnan(steps).any():
        return ""
    usual = float(np.median(steps))
    slack = max(0.1 * usual, _TIMES_ROUNDED_S)
    if usual <= slack or (np.abs(steps - usual) <= slack).mean() < 0.9:
        return ""
    holes = np.flatnonzero(steps > 1.5 * usual + _TIMES_ROUNDED_S)
    if not len(holes):
        return ""
    missing = int(np.rint(steps[holes] / usual - 1).sum())
    places = ", ".join(str(hole) for hole in holes[:5]) + (", ..." if len(holes) > 5 else "")
    return (
        f"{whose}: {missing} pictures are missing after frame {places}, by the file's times; rows count the "
        "pictures that are there"
    )


def _by_frame_set(
    recording: Recording, camera: str, found: npt.NDArray[np.float32], keypoints: tuple[str, ...],
    about: dict[str, Any],
) -> Poses:  # fmt: skip
    """One row per frame set of the recording, NaN where this camera had no frame."""
    sets = recording.frame_sets()
    number = recording.cameras.index(camera)
    rows = [each.payloads[number] for each in sets]
    frame = np.array([NO_FRAME if row is None else row for row in rows], np.int64)
    there = frame >= 0
    there[there] = _seen_rows(found)[frame[there]]
    frame[~there] = NO_FRAME
    values = np.full((len(sets), *found.shape[1:]), np.nan, np.float32)
    values[there] = found[frame[there]]
    stamps = [each.stamps[number] for each in sets]
    times = [NO_TIME_NS if stamp is None else stamp.t_exposure_ns for stamp in stamps]
    index = np.array([each.index for each in sets], np.int64)
    about = {**about, "rows": "frame sets"}
    return Poses(keypoints, values, frame, index, np.array(times, np.int64), about)


def _by_frame(
    recording: Recording, camera: str, found: npt.NDArray[np.float32], keypoints: tuple[str, ...],
    about: dict[str, Any],
) -> Poses:  # fmt: skip
    """One row per row of the frame table; its frame set's index, -1 where it belongs to none."""
    number = recording.cameras.index(camera)
    index = np.full(len(found), NO_FRAME, np.int64)
    for each in recording.frame_sets():
        row = each.payloads[number]
        if row is not None:
            index[row] = each.index
    times = recording.frame_table(camera)["t_exposure_ns"].astype(np.int64)
    frame = np.where(_seen_rows(found), np.arange(len(found), dtype=np.int64), NO_FRAME)
    return Poses(keypoints, found, frame, index, times, about)


def ahead(items: Iterator[T], depth: int, core: int | None = None) -> Generator[T, None, None]:
    """`items` in order, made by a thread of its own (on `core` only), at most `depth` of them waiting.

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
            if core is not None:
                os.sched_setaffinity(0, {core})  # of this thread alone; libav then decodes with one, too
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
