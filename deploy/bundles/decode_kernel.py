"""`deploy.bundles.decode` compiled: the same numbers in a fraction of the time, for live frames.

NumPy needs a copy into another layout and two dozen small steps, 110 us for 64 x 64 cells and 8 keypoints;
this reads the network's output as it lies there. Compiled once and cached beside the module.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from deploy.bundles.decode import TIE_LEVELS, TIE_REACH, Layout, Quantization


def decode(
    heatmap: npt.NDArray[Any],
    offset: npt.NDArray[Any],
    stride: float,
    *,
    layout: Layout = "NCHW",
    heatmap_quantization: Quantization = (1.0, 0),
    offset_quantization: Quantization = (1.0, 0),
) -> npt.NDArray[np.float32]:
    """Keypoints float32 (B, K, 3); parameters as those of `deploy.bundles.decode.decode`."""
    if layout == "NHWC":
        heatmap, offset = heatmap.transpose(0, 3, 1, 2), offset.transpose(0, 3, 1, 2)
    batch, count, rows, columns = heatmap.shape
    if offset.shape != (batch, 2 * count, rows, columns):
        raise ValueError(f"offset {offset.shape} does not belong to heatmap {heatmap.shape}")
    keypoints = np.empty((batch, count, 3), np.float32)
    ties = np.issubdtype(heatmap.dtype, np.integer)
    _decode(heatmap, offset, float(stride), *heatmap_quantization, *offset_quantization, ties, keypoints)
    return keypoints


@numba.njit(cache=True, error_model="numpy")
def _decode(  # type: ignore[no-untyped-def]
    heatmap, offset, stride, heat_scale, heat_zero, offset_scale, offset_zero, ties, keypoints
):
    """The largest cell of every keypoint, averaged with those near it that are as large."""
    batch, count, rows, columns = heatmap.shape
    for image in range(batch):
        for keypoint in range(count):
            cells = heatmap[image, keypoint]
            peak, row, column, equals = cells[0, 0], 0, 0, 0
            for i in range(rows):
                for j in range(columns):
                    value = cells[i, j]
                    # A NaN counts as the largest, as NumPy has it.
                    if value > peak or (value != value and peak == peak):
                        peak, row, column, equals = value, i, j, 0
                    equals += value == peak
            if ties and equals > 1:
                row, column = _highest_around(cells, peak)
            reach = TIE_REACH if ties else 0
            x, y, tied = 0.0, 0.0, 0
            for i in range(max(row - reach, 0), min(row + reach, rows - 1) + 1):
                for j in range(max(column - reach, 0), min(column + reach, columns - 1) + 1):
                    if (i == row and j == column) or cells[i, j] == peak:
                        x += j + 0.5 + offset_scale * (offset[image, keypoint, i, j] - offset_zero)
                        y += i + 0.5 + offset_scale * (offset[image, keypoint + count, i, j] - offset_zero)
                        tied += 1
            logit = heat_scale * (np.float64(peak) - heat_zero)
            keypoints[image, keypoint, 0] = x / tied * stride - 0.5
            keypoints[image, keypoint, 1] = y / tied * stride - 0.5
            keypoints[image, keypoint, 2] = 1.0 / (1.0 + np.exp(-logit))


@numba.njit(cache=True)
def _highest_around(cells, peak):  # type: ignore[no-untyped-def]
    """Row and column of the maximum whose surroundings are highest, of equals the first."""
    rows, columns = cells.shape
    best, row, column = np.int64(-1), 0, 0
    floor = np.int64(peak) - TIE_LEVELS
    for i in range(rows):
        for j in range(columns):
            if cells[i, j] == peak:
                around = np.int64(0)
                for near_i in range(max(i - 1, 0), min(i + 1, rows - 1) + 1):
                    for near_j in range(max(j - 1, 0), min(j + 1, columns - 1) + 1):
                        around += max(np.int64(cells[near_i, near_j]) - floor, 0)
                if around > best:
                    best, row, column = around, i, j
    return row, column
