"""A calibration refined by the animal's own keypoints: which cameras were moved, and where they are now.

Lenses stay. Cameras are freed one at a time, each time the one that explains the keypoints best, and only
while that helps on what was not fitted: four fits, each without a quarter of the session and a quarter of the
keypoints, judged on those keypoints in that quarter. A network's bias is of a keypoint and a camera: it moves
the fit, but not towards what another keypoint shows. World and scale are those of the cameras that stay, at
least two; of two cameras the first stays, and their distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.baseline import Baseline, baseline_of, centre_by_pose
from calibration.bundle import LENS, Array
from calibration.camera_model import CalibratedRig
from calibration.folds import FOLDS, RUNS
from calibration.keypoint_adjustment import ROUNDS, Fitted, fit_poses
from calibration.rotation import rotation_vector
from calibration.sightings import Sightings, choose_sightings

MIN_CONFIDENCE = 0.6
SURELY, CLEARLY = 3.0, 0.01  # standard errors, and a share of the error: what an improvement must exceed
GROSS = 5.0  # medians: errors beyond count as that much
AGREE = 0.01  # of the image's width: keypoints further off than that are not of one animal


@dataclass(frozen=True, slots=True)
class CameraMove:
    """One camera against the calibration as it was.

    Attributes
    ----------
    freed:
        Whether it was moved; the others stayed exactly where they were.
    moved_mm, turned_deg:
        How far, with standard deviations: of keypoints and of what was held.
    shift_px:
        Median over the keypoints of how far their images move.
    held_out_px:
        Median error of its views of keypoints that were not fitted: before, and after. None without any.
    """

    name: str
    freed: bool
    moved_mm: float
    moved_sd_mm: float
    turned_deg: float
    turned_sd_deg: float
    shift_px: float
    held_out_px: tuple[float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """What keypoints say about a calibration.

    Attributes
    ----------
    rig:
        With the cameras where they are now; as it was where no camera moved.
    cameras:
        One for each of the rig.
    covariance:
        (C, 18, C, 18), as `keypoint_adjustment.Fitted`; None where no camera moved.
    held_out_px:
        Median error of keypoints that were not fitted, before and after. Where no camera moved, after means
        after the best attempt, which was not good enough.
    folds_px:
        The same by fold: mean errors, gross ones clipped.
    frame_sets, points:
        How many were used.
    inflation:
        By which factor standard deviations are larger than independent errors would make them.
    """

    rig: CalibratedRig
    cameras: tuple[CameraMove, ...]
    covariance: Array | None
    held_out_px: tuple[float, float]
    folds_px: tuple[tuple[float, float], ...]
    frame_sets: int
    points: int
    inflation: float

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the cameras that were moved."""
        return tuple(camera.name for camera in self.cameras if camera.freed)


@dataclass(frozen=True, slots=True, eq=False)
class _HeldOut:
    """Errors px of views that were not fitted: `by_run`, one array each; `by_camera` likewise."""

    by_run: tuple[Array, ...]
    by_camera: tuple[Array, ...]

    @property
    def median_px(self) -> float:
        return _median(np.concatenate(self.by_run))


def refine(
    rig: CalibratedRig, keypoints: npt.ArrayLike, *, hold: Sequence[str] = (),
    min_confidence: float = MIN_CONFIDENCE, known: Array | None = None,
) -> Refined:  # fmt: skip
    """Move the cameras of a rig to where an animal's keypoints say they are.

    Parameters
    ----------
    keypoints:
        (T, C, K, 3): x px, y px, confidence; frame sets in the order of time, cameras of `rig`.
    hold:
        Cameras that certainly stayed.
    known:
        (C, 18, C, 18): covariance of the calibration, as far as it is known.

    Raises
    ------
    RigposeError
        If a camera shows too few keypoints; if the cameras do not agree about them, however they stand; if
        all cameras are held.
    """
    sightings = choose_sightings(rig, keypoints, min_confidence)
    present = np.flatnonzero(sightings.weight.any(1)).tolist()
    most = max(len(present) - 2, 1)
    # with two cameras nothing tells which of them was moved: the first stays unless the other is held
    held = {rig.names.index(name) for name in hold} & set(present)
    if len(present) == 2 and not held:
        held = {present[0]}
    if len(held) == len(present):
        raise RigposeError(
            "--hold", expected="a camera that may have been moved", found="every camera held",
            remedy="Hold those that certainly stayed, or none",
        )  # fmt: skip
    first = current = _held_out(rig, sightings, (), None)
    tried, free, at = current, tuple[int, ...](), rig
    while len(free) < most:
        fits = {}
        for c in sorted(set(present) - held - set(free)):
            these = (*free, c)
            baseline = _baseline(rig, present, these, known)
            fits[these] = fit_poses(at, sightings, these, rounds=1, baseline=baseline)
        if not fits:
            break
        best = min(fits, key=lambda these: fits[these].loss)
        tried = _held_out(rig, sightings, best, _baseline(rig, present, best, known))
        if not _improves(current, tried):
            break
        free, current, at = best, tried, fits[best].rig
    _require_agreement(rig, current)
    if not free:
        return _refined(rig, rig, sightings, (), None, (first, tried))
    baseline = _baseline(rig, present, free, known)
    fitted = fit_poses(rig, sightings, free, baseline=baseline, known=known)
    return _refined(rig, fitted.rig, sightings, free, fitted, (first, current))


def _baseline(
    rig: CalibratedRig, present: list[int], free: tuple[int, ...], known: Array | None
) -> Baseline | None:
    """What holds the scale where only one camera stays."""
    stay = [c for c in present if c not in free]
    return None if len(stay) > 1 else baseline_of(rig, stay[0], free[0], known)


def _held_out(
    rig: CalibratedRig, sightings: Sightings, free: tuple[int, ...], baseline: Baseline | None
) -> _HeldOut:
    """Errors of what was not fitted, by four fits with the cameras `free` (by the rig itself with none)."""
    count = int(sightings.keypoint.max()) + 1
    groups = min(FOLDS, count)
    by_run = [np.zeros(0)] * RUNS
    by_camera: list[list[Array]] = [[] for _ in rig.cameras]
    for fold in range(FOLDS):
        mine = sightings.run % FOLDS == fold
        same = sightings.keypoint % groups == fold % groups
        spared = sightings.keep(mine & same)
        # with one keypoint there is no other to fit
        fitted = sightings.keep(~mine & (~same | (groups == 1)))
        there = fit_poses(rig, fitted, free, rounds=ROUNDS, baseline=baseline).rig if free else rig
        errors = _errors(there, spared)
        for run in range(fold, RUNS, FOLDS):
            part = errors[:, spared.run == run]
            by_run[run] = part[np.isfinite(part)]
        for c, row in enumerate(errors):
            by_camera[c].append(row[np.isfinite(row)])
    return _HeldOut(tuple(by_run), tuple(np.concatenate(rows) for rows in by_camera))


def _errors(rig: CalibratedRig, sightings: Sightings) -> Array:
    """Reprojection errors (C, N) px; at most the image's width, NaN where a camera did not see a keypoint."""
    off = np.linalg.norm(rig.project(sightings.triangulated(rig)) - sightings.px, axis=-1)
    width = np.array([camera.size_px[0] for camera in rig.cameras], dtype=np.float64)[:, None]
    off = np.minimum(np.where(np.isfinite(off), off, width), width)
    return np.where(sightings.weight > 0, off, np.nan)


def _means(held_out: _HeldOut, cap: float) -> Array:
    """Mean error (R,) px of each stretch that has any, gross ones clipped; NaN elsewhere."""
    return np.array([np.minimum(run, cap).mean() if len(run) else np.nan for run in held_out.by_run])


def _both(before: _HeldOut, after: _HeldOut) -> tuple[Array, Array]:
    cap = GROSS * before.median_px
    return _means(before, cap), _means(after, cap)


def _improves(before: _HeldOut, after: _HeldOut) -> bool:
    """Whether errors are clearly smaller: beyond doubt, by enough to matter, and in every fold."""
    was, now = _both(before, after)
    gain = was - now
    known = np.isfinite(gain)
    if known.sum() < RUNS // 2:
        return False
    error = gain[known].std(ddof=1) / np.sqrt(known.sum())
    mean = gain[known].mean()
    folds = [gain[fold::FOLDS][known[fold::FOLDS]] for fold in range(FOLDS)]
    everywhere = all(len(fold) and fold.mean() > 0 for fold in folds)
    return bool(everywhere and mean > SURELY * error and mean > CLEARLY * was[known].mean())


def _require_agreement(rig: CalibratedRig, held_out: _HeldOut) -> None:
    """Refuse keypoints that are no one thing; names the camera that is furthest off."""
    shares = [
        _median(errors) / camera.size_px[0] if len(errors) else 0.0
        for camera, errors in zip(rig.cameras, held_out.by_camera, strict=True)
    ]
    worst = int(np.argmax(shares))
    if shares[worst] > AGREE:
        camera = rig.cameras[worst]
        raise RigposeError(
            f"camera '{camera.name}'",
            expected=f"poses that agree with the other cameras' to {AGREE * camera.size_px[0]:.1f} px",
            found=f"{_median(held_out.by_camera[worst]):.1f} px (median), wherever one camera is put",
            remedy="Give poses of one animal in one session, each file with its own camera's name; if more "
            "than one camera was moved far, calibrate with a board",
        )  # fmt: skip


def _refined(
    old: CalibratedRig, new: CalibratedRig, sightings: Sightings, free: tuple[int, ...],
    fitted: Fitted | None, held_out: tuple[_HeldOut, _HeldOut],
) -> Refined:  # fmt: skip
    points = sightings.triangulated(new) if fitted is None else fitted.points
    before, after = held_out
    was, now = _both(before, after)
    moves = []
    for c, (here, there) in enumerate(zip(new.cameras, old.cameras, strict=True)):
        moved, moved_sd, turned, turned_sd, shift = 0.0, 0.0, 0.0, 0.0, 0.0
        if fitted is not None and c in free:
            spread = fitted.covariance[c, LENS:, c, LENS:]
            by_pose = centre_by_pose(here.rotation_matrix, here.translation)
            moved, moved_sd = _length(here.centre_mm - there.centre_mm, by_pose @ spread @ by_pose.T)
            turn = rotation_vector(here.rotation_matrix @ there.rotation_matrix.T)
            turned, turned_sd = (float(np.degrees(value)) for value in _length(turn, spread[:3, :3]))
            shift = float(np.nanmedian(np.linalg.norm(here.project(points) - there.project(points), axis=-1)))
        seen = len(before.by_camera[c]) > 0
        errors = (_median(before.by_camera[c]), _median(after.by_camera[c])) if seen else None
        moves.append(CameraMove(here.name, c in free, moved, moved_sd, turned, turned_sd, shift, errors))
    folds = tuple((_mean(was[fold::FOLDS]), _mean(now[fold::FOLDS])) for fold in range(FOLDS))
    covariance, inflation = (None, 1.0) if fitted is None else (fitted.covariance, fitted.inflation)
    return Refined(
        new, tuple(moves), covariance, (before.median_px, after.median_px), folds, sightings.sets,
        len(points), inflation,
    )  # fmt: skip


def _length(vector: Array, covariance: Array) -> tuple[float, float]:
    """Length of a vector, and its standard deviation along itself."""
    length = float(np.linalg.norm(vector))
    along = vector / length if length > 0 else np.array([1.0, 0.0, 0.0])
    return length, _root(along @ covariance @ along)


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _root(variance: npt.ArrayLike) -> float:
    return float(np.sqrt(np.maximum(variance, 0.0)))
