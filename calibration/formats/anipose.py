"""Anipose's `calibration.toml`: the file of a calibrated rig, and `calibration.json` beside it.

aniposelib takes every table but `metadata` for a camera and sorts the keys, so cameras are
`cam_0`, `cam_1`, ... zero-padded, and nothing else stands at the top. Distortions are OpenCV's: five of a
pinhole, eight of a rational lens, four of a fisheye with `fisheye = true`. What the TOML cannot hold is in a
JSON file of the same name, tied to it by a hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.lengths import Unit, in_mm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA_VERSION = 1


def load_toml(path: Path, unit: Unit | None = None) -> CalibratedRig:
    """The cameras of an Anipose TOML, in the order of their sorted keys; in mm.

    `unit`: of the file's lengths, where it does not say (`metadata.units`).

    Raises
    ------
    RigposeError
        If the file is missing, is not TOML, or lacks a value; or its lengths are not what they seem
        (`lengths.in_mm`).
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RigposeError(
            path, expected="a calibration", found=error.strerror or "no file",
            remedy="Make one: rigpose calibrate INPUT --board BOARD.yaml -o CALIBRATION.toml",
        ) from None  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RigposeError(
            path, expected="an Anipose TOML file", found=str(error), remedy="Calibrate again"
        ) from None
    tables = {key: table for key, table in sorted(content.items()) if key != "metadata"}
    if not tables:
        raise RigposeError(
            path, expected="one table for each camera", found="none",
            remedy="Give the TOML file that rigpose calibrate (or Anipose) wrote",
        )  # fmt: skip
    cameras = tuple(_camera(path, key, table) for key, table in tables.items())
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise RigposeError(
            path, expected="camera names that differ", found=", ".join(names), remedy="Rename one in the file"
        )
    metadata = content.get("metadata")
    stated = metadata.get("units") if isinstance(metadata, dict) else None
    return in_mm(CalibratedRig(cameras), path, stated, unit)


def _camera(path: Path, key: str, table: Any) -> CameraModel:
    try:
        given = np.asarray(table["distortions"], dtype=np.float64).ravel()
        fisheye = bool(table.get("fisheye", False))
        most = 4 if fisheye else 8
        if given.size > most:
            raise ValueError(f"{given.size} distortion coefficients, at most {most} are known")
        distortion = np.zeros(most if fisheye or given.size > 5 else 5)
        distortion[: given.size] = given
        width, height = (int(value) for value in table["size"])
        camera = CameraModel(
            str(table["name"]), (width, height), np.asarray(table["matrix"], dtype=np.float64), distortion,
            np.asarray(table["rotation"], dtype=np.float64).ravel(),
            np.asarray(table["translation"], dtype=np.float64).ravel(), fisheye,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        fault = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise RigposeError(
            path, expected=f"table '{key}' with name, size, matrix, distortions, rotation, translation",
            found=fault, remedy="Every table but 'metadata' is read as a camera; mend or remove it",
        ) from None  # fmt: skip
    values = np.concatenate([camera.matrix.ravel(), distortion, camera.rotation, camera.translation])
    if not np.isfinite(values).all() or camera.matrix[0, 0] <= 0 or camera.matrix[1, 1] <= 0:
        raise RigposeError(
            path, expected=f"finite numbers and positive focal lengths in '{key}'", found="others",
            remedy="Calibrate again",
        )  # fmt: skip
    return camera


def save_toml(rig: CalibratedRig, path: Path, details: dict[str, Any] | None = None) -> None:
    """Write the TOML (16 digits: read back bit for bit) and `calibration.json` beside it.

    Parameters
    ----------
    details:
        JSON-able, goes into the JSON file beside `schema`, `sha256` and the cameras' image sizes:
        report summary, parameter deviations, board, serial numbers.
    """
    path = Path(path)
    digits = max(1, len(str(len(rig.cameras) - 1)))
    text = "".join(_table(f"cam_{n:0{digits}d}", camera) for n, camera in enumerate(rig.cameras))
    text += '[metadata]\nunits = "mm"\nwriter = "rigpose"\n'
    beside = {
        "schema": SCHEMA_VERSION,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "cameras": {camera.name: {"size_px": list(camera.size_px)} for camera in rig.cameras},
        **(details or {}),
    }
    # Both whole before either appears; then the JSON first: a TOML without its JSON is still a calibration.
    texts = {details_path(path): json.dumps(beside, indent=1, sort_keys=True) + "\n", path: text}
    parts = {file: _part(file, content) for file, content in texts.items()}
    for file, part in parts.items():
        part.replace(file)


def check_toml_name(output: Path) -> None:
    """Refuse, with `RigposeError`, a name for a calibration to write that does not end in .toml."""
    if output.suffix.lower() != ".toml":
        raise RigposeError(
            output, expected="a name that ends in .toml", found=f"'{output.name}'",
            remedy="Say for instance -o calibration.toml",
        )  # fmt: skip


def details_path(path: Path) -> Path:
    """Where the JSON beside a calibration TOML is."""
    return Path(path).with_suffix(".json")


def calibration_hash(path: Path) -> str:
    """SHA-256 of the TOML file, hex: the calibration's identity in sessions and streams."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def load_calibration(path: Path, unit: Unit | None = None) -> CalibratedRig:
    """A calibration as `load_toml`, checked against the JSON beside it, if there is one (Anipose's has none).

    Raises
    ------
    RigposeError
        As `load_toml`; if the JSON belongs to another TOML or was written by a newer rigpose.
    """
    rig = load_toml(path, unit)
    beside = load_details(path)
    if beside is not None and beside.get("sha256") != calibration_hash(path):
        raise RigposeError(
            path, expected="the file its calibration.json was written with", found="a changed one",
            remedy=f"Calibrate again, or remove {details_path(path).name} if you changed the TOML on purpose",
        )  # fmt: skip
    return rig


def load_details(path: Path) -> dict[str, Any] | None:
    """The JSON beside a calibration, None where there is none; raises `RigposeError`."""
    beside_path = details_path(path)
    if not beside_path.exists():
        return None
    try:
        beside = json.loads(beside_path.read_text(encoding="utf-8"))
        newer = int(beside.get("schema", 0)) > SCHEMA_VERSION
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RigposeError(
            beside_path, expected="the JSON beside a calibration", found=str(error),
            remedy="Calibrate again, or remove the file",
        ) from None  # fmt: skip
    if newer:
        raise RigposeError(
            beside_path, expected=f"schema {SCHEMA_VERSION}", found=f"schema {beside['schema']}",
            remedy="Install the rigpose that wrote it, or calibrate again",
        )  # fmt: skip
    found: dict[str, Any] = beside
    return found


def _table(key: str, camera: CameraModel) -> str:
    matrix = ", ".join(_numbers(row) for row in camera.matrix)
    name = json.dumps(camera.name)  # a JSON string is a TOML basic string
    return (
        f"[{key}]\nname = {name}\nsize = [ {camera.size_px[0]}, {camera.size_px[1]},]\n"
        f"matrix = [ {matrix},]\ndistortions = {_numbers(camera.distortion)}\n"
        f"rotation = {_numbers(camera.rotation)}\ntranslation = {_numbers(camera.translation)}\n"
        f"{'fisheye = true' + chr(10) if camera.fisheye else ''}\n"
    )


def _numbers(values: np.ndarray[Any, Any]) -> str:
    return "[ " + ", ".join(repr(float(value)) for value in values) + ",]"


def _part(path: Path, text: str) -> Path:
    """The content on the disk, under a temporary name beside `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return temporary
