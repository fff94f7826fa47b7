"""What a step is fed: the training sets' own samples, spread evenly, prepared ahead."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.learning.test_dataset import samples_of
from training.learning.batches import Mixture, batches


def test_prefetched_batches_are_the_same_ones_and_end_with_their_reader(tmp_path):
    samples = samples_of(tmp_path)
    stream = batches(Mixture(samples), 2)
    for step in (2, 3, 4, 5, 6):
        np.testing.assert_array_equal(next(stream).images, samples.batch(step).images)
    stream.close()


def test_every_half_of_a_mixed_batch_holds_as_much_of_each_set(tmp_path):
    first, second = samples_of(tmp_path / "a"), samples_of(tmp_path / "b", seed=1)
    second._weight[:] = 0.25
    mixed = Mixture(first, second).batch(3)
    assert mixed.weight[:, 0].tolist() == [1.0, 0.25] * 4
    np.testing.assert_array_equal(mixed.images[0::2], first.batch(3).images)
    np.testing.assert_array_equal(mixed.images[1::2], second.batch(3).images)
    for half in mixed.parts(2):
        assert (half.weight[:, 0] == 1.0).sum() == 2


def test_what_fails_in_the_thread_is_raised_where_the_batch_is_wanted(tmp_path):
    samples = samples_of(tmp_path)
    (samples._store._root / samples._labels.images[0]).unlink()
    samples._store._kept.clear()
    stream = batches(Mixture(samples), 0)
    with pytest.raises(Exception, match=samples._labels.images[0]):
        for _ in range(6):
            next(stream)
    stream.close()
