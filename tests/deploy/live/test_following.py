"""The window that follows: geometry as properties, losing and finding with a real network."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Bundle
from deploy.bundles.manifest import AnimalSize
from deploy.bundles.predictor import Predictor
from deploy.live.following import FOUND, LOST, PATIENCE, AnimalWindow

BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"
TRAINED = AnimalSize(p5_px=60, median_px=80, p95_px=100, frames=10)
INPUT = (256, 192)


def animal(x: float, y: float, size: float, confidence: float = 0.9) -> np.ndarray:
    """Four keypoints whose box has its centre at (x, y) and this diagonal."""
    half = size / 2 / np.sqrt(2)
    corners = [(x - half, y - half), (x + half, y - half), (x - half, y + half), (x + half, y + half)]
    return np.array([(*corner, confidence) for corner in corners], np.float32)


@given(
    wh=st.tuples(st.integers(200, 2000), st.integers(200, 2000)), x=st.floats(0, 1), y=st.floats(0, 1),
    size=st.floats(10, 400),
)  # fmt: skip
def test_the_window_holds_the_animal_at_a_scale_of_the_training(
    wh: tuple[int, int], x: float, y: float, size: float
) -> None:
    window = AnimalWindow("top", None, TRAINED, INPUT)
    image = np.zeros((wh[1], wh[0]), np.uint8)
    window.of(image)
    found = animal(x * (wh[0] - 1), y * (wh[1] - 1), size)
    assert window.saw(found) == FOUND and window.following
    view, transform = window.of(image)
    assert view.shape == image.shape
    if transform is None:  # all of the image, at no larger scale
        assert min(INPUT[0] / wh[0], INPUT[1] / wh[1]) >= 80 / size * 0.95
        return
    assert transform.scale * size == pytest.approx(80, rel=0.05) or window.scale >= INPUT[0] / 8
    low, high = transform.inverse().apply([[-0.5, -0.5], [INPUT[0] - 0.5, INPUT[1] - 0.5]])
    for axis in range(2):
        if high[axis] - low[axis] <= wh[axis]:
            assert low[axis] >= -0.501 and high[axis] <= wh[axis] - 0.499
    inside = found[(found[:, 0] >= 0) & (found[:, 1] >= 0)]
    inside = inside[(inside[:, 0] < wh[0]) & (inside[:, 1] < wh[1]), :2]
    assert (inside >= low - 1).all() and (inside <= high + 1).all()


def test_a_part_of_the_animal_does_not_set_the_scale() -> None:
    """Two neighbouring keypoints at first: a window of their size would hold nothing else of it, ever."""
    window = AnimalWindow("top", None, TRAINED, INPUT)
    image = np.zeros((600, 800), np.uint8)
    part = np.concatenate([animal(300, 200, 10)[:2], animal(300, 200, 200, confidence=0.1)])
    window.of(image)
    assert window.saw(part.copy()) == ""
    assert not window.following
    assert window.of(image)[1] is None
    assert window.saw(animal(300, 200, 200)) == FOUND


def test_the_scale_stays_while_the_size_is_in_the_range() -> None:
    window = AnimalWindow("top", None, TRAINED, INPUT)
    image = np.zeros((1000, 1000), np.uint8)
    window.of(image)
    window.saw(animal(500, 500, 100))
    scales = set()
    for size in (104, 97, 101, 95, 105):
        window.of(image)
        scales.add(window.scale)
        window.saw(animal(500, 500, size))
    assert len(scales) == 1
    for _ in range(30):
        window.saw(animal(500, 500, 200))
    window.of(image)
    assert window.scale * 200 == pytest.approx(80, rel=0.25)


def test_it_is_ahead_of_an_animal_that_moves() -> None:
    window = AnimalWindow("top", None, TRAINED, INPUT)
    image = np.zeros((1000, 1000), np.uint8)
    for x in (300, 330, 360):
        window.of(image)
        window.saw(animal(x, 500, 80))
    _, transform = window.of(image)
    assert transform is not None
    middle = transform.inverse().apply([(INPUT[0] - 1) / 2, (INPUT[1] - 1) / 2])
    assert middle == pytest.approx([390, 500], abs=1)
    window.absent()
    window.saw(animal(450, 500, 80))  # a set was missed: its speed is not known
    _, transform = window.of(image)
    assert transform is not None
    assert transform.inverse().apply([127.5, 95.5]) == pytest.approx([450, 500], abs=1)


def test_lost_and_found_are_said_once_and_counted() -> None:
    window = AnimalWindow("top", None, TRAINED, INPUT)
    image = np.zeros((1000, 1000), np.uint8)
    window.of(image)
    news = [window.saw(animal(500, 500, 80, confidence)) for confidence in
            [0.9, 0.9, 0.1, 0.9, *[0.1] * PATIENCE, 0.1, 0.9, 0.9]]  # fmt: skip
    assert news == [FOUND, "", "", "", *[""] * (PATIENCE - 1), LOST, "", FOUND, ""]
    assert window.lost == 1 and window.searched == 3
    assert window.of(image)[1] is not None


@given(left=st.integers(0, 60), top=st.integers(0, 40))
def test_a_fixed_window_gives_keypoints_in_the_whole_images_pixels(left: int, top: int) -> None:
    window = AnimalWindow("top", (left, top, 100, 80), None, INPUT)
    window.check(160, 120)
    image = np.arange(160 * 120, dtype=np.uint32).astype(np.uint8).reshape(120, 160)
    view, transform = window.of(image)
    assert transform is None and np.shares_memory(view, image)
    np.testing.assert_array_equal(view, image[top : top + 80, left : left + 100])
    found = animal(50, 40, 20)
    assert window.saw(found) == ""
    np.testing.assert_allclose(found, animal(50 + left, 40 + top, 20), atol=1e-4)
    with pytest.raises(RigposeError, match="inside 90x90 px"):
        window.check(90, 90)


def test_a_real_network_in_a_window_finds_what_it_finds_in_the_image() -> None:
    """An animal of the training's size in a much larger image: only the window can see it well."""
    check = Bundle.load(BUNDLE).check()
    assert check is not None
    predictor = Predictor(BUNDLE, runtime="onnx")
    image = np.full((900, 1200, 3), 128, np.uint8)
    height, width = check.images[0].shape[:2]
    image[500 : 500 + height, 700 : 700 + width] = check.images[0]
    truth = check.labels[0] + [700, 500]
    trained = predictor.bundle.manifest.animal_size
    assert trained is not None
    window = AnimalWindow("top", None, trained, predictor.bundle.input_wh)
    start = np.concatenate([truth + 3, np.full((2, 1), 0.9)], axis=1).astype(np.float32)
    window.of(image)
    window.saw(start)
    for _ in range(5):
        view, transform = window.of(image)
        found = predictor.predict([view], [transform])[0]
        window.saw(found)
    assert window.following and isinstance(transform, ImageTransform)
    np.testing.assert_allclose(found[:, :2], truth, atol=1.5)
