"""The trigger's LED: pulse counts as Gray code, one state a pulse, written and read.

A word of 32 slots carries its number, slot // 32 modulo 8192, in reflected binary Gray code (Gray 1953),
highest bit first:

    place   0    1  2  3   4   5    6   7     ...   30  31
    LED     off  on on on  off off  bit 12          bit 0        on, off is 1; off, on is 0

Three slots on in a row stand in the head only. `firmware_configs/trigger/gray.h` is the other writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WORD_SLOTS = 32
CYCLE_SLOTS = 262144
"""After so many slots the code begins again."""

_HEAD = (False, True, True, True, False, False)
_BITS = 13


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was read.

    Attributes
    ----------
    index:
        Place of its first slot in the sequence.
    slot:
        The pulse count that this place shows, modulo `CYCLE_SLOTS`. On a camera that is in step, it is
        the frame set's index there.
    """

    index: int
    slot: int


def led(slot: int) -> bool:
    """Whether the LED is on in a slot, counted from 0."""
    place = slot % WORD_SLOTS
    if place < len(_HEAD):
        return _HEAD[place]
    word = slot // WORD_SLOTS % (1 << _BITS)
    bit = (word ^ word >> 1) >> (_BITS - 1 - (place - len(_HEAD)) // 2) & 1
    return bool(bit) != bool(place % 2)


def words(states: Sequence[bool | None]) -> list[Word]:
    """The whole words in what a camera saw of the LED.

    Parameters
    ----------
    states:
        One per slot in order: on, off, or None where there is no frame or its state is in doubt.

    Returns
    -------
    list
        Words whose head is where it has to be, its three ons seen, and each of whose bits was seen at
        least once and never contradicted. A word with a wrong state in it is left out.
    """
    found = []
    for index in range(len(states) - WORD_SLOTS + 1):
        seen = states[index : index + WORD_SLOTS]
        number = _number(seen)
        if number is not None:
            found.append(Word(index, number * WORD_SLOTS))
    return found


def _number(seen: Sequence[bool | None]) -> int | None:
    head = seen[: len(_HEAD)]
    if not all(head[1:4]) or any(head[place] for place in (0, 4, 5)):
        return None
    number = bit = 0
    for place in range(len(_HEAD), WORD_SLOTS, 2):
        first, second = seen[place], seen[place + 1]
        if first is second:  # no such pair, or neither slot was seen
            return None
        bit ^= int(first) if first is not None else int(not second)
        number = number << 1 | bit
    return number
