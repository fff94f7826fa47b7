"""Copies of a recording's videos at a constant rate: picture n of every camera is frame set n.

For tools that seek by number or by time. Where a camera has no frame of a set its picture is black, and
`packed.json` lists it; the recording itself stays as it is, and its frame tables stay the truth.
"""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.recordings.recording import Recording
from acquisition.synchronisation.synchronise import StampSet
from acquisition.videos.encoder import CHANNELS_TAG
from acquisition.videos.output import VideoOutput, check_new

FILE = "packed.json"


def pack(folder: Path, output: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write `<session>_<camera>.mp4` for every camera, and `packed.json`, into `output`.

    Returns
    -------
    dict
        `session`, `rate_hz`, `pictures` (of every camera), `first_index` (the frame set of picture 0),
        `t_exposure_ns` (of every picture's frame set; null where no camera has one), and `videos`: of each
        camera the file and `black`, number and cause of each black picture.

    Raises
    ------
    RigposeError
        No session, one without a frame, an output that exists or is the session itself.
    """
    with Recording.open(folder) as recording:
        sets = {each.index: each for each in recording.frame_sets()}
        cameras = [camera for camera in recording.cameras if len(recording.frame_table(camera))]
        if not sets or not cameras:
            raise RigposeError(
                folder, expected="a recording with frames", found="none", remedy="Record again"
            )
        output = Path(output)
        files = {camera: output / f"{recording.session['name']}_{camera}.mp4" for camera in recording.cameras}
        for camera, file in files.items():
            check_new(file, recording.video_paths(camera), overwrite)
        if output.resolve() == recording.folder:
            raise RigposeError(
                output, expected="a folder outside the recording", found="the recording",
                remedy="Choose another -o: a session holds what was recorded, nothing else",
            )  # fmt: skip
        indices = range(min(sets), max(sets) + 1)
        rate = _rate(recording, sets)
        videos = {
            camera: _write(recording, camera, [sets.get(index) for index in indices], rate, files[camera])
            for camera in cameras
        }
        for camera in recording.cameras:
            if camera not in videos:
                videos[camera] = {"file": None, "frames": 0, "black": "all: it recorded no frame"}
        packed = {
            "session": recording.session["name"], "rate_hz": float(rate), "pictures": len(indices),
            "first_index": indices.start,
            "t_exposure_ns": [sets[i].t_exposure_ns if i in sets else None for i in indices],
            "videos": videos, "gaps": recording.gaps,
        }  # fmt: skip
    temporary = output / f".{FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(packed, indent=1) + "\n", encoding="utf-8")
    temporary.replace(output / FILE)
    return packed


def _write(
    recording: Recording, camera: str, sets: list[StampSet | None], rate: Fraction, path: Path
) -> dict[str, Any]:
    """One camera's video: its frames in their places, black where it has none."""
    place = recording.cameras.index(camera)
    first = next((image for image in recording.images(camera) if image is not None), None)
    if first is None:
        raise RigposeError(
            recording.folder, expected=f"pictures of {camera}", found="none that decodes",
            remedy="Restore its videos from a copy",
        )  # fmt: skip
    images = recording.images(camera)
    height, width = first.shape[0] + first.shape[0] % 2, first.shape[1] + first.shape[1] % 2
    black = np.zeros((height, width, *first.shape[2:]), np.uint8)
    tags = {CHANNELS_TAG: "1"} if first.ndim == 2 else {}
    empty: list[dict[str, Any]] = []
    used = 0
    image, row = next(images), 0
    with (
        Progress(f"pack {camera}", total=len(sets)) as bar,
        VideoOutput(path, width, height, rate=rate, time_base=1 / rate, metadata=tags) as output,
    ):
        for picture, frame_set in enumerate(sets):
            wanted = None if frame_set is None else frame_set.payloads[place]
            while wanted is not None and row < wanted:
                image, row = next(images), row + 1
            canvas = black
            if wanted is None or image is None:
                cause = None if frame_set is None else frame_set.absences[place]
                without = "no frame set" if wanted is None else "does not decode"
                empty.append({"picture": picture, "cause": without if cause is None else cause.value})
            else:
                used += 1
                canvas = image
                if image.shape != black.shape:
                    canvas = black.copy()
                    canvas[: image.shape[0], : image.shape[1]] = image
            output.write_image(canvas, picture)
            bar.advance()
    return {"file": str(path), "frames": used, "black": empty}


def _rate(recording: Recording, sets: dict[int, StampSet]) -> Fraction:
    """Frame sets a second: the trigger's, or by their times."""
    if recording.rig.trigger is not None:
        return Fraction(recording.rig.trigger.rate_hz).limit_denominator(1000)
    times = np.array([(index, each.t_exposure_ns) for index, each in sorted(sets.items())], np.float64)
    if len(times) < 2:
        return Fraction(30)
    period_ns = np.median(np.diff(times[:, 1]) / np.diff(times[:, 0]))
    return Fraction(1e9 / period_ns).limit_denominator(1000)
