"""Which device a calibration is of: serial number, place of the image on the sensor, binning, mirroring.

A camera that was exchanged, whose region was moved, that bins or mirrors otherwise gives images of the same
size with another calibration; nothing in the pixels tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from calibration.formats.anipose import load_details

# What `CameraInfo` and calibration.json call it -> what a person does.
KEYS = {
    "serial": "serial number", "offset_px": "place of the image on the sensor", "binning": "binning",
    "flip": "mirroring in x and y",
}  # fmt: skip


def device_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a calibration keeps of a `CameraInfo`, given as a mapping; {} where it says nothing of itself."""
    return {key: _plain(info[key]) for key in KEYS if info.get(key)}


def require_same_devices(
    calibration: Path, infos: Mapping[str, Mapping[str, Any]], *,
    remedy: str = "Put it back as it was, or calibrate the rig as it is now",
) -> None:  # fmt: skip
    """Refuse cameras that are not those a calibration was made with.

    What one of the two does not know (other programs' calibrations, adopted videos) is not compared.

    Parameters
    ----------
    calibration:
        The TOML; what it was made with stands in the JSON beside it.
    infos:
        By camera, `CameraInfo` as a mapping.

    Raises
    ------
    RigposeError
        Naming the camera, and what is another.
    """
    known = (load_details(calibration) or {}).get("cameras", {})
    for name, info in infos.items():
        was, is_now = known.get(name, {}), device_of(info)
        for key, words in KEYS.items():
            if was.get(key) and is_now.get(key) and was[key] != is_now[key]:
                raise RigposeError(
                    f"camera '{name}'", expected=f"{words} {was[key]}, as when {calibration} was made",
                    found=str(is_now[key]), remedy=remedy,
                )  # fmt: skip


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list)) else value
