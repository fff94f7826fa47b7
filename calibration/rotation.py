"""Rotations and rigid motions as arrays: Rodrigues vectors, matrices, their derivatives.

Written for stacks: every function takes leading dimensions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def skew(vectors: Array) -> Array:
    """Vectors (..., 3) as cross-product matrices (..., 3, 3)."""
    matrix = np.zeros((*vectors.shape[:-1], 3, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -z, y, -x
    matrix[..., 1, 0], matrix[..., 2, 0], matrix[..., 2, 1] = z, -y, x
    return matrix


def rotation_matrix(vectors: npt.ArrayLike) -> Array:
    """Rodrigues vectors (..., 3), radians, as rotation matrices (..., 3, 3)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    angle2 = np.sum(vectors * vectors, axis=-1)[..., None, None]
    angle = np.sqrt(angle2)
    small = angle2 < 1e-8  # there the series is exact to double precision
    safe = np.where(small, 1.0, angle)
    sine = np.where(small, 1 - angle2 / 6, np.sin(safe) / safe)
    cosine = np.where(small, 0.5 - angle2 / 24, (1 - np.cos(safe)) / (safe * safe))
    cross = skew(vectors)
    matrix: Array = np.eye(3) + sine * cross + cosine * (cross @ cross)
    return matrix


def rotation_vector(matrices: npt.ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) as Rodrigues vectors (..., 3) of at most pi.

    By way of the unit quaternion (Shepperd 1978), which is sound near pi as well.
    """
    m = np.asarray(matrices, dtype=np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    diagonal = np.diagonal(m, axis1=-2, axis2=-1)
    squares = np.concatenate([(1 + trace)[..., None], 1 - trace[..., None] + 2 * diagonal], -1) / 4
    largest = np.argmax(squares, axis=-1)
    w_row = np.stack(
        [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1
    )
    symmetric = m + np.swapaxes(m, -1, -2)
    products = np.zeros((*m.shape[:-2], 4, 4))  # 4 q q^T
    products[..., 0, 1:] = w_row
    products[..., 1:, 0] = w_row
    products[..., 1:, 1:] = symmetric
    index = np.arange(4)
    products[..., index, index] = 4 * squares
    row = np.take_along_axis(products, largest[..., None, None], axis=-2)[..., 0, :]
    quaternion = row / np.linalg.norm(row, axis=-1, keepdims=True)
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    scale = np.where(sine > 1e-12, angle / np.maximum(sine, 1e-300), 2.0)
    vector: Array = scale * quaternion[..., 1:]
    return vector


def compose(
    rotation_b: Array, translation_b: Array, rotation_a: Array, translation_a: Array
) -> tuple[Array, Array]:
    """Motion a, then motion b, both x -> R x + t with R (..., 3, 3), t (..., 3)."""
    return rotation_b @ rotation_a, (rotation_b @ translation_a[..., None])[..., 0] + translation_b


def invert(rotation: Array, translation: Array) -> tuple[Array, Array]:
    """The motion that undoes x -> R x + t."""
    back = np.swapaxes(rotation, -1, -2)
    return back, -(back @ translation[..., None])[..., 0]
