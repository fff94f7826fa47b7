"""What a rig's cameras have seen of the board so far. It only grows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from calibration.live.seen import SeenView

Array = npt.NDArray[np.float64]
Trouble = Literal["", "moving", "blurred"]

CELLS = (8, 6)  # of an image, across and down: the report's (`calibration.quality.COVER_CELLS`)
TILTED_DEG = 25.0
LARGEST_SMEAR_PX = 0.5  # a corner is found to a tenth of that: more would be the error of the calibration
BLURRED = 0.5  # of the camera's usual sharpness
APART = 0.08  # of the image: boards that lie closer, in all of their cameras, are one view twice
MOST_VIEWS = 40  # of a camera, and of a pair: more of them say hardly more, and calibrate fits 100 sets
_USUAL = 5  # views that tell a camera's usual sharpness
_UNSEEN = -1.0


class Coverage:
    """Of C cameras, views of the board that differ from one another.

    Attributes
    ----------
    cells:
        float64 (C, 6, 8): the largest tilt, degrees, of the views with a corner there; -1 where none was.
    views, tilted:
        int64 (C,): views, and those of them tilted by 25 degrees or more.
    shared:
        int64 (C, C): views that two cameras have of one instant; 0 on the diagonal.
    kept:
        Frame sets that were worth keeping.
    """

    def __init__(self, cameras: int) -> None:
        self.cells: Array = np.full((cameras, CELLS[1], CELLS[0]), _UNSEEN)
        self.views = np.zeros(cameras, dtype=np.int64)
        self.tilted = np.zeros(cameras, dtype=np.int64)
        self.shared = np.zeros((cameras, cameras), dtype=np.int64)
        self.kept = 0
        self._places: list[dict[int, Array]] = []
        self._sharpness: list[list[float]] = [[] for _ in range(cameras)]

    @property
    def cameras(self) -> int:
        """How many."""
        return len(self.views)

    @property
    def covered(self) -> Array:
        """float64 (C,): share of each image's cells in which a corner was seen."""
        return np.asarray((self.cells > _UNSEEN).mean(axis=(1, 2)))

    def trouble(self, view: SeenView) -> Trouble:
        """Why a view is not to be used; "" where nothing speaks against it."""
        if not view.smear_px <= LARGEST_SMEAR_PX:
            return "moving"
        usual = self._sharpness[view.camera]
        if len(usual) >= _USUAL and view.sharpness < BLURRED * float(np.median(usual)):
            return "blurred"
        return ""

    def take(self, views: Sequence[SeenView]) -> bool:
        """Take in the views of one frame set, one a camera at most; whether the set is worth keeping.

        A board held still is one view, however often it is looked at. A set is kept for a camera or a pair of
        cameras to which it is new, and for a part of an image in which no corner was before.
        """
        calm = [view for view in views if not self.trouble(view)]
        new = [view for view in calm if self.views[view.camera] < MOST_VIEWS and self._is_new(view)]
        pairs = [
            (a.camera, b.camera)
            for a, b in combinations(calm, 2)
            if self.shared[a.camera, b.camera] < MOST_VIEWS and self._is_new(a, b)
        ]
        if not new and not pairs and not any((self._tilts_at(view) == _UNSEEN).any() for view in calm):
            return False
        for view in calm:
            rows, columns = cells_of(view)
            np.maximum.at(self.cells[view.camera], (rows, columns), view.tilt_deg)
            self._sharpness[view.camera].append(view.sharpness)
        for view in new:
            self.views[view.camera] += 1
            self.tilted[view.camera] += view.tilt_deg >= TILTED_DEG
        for a, b in pairs:
            self.shared[a, b] += 1
            self.shared[b, a] += 1
        self._places.append({view.camera: view.place for view in calm})
        self.kept += 1
        return True

    def _is_new(self, *views: SeenView) -> bool:
        """Whether no set that was kept shows the board nearly so in all of these cameras."""
        return all(
            any(
                view.camera not in places or float(np.linalg.norm(places[view.camera] - view.place)) >= APART
                for view in views
            )
            for places in self._places
        )

    def _tilts_at(self, view: SeenView) -> Array:
        rows, columns = cells_of(view)
        return np.asarray(self.cells[view.camera, rows, columns])


def cells_of(view: SeenView) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns (n,) of the cells in which a view's corners lie."""
    share = view.px / np.asarray(view.size_px) * CELLS
    column = np.clip(share[:, 0], 0, CELLS[0] - 1).astype(np.int64)
    row = np.clip(share[:, 1], 0, CELLS[1] - 1).astype(np.int64)
    return row, column
