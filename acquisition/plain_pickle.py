"""Reading data that other programs have pickled, without executing anything in it.

A pickle is a program: it may call whatever it names. DeepLabCut pickles the indices of its shuffles and
its 3D calibrations, and pandas pickles lists of names into h5 files. The reader here admits plain
values and NumPy arrays and scalars of plain numbers or text. Not even NumPy's own reconstruction runs:
its parts are stand-ins, which check what they are given and become arrays afterwards.
"""

from __future__ import annotations

import io
import pickle  # noqa: TID251 - the one place; find_class below lets nothing of it call anything
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

_DTYPE = re.compile(r"[<>|=]?([?biufcSUO])(\d{0,9})")


class NotPlain(ValueError):
    """A pickle that names something other than plain values, or is damaged."""


class Damaged(NotPlain):
    """No pickle, or not a whole one."""


def read_plain_pickle(content: bytes) -> Any:
    """What is pickled in `content`: numbers, text, None, tuples, lists, dicts, sets, NumPy arrays.

    Raises
    ------
    NotPlain
        If it names anything else, which is then not even imported; `Damaged` if it is no whole pickle.
    """
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(content):
                raise NotPlain("a pickle that would fill the memory")
        # latin1: text that Python 2 pickled
        return _finished(_Reader(io.BytesIO(content), encoding="latin1").load())
    except NotPlain:
        raise
    except Exception as error:  # a damaged pickle makes almost any kind of error
        raise Damaged(f"a damaged pickle ({type(error).__name__})") from None


class _Dtype:
    """Stands in for `numpy.dtype`."""

    def __init__(self, name: object, *_: object) -> None:
        found = _DTYPE.fullmatch(str(name))
        if found is None:
            raise NotPlain(f"an array of {str(name)[:40]!r}")
        self.kind, self._name = found[1], found[0]
        self._order: Any = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise NotPlain("an array of unknown byte order")
        self._order = state[1]

    @property
    def real(self) -> np.dtype[Any]:
        made: np.dtype[Any] = np.dtype(self._name)
        return made if self._order in "|=" else made.newbyteorder(self._order)


class _Array:
    """Stands in for `numpy.ndarray` until everything is read."""

    def __init__(self) -> None:
        self._dtype: _Dtype | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self._shape, self._dtype, self._fortran, self._raw = state
        if not isinstance(self._dtype, _Dtype):
            raise NotPlain("an array of no known kind")

    def finished(self) -> np.ndarray[Any, Any]:
        if self._dtype is None:
            raise NotPlain("an array without a value")
        if self._dtype.kind == "O":
            if not isinstance(self._raw, list):
                raise NotPlain("an array of objects that are none")
            flat = np.empty(len(self._raw), dtype=object)
            for index, value in enumerate(self._raw):
                flat[index] = _finished(value)
        else:
            raw = self._raw.encode("latin1") if isinstance(self._raw, str) else self._raw
            flat = np.frombuffer(raw, dtype=self._dtype.real).copy()
        return flat.reshape(tuple(self._shape), order="F" if self._fortran else "C")


class _Scalar:
    """Stands in for `numpy.core.multiarray.scalar`."""

    def __init__(self, dtype: _Dtype, raw: Any = b"") -> None:
        if not isinstance(dtype, _Dtype) or dtype.kind == "O":
            raise NotPlain("a scalar of no known kind")
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self._value = np.frombuffer(raw, dtype=dtype.real, count=1)[0]

    def __setstate__(self, state: object) -> None:
        raise NotPlain("a scalar with a state")

    def finished(self) -> Any:
        return self._value


def _begun(kind: object, *_: object) -> _Array:
    """Stands in for `numpy.core.multiarray._reconstruct`."""
    if kind is not _Array:
        raise NotPlain("an array of a class of its own")
    return _Array()


def _buffered(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """Stands in for `numpy.core.numeric._frombuffer`, which protocol 5 uses."""
    made = _Array()
    made.__setstate__((1, shape, dtype, order == "F", bytes(raw)))
    return made


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Stands in for `_codecs.encode`: how protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1", "ascii", "utf-8"):
        raise NotPlain(f"the encoding {encoding[:40]!r}")
    return text.encode(encoding)


def _bytes(*arguments: object) -> bytes:
    """Stands in for `bytes`, which protocol 2 calls for an empty one, and never with a size."""
    if arguments:
        raise NotPlain("bytes that are made")
    return b""


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "set"): set, ("builtins", "frozenset"): frozenset, ("builtins", "complex"): complex,
    ("builtins", "bytes"): _bytes, ("__builtin__", "set"): set, ("__builtin__", "frozenset"): frozenset,
    ("__builtin__", "bytes"): _bytes, ("__builtin__", "complex"): complex,
    ("collections", "OrderedDict"): OrderedDict, ("_codecs", "encode"): _encoded,
    ("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype,
}  # fmt: skip
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _begun
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _Scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _buffered


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What the pickle may call: nothing but the admitted."""
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise NotPlain(f"a pickle that would run {module}.{name}"[:120]) from None

    def persistent_load(self, pid: Any) -> Any:
        """Refused: nothing lies outside."""
        raise NotPlain("a pickle that refers to something outside it")


def _finished(value: Any) -> Any:
    """`value` with arrays in the place of stand-ins."""
    if isinstance(value, (_Array, _Scalar)):
        return value.finished()
    if isinstance(value, dict):
        return {_finished(key): _finished(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(item) for item in value)
    if isinstance(value, (_Dtype, type)) or callable(value):
        raise NotPlain("a pickle of something that is no value")
    return value
