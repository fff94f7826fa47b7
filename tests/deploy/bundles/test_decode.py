"""Decoding: exact where the offset is, unbiased where int8 ties, one answer for both layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.bundles import decode as decode_numpy
from deploy.bundles import decode_kernel
from deploy.bundles.decode import decode

STRIDE = 4
ROWS, COLUMNS = 24, 32


def network_output(points: np.ndarray, *, offset_gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """What a trained network emits for keypoints (B, K, 2) in input px: float32 logits and offsets."""
    cells = (points + 0.5) / STRIDE - 0.5
    dx = cells[..., 0, None, None] - np.arange(COLUMNS)
    dy = cells[..., 1, None, None] - np.arange(ROWS)[:, None]
    logits = 5.0 - 1.2 * (dx**2 + dy**2)
    shape = logits.shape
    offset = np.concatenate([np.broadcast_to(dx, shape), np.broadcast_to(dy, shape)], axis=1)
    return np.maximum(logits, -9.0).astype(np.float32), (offset_gain * offset).astype(np.float32)


def random_points(seed: int, images: int = 64, count: int = 5) -> np.ndarray:
    low, high = 2 * STRIDE, np.array([COLUMNS - 3, ROWS - 3]) * STRIDE
    return np.random.default_rng(seed).uniform(low, high, (images, count, 2))


@given(x=st.floats(0, COLUMNS * STRIDE - 1), y=st.floats(0, ROWS * STRIDE - 1))
def test_a_keypoint_anywhere_is_found_where_it_is(x: float, y: float) -> None:
    keypoints = decode(*network_output(np.array([[[x, y]]])), STRIDE)
    assert keypoints.shape == (1, 1, 3)
    assert keypoints.dtype == np.float32
    np.testing.assert_allclose(keypoints[0, 0, :2], [x, y], atol=1e-3)
    assert 0 < keypoints[0, 0, 2] < 1


def test_both_layouts_agree() -> None:
    heatmap, offset = network_output(random_points(1))
    channels_last = decode(
        heatmap.transpose(0, 2, 3, 1).copy(), offset.transpose(0, 2, 3, 1).copy(), STRIDE, layout="NHWC"
    )
    np.testing.assert_array_equal(channels_last, decode(heatmap, offset, STRIDE))


def test_confidence_is_the_logistic_of_the_logit() -> None:
    heatmap = np.full((1, 1, 3, 3), -20.0, np.float32)
    heatmap[0, 0, 1, 2] = 2.0
    keypoints = decode(heatmap, np.zeros((1, 2, 3, 3), np.float32), 8)
    np.testing.assert_allclose(keypoints[0, 0], [2.5 * 8 - 0.5, 1.5 * 8 - 0.5, 1 / (1 + np.exp(-2.0))])


@pytest.mark.parametrize("offset_gain", [1.0, 0.8, 0.0])
def test_ties_of_int8_heatmaps_carry_no_bias(offset_gain: float) -> None:
    """Even where the offset is short of the truth; the first cell in reading order would carry some."""
    points = random_points(2, images=400)
    heatmap, offset = network_output(points, offset_gain=offset_gain)
    scale = 1.0  # coarse, so that many cells tie
    stored = np.clip(np.rint(heatmap / scale), -128, 127).astype(np.int8)
    offset_scale = 0.05
    stored_offset = np.clip(np.rint(offset / offset_scale), -128, 127).astype(np.int8)
    keypoints = decode(
        stored,
        stored_offset,
        STRIDE,
        heatmap_quantization=(scale, 0),
        offset_quantization=(offset_scale, 0),
    )
    signed = (keypoints[..., :2] - points).mean(axis=(0, 1))
    assert np.abs(signed).max() < 0.06

    cells = stored.reshape(*stored.shape[:2], -1)
    assert (np.sort(cells, axis=-1)[..., -1] == np.sort(cells, axis=-1)[..., -2]).mean() > 0.1
    if offset_gain == 0.0:
        row, column = np.divmod(cells.argmax(-1), COLUMNS)
        first = np.stack([column + 0.5, row + 0.5], -1) * STRIDE - 0.5
        assert np.abs((first - points).mean(axis=(0, 1))).max() > 0.2


def test_distant_ties_are_not_averaged() -> None:
    heatmap = np.zeros((1, 1, 20, 20), np.int8)
    heatmap[0, 0, 2, 3] = heatmap[0, 0, 15, 12] = 7
    keypoints = decode(heatmap, np.zeros((1, 2, 20, 20), np.int8), 1)
    np.testing.assert_array_equal(keypoints[0, 0, :2], [3, 2])


def test_of_distant_ties_the_one_with_the_higher_surroundings_is_taken() -> None:
    """A spot in the background comes first in reading order; far below the peak nothing counts."""
    heatmap = np.full((1, 1, 20, 20), -120, np.int8)
    heatmap[0, 0, 1:4, 2:5] = -60
    heatmap[0, 0, 15, 13] = 4
    heatmap[0, 0, 2, 3] = heatmap[0, 0, 15, 12] = 7
    for each in (decode_numpy, decode_kernel):
        keypoints = each.decode(heatmap, np.zeros((1, 2, 20, 20), np.int8), 1)
        np.testing.assert_array_equal(keypoints[0, 0, :2], [12, 15])


def test_a_peak_in_a_corner_reads_no_cell_beyond_the_edge() -> None:
    for row, column in [(0, 0), (0, 5), (4, 0), (4, 5)]:
        heatmap = np.full((1, 1, 5, 6), -3.0)
        heatmap[0, 0, row, column] = 1.0
        keypoints = decode(heatmap, np.zeros((1, 2, 5, 6)), 1)
        np.testing.assert_array_equal(keypoints[0, 0, :2], [column, row])


def test_a_heatmap_of_nan_gives_nan_confidence() -> None:
    keypoints = decode(np.full((1, 1, 4, 4), np.nan), np.zeros((1, 2, 4, 4)), 1)
    assert np.isnan(keypoints[0, 0, 2])


def test_outputs_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        decode(np.zeros((1, 2, 4, 4)), np.zeros((1, 3, 4, 4)), 1)


@settings(deadline=None)  # the first call of each kind compiles
@given(
    seed=st.integers(0, 2**32 - 1), whole=st.booleans(), nhwc=st.booleans(), levels=st.integers(1, 255),
    shape=st.tuples(*(st.integers(1, most) for most in (2, 3, 9, 9))), holes=st.booleans(),
)  # fmt: skip
def test_the_compiled_decoder_finds_the_same(
    seed: int, whole: bool, nhwc: bool, levels: int, shape: tuple[int, int, int, int], holes: bool
) -> None:
    """Few levels make many ties, in corners too."""
    rng = np.random.default_rng(seed)
    batch, count, rows, columns = shape
    kind = np.int8 if whole else np.float32
    heatmap = rng.integers(-128, -128 + levels, shape).astype(kind)
    offset = rng.integers(-128, 128, (batch, 2 * count, rows, columns)).astype(kind)
    if holes and not whole:
        heatmap[rng.random(shape) < 0.1] = np.nan
    if nhwc:
        heatmap, offset = (np.ascontiguousarray(each.transpose(0, 2, 3, 1)) for each in (heatmap, offset))
    about = {
        "layout": "NHWC" if nhwc else "NCHW", "heatmap_quantization": (0.07, 11),
        "offset_quantization": (0.013, -3),
    }  # fmt: skip
    expected, found = (each.decode(heatmap, offset, 4, **about) for each in (decode_numpy, decode_kernel))
    np.testing.assert_array_equal(found[..., :2], expected[..., :2])
    np.testing.assert_allclose(found[..., 2], expected[..., 2], rtol=1e-6)


def test_the_compiled_decoder_refuses_outputs_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        decode_kernel.decode(np.zeros((1, 2, 4, 4)), np.zeros((1, 3, 4, 4)), 1)
