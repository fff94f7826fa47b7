"""The acquisition sections of rig.yaml. `rigpose.rig_file` joins them with the other layers'."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from acquisition.settings import Settings


def without_password(uri: str) -> str:
    """A camera's address as it may be shown and kept: a password in it is masked."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()


class CameraSettings(Settings):
    """One camera of the rig."""

    uri: str = Field(description="driver://address, for instance sim://scene.yaml#cam_0")
    settings: Path | None = Field(None, description="feature file, applied and read back at each start")
    serial: str | None = Field(None, description="serial number or USB path; another device is refused")


class TriggerSettings(Settings):
    """Who pulses the cameras. Without this section the cameras run freely."""

    port: str = Field(description="serial port of the trigger, or sim://scene.yaml")
    rate_hz: float = Field(gt=0, le=5000, description="pulses a second")
    exposure_us: float = Field(gt=0, description="exposure time asked of every camera")


class SyncSettings(Settings):
    """How frames become frame sets."""

    tolerance_ms: float = Field(4.0, gt=0, description="largest distance of an exposure from its set")
    max_delay_ms: float = Field(40.0, gt=0, description="a set waits no longer than this for a frame")
    ptp_socket: Path = Field(
        Path("/var/run/ptp4l"), description="of linuxptp's ptp4l; where it is there, PTP is watched"
    )


class RecordingSettings(Settings):
    """How recordings are written."""

    codec: Literal["x264", "x264-lossless", "ffv1", "mjpeg", "raw", "nvenc", "v4l2"] = Field(
        "x264", description="video codec; nvenc and v4l2 where the machine has them"
    )
    directory: Path = Field(Path("recordings"), description="where sessions go without -o; beside rig.yaml")
    keep_free_gb: float = Field(1.0, ge=0, description="recording stops cleanly below this")
    segment_minutes: float = Field(60.0, ge=0, description="a new file after so long; 0: never")


class RigSettings(Settings):
    """The rig as acquisition sees it. `cameras` keeps the order of the file: the rig order."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$", description="name of the rig")
    cameras: dict[str, CameraSettings] = Field(min_length=1, description="cameras by name")
    trigger: TriggerSettings | None = Field(None, description="trigger; absent: free-running")
    sync: SyncSettings = Field(default_factory=SyncSettings, description="frame sets")
    recording: RecordingSettings = Field(default_factory=RecordingSettings, description="recordings")

    @field_validator("cameras")
    @classmethod
    def _names_make_file_names(cls, cameras: dict[str, CameraSettings]) -> dict[str, CameraSettings]:
        for name in cameras:
            if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
                raise ValueError(f"camera name '{name}' may hold letters, digits, '-' and '_' only")
        return cameras

    @model_validator(mode="after")
    def _addresses_and_tolerance(self) -> RigSettings:
        seen: dict[str, str] = {}
        for name, camera in self.cameras.items():
            if camera.uri in seen:
                shown = without_password(camera.uri)
                raise ValueError(f"cameras '{seen[camera.uri]}' and '{name}' have one address, {shown}")
            seen[camera.uri] = name
        if self.trigger and self.sync.tolerance_ms >= 500.0 / self.trigger.rate_hz:
            raise ValueError(
                f"sync.tolerance_ms {self.sync.tolerance_ms:g} must be smaller than half a period, "
                f"{500.0 / self.trigger.rate_hz:g} ms"
            )
        return self
