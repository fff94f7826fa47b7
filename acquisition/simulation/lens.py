"""The simulated lens: a pinhole with radial and tangential distortion, both ways.

The model is Brown's with the coefficients k1 k2 p1 p2 k3 as OpenCV's documentation states them
(Brown, "Close-range camera calibration", 1971). Written without OpenCV and without `calibration`,
which is checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lens:
    """Focal lengths and principal point in pixels, and five distortion coefficients."""

    focal_x_px: float
    focal_y_px: float
    centre_x_px: float
    centre_y_px: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    @property
    def matrix(self) -> Floats:
        """Camera matrix, float64 (3, 3)."""
        return np.array(
            [
                [self.focal_x_px, 0.0, self.centre_x_px],
                [0.0, self.focal_y_px, self.centre_y_px],
                [0.0, 0.0, 1.0],
            ]
        )

    @property
    def distortion(self) -> Floats:
        """float64 (5,): k1 k2 p1 p2 k3."""
        return np.array([self.k1, self.k2, self.p1, self.p2, self.k3])

    def distort(self, normalised: npt.ArrayLike) -> Floats:
        """Undistorted normalised coordinates (..., 2), X/Z and Y/Z, to distorted ones."""
        x, y = np.moveaxis(np.asarray(normalised, dtype=np.float64), -1, 0)
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        return np.stack(
            [
                x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x),
                y * radial + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y,
            ],
            axis=-1,
        )

    def undistort(self, distorted: npt.ArrayLike) -> Floats:
        """Inverse of `distort` by Newton's method from the distorted point itself, (..., 2)."""
        goal = np.asarray(distorted, dtype=np.float64)
        xy: Floats = goal.copy()
        for _ in range(12):
            x, y = np.moveaxis(xy, -1, 0)
            r2 = x * x + y * y
            radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
            slope = 2 * (self.k1 + r2 * (2 * self.k2 + 3 * r2 * self.k3))
            cross = x * y * slope + 2 * self.p1 * x + 2 * self.p2 * y
            dxx = radial + x * x * slope + 2 * self.p1 * y + 6 * self.p2 * x
            dyy = radial + y * y * slope + 6 * self.p1 * y + 2 * self.p2 * x
            ex, ey = np.moveaxis(self.distort(xy) - goal, -1, 0)
            determinant = dxx * dyy - cross * cross
            step = np.stack([dyy * ex - cross * ey, dxx * ey - cross * ex], axis=-1) / determinant[..., None]
            xy -= step
            if np.abs(step).max(initial=0.0) < 1e-13:
                break
        return xy

    def project(self, points: npt.ArrayLike) -> Floats:
        """Points in the camera's frame (..., 3), z forward, to pixels (..., 2); NaN behind the camera."""
        xyz = np.asarray(points, dtype=np.float64)
        depth = np.where(xyz[..., 2:] > 1e-6, xyz[..., 2:], np.nan)
        distorted = self.distort(xyz[..., :2] / depth)
        focal, centre = (self.focal_x_px, self.focal_y_px), (self.centre_x_px, self.centre_y_px)
        return np.asarray(distorted * focal + centre, dtype=np.float64)

    def rays(self, pixels: npt.ArrayLike) -> Floats:
        """Pixels (..., 2) to the undistorted normalised coordinates (..., 2) that are seen there."""
        px = np.asarray(pixels, dtype=np.float64)
        distorted = (px - (self.centre_x_px, self.centre_y_px)) / (self.focal_x_px, self.focal_y_px)
        return self.undistort(distorted)
