"""Frame ids of devices, unwrapped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acquisition.frame_stamp import NEW_COUNT
from acquisition.synchronisation.unwrap import FrameCount


def test_wrap_to_one_loses_nothing():
    count = FrameCount(65535, 1, id_before=65533)
    assert [count.unwrap(i) for i in (65534, 65535, 1, 2, 5)] == [(0, 0), (1, 0), (2, 0), (3, 0), (6, 2)]


def test_first_frame_without_a_known_start_promises_nothing():
    count = FrameCount(None, 0)
    assert [count.unwrap(i) for i in (17, 18, 20)] == [(0, NEW_COUNT), (1, 0), (3, 1)]


def test_known_start_tells_what_was_lost_before_the_first():
    assert FrameCount(65535, 1, id_before=65534).unwrap(2) == (2, 2)


def test_device_that_begins_anew_is_not_sixty_thousand_lost_frames():
    count = FrameCount(65535, 1)
    count.unwrap(500)
    assert count.unwrap(1) == (1, NEW_COUNT)
    assert count.unwrap(2) == (2, 0)
    count = FrameCount(None, 0)
    count.unwrap(500)
    assert count.unwrap(0) == (1, NEW_COUNT)


@given(
    modulus=st.sampled_from([256, 65535, 65536]),
    first=st.integers(0, 1),
    start=st.integers(0, 10**6),
    steps=st.lists(st.integers(1, 100), max_size=60),
)
def test_any_run_of_ids_is_unwrapped_as_it_was_counted(modulus, first, start, steps):
    count = FrameCount(modulus, first)
    true = start
    base = count.unwrap(first + true % modulus)[0]
    for step in steps:
        true += step
        assert count.unwrap(first + true % modulus) == (base + true - start, step - 1)
