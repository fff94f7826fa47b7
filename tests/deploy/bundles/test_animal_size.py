"""The size of the animal against that of the training."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deploy.bundles.animal_size import MARGIN, AnimalSizeWatch, box_of
from deploy.bundles.manifest import AnimalSize

TRAINED = AnimalSize(p5_px=60, median_px=80, p95_px=100, frames=10)


def animal(size: float, seen: int = 6) -> np.ndarray:
    keypoints = np.full((6, 3), 0.9, np.float32)
    keypoints[:, 0] = np.linspace(50, 50 + size, 6)
    keypoints[:, 1] = 20
    keypoints[seen:, 2] = 0.1
    return keypoints


def said(size: float, scale: float, trained: AnimalSize | None = TRAINED, seen: int = 6) -> list[str]:
    watch = AnimalSizeWatch(trained, "camera 'top'", "go closer")
    return [sentence for _ in range(100) if (sentence := watch.add(animal(size, seen), scale))]


@given(size=st.floats(20, 500), scale=st.floats(0.1, 3))
def test_it_speaks_once_and_only_outside_the_range(size: float, scale: float) -> None:
    inside = TRAINED.p5_px / MARGIN <= size * scale <= TRAINED.p95_px * MARGIN
    assert len(said(size, scale)) == (0 if inside else 1)


def test_the_sentence_says_what_was_expected_found_and_what_to_do() -> None:
    (small,) = said(60, 0.5)
    assert small == (
        "camera 'top': the animal is 30 px small at the network's input, in training it was 60 to 100 px; "
        "go closer, or train with images like these"
    )
    (large,) = said(300, 1)
    assert "300 px large" in large and "move the camera away" in large


def test_half_an_animal_and_unknown_sizes_say_nothing() -> None:
    assert said(20, 1, seen=3) == [] and said(20, 1, None) == []
    assert said(20, 1, AnimalSize(p5_px=0, median_px=0, p95_px=0, frames=3)) == []


def test_a_moments_error_does_not_count() -> None:
    watch = AnimalSizeWatch(TRAINED, "top", "")
    assert not any(watch.add(animal(500 if n % 5 == 0 else 80), 1.0) for n in range(200))


def test_the_box_of_what_is_seen() -> None:
    box = box_of(animal(100, seen=4))
    assert box is not None and box[1]
    np.testing.assert_allclose(box[0], [[50, 20], [110, 20]])
    assert box_of(animal(100, seen=1)) is None and box_of(np.full((3, 3), np.nan, np.float32)) is None
