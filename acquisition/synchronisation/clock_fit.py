"""A device clock judged afterwards, over all of a recording: its rate against the rig clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_BINS = 240
_FRAMES_A_BIN = 5
_PIECES = 6
_SHORTEST_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ClockFit:
    """Rate of a device clock against the rig clock.

    Attributes
    ----------
    drift:
        How much faster the device's clock runs: 50e-6 is 50 ppm fast.
    drift_uncertainty:
        Half width of the 95 % interval of `drift`.
    drift_span:
        Largest minus smallest rate of the sixths of the recording: what temperature did. 0 where they
        cannot be told apart.
    """

    drift: float
    drift_uncertainty: float
    drift_span: float


def fit_clock(t_device_ns: npt.NDArray[np.int64], t_arrival_ns: npt.NDArray[np.int64]) -> ClockFit | None:
    """Fit (device stamp, arrival) pairs, int64 (N,) each, of one run of the clock.

    A frame is late by anything, never early: of each of up to 240 stretches of time the smallest latency
    stands for all. Through those the median of all slopes (Theil 1950, Sen 1968) is taken, which up to
    29 % of bad stretches do not move; its uncertainty is from the scatter around it.

    Returns
    -------
    ClockFit or None
        None where the pairs span less than two seconds or make fewer than eight stretches.
    """
    t_device_ns, t_arrival_ns = np.asarray(t_device_ns), np.asarray(t_arrival_ns)
    if len(t_device_ns) < 2 or t_device_ns[-1] - t_device_ns[0] < _SHORTEST_NS:
        return None
    bins = min(_BINS, len(t_device_ns) // _FRAMES_A_BIN)
    if bins < 8:
        return None
    device = (t_device_ns - t_device_ns[0]).astype(np.float64)
    excess = (t_arrival_ns - t_arrival_ns[0]).astype(np.float64) - device
    edges = np.linspace(0, len(device), bins + 1).astype(np.int64)
    # Within a stretch, too, drift must not choose the frame: a first slope is taken out.
    first = _theil_sen(*_smallest(device, excess, edges))
    at, least = _smallest(device, excess - first * device, edges)
    slope = _theil_sen(at, least)
    drift = first + slope
    uncertainty = 1.96 * _slope_error(at, least - slope * at)
    rates, errors = [], [0.0]
    for piece in np.array_split(np.arange(bins), _PIECES):
        if len(piece) >= 8:
            rates.append(_theil_sen(at[piece], least[piece]))
            errors.append(_slope_error(at[piece], least[piece] - rates[-1] * at[piece]))
    span = max(rates) - min(rates) if rates else 0.0
    if span <= 4 * max(errors):
        span = 0.0
    # The device runs fast where arrivals fall behind its stamps.
    return ClockFit(-drift / (1 + drift), uncertainty, span)


def _smallest(
    device: npt.NDArray[np.float64], excess: npt.NDArray[np.float64], edges: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows = np.array([a + int(np.argmin(excess[a:b])) for a, b in pairwise(edges)])
    return device[rows], excess[rows]


def _theil_sen(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def _slope_error(x: npt.NDArray[np.float64], left: npt.NDArray[np.float64]) -> float:
    """Standard error of the slope by the scatter that it left."""
    scatter = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    # Theil-Sen is 95 % as efficient as least squares where the scatter is normal, more where it is not.
    return scatter / (float(np.std(x)) * math.sqrt(0.95 * len(x)))
