"""Cameras behind a GenTL producer (a maker's .cti file) through harvesters,
`genicam:///opt/maker/producer.cti#SERIAL`.

Every maker of GenICam cameras ships a producer: of frame grabbers (CoaXPress, Camera Link), GigE and USB3
cameras.
`find` looks where the makers' installers say, in GENICAM_GENTL64_PATH.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from acquisition.camera import CameraGone, CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.drivers.genapi import GenApiFeatures, Spelling, swig_module
from acquisition.drivers.timing import timed
from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.pixel_formats import channels_of, line_bytes, to_uint8

_BUFFERS = 16
_ARRIVAL_NS = 5_000_000  # of frames timed on arrival
_SILENT_PERIODS, _SILENT_S = 10, 0.5
_GIGE_IDS = 65535  # 1 to 65535: 0 is no frame (GigE Vision 2.0, "block_id")
_CLOCK = ("Timestamp", "TimestampLatch", "TimestampLatchValue", "GevTimestampValue")
_TICKS = ("GevTimestampTickFrequency", "TimestampTickFrequency")

# A producer may be loaded once in a process: all its cameras share it.
_LOCK = threading.RLock()
_PRODUCERS: dict[str, tuple[Any, int]] = {}  # file -> (Harvester, cameras that use it)


class GenICamCamera:
    """One camera of a producer.

    Where the producer gives time stamps, they are taken for the start of the exposure, as most cameras have
    it; GenTL does not say. So all of the exposure stands in the uncertainty. Producers that give none have
    their frames timed on arrival.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        file, _, serial = uri.partition("://")[2].partition("#")
        self._file, self._serial = unquote(file), unquote(serial)
        self._acquirer: Any = None
        self._held = False
        self._features: GenApiFeatures | None = None
        self._info: CameraInfo | None = None
        self._tick_hz = 1e9
        self._nothing: Image = np.zeros((0, 0), np.uint8)

    @staticmethod
    def find() -> list[FoundCamera]:
        """The cameras of every producer in the folders of GENICAM_GENTL64_PATH."""
        found = []
        folders = filter(None, os.environ.get("GENICAM_GENTL64_PATH", "").split(os.pathsep))
        for file in sorted({str(file) for folder in folders for file in Path(folder).glob("*.cti")}):
            with _LOCK, _producer(file, "find") as harvester:
                for d in _devices(harvester):
                    serial = _serial(d)
                    uri = f"genicam://{quote(file)}#{quote(serial)}"
                    found.append(FoundCamera(uri, f"{d.vendor} {d.model}", serial))
        return found

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Take the camera, set the wished features in their order, read each back."""
        genapi, gentl = _genicam()
        try:
            with _LOCK:
                harvester = _hold(self._file, self._name)
                self._held = True
                devices = _devices(harvester)
                index = self._index(devices)
                vendor_model = f"{devices[index].vendor} {devices[index].model}"
                transport, serial = str(devices[index].tl_type), _serial(devices[index])
                self._acquirer = harvester.create(index)
            self._info = self._configure(vendor_model, serial, transport, dict(wished))
        except (genapi.GenericException, gentl.GenericException) as error:
            self.close()
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{self._uri} to answer, and nobody else to use it",
                found=str(error).split(" (Message")[0],
                remedy="End other programs, check its cable and power",
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise
        return self._info

    def features(self) -> list[Feature]:
        """What can be set now."""
        assert self._features is not None
        return self._features.list()

    def start(self) -> None:
        """Announce the buffers and let the camera send."""
        genapi, gentl = _genicam()
        if self._acquirer is None:
            raise RuntimeError("start before open")
        try:
            self._acquirer.start()
        except (genapi.GenericException, gentl.GenericException) as error:
            raise CameraGone(f"camera '{self._name}': {error}") from None

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout` or `CameraGone`."""
        info = self._info
        if info is None or not self._acquirer.is_acquiring():
            raise RuntimeError("read before start")
        _, gentl = _genicam()
        # Not `fetch`: it hands no incomplete buffer on, and those have to be counted.
        monitor = next(iter(self._acquirer._new_buffer_event_monitor_dict.values()))
        try:
            monitor.update_event_data(timeout_ms)
            t_arrival_ns = time.monotonic_ns()
            buffer = monitor.buffer
            try:
                image = self._image(buffer, info)
                return DeviceFrame(
                    frame_id=int(buffer.frame_id),
                    t_device_ns=_stamp_ns(buffer, self._tick_hz, gentl) if info.has_device_clock else None,
                    t_arrival_ns=t_arrival_ns,
                    image=self._nothing if image is None else image,
                    damaged=image is None,
                )
            finally:
                buffer.parent.queue_buffer(buffer)
        except gentl.TimeoutException:
            raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms") from None
        except gentl.GenericException as error:
            raise CameraGone(f"camera '{self._name}': {error}") from None

    def counts(self) -> dict[str, int]:
        """What the producer has counted since `start`: frames without a free buffer."""
        _, gentl = _genicam()
        if self._acquirer is None or not self._acquirer.data_streams:
            return {}
        try:
            return {"underruns": int(self._acquirer.data_streams[0].module.num_underrun)}
        except gentl.GenericException:
            return {}

    def stop(self) -> None:
        """No more frames."""
        genapi, gentl = _genicam()
        if self._acquirer is not None:
            with contextlib.suppress(genapi.GenericException, gentl.GenericException):
                self._acquirer.stop()

    def close(self) -> None:
        """Let go of the camera, and of the producer with its last camera."""
        acquirer, self._acquirer = self._acquirer, None
        self._features = self._info = None
        genapi, gentl = _genicam()
        with _LOCK, contextlib.suppress(genapi.GenericException, gentl.GenericException):
            if acquirer is not None:
                acquirer.destroy()
        if self._held:
            self._held = False
            _let_go(self._file)

    def _index(self, devices: list[Any]) -> int:
        serials = [_serial(device) for device in devices]
        if not self._serial and len(devices) == 1:
            return 0
        if serials.count(self._serial) == 1:
            return serials.index(self._serial)
        raise RigposeError(
            f"camera '{self._name}'", expected="the serial number of one camera of this producer after '#'",
            found=f"'{self._uri}'; it has {', '.join(serials) or 'no camera at all'}",
            remedy="Mend 'uri' in the rig file, or check the camera's cable and power",
        )  # fmt: skip

    def _configure(self, model: str, serial: str, transport: str, wished: dict[str, Value]) -> CameraInfo:
        acquirer = self._acquirer
        acquirer.num_buffers = max(_BUFFERS, acquirer.min_num_buffers)
        nodes = acquirer.remote_device.node_map
        features = self._features = GenApiFeatures(
            self._name, _spelling(), nodes.get_node, lambda: list(nodes.nodes)
        )
        actual = features.set(wished)
        if features.has("TriggerMode"):
            actual["TriggerMode"] = features.value("TriggerMode")
        exposure_us, rate_hz = features.exposure_us, features.rate_hz
        pixel_format = str(features.value("PixelFormat"))
        clocked = any(features.knows(name) for name in _CLOCK)
        for name in _TICKS:
            if features.has(name):
                self._tick_hz = float(features.value(name))
        wraps = (
            transport in ("GEV", "GigEVision") and features.value_or("GevGVSPExtendedIDMode", "Off") != "On"
        )
        meaning = "start of exposure as most cameras have it (GenTL does not say), camera clock"
        info = CameraInfo(
            uri=self._uri, model=model, serial=serial,
            width_px=int(features.value("Width")), height_px=int(features.value("Height")),
            channels=channels_of(pixel_format, self._name), rate_hz=rate_hz, exposure_us=exposure_us,
            id_modulus=_GIGE_IDS if wraps else None, id_first=1 if wraps else 0,
            has_device_clock=clocked, stamp_to_middle_ns=round(exposure_us * 500) if clocked else 0,
            stamp_uncertainty_ns=round(exposure_us * 1000) if clocked else _ARRIVAL_NS,
            stamp_meaning=meaning if clocked else "none: frames are timed on arrival",
            pixel_format=pixel_format,
            offset_px=(int(features.value_or("OffsetX", 0)), int(features.value_or("OffsetY", 0))),
            binning=(
                int(features.value_or("BinningHorizontal", 1)), int(features.value_or("BinningVertical", 1)),
            ),
            flip=(bool(features.value_or("ReverseX", False)), bool(features.value_or("ReverseY", False))),
            features=actual,
            silence_s=None if rate_hz == 0 or features.triggered else _SILENT_PERIODS / rate_hz + _SILENT_S,
        )  # fmt: skip
        return timed(info, features.word)

    def _image(self, buffer: Any, info: CameraInfo) -> Image | None:
        """The picture, or None where it did not arrive whole."""
        if not buffer.is_complete() or (buffer.width, buffer.height) != (info.width_px, info.height_px):
            return None
        data = memoryview(buffer.raw_buffer)[buffer.image_offset :]
        padding = buffer.padding_x
        stride = line_bytes(info.pixel_format, info.width_px) + padding if padding else None
        try:
            image: Image = to_uint8(data, info.pixel_format, info.width_px, info.height_px, stride).copy()
            return image  # the buffer goes back to the producer
        except ValueError:
            return None


def _stamp_ns(buffer: Any, tick_hz: float, gentl: Any) -> int:
    try:
        return int(buffer.timestamp_ns)  # GenTL 1.5; older producers tell ticks only
    except gentl.GenericException:
        return round(int(buffer.timestamp) * 1e9 / tick_hz)


def _serial(device: Any) -> str:
    return str(device.serial_number or device.id_)


def _hold(file: str, camera: str) -> Any:
    """The producer, loaded if it is not; raises `RigposeError`. The caller holds the lock."""
    if file in _PRODUCERS:
        harvester, users = _PRODUCERS[file]
        _PRODUCERS[file] = (harvester, users + 1)
        return harvester
    _, gentl = _genicam()
    harvester = swig_module("harvesters.core").Harvester()
    if Path(file).is_file():
        with contextlib.suppress(gentl.GenericException):
            harvester.add_file(file)
            harvester.update()
    if not harvester._systems:
        harvester.reset()
        raise RigposeError(
            f"camera '{camera}'", expected="a GenTL producer (.cti) before the '#'",
            found=f"{file}, which " + ("cannot be loaded" if Path(file).exists() else "is not there"),
            remedy="Install the maker's driver, or mend 'uri' in the rig file",
        )  # fmt: skip
    _PRODUCERS[file] = (harvester, 1)
    return harvester


def _devices(harvester: Any) -> list[Any]:
    """The cameras that are there now; the caller holds the lock.

    Not `Harvester.update`: it closes the producer under the cameras that are open.
    """
    info = swig_module("harvesters.core").DeviceInfo
    devices = []
    for interface in harvester._ifaces:
        interface.module.update_device_info_list(harvester.timeout_for_update)
        devices += [info(module=d, parent=interface) for d in interface.module.device_info_list]
    harvester._device_info_list[:] = devices
    return devices


def _let_go(file: str) -> None:
    with _LOCK:
        harvester, users = _PRODUCERS.pop(file)
        if users > 1:
            _PRODUCERS[file] = (harvester, users - 1)
        else:
            harvester.reset()


@contextlib.contextmanager
def _producer(file: str, camera: str) -> Iterator[Any]:
    harvester = _hold(file, camera)
    try:
        yield harvester
    finally:
        _let_go(file)


def _genicam() -> tuple[Any, Any]:
    """GenApi and GenTL; raises `RigposeError` where they are not installed."""
    try:
        genapi, gentl = swig_module("genicam.genapi"), swig_module("genicam.gentl")
        swig_module("harvesters.core")
    except ImportError as error:
        raise RigposeError(
            "GenICam producers", expected="the packages harvesters and genicam", found=str(error),
            remedy="Install them: pip install 'rigpose[genicam]'",
        ) from None  # fmt: skip
    return genapi, gentl


def _spelling() -> Spelling:
    genapi, gentl = _genicam()
    return Spelling(
        value="value", low="min", high="max", unit="unit", choices="symbolics",
        execute="execute", name="name", is_feature="is_feature", visibility="visibility",
        implemented=genapi.is_implemented, readable=genapi.is_readable, writable=genapi.is_writable,
        errors=(genapi.GenericException, gentl.GenericException),
    )  # fmt: skip
