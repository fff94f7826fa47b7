"""Basler cameras (GigE, USB3) through pypylon, `basler://SERIAL`; pylon's emulated ones too.

Features are the device's own by name, and `pfs`: a file of pylon's (from its Viewer, "Save Features"), loaded
and validated where it stands among the others; its path is absolute or relative to the working folder.

Emulated cameras, to try a rig without any: start with PYLON_CAMEMU=4 in the environment; serial numbers are
0815-0000 and so on.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.camera import CameraGone, CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.drivers.genapi import GenApiFeatures, Spelling, swig_module
from acquisition.drivers.timing import timed
from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.pixel_formats import channels_of, line_bytes, to_uint8

_BUFFERS = 32
_EMULATED, _GIGE = "BaslerCamEmu", "BaslerGigE"
_GIGE_IDS = 65535  # 1 to 65535: 0 is no frame (GigE Vision 2.0, "block_id")
_STAMP_UNCERTAINTY_NS = 50_000  # start delays of exposures in Basler's manuals stay below
_ARRIVAL_NS = 5_000_000  # of frames timed on arrival
_SILENT_PERIODS, _SILENT_S = 10, 0.5


class BaslerCamera:
    """One camera of Basler's.

    Its clock stamps the start of the exposure; half the exposure leads to the middle. Emulated cameras have
    no clock (their stamps are 0): their frames are timed on arrival.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._pylon: Any = None
        self._camera: Any = None
        self._features: GenApiFeatures | None = None
        self._info: CameraInfo | None = None
        self._tick_hz = 1e9
        self._nothing: Image = np.zeros((0, 0), np.uint8)

    @staticmethod
    def find() -> list[FoundCamera]:
        """The cameras that pylon sees on all networks and USB ports."""
        return [
            FoundCamera(f"basler://{d.GetSerialNumber()}", d.GetModelName(), d.GetSerialNumber())
            for d in _pylon().TlFactory.GetInstance().EnumerateDevices()
        ]

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Take the camera, set the wished features in their order, read each back."""
        self._pylon = _pylon()
        device = self._device()
        factory = self._pylon.TlFactory.GetInstance()
        try:
            self._camera = self._pylon.InstantCamera(factory.CreateDevice(device))
            self._camera.Open()
            self._info = self._configure(device, dict(wished))
        except self._errors as error:
            self.close()
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{self._uri} to answer, and nobody else to use it",
                found=str(error).split(" : ")[0],
                remedy="End other programs (pylon Viewer), check its cable and power",
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
        """Let the camera send, each frame in its turn."""
        if self._camera is None:
            raise RuntimeError("start before open")
        try:
            self._camera.MaxNumBuffer.SetValue(_BUFFERS)
            self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        except self._errors as error:
            raise CameraGone(f"camera '{self._name}': {error}") from None

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout`, or `CameraGone` once pylon misses it."""
        info = self._info
        if info is None or not self._camera.IsGrabbing():
            raise RuntimeError("read before start")
        try:
            result = self._camera.RetrieveResult(timeout_ms, self._pylon.TimeoutHandling_Return)
            t_arrival_ns = time.monotonic_ns()
            if not result.IsValid():
                if self._camera.IsCameraDeviceRemoved():
                    raise CameraGone(f"camera '{self._name}' was removed")
                raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
            try:
                image = self._image(result, info)
                return DeviceFrame(
                    frame_id=int(result.GetBlockID()),
                    t_device_ns=round(result.GetTimeStamp() * 1e9 / self._tick_hz)
                    if info.has_device_clock
                    else None,
                    t_arrival_ns=t_arrival_ns,
                    image=self._nothing if image is None else image,
                    damaged=image is None,
                )
            finally:
                result.Release()
        except self._errors as error:
            raise CameraGone(f"camera '{self._name}': {error}") from None

    def counts(self) -> dict[str, int]:
        """What pylon has counted since `start`: frames without a free buffer, packets lost and sent again."""
        if self._camera is None:
            return {}
        wanted = {
            "Statistic_Buffer_Underrun_Count": "underruns",
            "Statistic_Failed_Buffer_Count": "failures",
            "Statistic_Failed_Packet_Count": "missing_packets",
            "Statistic_Resend_Packet_Count": "resent_packets",
        }
        counted = {}
        nodes = self._camera.GetStreamGrabberNodeMap()
        for node, name in wanted.items():
            with contextlib.suppress(self._errors):
                counted[name] = int(nodes.GetNode(node).GetValue())
        return counted

    def stop(self) -> None:
        """No more frames."""
        if self._camera is not None:
            with contextlib.suppress(self._errors):
                self._camera.StopGrabbing()

    def close(self) -> None:
        """Let go of the device."""
        camera, self._camera = self._camera, None
        self._features = self._info = None
        if camera is not None:
            with contextlib.suppress(self._errors):
                camera.DestroyDevice()

    @property
    def _errors(self) -> type[Exception]:
        error: type[Exception] = swig_module("pypylon.genicam").GenericException
        return error

    def _device(self) -> Any:
        serial = self._uri.partition("://")[2]
        devices = self._pylon.TlFactory.GetInstance().EnumerateDevices()
        for device in devices:
            if device.GetSerialNumber() == serial:
                return device
        raise RigposeError(
            f"camera '{self._name}'", expected=f"a camera at {self._uri}",
            found=", ".join(f"basler://{d.GetSerialNumber()}" for d in devices) or "no Basler camera at all",
            remedy="Check its cable, power and network; 'rigpose cameras' lists what is there",
        )  # fmt: skip

    def _configure(self, device: Any, wished: dict[str, Value]) -> CameraInfo:
        nodes = self._camera.GetNodeMap()
        features = self._features = GenApiFeatures(self._name, _spelling(), nodes.GetNode, nodes.GetNodes)
        actual: dict[str, Value] = {}
        if "pfs" in wished:
            before = list(wished)[: list(wished).index("pfs")]
            features.set({name: wished[name] for name in before})
            actual["pfs"] = self._load(Path(str(wished.pop("pfs"))), nodes)
        actual.update(features.set(wished))
        actual["TriggerMode"] = features.value_or("TriggerMode", "Off")
        kind = device.GetDeviceClass()
        for name in ("GevTimestampTickFrequency", "TimestampTickFrequency"):
            if features.has(name):
                self._tick_hz = float(features.value(name))
        clocked = kind != _EMULATED
        wraps = kind == _GIGE and features.value_or("GevGVSPExtendedIDMode", "Off") != "On"
        exposure_us, rate_hz = features.exposure_us, features.rate_hz
        pixel_format = str(features.value("PixelFormat"))
        info = CameraInfo(
            uri=self._uri,
            model=f"{device.GetVendorName() or 'Basler'} {device.GetModelName()}",
            serial=device.GetSerialNumber(),
            width_px=int(features.value("Width")),
            height_px=int(features.value("Height")),
            channels=channels_of(pixel_format, self._name),
            rate_hz=rate_hz,
            exposure_us=exposure_us,
            id_modulus=_GIGE_IDS if wraps else None,
            id_first=1 if wraps else 0,
            id_start=0 if kind == _EMULATED else None,  # of the others it is not known for certain
            has_device_clock=clocked,
            stamp_to_middle_ns=round(exposure_us * 500) if clocked else 0,
            stamp_uncertainty_ns=_STAMP_UNCERTAINTY_NS + round(1e9 / self._tick_hz)
            if clocked
            else _ARRIVAL_NS,
            stamp_meaning="start of exposure, camera clock"
            if clocked
            else "none: frames are timed on arrival",
            pixel_format=pixel_format,
            offset_px=(int(features.value_or("OffsetX", 0)), int(features.value_or("OffsetY", 0))),
            binning=(
                int(features.value_or("BinningHorizontal", 1)),
                int(features.value_or("BinningVertical", 1)),
            ),
            flip=(bool(features.value_or("ReverseX", False)), bool(features.value_or("ReverseY", False))),
            features=actual,
            silence_s=_SILENT_PERIODS / rate_hz + _SILENT_S
            if rate_hz > 0 and not features.triggered
            else None,
        )
        return timed(info, features.word)

    def _load(self, path: Path, nodes: Any) -> str:
        """Load a feature file of pylon's, which reads every value back; its path as given."""
        if not path.expanduser().is_file():
            raise RigposeError(
                f"camera '{self._name}'", expected="a feature file of pylon's for 'pfs'",
                found=f"no file {path.expanduser().absolute()}", remedy="Give its absolute path",
            )  # fmt: skip
        try:
            self._pylon.FeaturePersistence.Load(str(path.expanduser()), nodes, True)
        except self._errors as error:
            raise RigposeError(
                path, expected=f"features that camera '{self._name}' has and takes",
                found=str(error).split(" : ")[0], remedy="Save it anew from this camera in pylon Viewer",
            ) from None  # fmt: skip
        return str(path)

    def _image(self, result: Any, info: CameraInfo) -> Image | None:
        """The picture, or None where it did not arrive whole."""
        if not result.GrabSucceeded():
            return None
        width_px, height_px = result.GetWidth(), result.GetHeight()
        if (width_px, height_px) != (info.width_px, info.height_px):
            return None
        padding = result.GetPaddingX()
        stride = line_bytes(info.pixel_format, width_px) + padding if padding else None
        try:
            return to_uint8(result.GetBuffer(), info.pixel_format, width_px, height_px, stride)
        except ValueError:
            return None


def _pylon() -> Any:
    """The library; raises `RigposeError` where it is not installed."""
    try:
        return swig_module("pypylon.pylon")
    except ImportError as error:
        raise RigposeError(
            "Basler cameras", expected="the package pypylon", found=str(error),
            remedy="Install it: pip install 'rigpose[basler]'",
        ) from None  # fmt: skip


def _spelling() -> Spelling:
    genicam = swig_module("pypylon.genicam")
    return Spelling(
        value="Value", low="GetMin", high="GetMax", unit="GetUnit",
        choices="GetSymbolics", execute="Execute", name="GetName", is_feature="IsFeature",
        visibility="GetVisibility", implemented=genicam.IsImplemented, readable=genicam.IsReadable,
        writable=genicam.IsWritable, errors=genicam.GenericException,
    )  # fmt: skip
