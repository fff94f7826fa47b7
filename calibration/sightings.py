"""An animal's keypoints as several cameras saw them: which of a session a calibration is refined with.

Of every stretch of the session the frame set that most cameras see most surely, and of it the keypoints that
two cameras or more see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.bundle import Array, Mask, Rows
from calibration.camera_model import CalibratedRig
from calibration.folds import RUNS
from calibration.triangulation import TriangulationSettings, triangulate_exactly

LEAST_SETS = 2 * RUNS  # in which a camera shares a keypoint with another: two of each run
MOST_SETS, MOST_POINTS = 300, 3000  # more of one session change no figure: its errors are alike
# Noise so large that no view counts as an outlier: how far views disagree is what is measured.
UNGATED = TriangulationSettings(noise_px=1e3, min_confidence=1e-6, gate_sigmas=1e3)


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Keypoints, each at one instant, in several cameras.

    Attributes
    ----------
    px:
        (C, N, 2) px; 0 where a camera did not see one.
    weight:
        (C, N): its confidence, 0 to 1; 0 where it was not seen or is not to be used. A view's variance is
        that of its keypoint over this.
    keypoint, run:
        int64 (N,): which keypoint, counted among those that are used, and which of the session's 16
        stretches.
    sets:
        How many frame sets they come from.
    """

    px: Array
    weight: Array
    keypoint: Rows
    run: Rows
    sets: int

    def keep(self, mask: Mask) -> Sightings:
        """Only those where `mask` (N,)."""
        return Sightings(
            self.px[:, mask], self.weight[:, mask], self.keypoint[mask], self.run[mask], self.sets
        )

    def weighted(self, weight: Array) -> Sightings:
        """The same with other weights; what fewer than two cameras see is left out."""
        other = Sightings(self.px, weight, self.keypoint, self.run, self.sets)
        return other.keep((weight > 0).sum(0) >= 2)

    def triangulated(self, rig: CalibratedRig) -> Array:
        """World points (N, 3) mm, whether the views agree or not; NaN where their rays are parallel."""
        seen = np.where(self.weight > 0, self.weight, np.nan)
        keypoints = np.concatenate([self.px, seen[..., None]], axis=-1)
        found: Array = triangulate_exactly(rig, keypoints[None], UNGATED)[0, :, :3]
        return found


def choose_sightings(rig: CalibratedRig, keypoints: npt.ArrayLike, min_confidence: float) -> Sightings:
    """The keypoints of a session that a calibration is refined with.

    Parameters
    ----------
    keypoints:
        (T, C, K, 3): x px, y px, confidence; frame sets in the order of time, cameras of `rig`. NaN
        throughout for one that took no part.

    Raises
    ------
    RigposeError
        If a camera shares too few of them with another.
    """
    given = np.asarray(keypoints)  # hours of it: what is chosen becomes float64
    usable = (given[..., 2] >= min_confidence) & np.isfinite(given).all(-1)
    usable &= (usable.sum(1) >= 2)[:, None]
    shared = usable.any(2).sum(0)
    for c, sets in enumerate(shared.tolist()):
        if sets < LEAST_SETS and np.isfinite(given[:, c]).any():
            raise RigposeError(
                f"camera '{rig.names[c]}'",
                expected=f"keypoints of confidence {min_confidence:g} that another camera sees too, in "
                f"{LEAST_SETS} frame sets or more", found=f"{sets}",
                remedy="Give a longer session, or lower --min-confidence",
            )  # fmt: skip
    surety = given[..., 2].sum((1, 2), dtype=np.float64, where=usable)
    there = np.flatnonzero(surety > 0)
    most = int(np.clip(MOST_POINTS // given.shape[2], LEAST_SETS, MOST_SETS))
    stretches = np.array_split(there, min(most, len(there)))
    chosen = np.array([stretch[np.argmax(surety[stretch])] for stretch in stretches])
    run = np.arange(len(chosen)) * RUNS // len(chosen)
    row, keypoint = np.nonzero(usable[chosen].any(1))
    views = given[chosen[row], :, keypoint].swapaxes(0, 1).astype(np.float64)  # (C, N, 3)
    seen = usable[chosen[row], :, keypoint].T
    found = Sightings(
        np.where(seen[..., None], views[..., :2], 0.0), np.where(seen, np.minimum(views[..., 2], 1.0), 0.0),
        keypoint, run[row], len(chosen),
    )  # fmt: skip
    found = found.keep(np.asarray(np.isfinite(found.triangulated(rig)).all(1)))
    # by their place among those that are used: folds are dealt by it, and none may stay empty
    return replace(found, keypoint=np.unique(found.keypoint, return_inverse=True)[1])
