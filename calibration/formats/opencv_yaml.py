"""Calibrations as OpenCV's YAML (`cv2.FileStorage`).

Written: `units` (mm) and `cameras`, a list with name, image_width, image_height, camera_matrix,
distortion_coefficients, fisheye, and rvec and tvec, world to camera. Read: the same; and what OpenCV's own
samples write, one camera (`camera_matrix`, `distortion_coefficients`, `image_width`, `image_height`,
`fisheye_model`), which then stands at the origin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.lengths import Unit, in_mm

FISHEYE = ("fisheye", "fisheye_model")  # the second is what OpenCV's sample writes
SIZES = {False: (5, 8), True: (4,)}


def load_opencv(path: Path, unit: Unit | None = None) -> CalibratedRig:
    """The rig in an OpenCV YAML file, in mm; `unit`: of the file's lengths, where that is another.

    Raises
    ------
    RigposeError
        If it is none, lacks a value, holds a lens of another model or does not say by a number of which
        of two, or its lengths are not what they seem (`lengths.in_mm`).
    """
    path = Path(path)
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    except (cv2.error, SystemError) as error:
        raise _not_one(path, "one that OpenCV does not read") from error
    if not storage.isOpened():
        raise _not_one(path, "no file" if not path.exists() else "one that OpenCV does not read")
    try:
        listed = storage.getNode("cameras")
        if listed.isSeq():
            nodes = [listed.at(number) for number in range(listed.size())]
        elif not storage.getNode("camera_matrix").empty():
            nodes = [storage.root()]
        else:
            raise _not_one(path, "neither a list of cameras nor a camera_matrix")
        cameras = tuple(_camera(path, node, number) for number, node in enumerate(nodes))
        units = storage.getNode("units")
        return in_mm(CalibratedRig(cameras), path, units.string() if units.isString() else None, unit)
    except ValueError as error:
        raise _not_one(path, str(error)) from None
    except cv2.error:
        raise _not_one(path, "one that is built otherwise") from None
    finally:
        storage.release()


def save_opencv(rig: CalibratedRig, path: Path) -> None:
    """Write the rig; the file appears whole or not at all."""
    path = Path(path)
    storage = cv2.FileStorage(".yaml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("units", "mm")
    storage.startWriteStruct("cameras", cv2.FileNode_SEQ)
    for camera in rig.cameras:
        storage.startWriteStruct("", cv2.FileNode_MAP)
        storage.write("name", camera.name)
        storage.write("image_width", camera.size_px[0])
        storage.write("image_height", camera.size_px[1])
        storage.write("camera_matrix", camera.matrix)
        storage.write("distortion_coefficients", camera.distortion[None])
        storage.write("fisheye", int(camera.fisheye))
        storage.write("rvec", camera.rotation[:, None])
        storage.write("tvec", camera.translation[:, None])
        storage.endWriteStruct()
    storage.endWriteStruct()
    text = storage.releaseAndGetString()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _camera(path: Path, node: Any, number: int) -> CameraModel:
    def matrix(key: str, shape: tuple[int, ...] | None = None) -> Any:
        value = node.getNode(key).mat()
        if value is None:
            raise ValueError(f"camera {number} without {key}")
        found = np.asarray(value, dtype=np.float64).reshape(shape or -1)
        if not np.isfinite(found).all():
            raise ValueError(f"{key} of camera {number} that is not finite")
        return found

    given = matrix("distortion_coefficients")
    kinds = [_fisheye(path, node, key, number) for key in FISHEYE if not node.getNode(key).empty()]
    if not kinds and given.size == 4:
        raise RigposeError(
            path, expected=f"'fisheye' beside the 4 distortion coefficients of camera {number}",
            found="nothing: a fisheye's k1 k2 k3 k4, or a pinhole's k1 k2 p1 p2",
            remedy="Write fisheye: 1 or fisheye: 0 below them",
        )  # fmt: skip
    fisheye = any(kinds)
    size = next((most for most in SIZES[fisheye] if given.size <= most), None)
    if size is None:
        raise ValueError(f"{given.size} distortion coefficients, at most {SIZES[fisheye][-1]} are known")
    distortion = np.zeros(size)
    distortion[: given.size] = given
    width, height = (int(_real(node, f"image_{side}", 0.0)) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        raise ValueError(f"camera {number} without image_width and image_height")
    placed = not node.getNode("rvec").empty()
    name = node.getNode("name")
    return CameraModel(
        name.string() if name.isString() else path.stem, (width, height), matrix("camera_matrix", (3, 3)),
        distortion, matrix("rvec") if placed else np.zeros(3), matrix("tvec") if placed else np.zeros(3),
        fisheye,
    )  # fmt: skip


def _fisheye(path: Path, node: Any, key: str, number: int) -> bool:
    found = node.getNode(key)
    if not (found.isInt() or found.isReal()):  # True, yes and "1" are words to OpenCV, true is 1
        raise RigposeError(
            path, expected=f"a number as '{key}' of camera {number}",
            found=repr(found.string()) if found.isString() else "none",
            remedy=f"Write {key}: 1 or {key}: 0",
        )  # fmt: skip
    return bool(found.real())


def _real(node: Any, key: str, otherwise: float) -> float:
    found = node.getNode(key)
    return float(found.real()) if found.isInt() or found.isReal() else otherwise


def _not_one(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="a calibration in OpenCV's YAML", found=found,
        remedy="Give cameras, or one camera_matrix, with image sizes and distortion_coefficients",
    )  # fmt: skip
