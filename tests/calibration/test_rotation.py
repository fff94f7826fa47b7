import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calibration.rotation import compose, invert, rotation_matrix, rotation_vector

VECTORS = arrays(np.float64, 3, elements=st.floats(-1.8, 1.8))


@given(VECTORS)
def test_the_matrix_is_opencvs(vector):
    np.testing.assert_allclose(rotation_matrix(vector), cv2.Rodrigues(vector)[0], atol=1e-12)


@given(VECTORS)
def test_vector_and_matrix_undo_each_other(vector):
    if np.linalg.norm(vector) > 3.1:
        vector = vector / np.linalg.norm(vector) * 3.1  # beyond pi another vector means the same
    np.testing.assert_allclose(rotation_vector(rotation_matrix(vector)), vector, atol=1e-9)


def test_half_turns_and_no_turn_survive():
    for vector in ([np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi], [0, 0, 0], [1e-9, 0, 0]):
        found = rotation_vector(rotation_matrix(np.array(vector)))
        np.testing.assert_allclose(np.abs(found), np.abs(vector), atol=1e-12)


@given(VECTORS, VECTORS)
def test_a_motion_and_its_inverse_cancel(vector, translation):
    rotation = rotation_matrix(vector)
    r, t = compose(*invert(rotation, translation), rotation, translation)
    np.testing.assert_allclose(r, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(t, np.zeros(3), atol=1e-12)
