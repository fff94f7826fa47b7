"""What the cameras saw of the board: `View`, one camera at one instant; `Observations`, all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The board in one image.

    Attributes
    ----------
    camera:
        Index of the camera in `Observations.cameras`.
    frame_set:
        Index of the frame set the image belongs to.
    instant:
        Views of one instant share the board's pose. Equal to `frame_set` where the cameras are
        synchronised; a free-running camera's image that is too far off has an instant of its own.
    ids:
        int64 (n,): which inner corners of the board were found.
    px:
        float64 (n, 2): where (an integer is the centre of a pixel).
    sharpness:
        Steepness of the edges at the corners, 1/px; 0 where it was not measured. The
        noise of a corner is inverse to it.
    velocity:
        float64 (n, 2) px/s: how the corners moved; None where unknown.
    """

    camera: int
    frame_set: int
    instant: int
    ids: npt.NDArray[np.int64]
    px: npt.NDArray[np.float64]
    sharpness: float = 0.0
    velocity: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """All views of a board recording.

    Attributes
    ----------
    cameras, sizes_px:
        Names and (width, height) in rig order.
    views:
        Ordered by frame set, then camera.
    free_running:
        Whether the cameras were not triggered: each then has a delay and its views a jitter.
    """

    cameras: tuple[str, ...]
    sizes_px: tuple[tuple[int, int], ...]
    views: tuple[View, ...]
    free_running: bool = False

    def of_camera(self, camera: int) -> tuple[View, ...]:
        """The views of one camera, in order."""
        return tuple(view for view in self.views if view.camera == camera)

    def keep(self, mask: npt.NDArray[np.bool_]) -> Observations:
        """Only the views where `mask` (one per view) is true."""
        return replace(self, views=tuple(v for v, kept in zip(self.views, mask, strict=True) if kept))

    def in_sets(self, frame_sets: set[int]) -> Observations:
        """Only the views of these frame sets."""
        return replace(self, views=tuple(v for v in self.views if v.frame_set in frame_sets))

    @property
    def frame_sets(self) -> tuple[int, ...]:
        """Frame sets with a view, ascending."""
        return tuple(sorted({view.frame_set for view in self.views}))
