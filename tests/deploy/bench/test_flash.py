"""The LED is found in pictures by its code, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.synchronisation.pulse_code import led
from deploy.bench.flash import find_spot


def pictures(
    slots: range, at: tuple[int, int] | None, brightness: float = 40.0, seed: int = 0
) -> list[np.ndarray]:
    """Noise, something large that moves, and an LED."""
    rng = np.random.default_rng(seed)
    made = []
    for number, slot in enumerate(slots):
        image = rng.normal(90, 3, (60, 80))
        image[20:45, 2 + number % 50 : 25 + number % 50] += 60
        if at is not None and led(slot):
            image[at[1] - 1 : at[1] + 2, at[0] - 1 : at[0] + 2] += brightness
        made.append(np.clip(image, 0, 255).astype(np.uint8))
    return made


@settings(deadline=None, max_examples=20)
@given(x=st.integers(2, 77), y=st.integers(2, 14), first=st.integers(0, 262_000), seed=st.integers(0, 99))
def test_it_is_found_where_it_is_and_its_states_are_told_apart(x: int, y: int, first: int, seed: int) -> None:
    slots = range(first, first + 64)
    images = pictures(slots, (x, y), seed=seed)
    spot = find_spot(images, list(slots))
    assert spot is not None and abs(spot.x - x) <= 1 and abs(spot.y - y) <= 1
    assert spot.contrast == pytest.approx(40, rel=0.4)
    later = range(first + 64, first + 128)
    told = [spot.level(image) > spot.threshold for image in pictures(later, (x, y), seed=seed + 1)]
    assert told == [led(slot) for slot in later]


def test_what_moves_is_no_led_nor_is_one_that_blinks_another_count() -> None:
    assert find_spot(pictures(range(64), None), list(range(64))) is None
    assert find_spot(pictures(range(64), (70, 50)), list(range(7, 71))) is None
    assert find_spot(pictures(range(1, 4), (70, 50)), [1, 2, 3]) is None  # always on: nothing to compare


@pytest.mark.parametrize(
    ("light", "led_rgb"), [((150, 20, 20), (255, 60, 40)), ((20, 60, 180), (255, 110, 180))]
)
def test_of_a_colour_camera_one_channel_tells_wherever_the_light_comes_from(
    light: tuple[int, int, int], led_rgb: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(0)

    def seen(slots: range) -> list[np.ndarray]:
        made = []
        for slot in slots:
            image = rng.normal(light, 2, (60, 80, 3))
            if led(slot):
                image[20:23, 30:33] = led_rgb
            made.append(np.clip(image, 0, 255).astype(np.uint8))
        return made

    spot = find_spot(seen(range(64)), list(range(64)))
    assert spot is not None
    told = [spot.level(image) > spot.threshold for image in seen(range(64, 128))]
    assert told == [led(slot) for slot in range(64, 128)]
