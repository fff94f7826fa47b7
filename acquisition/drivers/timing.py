"""When a GenICam camera exposes: how long after its pulse, for how long, and how often it can.

Drivers spell features differently, so each hands in `word`: the value of a feature as a word, "" where the
camera has it not, or not now. Names follow GenICam's Standard Features Naming Convention; older GigE cameras
end theirs in Abs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from acquisition.camera import CameraInfo, Value
from acquisition.errors import RigposeError

NEAR = 0.01
"""Cameras quantise: a number is taken if it came this near, relatively."""

RESULTING = ("ResultingFrameRate", "ResultingFrameRateAbs", "BslResultingAcquisitionFrameRate")
"""Frames a second that exposure, size and format allow."""

_DELAY = ("TriggerDelay", "TriggerDelayAbs")
_DELAY_SWITCH = "TriggerDelayEnabled"  # of some makers: without it the number stands there for nothing
_SLOWEST_NS = 100_000_000  # period of a camera that does not tell its rate


def timed(info: CameraInfo, word: Callable[[str], str]) -> CameraInfo:
    """`info` with the delay after the pulse, and with what an automatic exposure leaves unknown.

    While a camera waits for pulses, `TriggerActivation` is put among its features.
    """
    if word("TriggerMode") == "On":
        activation = word("TriggerActivation")
        features = {**info.features, "TriggerActivation": activation} if activation else info.features
        info = replace(info, trigger_delay_ns=_delay_ns(word), features=features)
    if word("ExposureAuto") in ("", "Off"):
        return info
    # No exposure is longer than the period, so its middle is nowhere farther off than half of that.
    period_ns = round(1e9 / info.rate_hz) if info.rate_hz > 0 else _SLOWEST_NS
    return replace(
        info,
        stamp_uncertainty_ns=info.stamp_uncertainty_ns + period_ns // 2,
        stamp_meaning=f"{info.stamp_meaning}; exposure is automatic, of a length that is not known",
    )


def check_rate(camera: str, wished: dict[str, Value], word: Callable[[str], str]) -> None:
    """Raise `RigposeError` where the camera, with all that was set, makes fewer frames than `rate_hz`."""
    most_hz = next((float(word(name)) for name in RESULTING if word(name)), 0.0)
    if "rate_hz" in wished and most_hz and most_hz < float(wished["rate_hz"]) * (1 - NEAR):
        raise RigposeError(
            f"camera '{camera}'", expected="a rate_hz that it can take",
            found=f"{wished['rate_hz']} (at most {most_hz:g} Hz with this exposure, size and format)",
            remedy="Lower rate_hz or exposure_us in the camera's settings file or the rig file",
        )  # fmt: skip


def _delay_ns(word: Callable[[str], str]) -> int:
    if word(_DELAY_SWITCH).lower() == "false":
        return 0
    return next((round(float(word(name)) * 1000) for name in _DELAY if word(name)), 0)
