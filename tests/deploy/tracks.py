"""An animal that is known to the last digit, with noise, wrong points and gaps on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deploy.offline.tracks import Tracks
from deploy.poses_io.anipose_csv import Poses3D
from deploy.poses_io.poses import Poses

NAMES = ("snout", "tail")


@dataclass(frozen=True)
class Walk:
    """`truth` (T, K, D), what was `measured` (T, K, D; NaN in gaps), and which are `wrong` (T, K)."""

    truth: np.ndarray
    measured: np.ndarray
    wrong: np.ndarray
    noise: float

    def poses(self) -> Poses:
        confidence = np.where(np.isfinite(self.measured[..., 0]), 0.9, np.nan)
        values = np.concatenate([self.measured, confidence[..., None]], axis=2)
        return Poses.of_video(NAMES, values, {"scorer": "S", "bundle": "b"})

    def points(self) -> Poses3D:
        points = np.full((*self.measured.shape[:2], 11), np.nan, np.float32)
        points[..., :3] = self.measured
        there = np.isfinite(self.measured[..., 0])
        points[there, 3:9] = np.array([4, 0.5, 0, 1, 0, 1]) * self.noise**2
        points[there, 9:] = 3, 0.4
        scores = np.where(there, 0.9, np.nan).astype(np.float32)
        return Poses3D(NAMES, points, np.arange(len(points)), scores)

    def tracks(self) -> Tracks:
        poses = self.poses()
        values = poses.values.astype(np.float64)
        return Tracks(NAMES, poses.index, values[..., :2], values[..., 2], None, poses)

    def error(self, points: np.ndarray) -> float:
        """RMS error per axis where there are points."""
        return float(np.sqrt(np.nanmean((points - self.truth) ** 2)))


def walk(
    rows: int = 600, *, dimensions: int = 2, noise: float = 1.0, wrong: float = 0.0, gaps: tuple = (),
    seed: int = 0,
) -> Walk:  # fmt: skip
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    periods = rng.uniform(90, 200, (2, dimensions))
    truth = np.stack(
        [300 + 80 * np.sin(t[:, 0, None] / p * 2 * np.pi) + 30 * np.cos(t / p * 2) for p in periods], 1
    )
    measured = truth + rng.normal(0, noise, truth.shape)
    bad = rng.random(truth.shape[:2]) < wrong
    measured[bad] += rng.normal(0, 60, (int(bad.sum()), dimensions))
    for start, stop in gaps:
        measured[start:stop] = np.nan
    return Walk(truth, measured, bad, noise)
