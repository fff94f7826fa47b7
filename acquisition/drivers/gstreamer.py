"""Anything that GStreamer captures, behind the camera port: CSI cameras of a Jetson, for one.

The URI is the pipeline as `gst-launch-1.0` takes it, without a sink and without escapes:

    gstreamer://nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=120/1
        ! nvvidconv ! video/x-raw,format=GRAY8

Behind it the driver puts `videoconvert`, which makes GRAY8 or RGB of what is neither, and its own sink. Size
and rate belong into the pipeline; a wished `rate_hz` is compared with what it negotiated. Other features are
properties of the source, or with a name and a dot (`name=flip` in the pipeline, `flip.method`) of any
element.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections import deque
from typing import Any

import numpy as np

from acquisition.camera import CameraGone, CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.drivers.wishes import number
from acquisition.errors import RigposeError
from acquisition.frame import Image

_WAITING = 16
_NEGOTIATE_S = 8.0
_RATE_TOLERANCE = 0.005
_SINK = "rigpose_sink"
_TAIL = f"! videoconvert name=rigpose_convert ! video/x-raw,format={{GRAY8,RGB}} ! appsink name={_SINK}"
# What tells two sources of a kind apart.
_IDENTITY = ("serial", "sensor-id", "camera-name", "device", "location", "uri")
# Source -> its property for the exposure, a range in nanoseconds.
_EXPOSURE = {"nvarguscamerasrc": "exposuretimerange"}
_SILENT_PERIODS, _SILENT_S = 10, 1.0


class GStreamerCamera:
    """One pipeline.

    Its frames carry the stamp that the source gave them, on the pipeline's clock, which is set to be the
    host's monotonic one. Where in the exposure a source takes it GStreamer does not say: no correction, and
    a whole period of uncertainty. Frames are counted by the source where it counts (buffer offsets: v4l2src,
    nvarguscamerasrc), else as they come; up to 16 wait, beyond that they are lost and counted.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._gst: Any = None
        self._pipeline: Any = None
        self._sink: Any = None
        self._info: CameraInfo | None = None
        self._by_offset = False
        self._lock = threading.Lock()
        self._waiting: deque[int] = deque()  # numbers of the frames in the sink
        self._came = 0
        self._started = False
        self._features: dict[str, Value] = {}

    @staticmethod
    def find() -> list[FoundCamera]:
        """None: a pipeline is written, not found."""
        return []

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Build the pipeline, set properties, and let two frames through to see what it negotiates."""
        self._gst = gst = _gst()
        description = " ".join(self._uri.partition("://")[2].split())
        try:
            self._pipeline = gst.parse_launch(f"{description} {_TAIL}")
            self._sink = self._pipeline.get_by_name(_SINK)
            for name, value in {"sync": False, "max-buffers": 0, "enable-last-sample": False}.items():
                self._sink.set_property(name, value)
            self._pipeline.use_clock(gst.SystemClock.obtain())
            self._sink.get_static_pad("sink").add_probe(gst.PadProbeType.BUFFER, self._arrives)
            self._info = self._configure(dict(wished))
        except self._error as error:
            self.close()
            raise RigposeError(
                f"camera '{self._name}'", expected="a pipeline of GStreamer's, without its sink",
                found=f"'{description}': {getattr(error, 'message', error)}",
                remedy="Try it with gst-launch-1.0 and ! fakesink",
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise
        return self._info

    def features(self) -> list[Feature]:
        """Properties of the source that can be set."""
        features = []
        source = self._source()
        for spec in source.list_properties():
            both = 3  # G_PARAM_READABLE | G_PARAM_WRITABLE
            if int(spec.flags) & both != both or spec.name in ("name", "parent"):
                continue
            told = source.get_property(spec.name)
            value, low, high = _said(told), None, None
            if isinstance(value, int | float) and not isinstance(value, bool) and hasattr(spec, "minimum"):
                low, high = float(spec.minimum), float(spec.maximum)
            words = getattr(type(told), "__enum_values__", {})
            features.append(
                Feature(spec.name, value, low, high, tuple(word.value_nick for word in words.values()))
            )
        return features

    def start(self) -> None:
        """Let the pipeline play."""
        if self._pipeline is None:
            raise RuntimeError("start before open")
        with self._lock:
            self._waiting.clear()
            self._came = 0
        if self._pipeline.set_state(self._gst.State.PLAYING) == self._gst.StateChangeReturn.FAILURE:
            raise CameraGone(f"camera '{self._name}': {self._trouble() or 'the pipeline does not play'}")
        self._started = True

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout`, or `CameraGone` at an error or the end."""
        info = self._info
        if info is None or not self._started:
            raise RuntimeError("read before start")
        sample = self._sink.try_pull_sample(timeout_ms * self._gst.MSECOND)
        t_arrival_ns = time.monotonic_ns()
        if sample is None:
            trouble = self._trouble()
            if trouble or self._sink.is_eos():
                raise CameraGone(f"camera '{self._name}': {trouble or 'the pipeline has ended'}")
            raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
        with self._lock:
            number = self._waiting.popleft()
        buffer = sample.get_buffer()
        image = self._image(sample, buffer, info)
        return DeviceFrame(
            frame_id=number,
            t_device_ns=self._stamp_ns(sample, buffer) if info.has_device_clock else None,
            t_arrival_ns=t_arrival_ns,
            image=np.zeros((0, 0), np.uint8) if image is None else image,
            damaged=image is None,
        )

    def stop(self) -> None:
        """No more frames; the pipeline lets go of its device."""
        self._started = False
        if self._pipeline is not None:
            self._pipeline.set_state(self._gst.State.NULL)

    def close(self) -> None:
        """Let go of the pipeline."""
        self.stop()
        self._pipeline = self._sink = self._info = None

    def _configure(self, wished: dict[str, Value]) -> CameraInfo:
        source = self._source()
        rate_wished = number(self._name, "rate_hz", wished.pop("rate_hz")) if "rate_hz" in wished else None
        exposure_us = self._set_exposure(source, wished.pop("exposure_us", None))
        features = {name: self._set(source, name, value) for name, value in wished.items()}
        first, second, pixel_format = self._two_frames()
        caps = second.get_caps().get_structure(0)
        numerator, denominator = caps.get_fraction("framerate")[1:] if caps.has_field("framerate") else (0, 1)
        rate_hz = numerator / denominator
        if rate_wished is not None and abs(rate_hz - rate_wished) > _RATE_TOLERANCE * float(rate_wished):
            raise RigposeError(
                f"camera '{self._name}'", expected=f"a pipeline of {rate_wished:g} frames a second",
                found=f"one of {rate_hz:g}", remedy="Put framerate=... into the pipeline of its 'uri'",
            )  # fmt: skip
        steps = second.get_buffer().offset - first.get_buffer().offset
        self._by_offset = first.get_buffer().offset != self._gst.BUFFER_OFFSET_NONE and 1 <= steps <= _WAITING
        stamped = second.get_buffer().pts != self._gst.CLOCK_TIME_NONE
        period_ns = round(1e9 / rate_hz) if rate_hz > 0 else 100_000_000
        kind = source.get_factory().get_name()
        names = [name for name in _IDENTITY if source.find_property(name) is not None]
        return CameraInfo(
            uri=self._uri,
            model=kind,
            serial=" ".join([kind, *(f"{name}={_said(source.get_property(name))}" for name in names)]),
            width_px=caps.get_int("width")[1],
            height_px=caps.get_int("height")[1],
            channels=1 if caps.get_string("format") == "GRAY8" else 3,
            rate_hz=rate_hz,
            exposure_us=exposure_us,
            id_modulus=None,
            id_first=0,
            id_start=None if self._by_offset else 0,
            has_device_clock=stamped,
            stamps_on_rig_clock=stamped,
            stamp_to_middle_ns=0,
            stamp_uncertainty_ns=period_ns,
            stamp_meaning="as the source takes it, host's monotonic clock" if stamped else "none: arrival",
            pixel_format=pixel_format,
            features=features,
            silence_s=_SILENT_PERIODS * period_ns * 1e-9 + _SILENT_S,
        )

    def _two_frames(self) -> tuple[Any, Any, str]:
        """Play until two frames came, then stop again; the frames, and their format before conversion."""
        gst = self._gst
        self._pipeline.set_state(gst.State.PLAYING)
        deadline_ns = time.monotonic_ns() + int(_NEGOTIATE_S * 1e9)
        samples: list[Any] = []
        trouble = ""
        while len(samples) < 2 and not trouble and time.monotonic_ns() < deadline_ns:
            sample = self._sink.try_pull_sample(50 * gst.MSECOND)
            if sample is not None:
                samples.append(sample)
            else:
                trouble = self._trouble() or ("the pipeline has ended" if self._sink.is_eos() else "")
        before = self._pipeline.get_by_name("rigpose_convert").get_static_pad("sink").get_current_caps()
        self._pipeline.set_state(gst.State.NULL)
        if len(samples) < 2:
            raise RigposeError(
                f"camera '{self._name}'", expected="frames from the pipeline of its 'uri'",
                found=trouble or f"none in {_NEGOTIATE_S:g} s",
                remedy="Try it with gst-launch-1.0 and ! fakesink",
            )  # fmt: skip
        return samples[0], samples[1], before.get_structure(0).get_string("format") or ""

    def _arrives(self, _pad: Any, probe: Any) -> Any:
        """Number a frame on its way into the sink; called in the pipeline's own thread."""
        offset = probe.get_buffer().offset
        with self._lock:
            number = offset if self._by_offset else self._came
            self._came += 1
            if len(self._waiting) >= _WAITING:
                return self._gst.PadProbeReturn.DROP
            self._waiting.append(number)
        return self._gst.PadProbeReturn.OK

    def _source(self) -> Any:
        sources = self._pipeline.iterate_sources()
        found, element = sources.next()
        if found != self._gst.IteratorResult.OK:
            raise RigposeError(
                f"camera '{self._name}'", expected="a pipeline that begins with a source",
                found=f"'{self._uri}'", remedy="Mend 'uri' in the rig file",
            )  # fmt: skip
        return element

    def _set_exposure(self, source: Any, wished: Value | None) -> float:
        if wished is None:
            return 0.0
        name = _EXPOSURE.get(source.get_factory().get_name())
        if name is None:
            raise RigposeError(
                f"camera '{self._name}'",
                expected="a source whose exposure time can be set: " + ", ".join(_EXPOSURE),
                found=source.get_factory().get_name(), remedy="Leave exposure_us out, or use another driver",
            )  # fmt: skip
        exposure_us = number(self._name, "exposure_us", wished)
        exposure_ns = round(exposure_us * 1000)
        self._set(source, name, f"{exposure_ns} {exposure_ns}")
        return exposure_us

    def _set(self, source: Any, name: str, wished: Value) -> Value:
        """Set a property and read it back; raises `RigposeError`."""
        element, property_ = source, name
        if "." in name:
            of, property_ = name.split(".", 1)
            element = self._pipeline.get_by_name(of)
        if element is None or element.find_property(property_) is None:
            raise RigposeError(
                f"camera '{self._name}'", expected="a property of an element of its pipeline",
                found=f"'{name}'",
                remedy=f"`gst-inspect-1.0 {source.get_factory().get_name()}` lists those of the source",
            )  # fmt: skip
        word = str(wished).lower() if isinstance(wished, bool) else str(wished)
        self._gst.util_set_object_arg(element, property_, word)
        actual = _said(element.get_property(property_))
        same = actual == wished
        if not same and not isinstance(actual, str | bool):
            with contextlib.suppress(ValueError):
                same = abs(float(actual) - float(wished)) <= 1e-6 * abs(float(wished))
        if not same:
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{name} to become {wished}",
                found=f"{actual} when read back",
                remedy="Mend it in the camera's settings file; `gst-inspect-1.0` tells its values",
            )  # fmt: skip
        return actual

    def _trouble(self) -> str:
        """What the pipeline complained of, "" if of nothing."""
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR)
        if message is None:
            return ""
        return f"{message.src.get_name()}: {message.parse_error()[0].message.rstrip('.')}"

    def _stamp_ns(self, sample: Any, buffer: Any) -> int:
        running_ns = sample.get_segment().to_running_time(self._gst.Format.TIME, buffer.pts)
        return int(self._pipeline.get_base_time() + running_ns)

    def _image(self, sample: Any, buffer: Any, info: CameraInfo) -> Image | None:
        """The picture, or None where it did not arrive whole. GStreamer pads lines to four bytes."""
        line = info.width_px * info.channels
        stride = (line + 3) // 4 * 4
        if buffer.has_flags(self._gst.BufferFlags.CORRUPTED) or buffer.get_size() < stride * info.height_px:
            return None
        rows = np.frombuffer(buffer.extract_dup(0, stride * info.height_px), np.uint8).reshape(-1, stride)
        image: Image = rows[:, :line]
        return image if info.channels == 1 else image.reshape(info.height_px, info.width_px, 3)

    @property
    def _error(self) -> type[Exception]:
        from gi.repository import GLib

        error: type[Exception] = GLib.Error
        return error


def _said(value: Any) -> Value:
    """A property's value as a feature file writes it."""
    if isinstance(value, bool | int | float | str) and not hasattr(value, "value_nick"):
        return value
    return str(getattr(value, "value_nick", "" if value is None else value))


def _gst() -> Any:
    """The library; raises `RigposeError` where it is not installed."""
    # GStreamer brings libunwind, whose unwinder would take the place of libgcc's in C++ libraries loaded
    # later: the first exception in GenApi then ends the process. Who comes first is found first.
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gst, GstApp  # noqa: F401
    except (ImportError, ValueError) as error:
        raise RigposeError(
            "GStreamer cameras", expected="PyGObject and GStreamer 1.0", found=str(error),
            remedy="Run: apt-get install gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good; pip install 'rigpose[gstreamer]'",
        ) from None  # fmt: skip
    Gst.init(None)
    return Gst
