"""Samples: the keypoints are drawn back onto the very pixels they were labelled on."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.training.dots import dot_project
from training.images import ImageStore
from training.learning.augmentation import NONE, Augmentation, alter_levels, cover, rotation_found_in
from training.learning.dataset import Known, TrainingSet, mirror_indices
from training.projects.labels import read_labels

GEOMETRY = Augmentation(
    gain=1, gamma=1, offset_levels=0, noise_levels=0, blur=0, compressed=0, patches=0, elsewhere=0
)


def samples_of(tmp_path, *, augmentation=GEOMETRY, absent=False, mirror=None, seed=0, count=12, crop=64):
    project = dot_project(tmp_path, count=count, size_px=(192, 128))
    labels = read_labels(project)
    store = ImageStore(project.root, labels.images)
    return TrainingSet(
        labels, store, input_wh=(192, 128), crop_px=crop, batch=4, augmentation=augmentation, mirror=mirror,
        missing_is_absent=absent, seed=seed,
    )  # fmt: skip


def blob_at(crop: np.ndarray, point: np.ndarray, sign: float) -> np.ndarray:
    """Sub-pixel centre of a blob near a point, by the weighted mean of its levels."""
    grey = cv2.GaussianBlur(crop[..., 0].astype(np.float64), (0, 0), 2)
    x, y = np.meshgrid(np.arange(crop.shape[1]), np.arange(crop.shape[0]))
    near = np.hypot(x - point[0], y - point[1]) < 8
    weight = np.where(near, np.clip(sign * (grey - 120) - 35, 0, None), 0)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("flipped", [False, True])
def test_labels_lie_on_the_blobs_after_every_transform(tmp_path, flipped):
    samples = samples_of(tmp_path, mirror=np.arange(2) if flipped else None)
    misses = []
    for number in range(60):
        crop, points, known, _ = samples.sample(number)
        for k, sign in enumerate((1.0, -1.0)):
            if known[k] == Known.AT_POINT and (points[k] > 10).all() and (points[k] < 54).all():
                misses.append(blob_at(crop, points[k], sign) - points[k])
    misses = np.array(misses)
    assert len(misses) > 40
    assert np.abs(np.median(misses, axis=0)).max() < 0.15
    assert np.median(np.hypot(*misses.T)) < 0.6


def test_a_mirrored_animal_has_its_left_on_the_right(tmp_path):
    """With the two blobs declared a pair, a mirrored sample names the bright one 'dark'."""
    always = Augmentation(
        rotation_deg=0, scale=1, jitter=0, elsewhere=0, flip=1, gain=1, gamma=1, offset_levels=0,
        noise_levels=0, blur=0, patches=0,
    )  # fmt: skip
    mirror = mirror_indices(("light", "dark"), (("light", "dark"),))
    crop, points, known, _ = samples_of(tmp_path, augmentation=always, mirror=mirror).sample(0)
    assert (known == Known.AT_POINT).all()
    level = [crop[round(y), round(x), 0] for x, y in points]
    assert level[0] < 90
    assert level[1] > 160


def test_without_known_pairs_nothing_is_mirrored():
    assert mirror_indices(("a", "b"), ()) is None


def test_a_sample_depends_on_seed_and_number_alone(tmp_path):
    one = samples_of(tmp_path / "a", augmentation=Augmentation())
    other = samples_of(tmp_path / "b", augmentation=Augmentation())
    other.batch(3)
    np.testing.assert_array_equal(one.batch(5).images, other.batch(5).images)
    reseeded = samples_of(tmp_path / "c", augmentation=Augmentation(), seed=1)
    assert not np.array_equal(one.batch(5).images, reseeded.batch(5).images)


def test_an_epoch_shows_every_image_once(tmp_path):
    samples = samples_of(tmp_path, augmentation=Augmentation(), count=8)
    assert samples.steps_per_epoch == 2
    seen = {samples._labels.images[row] for row in _rows(samples, 8)}
    assert len(seen) == 8


def test_now_and_then_samples_are_whole_images_with_the_points_on_their_blobs(tmp_path):
    samples = samples_of(tmp_path, augmentation=replace(GEOMETRY, rotation_deg=20, scale=1.1))
    samples = samples.with_whole_images(3)
    shapes = [samples.batch(step).images.shape for step in range(6)]
    crops, whole = (4, 64, 64, 3), (1, 128, 192, 3)  # of an image of 192x128, twice the pixels of four crops
    assert shapes == [crops, crops, whole, crops, crops, whole]
    misses = []
    for number in range(40):
        image, points, known, _ = samples.sample(number, whole=True)
        for k, sign in enumerate((1.0, -1.0)):
            if known[k] == Known.AT_POINT and (points[k] > 10).all() and (points[k] < (182, 118)).all():
                misses.append(blob_at(image, points[k], sign) - points[k])
    assert len(misses) > 30
    assert np.median(np.hypot(*np.array(misses).T)) < 0.6


def test_a_whole_image_of_any_size_gets_its_noise():
    """More values than the bank of noise holds, as in the whole images of a large colour input."""
    noisy = replace(NONE, noise_levels=6.0)
    image = np.full((640, 640, 3), 128, np.uint8)
    altered = [alter_levels(np.random.default_rng(seed), image, noisy).astype(float) for seed in (0, 1)]
    for one in altered:
        assert 1 < one.std() < 6
        assert abs(one.mean() - 128) < 1
    assert (altered[0] != altered[1]).mean() > 0.3


def _rows(samples: TrainingSet, count: int) -> list[int]:
    rows = []
    original = samples._store

    class Spy:
        sizes_px = original.sizes_px

        def __getitem__(self, name: str) -> np.ndarray:
            rows.append(samples._labels.images.index(name))
            return original[name]

    samples._store = Spy()
    for number in range(count):
        samples.sample(number)
    return rows


@pytest.mark.parametrize("absent", [False, True])
def test_a_missing_label_teaches_absence_only_where_that_is_what_it_means(tmp_path, absent):
    samples = samples_of(tmp_path, absent=absent)
    states = [samples.sample(number)[2][1] for number in range(12)]
    assert sorted(set(states)) == sorted({Known.AT_POINT, Known.ABSENT if absent else Known.UNKNOWN})
    assert states.count(Known.AT_POINT) == 11


def test_blur_moves_no_point_and_light_changes_levels_only():
    image = np.full((64, 64), 40, np.uint8)
    image[30:33, 40:43] = 220
    blurring = replace(NONE, blur=1)
    for seed in range(20):
        altered = alter_levels(np.random.default_rng(seed), image, blurring).astype(float) - 40
        y, x = np.mgrid[:64, :64]
        centre = [(x * altered).sum() / altered.sum(), (y * altered).sum() / altered.sum()]
        np.testing.assert_allclose(centre, [41, 31], atol=0.05)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3)])
def test_compression_keeps_every_point_and_leaves_its_traces(shape):
    y, x = np.mgrid[:64, :64]
    dot = 200 * np.exp(-((x - 41) ** 2 + (y - 31) ** 2) / 18.0)
    image = np.broadcast_to(dot.reshape(64, 64, *[1] * (len(shape) - 2)), shape).astype(np.uint8)
    compressing = replace(NONE, compressed=1, quality=(20, 20))
    altered = alter_levels(np.random.default_rng(0), image, compressing)
    assert (altered.shape, altered.dtype) == (shape, np.uint8)
    assert not np.array_equal(altered, image)
    grey = altered.reshape(64, 64, -1)[..., 0].astype(float)
    grey[grey < 40] = 0
    np.testing.assert_allclose(
        [(x * grey).sum() / grey.sum(), (y * grey).sum() / grey.sum()], [41, 31], atol=0.1
    )


def test_a_covered_point_is_unknown():
    always = Augmentation(patches=1)
    for seed in range(20):
        image = np.full((64, 64, 3), 255, np.uint8)
        points = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), axis=-1).reshape(-1, 2)
        covered = cover(np.random.default_rng(seed), image, points, always).reshape(64, 64)
        assert covered.any()
        assert (image[~covered] == 255).all()
        assert np.ptp(image[covered]) == 0


def test_rotation_follows_how_far_the_animals_are_turned():
    random = np.random.default_rng(0)
    shape = random.normal(0, 10, (5, 2))

    def turned(deviation_deg: float) -> np.ndarray:
        angles = np.radians(random.normal(0, deviation_deg, 100))
        rotations = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angles])
        return shape @ rotations.transpose(0, 2, 1) + random.uniform(0, 100, (100, 1, 2))

    assert rotation_found_in(turned(2)) == 25.0
    assert 25 < rotation_found_in(turned(12)) < 50
    assert rotation_found_in(turned(1000)) == pytest.approx(54.0)  # a hundred labels leave small gaps
    assert rotation_found_in(turned(1000)[:20]) == 180.0
    missing = turned(12)
    missing[::3, 0] = np.nan
    assert 25 < rotation_found_in(missing) < 50
    assert rotation_found_in(np.full((3, 2, 2), np.nan)) == 25.0


def test_images_beyond_the_cache_are_read_again(tmp_path):
    project = dot_project(tmp_path, count=3)
    labels = read_labels(project)
    kept, reread = (ImageStore(project.root, labels.images, room) for room in (1 << 20, 7000))
    for name in labels.images:
        np.testing.assert_array_equal(kept[name], reread[name])
    assert len(reread._kept) == 1
