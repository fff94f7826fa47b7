"""A network camera that streams over RTSP, `rtsp://HOST:PORT/PATH`, read by PyAV.

RTSP numbers no frames and tells no exposure. What is lost is concluded from the RTP time stamps and the rate
that the stream states, and the stamp's place is uncertain by what encoders and buffers take: such a camera is
for watching, not for exact 3D of something fast.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any

import av
import av.error

from acquisition.camera import (
    CameraGone,
    CameraInfo,
    CameraTimeout,
    DeviceFrame,
    Feature,
    FoundCamera,
    Value,
)  # fmt: skip
from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.rig import without_password

_OPEN_S = 10.0
_SILENCE_S = 1.5
_BUFFERS = 16
_DELAY_NS = 250_000_000
"""From the exposure to the packet: encoder, send buffer, network. Cheap cameras take 50 to 250 ms."""
_JOIN_S = 0.3
_RATES = (1.0, 1000.0)
_TRANSPORTS = ("tcp", "udp")


class RtspCamera:
    """One stream. Over TCP nothing is lost on the way; `transport: udp` is sooner and loses packets.

    A server that ends, resets the connection or says nothing for 1.5 s is gone (`CameraGone`); it may be
    opened again, and then counts anew. Up to 16 frames wait to be read, then the oldest is dropped and its id
    is missing. The stamp is RTP's, the instant of sampling by RFC 3550, on the camera's clock; the delay to
    the arrival, which cannot be seen, is in its uncertainty.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._transport = _TRANSPORTS[0]
        self._container: Any = None
        self._stream: Any = None
        self._info: CameraInfo | None = None
        self._thread: threading.Thread | None = None
        self._news = threading.Condition()
        self._waiting: deque[tuple[int, int | None, int, Any]] = deque()
        self._gone = ""
        self._wanted = self._stopping = False
        self._counted, self._last_pts = -1, 0
        self._counts = {"damaged_packets": 0, "dropped": 0}

    @staticmethod
    def find() -> list[FoundCamera]:
        """None: nothing on the network is asked."""
        return []

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Connect and play. Only the transport can be set; rate and exposure are the camera's own."""
        self._set(wished)
        options = {"rtsp_transport": self._transport, "fflags": "nobuffer", "flags": "low_delay"}
        try:
            container = av.open(self._uri, options=options, timeout=(_OPEN_S, _SILENCE_S))
        except (av.error.FFmpegError, OSError) as error:
            raise self._not_there(getattr(error, "strerror", None) or str(error)) from None
        streams = container.streams.video
        if not streams or not streams[0].codec_context.width:
            container.close()
            raise self._not_there("no video in the stream")
        stream = streams[0]
        stream.thread_type = "SLICE"  # frame threads hold frames back
        context = stream.codec_context
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self._rate_hz = rate if _RATES[0] <= rate <= _RATES[1] else 0.0
        self._container, self._stream = container, stream
        self._gone, self._stopping = "", False
        grey = (context.pix_fmt or "").startswith("gray")
        period_ns = round(1e9 / self._rate_hz) if self._rate_hz else 0
        self._info = CameraInfo(
            uri=without_password(self._uri),
            model=f"RTSP stream ({context.name})",
            serial="",
            width_px=context.width,
            height_px=context.height,
            channels=1 if grey else 3,
            rate_hz=self._rate_hz,
            exposure_us=0.0,
            id_modulus=None,
            id_first=0,
            has_device_clock=True,
            stamp_to_middle_ns=0,
            stamp_uncertainty_ns=_DELAY_NS + period_ns // 2,
            stamp_meaning="RTP time stamp, the camera's sampling clock; its delay is not known",
            pixel_format=context.name,
            features={"transport": self._transport},
            silence_s=2 * _SILENCE_S,
        )
        return self._info

    def features(self) -> list[Feature]:
        """The transport."""
        return [Feature("transport", self._transport, choices=_TRANSPORTS)]

    def start(self) -> None:
        """Receive."""
        if self._container is None:
            raise RuntimeError("start before open")
        with self._news:
            self._counted, self._wanted = -1, True
        if self._thread is None:
            # The thread alone touches the container from here on, and closes it: libav is not thread-safe.
            self._thread = threading.Thread(
                target=self._receive, args=(self._container, self._stream), name=self._name, daemon=True
            )
            self._thread.start()

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame that waits; raises `CameraTimeout`, or `CameraGone` when the server is."""
        if self._info is None or self._thread is None:
            raise RuntimeError("read before start")
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._gone, timeout_ms / 1000)
            if not self._waiting:
                if self._gone:
                    raise CameraGone(f"camera '{self._name}': {self._gone}")
                raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
            number, stamp_ns, arrival_ns, frame = self._waiting.popleft()
        image: Image = frame.to_ndarray(format="gray" if self._info.channels == 1 else "rgb24")
        damaged = image.shape[:2] != (self._info.height_px, self._info.width_px)
        return DeviceFrame(number, stamp_ns, arrival_ns, image, damaged)

    def counts(self) -> dict[str, int]:
        """Packets that did not decode; frames that nobody read in time."""
        return dict(self._counts)

    def stop(self) -> None:
        """Take no more frames in; the stream goes on, unread."""
        with self._news:
            self._wanted = False
            self._waiting.clear()

    def close(self) -> None:
        """Leave the server. A thread that waits for a silent one ends within its time-out."""
        self._stopping = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_JOIN_S)
        elif self._container is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._container.close()
        self._container = self._stream = None

    def _receive(self, container: Any, stream: Any) -> None:
        gone = "the stream has ended"
        packets = container.demux(stream)
        try:
            while not self._stopping:
                packet = next(packets, None)
                arrival_ns = time.monotonic_ns()
                if packet is None:
                    break
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    self._counts["damaged_packets"] += 1
                    continue
                with self._news:
                    for frame in frames if self._wanted else ():
                        self._take(frame, arrival_ns)
                    self._news.notify_all()
        except (av.error.FFmpegError, OSError) as error:
            gone = getattr(error, "strerror", None) or str(error)
        finally:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                container.close()
            with self._news:
                self._gone = gone
                self._news.notify_all()

    def _take(self, frame: Any, arrival_ns: int) -> None:
        number, stamp_ns = self._numbered(frame)
        if len(self._waiting) >= _BUFFERS:
            self._waiting.popleft()
            self._counts["dropped"] += 1
        self._waiting.append((number, stamp_ns, arrival_ns, frame))

    def _numbered(self, frame: Any) -> tuple[int, int]:
        """(id, stamp in ns): the id goes on by the periods that the time stamp went on."""
        if frame.pts is None:  # it has no time of its own: as if a period after the one before
            self._counted += 1
            period_s = 1 / self._rate_hz if self._rate_hz else 0.0
            self._last_pts += round(period_s / float(frame.time_base))
        else:
            seconds = float((frame.pts - self._last_pts) * frame.time_base)
            if self._counted < 0 or seconds <= 0:
                self._counted = 0  # the camera's clock began anew
            else:
                self._counted += max(1, round(seconds * self._rate_hz))
            self._last_pts = frame.pts
        return self._counted, round(self._last_pts * frame.time_base * 10**9)

    def _set(self, wished: dict[str, Value]) -> None:
        for key, value in wished.items():
            if key in ("exposure_us", "rate_hz"):
                raise RigposeError(
                    f"camera '{self._name}'", expected="no exposure and no rate: RTSP cannot set them",
                    found=f"'{key}'", remedy="Remove the trigger section: such a camera runs freely",
                )  # fmt: skip
            if key != "transport" or value not in _TRANSPORTS:
                raise RigposeError(
                    f"camera '{self._name}'", expected="the feature transport, tcp or udp",
                    found=f"'{key}: {value}'", remedy="Mend the camera's settings file",
                )  # fmt: skip
            self._transport = str(value)

    def _not_there(self, found: str) -> RigposeError:
        return RigposeError(
            f"camera '{self._name}' at {without_password(self._uri)}", expected="a video stream over RTSP",
            found=found, remedy="Check the address, and that the camera is on",
        )  # fmt: skip
