"""Folds of frame sets for held-out measurements: what nearly repeats a held-out pose is not fitted either."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.observations import Observations

FOLDS = 4
RUNS = 16  # of consecutive frame sets, dealt to the folds in turn: each fold has some of everywhere
ALIKE = 0.002  # of the image's width: boards that lie closer, in every camera, are one pose twice


def fold_masks(observations: Observations) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """For each of four folds: which views (V,) to fit, and which are held out.

    A fold is a share of runs of consecutive frame sets. Not fitted with it are frame sets that show a board
    pose of the fold again (a board that lay still for minutes would else be tested on itself). Empty where a
    fold would leave a camera fewer than three views.
    """
    sets = np.array(observations.frame_sets)
    number = np.array([view.frame_set for view in observations.views])
    camera = np.array([view.camera for view in observations.views])
    if len(sets) < 2 * FOLDS:
        return []
    fold = np.arange(len(sets)) * min(RUNS, len(sets)) // len(sets) % FOLDS
    row = np.searchsorted(sets, number)
    alike = _alike(observations, row, len(sets))
    masks = []
    for f in range(FOLDS):
        fitted = (fold != f) & ~alike[fold == f].any(0)
        masks.append((fitted[row], (fold == f)[row]))
    cameras = range(len(observations.cameras))
    if any((camera[fitted] == c).sum() < 3 for fitted, _ in masks for c in cameras):
        return []
    return masks


def _alike(observations: Observations, row: npt.NDArray[np.int64], sets: int) -> npt.NDArray[np.bool_]:
    """(S, S): whether two frame sets show the board where it was, in every camera that saw both."""
    corners = 1 + max(int(view.ids.max()) for view in observations.views)
    place = np.full((sets, len(observations.cameras), corners, 2), np.nan)
    for k, view in zip(row, observations.views, strict=True):
        place[k, view.camera, view.ids] = view.px / observations.sizes_px[view.camera][0]
    known = np.isfinite(place[..., 0])
    alike = np.zeros((sets, sets), dtype=bool)
    for k in range(sets):
        both = known & known[k]
        moved = np.where(both, np.linalg.norm(place - place[k], axis=-1), 0.0).sum(-1)
        count = both.sum(-1)
        far = (moved > ALIKE * np.maximum(count, 1)) & (count > 0)
        alike[k] = ~far.any(1) & (count > 0).any(1)
    return alike
