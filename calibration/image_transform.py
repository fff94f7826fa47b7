"""`ImageTransform`: the one place where pixel coordinates change from one image to another.

Convention, stated once: an integer coordinate is the centre of a pixel, the origin the centre of
the top-left one, x right, y down. A resize by s therefore maps u = (x + 0.5) s - 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class ImageTransform:
    """An affine map between the pixel coordinates of two images.

    Attributes
    ----------
    matrix:
        float64 (2, 3): target = matrix[:, :2] @ source + matrix[:, 2].
    """

    matrix: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 3):
            raise ValueError(f"expected a (2, 3) matrix, got {matrix.shape}")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> ImageTransform:
        """The same image."""
        return cls(np.eye(2, 3))

    @classmethod
    def crop(cls, x_px: float, y_px: float) -> ImageTransform:
        """From an image to its crop whose top-left pixel is (x_px, y_px)."""
        return cls(np.array([[1.0, 0.0, -x_px], [0.0, 1.0, -y_px]]))

    @classmethod
    def resize(cls, scale_x: float, scale_y: float | None = None) -> ImageTransform:
        """From an image to its resized copy (pixel areas are kept: u = (x + 0.5) s - 0.5)."""
        sy = scale_x if scale_y is None else scale_y
        return cls(np.array([[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, sy, 0.5 * sy - 0.5]]))

    @classmethod
    def fit(cls, source_wh: tuple[int, int], target_wh: tuple[int, int]) -> ImageTransform:
        """The whole source, centred in the target at the largest uniform scale that holds it."""
        scale = min(target_wh[0] / source_wh[0], target_wh[1] / source_wh[1])
        pad = [(t - s * scale) / 2 for s, t in zip(source_wh, target_wh, strict=True)]
        return cls.resize(scale).then(cls.crop(-pad[0], -pad[1]))

    def then(self, after: ImageTransform) -> ImageTransform:
        """This transform followed by `after`."""
        linear = after.matrix[:, :2] @ self.matrix[:, :2]
        shift = after.matrix[:, :2] @ self.matrix[:, 2] + after.matrix[:, 2]
        return ImageTransform(np.column_stack([linear, shift]))

    def inverse(self) -> ImageTransform:
        """Back from target to source. Raises `numpy.linalg.LinAlgError` if flat."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return ImageTransform(np.column_stack([linear, -linear @ self.matrix[:, 2]]))

    def apply(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Points (..., 2) px of the source image in the target's pixels, float64."""
        xy = np.asarray(points, dtype=np.float64)
        mapped: npt.NDArray[np.float64] = xy @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped

    @property
    def scale(self) -> float:
        """Geometric mean of the map's scale: target px per source px."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))
