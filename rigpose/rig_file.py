"""rig.yaml as a whole: the sections of all layers, and every path in it made absolute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from acquisition.rig import CameraSettings, RigSettings
from acquisition.settings import beside, read_settings
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings


class _WholeRig(RigSettings):
    """All sections in one model, so that an unknown key is judged against all known ones."""

    stream: StreamSettings = Field(default_factory=StreamSettings, description="keypoint stream")
    tracking: TrackingSettings = Field(
        default_factory=TrackingSettings, description="windows, filters, prediction"
    )
    outputs: dict[str, OutputSettings] = Field(
        default_factory=dict, description="what a processor may switch, by name"
    )
    calibration: Path | None = Field(None, description="calibration of the rig, relative to rig.yaml")


@dataclass(frozen=True, slots=True)
class RigFile:
    """A rig file, read and checked.

    Attributes
    ----------
    path:
        The file, absolute.
    acquisition, stream, tracking, outputs:
        The layers' sections; every path in them is absolute.
    calibration:
        Absolute path of the calibration the rig file names, or None. It need not exist yet.
    """

    path: Path
    acquisition: RigSettings
    stream: StreamSettings
    tracking: TrackingSettings
    outputs: dict[str, OutputSettings]
    calibration: Path | None


def load_rig(path: Path) -> RigFile:
    """The rig file at `path`; relative paths in it are relative to its folder, `~` is the home folder.

    Raises
    ------
    RigposeError
        If the file is missing, is not YAML, or a key in it is unknown, absent or wrong.
    """
    path = Path(path).resolve()
    whole = read_settings(_WholeRig, path)
    folder = path.parent
    acquisition = RigSettings(
        name=whole.name,
        cameras={name: _camera(camera, folder) for name, camera in whole.cameras.items()},
        trigger=whole.trigger
        and whole.trigger.model_copy(update={"port": _absolute_address(whole.trigger.port, folder)}),
        sync=whole.sync.model_copy(update={"ptp_socket": beside(folder, whole.sync.ptp_socket)}),
        recording=whole.recording.model_copy(update={"directory": beside(folder, whole.recording.directory)}),
    )
    return RigFile(
        path=path,
        acquisition=acquisition,
        stream=whole.stream.model_copy(update={"keys": _beside(folder, whole.stream.keys)}),
        tracking=whole.tracking,
        outputs=whole.outputs,
        calibration=_beside(folder, whole.calibration),
    )


def _beside(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else beside(folder, path)


def _camera(camera: CameraSettings, folder: Path) -> CameraSettings:
    return camera.model_copy(
        update={
            "uri": _absolute_address(camera.uri, folder),
            "settings": _beside(folder, camera.settings),
        }
    )


_FILES = ("sim", "file", "replay")


def _absolute_address(address: str, folder: Path) -> str:
    """`sim://scene.yaml#cam_0` names a file; addresses of other drivers and ports name devices."""
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in _FILES:
        return address
    file, mark, camera = rest.partition("#") if scheme != "file" else (rest, "", "")
    return f"{scheme}://{beside(folder, file).resolve()}{mark}{camera}"
