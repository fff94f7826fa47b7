"""`deploy.bundles.decode` compiled: the same numbers in a fraction of the time, for live frames.

NumPy needs a copy into another layout and two dozen small steps, 110 us for 64 x 64 cells and 8 keypoints;
this reads the network's output as it lies there. Compiled once and cached beside the module.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from deploy.bundles.decode import TIE_REACH, Layout, Quantization


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
    """The first largest cell of every keypoint, averaged with those near it that are as large."""
    batch, count, rows, columns = heatmap.shape
    for image in range(batch):
        for keypoint in range(count):
            cells = heatmap[image, keypoint]
            peak, row, column = cells[0, 0], 0, 0
            for i in range(rows):
                for j in range(columns):
                    value = cells[i, j]
                    # A NaN counts as the largest, as NumPy has it.
                    if value > peak or (value != value and peak == peak):
                        peak, row, column = value, i, j
            x, y, tied = 0.0, 0.0, 0
            for i in range(row, min(row + TIE_REACH, rows - 1) + 1 if ties else row + 1):
                low, high = (column - TIE_REACH, column + TIE_REACH) if ties else (column, column)
                for j in range(max(low, 0), min(high, columns - 1) + 1):
                    if (i == row and j == column) or cells[i, j] == peak:
                        x += j + 0.5 + offset_scale * (offset[image, keypoint, i, j] - offset_zero)
                        y += i + 0.5 + offset_scale * (offset[image, keypoint + count, i, j] - offset_zero)
                        tied += 1
            logit = heat_scale * (np.float64(peak) - heat_zero)
            keypoints[image, keypoint, 0] = x / tied * stride - 0.5
            keypoints[image, keypoint, 1] = y / tied * stride - 0.5
            keypoints[image, keypoint, 2] = 1.0 / (1.0 + np.exp(-logit))
