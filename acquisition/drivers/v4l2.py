"""Cameras of Video4Linux behind the camera port: webcams (UVC), capture cards, sensors of boards.

`v4l2:///dev/video0`, `v4l2:///dev/v4l/by-id/usb-...-video-index0`, or by the place where it is plugged in,
`v4l2://usb-0000:00:14.0-1.2` (what the kernel calls bus info). A number after '#' tells two cameras at one
place apart.

Features: `pixelformat`, `width`, `height` and every control as `v4l2-ctl` names them, and `channels: 1` for
the luma of a colour camera.
"""

from __future__ import annotations

import importlib
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.camera import CameraGone, CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.drivers.v4l2_controls import Controls
from acquisition.drivers.v4l2_formats import FOURCCS, is_grey, picture
from acquisition.drivers.wishes import number
from acquisition.errors import RigposeError
from acquisition.frame import Image

_BUFFERS = 16
_COUNT_MODULUS = 2**32
# Drivers known to count from 0 at every start; the specification leaves it open.
_COUNT_FROM_ZERO = ("uvcvideo", "vivid")
_RATE_TOLERANCE = 0.005
_SILENT_PERIODS, _SILENT_S = 10, 0.5
_UVC_STAMPS = Path("/sys/module/uvcvideo/parameters/hwtimestamps")
_UVC_CLOCK_NS = 1_000_000  # USB counts its frames in milliseconds
_FORMAT = ("pixelformat", "width", "height", "channels")


class V4L2Camera:
    """One capture device of Video4Linux.

    What its stamps mean is said by the kernel's flags, buffer by buffer the same: a stamp of the start of
    exposure leads to its middle by half the exposure. One of the end of the frame, and one that the driver
    of webcams takes when the first packet is there, come half an exposure or more after the middle, by
    what the readout and the camera itself take: that is not known and stands in the uncertainty, one frame
    period.
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._v4l2: Any = None
        self._device: Any = None
        self._maps: list[Any] = []
        self._format: Any = None
        self._grey = False
        self._streaming = False
        self._stamped = True
        self._poll = select.poll()
        self._image: Image = np.zeros((0, 0), np.uint8)

    @staticmethod
    def find() -> list[FoundCamera]:
        """Every capture device that can be opened."""
        found: list[FoundCamera] = []
        for path, info in _capture_devices():
            place = f"v4l2://{info.bus_info}"
            twins = sum(camera.uri.split("#")[0] == place for camera in found)
            uri = f"{place}#{twins}" if twins else place
            found.append(FoundCamera(uri, info.card, _serial(path) or info.bus_info))
        return found

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Set format, rate, exposure and controls, and take the buffers, so that the device is ours."""
        self._v4l2 = _linuxpy()
        path = self._path()
        try:
            self._device = self._v4l2.Device(path)
            self._device.open()
            return self._configure(dict(wished), path)
        except OSError as error:
            self.close()
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{path} as a capture device that nobody else uses",
                found=error.strerror or str(error),
                remedy="Is it plugged in, and closed in other programs? Access wants the group 'video'",
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise

    def features(self) -> list[Feature]:
        """Format, rate and controls, as they stand."""
        format_ = self._format
        return [
            Feature("pixelformat", _fourcc(format_.pixelformat), choices=self._readable()),
            Feature("width", format_.width),
            Feature("height", format_.height),
            Feature("channels", 1.0 if self._image.ndim == 2 else 3.0, 1, 3),
            Feature("rate_hz", self._rate_hz(), unit="Hz"),
            *Controls(self._device, self._name, self._v4l2).features(),
        ]  # fmt: skip

    def start(self) -> None:
        """Queue all buffers and switch the stream on; the device counts from its first frame again."""
        if self._device is None:
            raise RuntimeError("start before open")
        try:
            for index in range(len(self._maps)):
                self._v4l2.enqueue_buffer(self._device, self._kind, self._v4l2.Memory.MMAP, 0, index)
            self._v4l2.stream_on(self._device, self._kind)
        except OSError as error:
            raise CameraGone(f"camera '{self._name}': {error.strerror}") from None
        self._streaming = True

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; raises `CameraTimeout` or `CameraGone`."""
        if not self._streaming:
            raise RuntimeError("read before start")
        deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
        while True:
            left_ms = max(0, (deadline_ns - time.monotonic_ns()) // 1_000_000)
            if not self._poll.poll(left_ms):
                raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
            try:
                buffer = self._v4l2.dequeue_buffer(self._device, self._kind, self._v4l2.Memory.MMAP)
                t_arrival_ns = time.monotonic_ns()
                frame = self._frame(buffer, t_arrival_ns)
                self._v4l2.enqueue_buffer(self._device, self._kind, self._v4l2.Memory.MMAP, 0, buffer.index)
            except BlockingIOError:
                continue
            except OSError as error:
                # ENODEV: unplugged. Any other: its queue is dead and comes back only by opening it anew.
                raise CameraGone(f"camera '{self._name}': {error.strerror}") from None
            return frame

    def stop(self) -> None:
        """Switch the stream off; what was not read is dropped."""
        self._streaming = False
        if self._device is not None:
            try:
                self._v4l2.stream_off(self._device, self._kind)
            except OSError as error:
                raise CameraGone(f"camera '{self._name}': {error.strerror}") from None

    def close(self) -> None:
        """Let go of the device and its buffers."""
        self._streaming = False
        self._maps = []  # unmapped with the last reference
        device, self._device = self._device, None
        if device is not None and not device.closed:
            device.close()

    def _path(self) -> Path:
        address, _, twin = self._uri.removeprefix("v4l2://").partition("#")
        if address.startswith("/dev/"):
            path = Path(address)
            if path.exists():
                return path
            there = [str(found) for found, _ in _capture_devices()]
        else:
            devices = list(_capture_devices())
            here = [path for path, info in devices if info.bus_info == address]
            number = int(twin) if twin.isdigit() else 0
            if number < len(here):
                return here[number]
            there = [info.bus_info for _, info in devices]
        raise RigposeError(
            f"camera '{self._name}'", expected=f"a capture device at {self._uri}",
            found=", ".join(there) or "no capture device at all",
            remedy="Plug it in, or mend 'uri' in the rig file; `rigpose cameras` lists what is there",
        )  # fmt: skip

    def _configure(self, wished: dict[str, Value], path: Path) -> CameraInfo:
        features: dict[str, Value] = {}
        self._set_format({name: wished.pop(name) for name in _FORMAT if name in wished}, features)
        if "rate_hz" in wished:
            features["rate_hz"] = self._set_rate(number(self._name, "rate_hz", wished.pop("rate_hz")))
        rate_hz = self._rate_hz()
        controls = Controls(self._device, self._name, self._v4l2)
        if "exposure_us" in wished:
            exposure_us = number(self._name, "exposure_us", wished.pop("exposure_us"))
            features["exposure_us"] = controls.set_exposure_us(exposure_us)
        for name, value in wished.items():
            features[name] = controls.set(name, value)
        exposed_us = controls.exposure_us()
        self._take_buffers()
        info = self._device.info
        format_ = self._format
        to_middle_ns, uncertainty_ns, meaning = self._stamps(info.driver, exposed_us, rate_hz)
        return CameraInfo(
            uri=self._uri, model=info.card, serial=_serial(path) or info.bus_info,
            width_px=format_.width, height_px=format_.height, channels=1 if self._grey else 3,
            rate_hz=rate_hz, exposure_us=exposed_us or 0.0, id_modulus=_COUNT_MODULUS, id_first=0,
            has_device_clock=self._stamped, stamps_on_rig_clock=self._stamped,
            stamp_to_middle_ns=to_middle_ns, stamp_uncertainty_ns=uncertainty_ns, stamp_meaning=meaning,
            id_start=0 if info.driver in _COUNT_FROM_ZERO else None,
            pixel_format=_fourcc(format_.pixelformat), features=features,
            silence_s=_SILENT_PERIODS / rate_hz + _SILENT_S if rate_hz > 0 else None,
        )  # fmt: skip

    def _set_format(self, wished: dict[str, Value], features: dict[str, Value]) -> None:
        now = self._v4l2.get_raw_format(self._device, self._kind).fmt.pix
        readable = self._readable()
        fourcc = str(wished.get("pixelformat", _fourcc(now.pixelformat)))
        if "pixelformat" not in wished and fourcc not in readable and readable:
            fourcc = readable[0]
        size = [
            round(number(self._name, side, wished.get(side, getattr(now, side))))
            for side in ("width", "height")
        ]
        if fourcc in readable:
            self._v4l2.set_format(self._device, self._kind, *size, pixel_format=fourcc.ljust(4))
        actual = self._v4l2.get_raw_format(self._device, self._kind).fmt.pix
        got = (_fourcc(actual.pixelformat), actual.width, actual.height)
        if fourcc not in readable or got != (fourcc, *size):
            sizes = self._sizes(fourcc) if fourcc in readable else []
            raise RigposeError(
                f"camera '{self._name}'",
                expected=f"one of the formats {', '.join(readable)}"
                + (f", one of the sizes {', '.join(f'{w}x{h}' for w, h in sizes)}" if sizes else ""),
                found=f"{fourcc} {size[0]}x{size[1]}, read back as {got[0]} {got[1]}x{got[2]}",
                remedy="Mend pixelformat, width and height in the camera's settings file",
            )  # fmt: skip
        channels = wished.get("channels", 1 if is_grey(fourcc) else 3)
        if channels not in ((1,) if is_grey(fourcc) else (1, 3)):
            raise RigposeError(
                f"camera '{self._name}'",
                expected=f"1{'' if is_grey(fourcc) else ' or 3'} for 'channels' of {fourcc}",
                found=str(channels), remedy="Mend it in the camera's settings file",
            )  # fmt: skip
        self._format, self._grey = actual, channels == 1
        self._image = np.zeros(
            (actual.height, actual.width) if self._grey else (actual.height, actual.width, 3), np.uint8
        )
        features.update({"pixelformat": got[0], "width": got[1], "height": got[2], "channels": channels})

    def _readable(self) -> tuple[str, ...]:
        """The formats that it has and we read."""
        formats = self._device.info.buffer_formats(self._kind)
        return tuple(f for f in (_fourcc(form.pixel_format) for form in formats) if f in FOURCCS)

    @property
    def _kind(self) -> Any:
        return self._v4l2.BufferType.VIDEO_CAPTURE

    def _sizes(self, fourcc: str) -> list[tuple[int, int]]:
        """The sizes of a format, none where it has a range of them."""
        code = int.from_bytes(fourcc.ljust(4).encode("ascii"), "little")
        told = [size.info for size in self._device.info.format_frame_sizes(code)]
        return sorted((size.width, size.height) for size in told if hasattr(size, "width"))

    def _set_rate(self, wished: float) -> float:
        try:
            self._v4l2.set_fps(self._device, self._kind, wished)
        except OSError as error:
            raise RigposeError(
                f"camera '{self._name}'", expected="a camera whose rate can be set",
                found=str(error.strerror), remedy="Leave rate_hz out",
            ) from None  # fmt: skip
        actual = self._rate_hz()
        if abs(actual - wished) > _RATE_TOLERANCE * wished:
            raise RigposeError(
                f"camera '{self._name}'", expected=f"a rate it has at this format; nearest is {actual:g} Hz",
                found=f"{wished:g} Hz", remedy="Mend rate_hz, or try another pixelformat or size",
            )  # fmt: skip
        return actual

    def _rate_hz(self) -> float:
        try:
            return float(self._v4l2.get_fps(self._device, self._kind))
        except (OSError, ZeroDivisionError):
            return 0.0  # a device that neither sets nor tells its rate

    def _take_buffers(self) -> None:
        buffers = self._v4l2.request_and_query_buffers(
            self._device, self._kind, self._v4l2.Memory.MMAP, _BUFFERS
        )
        self._maps = [self._v4l2.mmap_from_buffer(self._device, buffer) for buffer in buffers]
        self._flags = buffers[0].flags
        flag = self._v4l2.BufferFlag
        self._stamped = self._flags & flag.TIMESTAMP_MASK == flag.TIMESTAMP_MONOTONIC
        self._poll = select.poll()
        self._poll.register(self._device.fileno(), select.POLLIN)

    def _stamps(self, driver: str, exposure_us: float | None, rate_hz: float) -> tuple[int, int, str]:
        """(to the middle of the exposure, uncertainty, meaning), by the flags of the device's buffers."""
        half_ns = round((exposure_us or 0.0) * 500)
        period_ns = round(1e9 / rate_hz) if rate_hz > 0 else 100_000_000
        unknown_ns = 0 if exposure_us is not None else period_ns // 2  # no exposure is longer than the period
        if not self._stamped:
            return 0, period_ns, "none: frames are stamped on arrival"
        flag = self._v4l2.BufferFlag
        if self._flags & flag.TSTAMP_SRC_MASK != flag.TSTAMP_SRC_SOE:
            return -half_ns, period_ns + unknown_ns, "end of the frame's transfer, host's monotonic clock"
        if driver != "uvcvideo":
            return half_ns, 1_000 + unknown_ns, "start of exposure, host's monotonic clock"
        if _UVC_STAMPS.exists() and _UVC_STAMPS.read_text(encoding="ascii").strip() in ("1", "Y"):
            return half_ns, _UVC_CLOCK_NS + unknown_ns, "start of exposure by the camera's clock, over USB's"
        return -half_ns, period_ns + unknown_ns, "first packet of the frame, host's monotonic clock"

    def _frame(self, buffer: Any, t_arrival_ns: int) -> DeviceFrame:
        format_ = self._format
        t_ns = buffer.timestamp.secs * 1_000_000_000 + buffer.timestamp.usecs * 1_000
        damaged = bool(buffer.flags & self._v4l2.BufferFlag.ERROR)
        if not damaged:
            try:
                # Quantization 1 is full range, and by default (0) so is colour space JPEG (7): see
                # "Colorspaces" in the kernel's manual.
                range_, space = format_.quantization, format_.colorspace
                self._image = picture(
                    memoryview(self._maps[buffer.index])[: buffer.bytesused], _fourcc(format_.pixelformat),
                    (format_.width, format_.height), format_.bytesperline, grey=self._grey,
                    full_range=range_ == 1 or (range_ == 0 and space == 7),
                ).copy()  # the buffer goes back to the device  # fmt: skip
            except ValueError:
                damaged = True
        return DeviceFrame(
            buffer.sequence, t_ns if self._stamped else None, t_arrival_ns, self._image, damaged=damaged
        )


def _fourcc(code: int) -> str:
    return int(code).to_bytes(4, "little").decode("ascii", "replace").rstrip()


def _capture_devices() -> Iterator[tuple[Path, Any]]:
    """(path, what it is) of every capture device that can be opened, in order of their numbers."""
    linuxpy = _linuxpy()
    for path in sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            with linuxpy.Device(path) as device:
                info = device.info
                if linuxpy.Capability.VIDEO_CAPTURE in info.device_capabilities:
                    yield path, info
        except OSError:
            continue  # somebody else's, or not a video device at all


def _serial(path: Path) -> str:
    """The serial number of the USB device behind a video device, "" where there is none."""
    interface = Path("/sys/class/video4linux") / path.resolve().name / "device"
    try:
        return (interface.resolve().parent / "serial").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _linuxpy() -> Any:
    try:
        return importlib.import_module("linuxpy.video.device")
    except ImportError:
        raise RigposeError(
            "v4l2 cameras", expected="the package linuxpy", found="none",
            remedy="Install it: pip install 'rigpose[v4l2]'",
        ) from None  # fmt: skip
