"""The values of a calibrated rig: `CameraModel`, one camera; `CalibratedRig`, all of them.

A world point X goes to R X + t in the camera's frame and through its lens (`calibration.lens`) to a pixel.
Pixels follow the project's convention: an integer is the centre of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.lens import ROW, LensModel, distort, distort_jacobian, model_of, undistort_start
from calibration.rotation import rotation_matrix

Array = npt.NDArray[np.float64]

UNDISTORT_STEPS = 20  # Newton's: it converges in 3-6 wherever the lens can be inverted at all
UNDISTORT_TOLERANCE = 1e-10  # of the normalised image: a ten-millionth of a pixel


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """One camera: lens and place.

    Attributes
    ----------
    name:
        As in the rig.
    size_px:
        (width, height) of the images it was calibrated with.
    matrix:
        float64 (3, 3): fx 0 cx; 0 fy cy; 0 0 1, in px.
    distortion:
        float64 in OpenCV's order: (5,) k1 k2 p1 p2 k3; (8,) with k4 k5 k6; of a fisheye (4,) k1 k2 k3 k4.
    rotation, translation:
        float64 (3,) each: Rodrigues vector and mm, from the world's frame to the camera's.
    fisheye:
        Whether the lens is of the fisheye model.
    """

    name: str
    size_px: tuple[int, int]
    matrix: Array
    distortion: Array
    rotation: Array
    translation: Array
    fisheye: bool = False

    def __post_init__(self) -> None:
        for name, shapes in (
            ("matrix", [(3, 3)]),
            ("distortion", [(4,)] if self.fisheye else [(5,), (8,)]),
            ("rotation", [(3,)]),
            ("translation", [(3,)]),
        ):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape not in shapes:
                expected = " or ".join(map(str, shapes))
                raise ValueError(
                    f"{name} of camera '{self.name}': expected shape {expected}, got {value.shape}"
                )
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def lens(self) -> Array:
        """float64 (13,), a row as `calibration.lens` has them."""
        row = np.zeros(ROW)
        row[:4] = self.matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        if self.fisheye:
            row[[4, 5, 8, 9]], row[-1] = self.distortion, 1.0
        else:
            row[4 : 4 + len(self.distortion)] = self.distortion
        return row

    @property
    def lens_model(self) -> LensModel:
        """The smallest model that holds its lens."""
        return model_of(self.lens)

    @property
    def rotation_matrix(self) -> Array:
        """float64 (3, 3), world to camera."""
        return rotation_matrix(self.rotation)

    @property
    def centre_mm(self) -> Array:
        """float64 (3,): where the camera stands in the world."""
        centre: Array = -self.rotation_matrix.T @ self.translation
        return centre

    def to_camera(self, points_mm: npt.ArrayLike) -> Array:
        """World points (..., 3) mm in this camera's frame (x right, y down, z forward)."""
        points: Array = np.asarray(points_mm, dtype=np.float64) @ self.rotation_matrix.T + self.translation
        return points

    def project(self, points_mm: npt.ArrayLike) -> Array:
        """World points (..., 3) mm as pixels (..., 2); NaN for points that are not in front of the camera."""
        points = self.to_camera(points_mm)
        depth = np.where(points[..., 2:] > 0, points[..., 2:], np.nan)
        return self.to_pixels(self.distort(points[..., :2] / depth))

    def distort(self, normalised: Array) -> Array:
        """Undistorted normalised points (..., 2) through the lens, still normalised."""
        return distort(normalised, self.lens)

    def jacobian(self, points_mm: npt.ArrayLike) -> Array:
        """Derivative (..., 2, 3) px/mm of `project` at world points (..., 3) in front of the camera."""
        local = self.to_camera(points_mm)
        rays = local[..., :2] / local[..., 2:]
        r = self.rotation_matrix
        by_ray = self.matrix[[0, 1], [0, 1]][:, None] * distort_jacobian(rays, self.lens)
        found: Array = by_ray @ ((r[:2] - rays[..., None] * r[2]) / local[..., 2:, None])
        return found

    def to_pixels(self, distorted: Array) -> Array:
        """Distorted normalised points (..., 2) as pixels."""
        pixels: Array = distorted * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]
        return pixels

    def undistort(self, pixels: npt.ArrayLike) -> Array:
        """Pixels (..., 2) as undistorted normalised points (..., 2).

        NaN where the lens model has no inverse (far outside the calibrated image).
        """
        pixels = np.asarray(pixels, dtype=np.float64)
        target = (pixels - self.matrix[:2, 2]) / self.matrix[[0, 1], [0, 1]]
        lens = self.lens
        point = undistort_start(target, lens)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for _ in range(UNDISTORT_STEPS):
                error = distort(point, lens) - target
                j = distort_jacobian(point, lens)
                determinant = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
                step_a = (j[..., 1, 1] * error[..., 0] - j[..., 0, 1] * error[..., 1]) / determinant
                step_b = (j[..., 0, 0] * error[..., 1] - j[..., 1, 0] * error[..., 0]) / determinant
                point = point - np.stack([step_a, step_b], -1)
                if not np.any(np.abs(step_a) + np.abs(step_b) > UNDISTORT_TOLERANCE):
                    break
            error = np.abs(distort(point, lens) - target).sum(-1)
            j = distort_jacobian(point, lens)
            # beyond its fold the lens model turns back: a root there is not what the camera saw
            determinant = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
            good = (
                (error <= 100 * UNDISTORT_TOLERANCE) & (determinant > 0) & (j[..., 0, 0] + j[..., 1, 1] > 0)
            )
        return np.where(good[..., None], point, np.nan)

    def looking_from(self, rotation: npt.ArrayLike, translation: npt.ArrayLike) -> CameraModel:
        """The same lens at another place."""
        return replace(self, rotation=np.asarray(rotation), translation=np.asarray(translation))


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedRig:
    """All cameras of a rig in one world frame (right-handed, millimetres).

    Attributes
    ----------
    cameras:
        In rig order, names unique.
    lenses, rotations, translations:
        The same as arrays for kernels: float64 (C, 13), rows as `calibration.lens`; (C, 3, 3); (C, 3).
    """

    cameras: tuple[CameraModel, ...]
    lenses: Array = field(init=False, repr=False)
    rotations: Array = field(init=False, repr=False)
    translations: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        cameras = tuple(self.cameras)
        if len({camera.name for camera in cameras}) != len(cameras) or not cameras:
            raise ValueError("a rig needs at least one camera, and names that differ")
        lenses = np.array([c.lens for c in cameras])
        rotations = np.array([c.rotation_matrix for c in cameras])
        translations = np.array([c.translation for c in cameras])
        object.__setattr__(self, "cameras", cameras)
        for name, value in (("lenses", lenses), ("rotations", rotations), ("translations", translations)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in rig order."""
        return tuple(camera.name for camera in self.cameras)

    def camera(self, name: str) -> CameraModel:
        """The camera of that name; raises `RigposeError`."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise RigposeError(
            "calibration", expected=f"camera '{name}'", found=f"cameras {', '.join(self.names)}",
            remedy="Calibrate the rig that made the recording, or mend the camera's name",
        )  # fmt: skip

    def subset(self, names: Sequence[str]) -> CalibratedRig:
        """The cameras of these names, in this order; raises `RigposeError`."""
        return CalibratedRig(tuple(self.camera(name) for name in names))

    def project(self, points_mm: npt.ArrayLike) -> Array:
        """World points (..., 3) mm in every camera: (C, ..., 2) px, NaN behind a camera."""
        return np.stack([camera.project(points_mm) for camera in self.cameras])
