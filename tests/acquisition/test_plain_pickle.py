"""Pickles of other programs: plain values come back, and nothing in a pickle is ever run."""

from __future__ import annotations

import contextlib
import os
import pickle  # noqa: TID251 - what is to be refused must be made first
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.plain_pickle import Damaged, NotPlain, read_plain_pickle

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_come_back(value, protocol):
    assert read_plain_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_scalars_come_back(protocol):
    arrays = [
        np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.arange(3, dtype=">i4"), np.array(5), np.zeros((0, 3), np.float32), np.array(["ab", "ç"]),
        np.array([True, False]), np.array([b"ab", b"c"]), np.array([1 + 2j]),
    ]  # fmt: skip
    value = {"mtx": arrays, "one": np.float64(2.5), "two": OrderedDict(a={1, 2})}
    again = read_plain_pickle(pickle.dumps(value, protocol))
    assert again["one"] == 2.5
    assert again["two"] == {"a": {1, 2}}
    for before, after in zip(arrays, again["mtx"], strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    objects = read_plain_pickle(pickle.dumps(np.array([["a", None], [1.5, (2,)]], object), protocol))
    assert objects.tolist() == [["a", None], [1.5, (2,)]]


class Program:
    """What runs `function(*arguments)` when it is unpickled in the usual way."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def harmful(mark: Path):
    return [
        Program(os.system, f"touch {mark}"),
        Program(eval, f"open({str(mark)!r}, 'w')"),
        Program(getattr, 1, "real"),
        {"list": [np.arange(3), Program(Path.touch, mark)]},
        np.array([Program(os.mkdir, str(mark))], dtype=object),
        Path("/"),
        np.ma.masked_array([1.0]),
        np.zeros(2, dtype=[("a", "f8")]),
        np.dtype("f8"),
        np.ndarray,
        set,
        range(3),
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("which", range(12))
def test_whatever_else_is_pickled_is_refused_and_does_not_run(tmp_path, protocol, which):
    mark = tmp_path / "was here"
    content = pickle.dumps(harmful(mark)[which], protocol)
    with pytest.raises(NotPlain):
        read_plain_pickle(content)
    assert not mark.exists()


def test_a_harmful_pickle_does_run_where_it_is_trusted(tmp_path):
    mark = tmp_path / "was_here"
    pickle.loads(pickle.dumps(harmful(mark)[0]))
    assert mark.exists()  # else the tests above would prove nothing


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """Opcodes of a call, protocol 4."""
    return short(module) + short(name) + b"\x93(" + b"".join(arguments) + b"tR"


INT = b"J" + struct.pack("<i", 1 << 30)
DTYPE_O = called("numpy", "dtype", short("O"))


@pytest.mark.parametrize(
    "program",
    [
        called("numpy", "ndarray", INT),  # an array of whatever lies in memory
        called("numpy.core.multiarray", "scalar", DTYPE_O, b"C\x08" + b"\x01" * 8),  # bytes as an object
        called("numpy.core.multiarray", "_reconstruct", called("builtins", "set"), INT),
        called("numpy", "dtype", short("V8")),
        called("numpy", "ndarray.tofile"),
        called("builtins", "bytes", INT),
        called("numpy.core.numeric", "_frombuffer", b"C\x04abcd", DTYPE_O, b"K\x04\x85", short("C")),
        called("_codecs", "encode", short("x"), short("zip")),
        b"K\x01Q",  # a persistent id
        b"K\x01r\x00\x00\x00\x7f",  # a memo of 17 GB
        called("numpy", "ndarray") + b"(K\x01NK\x01N" + b"tb",
    ],
)
def test_forged_parts_of_arrays_are_refused(program):
    with pytest.raises(NotPlain):
        read_plain_pickle(b"\x80\x04" + program + b".")


@given(content=st.binary(max_size=60))
def test_noise_is_refused_or_is_plain(content):
    with contextlib.suppress(NotPlain):
        read_plain_pickle(content)


def test_a_cut_or_endless_pickle_is_damaged():
    whole = pickle.dumps(list(range(1000)))
    for content in (b"", whole[:500], whole[:-1], b"\x80\x04]\x94h\x00a."):
        with pytest.raises(Damaged):
            read_plain_pickle(content)
