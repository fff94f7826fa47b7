"""The camera port: what every driver offers, and the table of drivers.

Adding a camera: one file in `acquisition/drivers/` with a class that has the verbs of `Camera`,
and one line in `DRIVERS`. The vendor's SDK is imported inside `open` and `find`, so that the table
costs nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from acquisition.errors import RigposeError
from acquisition.frame import Image

DRIVERS = {
    "sim": "acquisition.drivers.simulated:SimulatedCamera",
    "aravis": "acquisition.drivers.aravis:AravisCamera",
    "basler": "acquisition.drivers.basler:BaslerCamera",
    "genicam": "acquisition.drivers.genicam:GenICamCamera",
    "gstreamer": "acquisition.drivers.gstreamer:GStreamerCamera",
    "v4l2": "acquisition.drivers.v4l2:V4L2Camera",
    "file": "acquisition.drivers.video_file:VideoFileCamera",
    "replay": "acquisition.drivers.replay:ReplayCamera",
    "rtsp": "acquisition.drivers.rtsp:RtspCamera",
}


Value = str | float | bool
"""Of a feature, as a feature file gives it and as a device tells it back."""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A device that could be opened: its URI for the rig file, and what it says it is."""

    uri: str
    model: str
    serial: str


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that can be set on an open camera, by the name a feature file uses for it.

    Attributes
    ----------
    low, high:
        Limits of a number, None where there are none.
    choices:
        The words it can be, empty for a number.
    unit:
        "us", "Hz", ... or "".
    """

    name: str
    value: Value
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera is and what its numbers mean, read back from the device after `open`.

    Attributes
    ----------
    uri, model, serial:
        Identity. `serial` (or a USB path) is stored in the session and checked at each start.
    width_px, height_px, channels:
        Shape of the images it delivers: channels 1 (mono) or 3 (RGB).
    rate_hz, exposure_us:
        Actual values, not the wished ones.
    id_modulus:
        The device's frame id returns to `id_first` after `id_modulus` frames; None: never wraps.
    id_first:
        The id after a wrap (GigE Vision wraps 65535 -> 1, its `id_first` is 1).
    has_device_clock:
        Whether `DeviceFrame.t_device_ns` carries stamps, of the device's own clock or of another.
    stamp_to_middle_ns:
        To add to the device's stamp to reach the middle of the exposure.
    stamp_uncertainty_ns:
        Half width of what the driver can promise about the stamp's place in the exposure.
    stamp_meaning:
        One phrase for a person: "start of exposure, camera clock", ...
    id_start:
        Id of the first frame counted after `start`; None: not known. It tells what was lost before
        the first frame that arrived.
    pixel_format:
        What the device sends, before the driver's conversion to uint8 grey or RGB.
    offset_px, binning:
        Of the image on the sensor: (x, y) of its top left pixel, and how many pixels make one.
    flip:
        Whether the device mirrors the image, in x and in y.
    features:
        The wished features as they were read back, `TriggerMode` of a device that has it, and
        `TriggerActivation` while it waits for pulses.
    silence_s:
        A free-running camera that delivers nothing for so long is closed and opened again; None: it
        may be silent. Triggered cameras may always be: pulses pause.
    stamps_on_rig_clock:
        The stamps are of the host's monotonic clock (its kernel took them): there is no other to follow.
    trigger_delay_ns:
        From the pulse to the start of the exposure, as far as the camera was told to wait.
    """

    uri: str
    model: str
    serial: str
    width_px: int
    height_px: int
    channels: int
    rate_hz: float
    exposure_us: float
    id_modulus: int | None
    id_first: int
    has_device_clock: bool
    stamp_to_middle_ns: int
    stamp_uncertainty_ns: int
    stamp_meaning: str
    id_start: int | None = None
    pixel_format: str = "Mono8"
    offset_px: tuple[int, int] = (0, 0)
    binning: tuple[int, int] = (1, 1)
    flip: tuple[bool, bool] = (False, False)
    features: dict[str, Value] = field(default_factory=dict)
    silence_s: float | None = None
    stamps_on_rig_clock: bool = False
    trigger_delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """A frame as the device gives it: its own count, its own clock.

    `image` may be overwritten by the next `read`; who keeps it copies it (the ring does).
    `damaged` marks a frame that was counted but did not arrive whole; its image is not to be used.
    """

    frame_id: int
    t_device_ns: int | None
    t_arrival_ns: int
    image: Image
    damaged: bool = False


class CameraTimeout(Exception):
    """No frame came within the time `read` was given."""


class CameraGone(Exception):
    """The device no longer answers; close it and open it again."""


class Camera(Protocol):
    """A camera driver. A failed `open` undoes itself and can be tried again.

    A driver's class takes (name, uri) and does nothing until `open`. It may have a verb more,
    `counts() -> dict[str, int]`: what the driver has counted since `start` besides frames (buffers it
    had none for, packets sent again).
    """

    @staticmethod
    def find() -> list[FoundCamera]:
        """The devices that are there now. Blocks at most two seconds; raises `RigposeError` where the
        driver's extra is not installed."""
        ...

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Connect, set the wished features in their order, read each back.

        `exposure_us` and `rate_hz` mean the same for every driver; all else is the driver's or the
        device's own name. Raises `RigposeError` for a device that is not there or used by another
        program, a feature it has not, and a value it did not take.
        """
        ...

    def features(self) -> list[Feature]:
        """What can be set, of an open camera."""
        ...

    def start(self) -> None:
        """Arm: frames come as soon as the trigger (or the camera's own clock) says so."""
        ...

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The oldest frame not yet read; blocks at most `timeout_ms`.

        Raises `CameraTimeout` or `CameraGone`.
        """
        ...

    def stop(self) -> None:
        """No more frames. May be started again."""
        ...

    def close(self) -> None:
        """Let go of the device. Never raises; may be called twice."""
        ...


def driver_of(uri: str, camera: str) -> type[Camera]:
    """The driver class for a URI such as `sim://scene.yaml#cam_0`; raises `RigposeError`."""
    scheme = urlsplit(uri).scheme
    if scheme not in DRIVERS:
        raise RigposeError(
            f"camera '{camera}'",
            expected=f"a URI beginning with {', '.join(f'{s}://' for s in DRIVERS)}",
            found=f"'{uri}'",
            remedy="Mend 'uri' in the rig file",
        )
    module, name = DRIVERS[scheme].split(":")
    driver: type[Camera] = getattr(importlib.import_module(module), name)
    return driver
