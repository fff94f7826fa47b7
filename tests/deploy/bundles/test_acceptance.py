"""An engine is judged by the frames its bundle carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deploy.bundles.acceptance import PARITY_BOUND_PX, Acceptance, accept
from deploy.bundles.bundle import Bundle, Check

GOLDEN = Path(__file__).parents[1] / "golden" / "six_artifacts.bundle"


@pytest.fixture(scope="module")
def check() -> Check:
    found = Bundle.load(GOLDEN).check()
    assert found is not None
    return found


class Finder:
    """Finds what the trained network found, moved by `off` px of the network's input in x."""

    def __init__(self, check: Check, off: np.ndarray) -> None:
        self._check, self._off = check, off
        self.calls = 0

    def __call__(self, images: Sequence[object], transforms: Sequence[object]) -> np.ndarray:
        self.calls += 1
        found = np.full((len(images), *self._check.keypoints.shape[1:]), np.nan, np.float32)
        for slot, image in enumerate(images):
            if image is None:
                assert transforms[slot] is None
                continue
            row = next(row for row, each in enumerate(self._check.images) if each is image)
            found[slot] = self._check.keypoints[row]
            found[slot, :, :2] = self._check.transforms[row].apply(found[slot, :, :2])
            found[slot, :, 0] += self._off[row]
        return found


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_every_frame_is_looked_at_whatever_the_batch(check: Check, batch: int) -> None:
    count = len(check.images)
    off = np.arange(count) / 100
    finder = Finder(check, off)
    found = accept(finder, batch, check, "fp16")
    assert finder.calls == -(-count // batch)
    scale = check.transforms[0].scale
    assert found.parity.mean_px == pytest.approx(off.mean() / scale, rel=1e-3)
    assert found.parity.max_px == pytest.approx(off.max() / scale, rel=1e-3)
    assert found.parity.frames == count
    assert found.held_out is not None
    assert found.held_out.points == np.isfinite(check.labels).all(axis=-1).sum()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_bounds_are_those_of_the_export(check: Check, precision: str) -> None:
    for share, refused in ((0.9, False), (1.1, True)):
        off = np.full(len(check.images), share * PARITY_BOUND_PX[precision])
        found = accept(Finder(check, off), 2, check, precision)  # type: ignore[arg-type]
        assert bool(found.refused) == refused
        assert ("px from the trained network" in found.refused) == refused


def test_int8_is_held_to_its_labels(check: Check) -> None:
    off = np.full(len(check.images), 0.9)
    found = accept(Finder(check, off), 2, check, "int8")
    assert not found.refused
    assert not found.within_tolerance
    assert "px allowed" in found.verdict
    assert accept(Finder(check, off * 0.01), 2, check, "int8").within_tolerance


def test_an_engine_that_finds_nothing_is_refused(check: Check) -> None:
    found = accept(Finder(check, np.full(len(check.images), np.nan)), 2, check, "fp16")
    assert found.refused
    assert Acceptance.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))).refused
