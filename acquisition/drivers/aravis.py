"""GigE Vision and USB3 Vision cameras through Aravis 0.8, `aravis://SERIAL`.

Aravis is a C library; PyGObject calls it, and lets other threads run meanwhile. Its own thread receives
the packets of each camera into buffers that we hand it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from acquisition.camera import (
    CameraGone,
    CameraInfo,
    CameraTimeout,
    DeviceFrame,
    Feature,
    FoundCamera,
    Value,
)
from acquisition.drivers.aravis_devices import LIST, Device, known_devices, look_for_devices, the_library
from acquisition.drivers.aravis_features import CameraFeatures
from acquisition.drivers.aravis_stream import apply_stream_options
from acquisition.drivers.timing import check_rate, timed
from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.pixel_formats import channels_of, line_bytes, to_uint8

_GIGE_IDS = 65535  # 1 to 65535: 0 is no frame (GigE Vision 2.0, "block_id")
# A program that died keeps its camera until the camera misses its heartbeat, 3 s by the standard.
_CLAIM_S = 4.5
_CLOSE_S = 1.0
_SILENT_PERIODS, _SILENT_S = 10, 1.0
# Where the device's stamp stands: what to add to reach the middle, and what is not known, in exposures.
_STAMPS = {
    "": (0.5, 1.0, "start of exposure as most cameras have it (not stated), camera clock"),
    "exposure-start": (0.5, 0.0, "start of exposure, camera clock"),
    "exposure-end": (-0.5, 0.0, "end of exposure, camera clock"),
}

_IN_USE: dict[str, str] = {}  # device id -> camera of this process


class AravisCamera:
    """One camera, `aravis://` and its serial number, device id, IP address or MAC address.

    Features are the device's own by name, and `exposure_us`, `rate_hz`; for GigE Vision `packet_size`
    ("auto" or bytes), `packet_delay_ns`, `packet_resend`, `packet_timeout_ms`, `frame_retention_ms`,
    `socket_buffer_mb`; `buffers`; and `stamp_marks`, exposure-start or exposure-end, for cameras whose
    manual tells where in the exposure they take their time stamp.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name = name
        self._address = unquote(uri.partition("://")[2])
        self._uri = uri
        self._aravis: Any = None
        self._camera: Any = None
        self._stream: Any = None
        self._features: CameraFeatures | None = None
        self._info: CameraInfo | None = None
        self._lost = threading.Event()
        self._id = ""

    @staticmethod
    def find() -> list[FoundCamera]:
        """Cameras on all networks and USB ports of this machine; takes about a second."""
        aravis = the_library()
        with LIST:
            devices = look_for_devices(aravis)
        serials = [device.serial for device in devices]
        return [
            FoundCamera(
                "aravis://"
                + quote(d.serial if d.serial and serials.count(d.serial) == 1 else d.id, safe=" "),
                f"{d.vendor} {d.model}",
                d.serial,
            )
            for d in devices
        ]

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Take control of the camera, set the wished features in their order, read each back."""
        self._aravis = the_library()
        from gi.repository import GLib

        self.close()
        self._lost = threading.Event()
        try:
            device = self._claim()
            self._info = self._configure(device, dict(wished))
        except GLib.Error as error:
            self.close()
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{self._uri} to answer", found=error.message,
                remedy="Check its cable and power; a USB camera wants udev/99-rigpose.rules "
                "('rigpose configs copy')",
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise
        return self._info

    def features(self) -> list[Feature]:
        """What can be set now."""
        assert self._features is not None
        return self._features.settable()

    def start(self) -> None:
        """Open the stream and let the camera send."""
        from gi.repository import GLib

        aravis, camera, features = self._aravis, self._camera, self._features
        assert features is not None
        try:
            self._stream = camera.create_stream(None, None)
            apply_stream_options(aravis, self._stream, features.stream)
            payload = camera.get_payload()
            for _ in range(round(float(features.stream["buffers"]))):
                self._stream.push_buffer(aravis.Buffer.new_allocate(payload))
            camera.set_acquisition_mode(aravis.AcquisitionMode.CONTINUOUS)
            camera.start_acquisition()
        except GLib.Error as error:
            raise CameraGone(f"camera '{self._name}': {error.message}") from None

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout`, or `CameraGone` on Aravis's control-lost."""
        info = self._info
        if self._stream is None or info is None:
            raise RuntimeError("read before start")
        buffer = self._stream.timeout_pop_buffer(timeout_ms * 1000)
        t_arrival_ns = time.monotonic_ns()
        if buffer is None:
            if self._lost.is_set():
                raise CameraGone(f"camera '{self._name}' no longer answers")
            raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
        try:
            image = self._image(buffer)
            return DeviceFrame(
                frame_id=int(buffer.get_frame_id()),
                t_device_ns=int(buffer.get_timestamp()) if info.has_device_clock else None,
                t_arrival_ns=t_arrival_ns,
                image=np.empty((0, 0), np.uint8) if image is None else image,
                damaged=image is None,
            )
        finally:
            self._stream.push_buffer(buffer)

    def counts(self) -> dict[str, int]:
        """Counted since `start`: frames there was no buffer for, broken ones, packets lost and resent."""
        stream = self._stream
        if stream is None:
            return {}
        counted = {stream.get_info_name(n): n for n in range(stream.get_n_infos())}
        wanted = ("n_underruns", "n_failures", "n_missing_packets", "n_resent_packets", "n_aborted")
        return {name[2:]: int(stream.get_info_uint64(counted[name])) for name in wanted if name in counted}

    def stop(self) -> None:
        """No more frames; the stream is closed."""
        from gi.repository import GLib

        if self._stream is None:
            return
        with contextlib.suppress(GLib.Error):
            self._camera.stop_acquisition()
        self._stream = None

    def close(self) -> None:
        """Let go of the device. To one that does not answer Aravis talks for some seconds: not here."""
        held, streaming = [self._camera], [self._stream]
        self._camera = self._stream = self._features = self._info = None
        if held[0] is None:
            return
        _IN_USE.pop(self._id, None)
        thread = threading.Thread(target=_let_go, args=(held, streaming, self._lost.is_set()), daemon=True)
        thread.start()
        thread.join(_CLOSE_S)

    def _claim(self) -> Device:
        """Find the camera and take control of it; waits for one whose program has just died."""
        until_ns = time.monotonic_ns() + int(_CLAIM_S * 1e9)
        while True:
            with LIST:
                device = self._locate()
                other = _IN_USE.get(device.id, self._name)
                if other == self._name:
                    camera = self._aravis.Camera.new(device.id)
                    if not camera.is_gv_device() or camera.get_device().is_controller():
                        self._camera, self._id = camera, device.id
                        _IN_USE[device.id] = self._name
                        break
                    camera = None
            if time.monotonic_ns() > until_ns or other != self._name:
                rival = f"camera '{other}' of this rig" if other != self._name else ""
                raise RigposeError(
                    f"camera '{self._name}' at {self._uri}", expected="a camera that nobody else uses",
                    found=f"{rival} on it" if rival else "another program in control of it",
                    remedy="Give each camera its own 'uri'" if rival else "End the other program",
                )  # fmt: skip
            time.sleep(0.3)
        lost = self._lost
        camera.get_device().connect("control-lost", lambda _: lost.set())
        return device

    def _locate(self) -> Device:
        """The device that the URI means; raises `RigposeError`."""
        devices = known_devices(self._aravis)
        if not any(self._address in device.names for device in devices):
            devices = look_for_devices(self._aravis)
        found = [device for device in devices if self._address in device.names]
        if len(found) != 1:
            there = ", ".join(device.serial or device.id for device in devices) or "no camera at all"
            raise RigposeError(
                f"camera '{self._name}'", expected=f"a camera at {self._uri}",
                found=f"{len(found)} of that name" if found else f"none (there: {there})",
                remedy="Check its cable, power and network; 'rigpose cameras' lists what is there",
            )  # fmt: skip
        return found[0]

    def _configure(self, device: Device, wished: dict[str, Value]) -> CameraInfo:
        camera = self._camera
        marks = wished.pop("stamp_marks", "")
        if marks not in _STAMPS:
            raise RigposeError(
                f"camera '{self._name}'", expected="stamp_marks: exposure-start or exposure-end",
                found=str(marks), remedy="Mend it in the camera's settings file",
            )  # fmt: skip
        features = self._features = CameraFeatures(self._name, self._aravis, camera)
        for feature, value in wished.items():
            features.set(feature, value)
        for feature, value in wished.items():  # a later one may have moved an earlier one
            features.check(feature, value)
        check_rate(self._name, wished, features.word)
        actual = {feature: features.value(feature) for feature in wished}
        if marks:
            actual["stamp_marks"] = marks
        if features.word("TriggerMode"):
            actual["TriggerMode"] = features.word("TriggerMode")
        x_px, y_px, width_px, height_px = camera.get_region()
        exposure_us = float(camera.get_exposure_time()) if camera.is_exposure_time_available() else 0.0
        rate_hz = features.rate_hz()
        shift, unknown, meaning = _STAMPS[str(marks)]
        tick_hz = 1e9
        gige = camera.is_gv_device()
        if gige:
            tick_hz = float(camera.get_device().get_timestamp_tick_frequency())
        wraps = gige and features.word("GevGVSPExtendedIDMode") != "On"
        runs_freely = rate_hz > 0 and not features.triggered
        silence_s = _SILENT_PERIODS / rate_hz + _SILENT_S if runs_freely else None
        pixel_format = str(camera.get_pixel_format_as_string())
        info = CameraInfo(
            uri=self._uri,
            model=f"{device.vendor} {device.model}",
            serial=device.serial or device.id,
            width_px=width_px,
            height_px=height_px,
            channels=channels_of(pixel_format, self._name),
            rate_hz=rate_hz,
            exposure_us=exposure_us,
            id_modulus=_GIGE_IDS if wraps else None,
            id_first=1 if wraps else 0,
            has_device_clock=tick_hz > 0,
            stamp_to_middle_ns=round(shift * exposure_us * 1000),
            stamp_uncertainty_ns=round(unknown * exposure_us * 1000 + 1e9 / max(tick_hz, 1.0)),
            stamp_meaning=meaning if tick_hz > 0 else "arrival: this camera has no clock",
            pixel_format=pixel_format,
            offset_px=(x_px, y_px),
            binning=tuple(camera.get_binning()) if camera.is_binning_available() else (1, 1),
            flip=(_mirrored(camera, "ReverseX"), _mirrored(camera, "ReverseY")),
            features=actual,
            silence_s=silence_s,
        )
        return timed(info, features.word)

    def _image(self, buffer: Any) -> Image | None:
        """The picture, or None where it did not arrive whole."""
        info, aravis = self._info, self._aravis
        assert info is not None
        if buffer.get_status() != aravis.BufferStatus.SUCCESS:
            return None
        width_px, height_px = buffer.get_image_width(), buffer.get_image_height()
        if (width_px, height_px) != (info.width_px, info.height_px):
            return None
        padding = buffer.get_image_padding()[0]
        stride = line_bytes(info.pixel_format, width_px) + padding if padding else None
        try:
            return to_uint8(buffer.get_image_data(), info.pixel_format, width_px, height_px, stride)
        except (ValueError, TypeError):
            return None


def _mirrored(camera: Any, feature: str) -> bool:
    return bool(camera.is_feature_available(feature) and camera.get_boolean(feature))


def _let_go(held: list[Any], streaming: list[Any], lost: bool) -> None:
    """Stop the camera and drop the last references to it, the stream's first: that closes them."""
    from gi.repository import GLib

    if streaming[0] is not None and not lost:
        with contextlib.suppress(GLib.Error):
            held[0].stop_acquisition()
    streaming.clear()
    held.clear()
