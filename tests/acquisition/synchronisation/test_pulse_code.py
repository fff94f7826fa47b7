"""The LED's code: what one writes the other reads, the firmware included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.synchronisation.pulse_code import CYCLE_SLOTS, WORD_SLOTS, Word, led, words
from tests.equipment.microcontroller.simulated import Event, ms

STARTS = st.integers(0, 2 * CYCLE_SLOTS)


def seen(start: int, count: int) -> list[bool | None]:
    return [led(slot) for slot in range(start, start + count)]


@settings(deadline=None)
@given(STARTS, st.integers(64, 200))
def test_every_whole_word_is_found_where_it_is(start, count):
    found = words(seen(start, count))
    first = -start % WORD_SLOTS
    assert [word.index for word in found] == list(range(first, count - WORD_SLOTS + 1, WORD_SLOTS))
    assert {(word.slot - word.index - start) % CYCLE_SLOTS for word in found} == {0}


@settings(deadline=None)
@given(STARTS, st.lists(st.integers(0, 127), max_size=40))
def test_lost_frames_cost_words_but_never_make_a_wrong_one(start, lost):
    states = seen(start, 128)
    for place in lost:
        states[place] = None
    for word in words(states):
        assert (word.slot - word.index - start) % CYCLE_SLOTS == 0


@settings(deadline=None)
@given(STARTS, st.integers(0, 127))
def test_a_frame_on_its_wrong_state_costs_its_word(start, place):
    states = seen(start, 128)
    states[place] = not states[place]
    for word in words(states):
        assert (word.slot - word.index - start) % CYCLE_SLOTS == 0


@settings(deadline=None)
@given(STARTS, st.integers(-3, 3).filter(bool), st.integers(64, 128))
def test_a_camera_that_is_off_by_some_pulses_shows_it(start, off, count):
    """Its frame of set n shows slot n + off."""
    found = words(seen(start + 3 + off, count))
    assert found and {(word.slot - word.index - start - 3) % CYCLE_SLOTS for word in found} == {
        off % CYCLE_SLOTS
    }


def test_neighbouring_words_differ_in_one_bit():
    for word in range(0, 8192, 37):
        one, next_one = seen(word * 32, 32), seen((word + 1) * 32, 32)
        assert sum(a != b for a, b in zip(one, next_one, strict=True)) == 2  # a bit is two slots


def test_on_and_off_are_equally_frequent():
    assert sum(led(slot) for slot in range(100 * 32)) == 100 * (13 + 3)


@pytest.mark.equipment
def test_the_firmware_writes_what_is_read(board):
    """Through a stop and a second start, over several words; seen in the middle of every slot."""
    period, count = 3200, 3300
    begin = "2 start 3e80"
    events = [
        Event.send(ms(100), f"1 set {period:x} 0 640 0 0 3f {count:x} 0 0"),
        Event.send(ms(200), begin),
        Event.send(ms(1000), "3 start 3e80"),
    ]
    log = board.run(events, ms(1700))
    rises = log.rises("B1")
    assert len(rises) == 2 * count
    for first in (0, count):
        states = [bool(log.level("D4", rise + period // 2)) for rise in rises[first : first + count]]
        assert words(states) == [Word(index, index) for index in range(0, count - 31, 32)]
