"""From a network's heatmap and offset to keypoints: the one definition, in NumPy.

`deploy.bundles.decode_kernel` computes the same faster.

Cell (row i, column j) of a heatmap with stride s has its centre at network-input pixel
((j + 0.5) s - 0.5, (i + 0.5) s - 0.5). A keypoint is the centre of the cell with the largest logit
plus s times the offset there; its confidence is the logistic function of that logit. The offset is
read only after the argmax, so quantized offsets never blur the choice of the cell.

An int8 heatmap has 256 levels, so cells tie. Of tied cells the one is taken around which the heatmap is
highest (of equals the first in reading order): a mere spot in the background has no such surroundings. Ties
within two cells of it are averaged, each with its own offset; to take the first of neighbours, which lies up
and left of the rest, would shift every keypoint that way wherever the offset does not make up for it in full.
In a float heatmap, which ties only where the network says nothing, the first cell is taken.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Layout = Literal["NCHW", "NHWC"]
Quantization = tuple[float, int]
"""Scale and zero point: real = scale * (stored - zero point)."""

TIE_REACH = 2
"""Cells, in a row or a column, from the chosen maximum to one that is averaged with it."""

TIE_LEVELS = 16
"""Levels below the maximum at which a cell beside it no longer counts as its surroundings."""

_WINDOW_ROWS, _WINDOW_COLUMNS = (
    grid.ravel() for grid in np.mgrid[-TIE_REACH : TIE_REACH + 1, -TIE_REACH : TIE_REACH + 1]
)


def decode(
    heatmap: npt.NDArray[Any],
    offset: npt.NDArray[Any],
    stride: float,
    *,
    layout: Layout = "NCHW",
    heatmap_quantization: Quantization = (1.0, 0),
    offset_quantization: Quantization = (1.0, 0),
) -> npt.NDArray[np.float32]:
    """Keypoints of a batch.

    Parameters
    ----------
    heatmap:
        Logits, float or integer, (B, K, h, w), or (B, h, w, K) with layout NHWC.
    offset:
        Offsets in cells, (B, 2K, h, w) or (B, h, w, 2K): x of all K keypoints first, then y.
    stride:
        Network-input pixels per cell.
    heatmap_quantization, offset_quantization:
        Scale (> 0) and zero point where the arrays are integers. Only the values that are read are
        dequantized.

    Returns
    -------
    float32 (B, K, 3): x, y in network-input px (an integer is the centre of a pixel), confidence.
    """
    if layout == "NHWC":  # as views: (B, K, h, w) either way
        heatmap, offset = heatmap.transpose(0, 3, 1, 2), offset.transpose(0, 3, 1, 2)
    batch, count, rows, columns = heatmap.shape
    if offset.shape != (batch, 2 * count, rows, columns):
        raise ValueError(f"offset {offset.shape} does not belong to heatmap {heatmap.shape}")
    cells = np.ascontiguousarray(heatmap).reshape(batch * count, rows * columns)
    first = cells.argmax(axis=1)
    if np.issubdtype(cells.dtype, np.integer):
        first = _highest_around(cells.reshape(-1, rows, columns)).argmax(axis=1)
    row, column = np.divmod(first, columns)

    near_row = row[:, None] + _WINDOW_ROWS
    near_column = column[:, None] + _WINDOW_COLUMNS
    inside = (near_row >= 0) & (near_row < rows) & (near_column >= 0) & (near_column < columns)
    near_cell = np.where(inside, near_row * columns + near_column, first[:, None])
    point = np.arange(batch * count)
    peak = cells[point, first]
    if np.issubdtype(cells.dtype, np.integer):
        tied = inside & (cells[point[:, None], near_cell] == peak[:, None])
    else:
        tied = np.zeros_like(inside)
        tied[:, tied.shape[1] // 2] = True  # the chosen maximum itself

    image, keypoint = np.divmod(point, count)
    which, position = np.nonzero(tied)
    tied_row, tied_column = near_row[which, position], near_column[which, position]
    at = image[which], keypoint[which], tied_row, tied_column
    at_y = image[which], keypoint[which] + count, tied_row, tied_column
    scale, zero = offset_quantization
    offset_x = scale * (offset[at].astype(np.float64) - zero)
    offset_y = scale * (offset[at_y].astype(np.float64) - zero)

    ties = np.bincount(which, minlength=point.size)
    x_cells = np.bincount(which, tied_column + 0.5 + offset_x, point.size) / ties
    y_cells = np.bincount(which, tied_row + 0.5 + offset_y, point.size) / ties
    scale, zero = heatmap_quantization
    logit = scale * (peak.astype(np.float64) - zero)
    with np.errstate(over="ignore"):
        confidence = 1.0 / (1.0 + np.exp(-logit))
    keypoints = np.stack([x_cells * stride - 0.5, y_cells * stride - 0.5, confidence], axis=1)
    return keypoints.reshape(batch, count, 3).astype(np.float32)


def _highest_around(cells: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Of integer heatmaps (N, h, w): how high each maximum's surroundings are; -1 elsewhere. (N, h w)."""
    peak = cells.max(axis=(1, 2), keepdims=True).astype(np.int64)
    above = np.maximum(cells - peak + TIE_LEVELS, 0)
    framed = np.pad(above, ((0, 0), (1, 1), (1, 1)))
    rows, columns = cells.shape[1:]
    around = sum(framed[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    return np.where(cells == peak, around, -1).reshape(len(cells), -1)
