"""What a tracker is to do: plain values, carried to another process."""

from __future__ import annotations

from dataclasses import dataclass, field

from acquisition.rig import SyncSettings
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings


@dataclass(frozen=True, slots=True)
class TrackerPlan:
    """One tracker's orders.

    Attributes
    ----------
    rig, cameras, sync:
        Name, camera names in rig order, and frame-set settings of the rig.
    stream:
        Where to publish.
    insider:
        Public key of the processes of this run, which may listen to its stream; "" where it has no keys.
    bundle, runtime, precision, threads:
        The network, as `Predictor` takes them.
    tracking:
        Windows, filters, prediction.
    calibration:
        Calibration TOML for 3D; None: 2D only.
    report:
        Where the summary is written at the end, as JSON.
    session_dir:
        The recording poses are written beside; None: they are streamed only.
    version:
        Of rigpose, told to subscribers.
    """

    rig: str
    cameras: tuple[str, ...]
    sync: SyncSettings
    stream: StreamSettings
    bundle: str
    calibration: str | None
    report: str
    runtime: str = "auto"
    precision: str = "auto"
    threads: int = 1
    session_dir: str | None = None
    version: str = ""
    insider: str = ""
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
