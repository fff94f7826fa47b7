"""Which frame sets are fitted: enough, and as different as there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.observations import Observations

Array = npt.NDArray[np.float64]

MOST_FITTED = 100  # frame sets: the solution is then limited by the lens model, not by their number


def choose_sets(observations: Observations, most: int = MOST_FITTED, keep: int | None = None) -> Observations:
    """At most `most` frame sets, spread over board positions: the farthest from those chosen, in turn.

    A board held still for minutes thus counts as a few views. Deterministic.
    """
    sets = observations.frame_sets
    if len(sets) <= most:
        return observations
    place = np.full((len(sets), len(observations.cameras), 4), np.nan)
    corners = np.zeros(len(sets))
    row = {number: k for k, number in enumerate(sets)}
    for view in observations.views:
        width, height = observations.sizes_px[view.camera]
        middle, extent = view.px.mean(axis=0), np.ptp(view.px, axis=0)
        place[row[view.frame_set], view.camera] = [
            middle[0] / width, middle[1] / height, extent[0] / width, extent[1] / height
        ]  # fmt: skip
        corners[row[view.frame_set]] += len(view.ids)
    first = int(np.argmax(corners)) if keep is None or keep not in row else row[keep]
    chosen = [first]
    nearest = _apart(place, first)
    while len(chosen) < most:
        following = int(np.argmax(nearest))
        chosen.append(following)
        nearest = np.minimum(nearest, _apart(place, following))
    return observations.in_sets({sets[k] for k in chosen})


def _apart(place: Array, k: int) -> Array:
    """How differently each set shows the board from set k: the mean over cameras that see both or either."""
    both = np.isfinite(place[:, :, 0]) & np.isfinite(place[k, :, 0])
    either = np.isfinite(place[:, :, 0]) | np.isfinite(place[k, :, 0])
    distance = np.where(both, np.linalg.norm(place - place[k], axis=-1), 0.5)
    apart = (distance * either).sum(1) / np.maximum(either.sum(1), 1)
    apart[k] = -1
    return np.asarray(apart)
