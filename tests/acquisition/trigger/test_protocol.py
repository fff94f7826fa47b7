"""Lines to and from the trigger: what is written is read, and nothing else."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.trigger.protocol import Answer, Event, LineReader, Train, line, request

NUMBERS = st.integers(0, 2**32 - 1)
WORDS = st.lists(st.integers(0, 2**48 - 1).map("{:x}".format), max_size=9)
ANSWERS = st.builds(
    lambda number, epoch, words: (
        "= " + " ".join([f"{number:x}", f"{epoch:x}", *words]),
        Answer(number, epoch, tuple(words)),
    ),
    st.integers(0, 255),
    NUMBERS,
    WORDS,
)
REFUSALS = st.builds(
    lambda number, epoch, why: (f"- {number:x} {epoch:x} {why}", Answer(number, epoch, refusal=why)),
    st.integers(0, 255),
    NUMBERS,
    st.sampled_from(["checksum", "range", "running", "cut"]),
)
EVENTS = st.builds(
    lambda kind, epoch, words: (
        "!" + " ".join([kind, f"{epoch:x}", *words]),
        Event(kind, epoch, tuple(int(word, 16) for word in words)),
    ),
    st.sampled_from(["boot", "pulse", "edge", "end"]),
    NUMBERS,
    WORDS,
)
LINES = st.lists(st.one_of(ANSWERS, REFUSALS, EVENTS), max_size=8)


def test_the_checksum_is_that_of_the_catalogue():
    # CRC-16/XMODEM of "123456789" is 0x31c3 (Cook, catalogue of parametrised CRC algorithms).
    assert line("123456789") == b"123456789*31c3\n"


def test_a_request_is_a_line_of_numbers():
    assert request(7, "start", 16000) == line("7 start 3e80")
    assert Train(160000, 0, 16000).arguments == (160000, 0, 16000, 0, 0, 0x3F, 0, 0, 1)


@given(LINES, st.lists(st.integers(0, 40), max_size=40))
def test_lines_are_read_however_they_come_in_pieces(lines, sizes):
    data = b"".join(line(body) for body, _ in lines)
    reader = LineReader()
    said = []
    for size in sizes:
        said += reader.feed(data[:size])
        data = data[size:]
    said += reader.feed(data)
    assert said == [message for _, message in lines]
    assert (reader.sound, reader.damaged) == (len(lines), 0)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_are_taken_and_little_of_them_is_kept(pieces):
    reader = LineReader()
    for piece in pieces:
        for message in reader.feed(piece):
            assert isinstance(message, Answer | Event)
        assert len(reader._rest) <= 128


def test_bytes_without_an_end_of_line_are_not_collected():
    reader = LineReader()
    for _ in range(1000):
        assert reader.feed(b"x" * 4096) == []
    assert len(reader._rest) <= 128
    assert reader.feed(b"\n" + line("= 1 2 3")) == [Answer(1, 2, ("3",))]


@given(LINES.filter(bool), st.data())
def test_one_wrong_byte_costs_its_own_lines_at_most(lines, data):
    whole = b"".join(line(body) for body, _ in lines)
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    said = LineReader().feed(whole[:place] + bytes([byte]) + whole[place + 1 :] + line("= ff 0"))
    wanted = [*(message for _, message in lines), Answer(255, 0)]
    rest = iter(wanted)
    assert all(message in rest for message in said)  # those that remain are in their order, none is invented
    assert len(said) >= len(wanted) - 2


@pytest.mark.parametrize(
    "body",
    ["", "=", "= 1", "= 100 1", "= 1 123456789", "= 1 1 A", "=1 1", "- 1 1", "- 1 1 a b", "! 1", "!pulse",
     "!Pulse 1", "!pulse 1 1234567890123", "!pulse 1 x", "? 1 1", "= 1 1 \u00e9"],
)  # fmt: skip
def test_a_sound_line_that_says_nothing_known_is_damaged(body):
    reader = LineReader()
    data = body.encode("latin-1")
    assert reader.feed(b"%s*%04x\n" % (data, binascii.crc_hqx(data, 0))) == []
    assert (reader.sound, reader.damaged) == (0, 1)
