"""Patches hold all that moves, and ellipsoids fit the boxes they are drawn in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.simulation.studio import Studio


def test_the_patch_holds_all_that_moves() -> None:
    """Drawn over the whole image, nothing differs from the background outside of the patch."""
    scene = Scene(SceneSettings(seed=3, cameras=2, size_px=(320, 240)), Path("unused"))
    studio = Studio(scene, 1)
    width, height = studio.view.size_px
    for index in (0, 150, 333):
        ((left, top, patch),) = studio.patches([index])
        studio._box = lambda bounds: np.array([0, 0, width, height])  # type: ignore[method-assign]
        ((_, _, whole),) = studio.patches([index])
        del studio._box
        placed = studio.background.copy()
        placed[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        assert np.abs(placed.astype(int) - whole).max() <= 1  # 1: the kernel rounds in double precision
        assert (placed != whole).mean() < 1e-3
        assert (patch != studio.background[top : top + patch.shape[0], left : left + patch.shape[1]]).any()


def test_ellipsoids_fit_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(SceneSettings(seed=3, cameras=2, size_px=(320, 240)), Path("unused"))
    studio = Studio(scene, 1)
    tight = studio.patches([0, 200])
    bounds = Studio._ellipsoid_bounds

    def wider(self, centres, frames):
        return bounds(self, centres, frames) + np.array([-9, -9, 9, 9])

    monkeypatch.setattr(Studio, "_ellipsoid_bounds", wider)
    for (left, top, patch), (wide_left, wide_top, wide) in zip(tight, studio.patches([0, 200]), strict=True):
        y, x = top - wide_top, left - wide_left
        assert np.array_equal(wide[y : y + patch.shape[0], x : x + patch.shape[1]], patch)
