"""DeepLabCut's 3D projects: two cameras, calibrated in board squares, pickled.

`config.yaml` names the cameras, `camera_matrix/stereo_params.pickle` holds what OpenCV's stereoCalibrate and
stereoRectify returned for `<first>-<second>`. The world is the first camera's rectified frame, as in the 3D
files that DeepLabCut writes, here in mm. Pickles are read by `acquisition.plain_pickle`, which runs nothing;
none is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from acquisition.errors import RigposeError
from acquisition.plain_pickle import NotPlain, read_plain_pickle
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.rotation import compose, rotation_vector

STEREO = Path("camera_matrix") / "stereo_params.pickle"


def load_deeplabcut_3d(project: Path, square_mm: float) -> CalibratedRig:
    """The pair of a calibrated DeepLabCut 3D project.

    Parameters
    ----------
    project:
        The folder, or its config.yaml.
    square_mm:
        Side of the board's squares: the project's unit of length.

    Raises
    ------
    RigposeError
        If it is none, is not calibrated, or its pickle would run something.
    """
    folder = Path(project).parent if Path(project).is_file() else Path(project)
    names = _names(folder / "config.yaml")
    path = folder / STEREO
    try:
        content = read_plain_pickle(path.read_bytes())
    except OSError as error:
        raise _not_one(path, error.strerror or "no file") from None
    except NotPlain as error:
        raise RigposeError(
            path, expected="a pickle of numbers", found=str(error),
            remedy="Do not open it with anything else; calibrate again, or ask who made it",
        ) from None  # fmt: skip
    pair = f"{names[0]}-{names[1]}"
    try:
        found = content[pair]
        shapes = [tuple(int(side) for side in shape) for shape in found["image_shape"]]
        rectified = _matrix(found, "R1").T, np.zeros(3)  # the world to the first camera
        places = [rectified, compose(_matrix(found, "R"), _matrix(found, "T", (3,)) * square_mm, *rectified)]
        cameras = []
        each = zip(names, shapes, places, strict=True)
        for number, (name, size, (rotation, translation)) in enumerate(each, 1):
            given = _matrix(found, f"distCoeffs{number}", (-1,))
            if given.size > 8:
                raise ValueError(f"{given.size} distortion coefficients, at most 8 are known")
            distortion = np.zeros(5 if given.size <= 5 else 8)
            distortion[: given.size] = given
            cameras.append(
                CameraModel(
                    name, (size[0], size[1]), _matrix(found, f"cameraMatrix{number}"), distortion,
                    rotation_vector(rotation), translation,
                )
            )  # fmt: skip
    except KeyError as error:
        raise _not_one(path, f"no {error}") from None
    except (TypeError, ValueError, IndexError) as error:
        raise _not_one(path, str(error)) from None
    return CalibratedRig(tuple(cameras))


def _names(path: Path) -> list[str]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = [str(name) for name in config["camera_names"]]
    except OSError as error:
        raise _not_one(path, error.strerror or "no file") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise _not_one(path, f"no camera_names ({type(error).__name__})") from None
    if len(names) != 2:
        raise _not_one(path, f"{len(names)} cameras")
    return names


def _matrix(found: Any, key: str, shape: tuple[int, ...] = (3, 3)) -> Any:
    value = np.asarray(found[key], dtype=np.float64).reshape(shape)
    if not np.isfinite(value).all():
        raise ValueError(f"{key} that is not finite")
    return value


def _not_one(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="a DeepLabCut 3D project of two cameras, calibrated", found=found,
        remedy="Run its calibrate_cameras with calibrate=True, or calibrate with rigpose",
    )  # fmt: skip
