"""What a picture says of focus and exposure, and a camera's figures of its link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from acquisition.frame import Image
from acquisition.pixel_formats import PIXEL_FORMATS, image_bytes

SATURATED_FROM = 254
_BRIGHTEST = 0.001
_TOP = 255


@dataclass(frozen=True, slots=True)
class PictureQuality:
    """Figures of one picture.

    Attributes
    ----------
    laplacian_variance:
        Focus: variance of the Laplacian of the grey picture (LAPV of Pech-Pacheco et al. 2000). It compares
        focus settings on one scene under one light; noise and contrast move it, too.
    saturated_share:
        Pixels of which some channel is 254 or 255, of 0 to 1.
    headroom_stops:
        Exposure margin: by how many doublings of the exposure the brightest thousandth of the pixels could
        grow until it saturates, for a sensor whose gamma is 1; 0 where it does.
    mean_level:
        Of the grey picture, 0 to 255.
    """

    laplacian_variance: float
    saturated_share: float
    headroom_stops: float
    mean_level: float


def measure_picture(image: Image) -> PictureQuality:
    """The figures of uint8 (H, W) or (H, W, 3) RGB."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    brightest = image if image.ndim == 2 else image.max(axis=2)
    counts = np.asarray(cv2.calcHist([brightest], [0], None, [_TOP + 1], [0, _TOP + 1])).reshape(-1)
    from_above = np.cumsum(counts[::-1]) / max(1, brightest.size)
    level = _TOP - int(np.searchsorted(from_above, _BRIGHTEST))
    return PictureQuality(
        laplacian_variance=round(float(deviation[0, 0]) ** 2, 2),
        saturated_share=round(float(counts[SATURATED_FROM:].sum() / max(1, brightest.size)), 6),
        headroom_stops=0.0 if level >= SATURATED_FROM else round(math.log2(_TOP / max(level, 1)), 3),
        mean_level=round(float(cv2.mean(grey)[0]), 2),
    )


def link_load_mb_s(info: Mapping[str, Any], rate_hz: float) -> float | None:
    """Payload on the camera's link, 10^6 bytes a second; None for formats without a fixed size."""
    pixel_format = str(info.get("pixel_format", ""))
    if pixel_format not in PIXEL_FORMATS:
        return None
    return round(image_bytes(pixel_format, int(info["width_px"]), int(info["height_px"])) * rate_hz / 1e6, 3)


def camera_figures(counters: Mapping[str, Any]) -> dict[str, Any]:
    """What capture counts of one camera (`CameraCounters`), and what follows from it.

    Returns
    -------
    dict
        `state`, `frames`, `lost`, `damaged`, `ring_full`, `reopened`; `rate_hz` as measured and
        `rate_hz_wished`; `link_mb_s`; `exposure_us` and `exposure_share` of the period, None where the camera
        does not tell its exposure.
    """
    info = counters.get("info", {})
    rate_hz = float(counters.get("rate_hz", 0.0))
    wished_hz = float(info.get("rate_hz", 0.0))
    exposure_us = float(info.get("exposure_us", 0.0)) or None
    return {
        **{key: counters.get(key, 0) for key in ("frames", "lost", "damaged", "ring_full", "reopened")},
        "state": counters.get("state", "opening"),
        "model": info.get("model", ""),
        "rate_hz": rate_hz,
        "rate_hz_wished": round(wished_hz, 3),
        "link_mb_s": link_load_mb_s(info, rate_hz) if info else None,
        "exposure_us": exposure_us,
        "exposure_share": round(exposure_us * wished_hz * 1e-6, 4) if exposure_us and wished_hz else None,
    }
