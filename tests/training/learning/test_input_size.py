"""The default input size follows the animals, in any frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from training.learning.input_size import animal_extent, check_input_size, choose_crop, choose_input_size


def animals(extent_px: float, count: int = 5) -> list[np.ndarray]:
    return [np.array([[0.0, 0.0], [extent_px, extent_px / 3], [np.nan, np.nan]])] * count


@given(
    width=st.integers(64, 4000),
    height=st.integers(64, 3000),
    share=st.floats(0.01, 0.9),
    stills=st.integers(1, 9),
)
def test_any_data_gives_a_size_that_networks_take(width, height, share, stills):
    points, sizes = animals(share * max(width, height), stills), [(width, height)] * stills
    chosen = choose_input_size(points, sizes)
    check_input_size(chosen)
    crop = choose_crop(points, sizes, chosen)
    check_input_size((crop, crop))
    assert crop <= max(chosen)
    assert max(chosen) <= 640


@pytest.mark.parametrize(
    ("animal_px", "size", "chosen"),
    [
        (100, (640, 480), (320, 256)),
        (20, (1920, 1080), (640, 384)),  # a small animal needs more pixels
        (50, (640, 480), (576, 448)),
        (500, (640, 480), (192, 160)),  # one that fills the frame needs fewer
        (60, (192, 192), (192, 192)),  # never more than the image has
    ],
)
def test_the_rule(animal_px, size, chosen):
    assert choose_input_size(animals(animal_px), [size] * 5) == chosen


def test_one_keypoint_has_no_extent_and_still_a_size():
    single = [np.array([[5.0, 5.0]])]
    assert np.isnan(animal_extent(np.stack(single)))
    assert choose_input_size(single, [(640, 480)]) == (320, 256)
    assert choose_crop(single, [(640, 480)], (320, 256)) == 256


def test_a_size_that_no_network_takes_is_refused():
    with pytest.raises(RigposeError, match="Take 320x256"):
        check_input_size((320, 240))
