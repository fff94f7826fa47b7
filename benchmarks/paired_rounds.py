"""What rounds come to in which contenders took turns: a statistic, and how far rounds scatter it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLINGS = 2000


def interval(statistic: Callable[..., float], *samples: np.ndarray) -> tuple[float, float, float]:
    """A statistic of paired rounds, (rounds, ...) each, and its 95 % bootstrap interval over rounds."""
    rng = np.random.default_rng(0)
    rounds = len(samples[0])
    picks = rng.integers(0, rounds, (RESAMPLINGS, rounds))
    values = [statistic(*(sample[pick] for sample in samples)) for pick in picks]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(statistic(*samples)), float(low), float(high)


def ratio(of: np.ndarray, to: np.ndarray) -> float:
    """Ratio of the medians."""
    return float(np.median(of) / np.median(to))
