"""What the demo must show: one table of figures and their bounds, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure's bound. `path` leads to it through the demo's nested figures."""

    label: str
    path: tuple[str, ...]
    sense: Literal["<=", ">="]
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A bound and the figure that was measured; a figure that is missing or NaN has not held."""

    bound: Bound
    value: float | None
    held: bool


INPUTS = {"full": "full frame", "cropped": "cropped", "resized": "resized"}


def bounds(*, live_seconds: float, rate_hz: float, accuracy: bool) -> list[Bound]:
    """The demo's bounds for a live run of at least `live_seconds` at `rate_hz` sets a second or more.

    Without `accuracy` only what does not depend on how much the network has learned.
    """
    return [*(_accuracy() if accuracy else ()), *_running(live_seconds, rate_hz)]


def _accuracy() -> list[Bound]:
    table = []
    for key, label in INPUTS.items():
        for figure, path, limit, unit in (
            ("median error", "median_px", 1.5, "px"),
            ("mean signed error x", "abs_bias_x_px", 0.15, "px"),
            ("mean signed error y", "abs_bias_y_px", 0.15, "px"),
            ("further than 20 px", "gross_share", 0.02, ""),
        ):
            table.append(Bound(f"int8, {label}: {figure}", ("held_out", key, path), "<=", limit, unit))
    return [
        *table,
        Bound("live 3D: median error", ("live_3d", "median_mm"), "<=", 1.8, "mm"),
        Bound("live 3D: 95th percentile", ("live_3d", "p95_mm"), "<=", 5.0, "mm"),
    ]


def _running(live_seconds: float, rate_hz: float) -> list[Bound]:
    return [
        Bound("live: frame sets a second", ("live", "rate_hz"), ">=", rate_hz, "/s"),
        Bound("live: duration", ("live", "seconds"), ">=", live_seconds, "s"),
        Bound("live: complete sets received", ("live", "received_share"), ">=", 0.99, ""),
        Bound("live: accounts out of balance by", ("live", "unaccounted"), "<=", 0, "sets"),
        Bound("losses: injected, not reported", ("losses", "missed"), "<=", 0, ""),
        Bound("losses: reported, not injected", ("losses", "invented"), "<=", 0, ""),
        Bound("losses: wrong cause", ("losses", "wrong_cause"), "<=", 0, ""),
        Bound("losses: of this machine", ("losses", "own"), "<=", 0, ""),
    ]


def judge(figures: dict[str, Any], table: list[Bound]) -> list[Judged]:
    """Every bound of `table` against `figures`."""
    return [_judge(figures, bound) for bound in table]


def _judge(figures: dict[str, Any], bound: Bound) -> Judged:
    value: Any = figures
    for key in bound.path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, (int, float)):
        return Judged(bound, None, False)
    held = value <= bound.limit if bound.sense == "<=" else value >= bound.limit  # NaN holds nothing
    return Judged(bound, float(value), bool(held))
