"""A video file behind the camera port, `file://PATH`: it runs at its own pace, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
import av.error

from acquisition.camera import CameraInfo, Value
from acquisition.drivers.show import FilmCamera, FilmFrame
from acquisition.errors import RigposeError
from acquisition.videos.video import VideoInfo, open_container, open_video, upright

_IDENTITY_BYTES = 1 << 20
_SHOW = "files"
_NOMINAL_HZ = 30.0  # of files that do not say


class VideoFileCamera(FilmCamera):
    """The pictures of a file, at the times that its container gives them; all files of a rig begin together.

    Frame ids count the file's pictures: what its own camera lost nobody knows. The stamp is the container's
    time; where in the exposure it lies is not stated, so half an interval either way is uncertain. With
    `repeat: true` the film goes on from its beginning, its ids and times going on too.
    """

    def __init__(self, name: str, uri: str) -> None:
        super().__init__(name, uri)
        self._path = Path(uri.removeprefix("file://"))
        self._video: VideoInfo | None = None

    def _defaults(self) -> dict[str, Value]:
        return {**super()._defaults(), "repeat": False}

    def _load(self) -> tuple[str, CameraInfo]:
        if self._path.is_dir():
            raise RigposeError(
                f"camera '{self._name}'", expected="a video file after file://",
                found=f"the folder {self._path}",
                remedy="Name a file; a recording's cameras are replay://SESSION#camera",
            )  # fmt: skip
        info = self._video = open_video(self._path).info
        with open_container(self._path) as container:
            stream = container.streams.video[0]
            codec, tick_s = stream.codec_context.name, float(stream.time_base or 0)
        with self._path.open("rb") as stream_of_bytes:
            digest = hashlib.sha256(stream_of_bytes.read(_IDENTITY_BYTES)).hexdigest()[:12]
        rate_hz = info.rate_hz or _NOMINAL_HZ
        return _SHOW, CameraInfo(
            uri=self._uri,
            model=f"video file ({codec})",
            serial=f"{self._path.stat().st_size}-{digest}",
            width_px=info.width_px,
            height_px=info.height_px,
            channels=info.channels,
            rate_hz=rate_hz,
            exposure_us=0.0,
            id_modulus=None,
            id_first=0,
            has_device_clock=True,
            stamp_to_middle_ns=0,
            stamp_uncertainty_ns=round(5e8 / rate_hz + tick_s * 1e9),
            stamp_meaning="time of the frame in its container; where in the exposure is not stated",
            id_start=0,
            pixel_format=codec,
        )

    def _play(self) -> Iterator[FilmFrame]:
        """Where the file breaks off the film is over."""
        assert self._video is not None
        wanted = "gray" if self._video.channels == 1 else "rgb24"
        interval_ns = round(1e9 / (self._video.rate_hz or _NOMINAL_HZ))
        number, begins_ns, t_ns = 0, 0, -interval_ns
        while True:
            first: int | None = None
            try:
                with open_container(self._path) as container:
                    stream = container.streams.video[0]
                    stream.thread_type = "AUTO"
                    tick_ns = (stream.time_base or 0) * 10**9
                    for frame in container.decode(stream):
                        if frame.pts is None:
                            t_ns += interval_ns
                        else:
                            first = frame.pts if first is None else first
                            t_ns = max(t_ns + 1, begins_ns + round((frame.pts - first) * tick_ns))
                        yield FilmFrame(number, t_ns, t_ns, upright(frame, wanted))
                        number += 1
            except (av.error.FFmpegError, OSError):
                pass
            if not self._wishes["repeat"] or t_ns < begins_ns:
                return
            begins_ns = t_ns + interval_ns
