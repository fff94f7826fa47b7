"""The values of a calibrated rig: `CameraModel`, one camera; `CalibratedRig`, all of them.

Model (Brown 1966, as OpenCV writes it): a world point X goes to x = R X + t, to the normalised
a = x_0 / x_2, b = x_1 / x_2, is distorted with r2 = a^2 + b^2 and g = 1 + k1 r2 + k2 r2^2 + k3 r2^3

    a' = a g + 2 p1 a b + p2 (r2 + 2 a^2)        u = fx a' + cx
    b' = b g + p1 (r2 + 2 b^2) + 2 p2 a b        v = fy b' + cy

Pixels follow the project's convention: an integer is the centre of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.rotation import rotation_matrix

Array = npt.NDArray[np.float64]

UNDISTORT_STEPS = 20  # Newton's: it converges in 3-6 wherever the lens can be inverted at all
UNDISTORT_TOLERANCE = 1e-10  # of the normalised image: a ten-millionth of a pixel


def distort(normalised: Array, coefficients: Array) -> Array:
    """Normalised points (..., 2) through the lens (k1 k2 p1 p2 k3), still normalised."""
    a, b = normalised[..., 0], normalised[..., 1]
    k1, k2, p1, p2, k3 = coefficients
    r2 = a * a + b * b
    g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a), b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b], -1
    )


def distort_jacobian(normalised: Array, coefficients: Array) -> Array:
    """Derivative (..., 2, 2) of `distort` by the undistorted point."""
    a, b = normalised[..., 0], normalised[..., 1]
    k1, k2, p1, p2, k3 = coefficients
    r2 = a * a + b * b
    g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))  # dg/da = slope * a
    cross = slope * a * b + 2 * p1 * a + 2 * p2 * b
    return np.stack(
        [
            np.stack([g + slope * a * a + 2 * p1 * b + 6 * p2 * a, cross], -1),
            np.stack([cross, g + slope * b * b + 6 * p1 * b + 2 * p2 * a], -1),
        ],
        -2,
    )


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
        float64 (5,): k1 k2 p1 p2 k3.
    rotation, translation:
        float64 (3,) each: Rodrigues vector and mm, from the world's frame to the camera's.
    """

    name: str
    size_px: tuple[int, int]
    matrix: Array
    distortion: Array
    rotation: Array
    translation: Array

    def __post_init__(self) -> None:
        for name, shape in (
            ("matrix", (3, 3)),
            ("distortion", (5,)),
            ("rotation", (3,)),
            ("translation", (3,)),
        ):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != shape:
                raise ValueError(f"{name} of camera '{self.name}': expected shape {shape}, got {value.shape}")
            value.setflags(write=False)
            object.__setattr__(self, name, value)

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
        return self.to_pixels(distort(points[..., :2] / depth, self.distortion))

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
        point = target.copy()
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for _ in range(UNDISTORT_STEPS):
                error = distort(point, self.distortion) - target
                j = distort_jacobian(point, self.distortion)
                determinant = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
                step_a = (j[..., 1, 1] * error[..., 0] - j[..., 0, 1] * error[..., 1]) / determinant
                step_b = (j[..., 0, 0] * error[..., 1] - j[..., 1, 0] * error[..., 0]) / determinant
                point = point - np.stack([step_a, step_b], -1)
                if not np.any(np.abs(step_a) + np.abs(step_b) > UNDISTORT_TOLERANCE):
                    break
            error = np.abs(distort(point, self.distortion) - target).sum(-1)
            j = distort_jacobian(point, self.distortion)
            # beyond its fold the lens model turns back: a root there is not what the camera saw
            determinant = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
            good = (
                (error <= 100 * UNDISTORT_TOLERANCE) & (determinant > 0) & (j[..., 0, 0] + j[..., 1, 1] > 0)
            )
        return np.where(good[..., None], point, np.nan)

    def looking_from(self, rotation: npt.ArrayLike, translation: npt.ArrayLike) -> CameraModel:
        """The same lens at another place."""
        return CameraModel(
            self.name,
            self.size_px,
            self.matrix,
            self.distortion,
            np.asarray(rotation),
            np.asarray(translation),
        )


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedRig:
    """All cameras of a rig in one world frame (right-handed, millimetres).

    Attributes
    ----------
    cameras:
        In rig order, names unique.
    lenses, rotations, translations:
        The same as arrays for kernels: float64 (C, 9) fx fy cx cy k1 k2 p1 p2 k3; (C, 3, 3); (C, 3).
    """

    cameras: tuple[CameraModel, ...]
    lenses: Array = field(init=False, repr=False)
    rotations: Array = field(init=False, repr=False)
    translations: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        cameras = tuple(self.cameras)
        if len({camera.name for camera in cameras}) != len(cameras) or not cameras:
            raise ValueError("a rig needs at least one camera, and names that differ")
        lenses = np.array([[*c.matrix[[0, 1, 0, 1], [0, 1, 2, 2]], *c.distortion] for c in cameras])
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
