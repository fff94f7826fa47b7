"""What is told of many durations: percentiles, the largest, jitter, rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def summary(durations_ns: npt.ArrayLike, frames: int = 1) -> dict[str, Any]:
    """Figures of durations in the order they were measured.

    Parameters
    ----------
    durations_ns:
        Integers, at least one.
    frames:
        How many frames each duration was spent on: `frames_per_s` counts frames.

    Returns
    -------
    dict
        `count`, `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`, `jitter_ms` (the mean change from one duration to the
        next, RFC 3550's jitter without its smoothing) and `frames_per_s` (at the mean duration).
    """
    ms = np.asarray(durations_ns, np.float64) * 1e-6
    if not ms.size:
        raise ValueError("no durations")
    jitter = float(np.abs(np.diff(ms)).mean()) if len(ms) > 1 else 0.0
    mean = float(ms.mean())
    percentiles = {f"p{p}_ms": round(float(np.percentile(ms, p)), 4) for p in (50, 95, 99)}
    return {
        "count": len(ms), **percentiles, "max_ms": round(float(ms.max()), 4), "jitter_ms": round(jitter, 4),
        "frames_per_s": round(1e3 * frames / mean, 1) if mean > 0 else None,
    }  # fmt: skip
