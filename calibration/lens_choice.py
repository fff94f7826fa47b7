"""Which lens model a camera needs, by the error on views that were not fitted.

Every camera is tried by itself. A model that does not even fit its own views better than the pinhole is not
tried further; of the rest the simplest is taken that is not clearly worse, on held-out views, than the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.bundle import Problem
from calibration.bundle_adjustment import ROUGHLY, Adjusted, adjust
from calibration.folds import fold_masks
from calibration.lens import LensModel, free_parameters, model_of
from calibration.observations import Observations
from calibration.single_camera import camera_of_lens, fit_camera, place_camera

Array = npt.NDArray[np.float64]

BY_SIMPLICITY: tuple[LensModel, ...] = ("pinhole", "fisheye", "k3", "rational")
CLEARLY = 1.0  # standard errors of the mean over views (Breiman's rule, 1984)
FLOOR_PX = 0.01
GAIN = 0.01  # of the RMS error: less is no reason for another model
BORDER_STEPS = 9


@dataclass(frozen=True, slots=True)
class LensTrial:
    """How well a model suited a camera.

    Attributes
    ----------
    fitted_px, held_out_px:
        RMS distance of corners on the views fitted, and on views held out; None where that was not tried:
        the model fits hardly better than the pinhole, or folds into itself within the image.
    """

    model: LensModel
    fitted_px: float
    held_out_px: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ChosenLens:
    """The model of one camera, its fit, what else was tried, and whether it was known before."""

    model: LensModel
    fit: Adjusted
    trials: tuple[LensTrial, ...]
    known: bool = False

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """(12,): which of `lens.PARAMETERS` are estimated."""
        return free_parameters(self.model) & (not self.known)


def keep_lens(observations: Observations, camera: int, points_mm: Array, lens: Array) -> ChosenLens:
    """A camera's views seen through a lens (13,) that stays as it is."""
    fit = place_camera(observations.of_camera(camera), points_mm, lens)
    model = model_of(lens)
    return ChosenLens(model, fit, (LensTrial(model, _rms_inliers(fit), None),), known=True)


def choose_lens(
    observations: Observations, camera: int, points_mm: Array, models: Sequence[LensModel] = BY_SIMPLICITY
) -> ChosenLens:
    """Try `models` (the pinhole first) on one camera's views."""
    own = replace(
        observations, cameras=(observations.cameras[camera],), sizes_px=(observations.sizes_px[camera],),
        views=tuple(replace(view, camera=0) for view in observations.of_camera(camera)),
    )  # fmt: skip
    size_px = own.sizes_px[0]
    masks = fold_masks(own) if len(models) > 1 else []
    fits: dict[LensModel, Adjusted] = {}
    for model in models if masks else models[:1]:
        start = fits.get("pinhole") if model in ("k3", "rational") else None
        fits[model] = fit_camera(own.views, size_px, points_mm, model, start)
    first = models[0]
    fitted = {model: _rms_inliers(fit) for model, fit in fits.items()}
    tried = [
        model for model in fits
        if model == first
        or (fitted[model] < (1 - GAIN) * fitted[first] and _sees_all(fits[model].bundle.lenses[0], size_px))
    ]  # fmt: skip
    errors: dict[LensModel, Array] = {}
    if len(tried) > 1:
        inliers = fits[min(tried, key=lambda model: fitted[model])].inliers
        errors = {model: _held_out(own, fits[model], points_mm, model, masks, inliers) for model in tried}
    held_out = {model: float(np.sqrt(np.mean(each))) for model, each in errors.items()}
    chosen = first
    if errors:
        best = min(held_out, key=lambda model: held_out[model])
        chosen = next(m for m in models if m in errors and _as_good(errors[m], errors[best]))
    trials = tuple(LensTrial(model, fitted[model], held_out.get(model)) for model in fits)
    return ChosenLens(chosen, fits[chosen], trials)


def _rms_inliers(fit: Adjusted) -> float:
    squares = np.where(fit.inliers, (fit.residuals**2).sum(-1), np.nan)
    return float(np.sqrt(np.nanmean(squares)))


def _held_out(
    own: Observations, fit: Adjusted, points_mm: Array, model: LensModel,
    masks: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]], inliers: npt.NDArray[np.bool_],
) -> Array:  # fmt: skip
    """Mean squared error (V,) px^2 of every view, by a lens that was fitted without it."""
    squares = np.empty(len(own.views))
    nothing = np.zeros_like(free_parameters(model))
    for fitted, spared in masks:
        lenses = _part(own, fit, points_mm, fitted, free_parameters(model)).bundle.lenses
        placed = _part(
            own, replace(fit, bundle=replace(fit.bundle, lenses=lenses)), points_mm, spared, nothing
        )
        error = np.where(
            inliers[spared][:, : placed.residuals.shape[1]], (placed.residuals**2).sum(-1), np.nan
        )
        squares[spared] = [np.nanmean(row) if np.isfinite(row).any() else 0.0 for row in error]
    return squares


def _part(
    own: Observations, start: Adjusted, points_mm: Array, keep: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
) -> Adjusted:  # fmt: skip
    views, bundle = own.keep(keep).views, start.bundle
    bundle = replace(
        bundle, board_rotations=bundle.board_rotations[keep],
        board_translations=bundle.board_translations[keep], jitter=bundle.jitter[keep],
    )  # fmt: skip
    problem = Problem.of_views(views, np.arange(len(views)), points_mm)
    return adjust(problem, bundle, free_lens=free, fixed_cameras=(0,), rounds=2, enough=ROUGHLY)


def _as_good(errors: Array, best: Array) -> bool:
    """Whether a model's held-out errors are not clearly larger than the best one's."""
    # of ratios, not differences: a model that fails at the image's edge fails in a few views, by far
    worse = np.log((errors + FLOOR_PX**2) / (best + FLOOR_PX**2))
    spread = float(np.std(worse) / np.sqrt(len(worse)))
    larger = np.sqrt(np.mean(errors)) > (1 + GAIN) * np.sqrt(np.mean(best))
    return not (larger and float(np.mean(worse)) > CLEARLY * spread)


def _sees_all(lens: Array, size_px: tuple[int, int]) -> bool:
    """Whether every pixel of the image's border has a ray: a polynomial may turn back before it."""
    if lens[-1]:
        return True
    width, height = size_px
    x, y = np.linspace(0, width - 1, BORDER_STEPS), np.linspace(0, height - 1, BORDER_STEPS)
    border = np.concatenate([
        np.column_stack([x, 0 * x]), np.column_stack([x, 0 * x + height - 1]),
        np.column_stack([0 * y, y]), np.column_stack([0 * y + width - 1, y]),
    ])  # fmt: skip
    return bool(np.isfinite(camera_of_lens(lens).undistort(border)).all())
