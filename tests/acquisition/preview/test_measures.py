"""Figures of pictures whose focus and exposure are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.preview.measures import camera_figures, link_load_mb_s, measure_picture


def textured(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 120, (120, 160), np.uint8)


def test_blur_lowers_the_focus_score_step_by_step() -> None:
    picture = textured()
    scores = [
        measure_picture(cv2.GaussianBlur(picture, (0, 0), sigma)).laplacian_variance
        for sigma in (0.5, 1, 2, 4)
    ]
    assert measure_picture(picture).laplacian_variance > scores[0]
    assert scores == sorted(scores, reverse=True)
    assert measure_picture(np.full((20, 20), 90, np.uint8)).laplacian_variance == 0


def test_the_score_is_the_variance_of_the_laplacian() -> None:
    picture = textured(1)
    grey = np.pad(picture.astype(np.int64), 1, mode="reflect")  # as OpenCV's default border does
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    assert measure_picture(picture).laplacian_variance == pytest.approx(laplacian.var(), rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 400), st.integers(2, 253))
def test_saturation_and_headroom(saturated: int, level: int) -> None:
    picture = np.full((100, 100), level, np.uint8)
    picture.reshape(-1)[:saturated] = 255
    quality = measure_picture(picture)
    assert quality.saturated_share == pytest.approx(saturated / 10_000)
    # Ten pixels of ten thousand are a thousandth: up to nine of them are glints that nobody exposes for.
    wanted = 0.0 if saturated >= 10 else np.log2(255 / level)
    assert quality.headroom_stops == pytest.approx(wanted, abs=1e-3)


def test_one_saturated_channel_is_saturated() -> None:
    picture = np.full((10, 10, 3), 50, np.uint8)
    picture[:5, :, 0] = 255
    assert measure_picture(picture).saturated_share == 0.5
    assert measure_picture(picture).headroom_stops == 0


@pytest.mark.parametrize(
    ("pixel_format", "mb_s"),
    [("Mono8", 30.72), ("Mono12p", 46.08), ("Mono12", 61.44), ("RGB8", 92.16), ("h264", None), ("", None)],
)
def test_link_load(pixel_format: str, mb_s: float | None) -> None:
    info = {"pixel_format": pixel_format, "width_px": 640, "height_px": 480}
    assert link_load_mb_s(info, 100.0) == mb_s


def test_exposure_as_a_share_of_the_period() -> None:
    info = {"rate_hz": 100.0, "exposure_us": 2000.0, "pixel_format": "Mono8", "width_px": 4, "height_px": 4}
    figures = camera_figures({"state": "armed", "rate_hz": 99.9, "lost": 3, "info": info})
    assert (figures["exposure_share"], figures["rate_hz"], figures["lost"]) == (0.2, 99.9, 3)
    assert camera_figures({})["exposure_share"] is None
