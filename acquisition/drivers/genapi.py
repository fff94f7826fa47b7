"""Features of a camera behind GenApi's node map, as pypylon and harvesters both hand it out.

The two wrap one C++ library (EMVA's GenApi) and differ in spelling. Names of features are the device's own,
after GenICam's Standard Features Naming Convention; older GigE cameras say ExposureTimeAbs for ExposureTime.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from acquisition.camera import Feature, Value
from acquisition.drivers.timing import NEAR, RESULTING, check_rate
from acquisition.drivers.wishes import number
from acquisition.errors import RigposeError

_EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
_RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
_LIMITER = "AcquisitionFrameRateEnable"
_KINDS = ("IFloat", "IInteger", "IBoolean", "IEnumeration", "ICommand", "IString")
_BEGINNER_TO_GURU = 2  # visibilities of GenApi; 3 is "invisible"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one wrapper of GenApi spells it: names of methods or properties, functions, its exceptions."""

    value: str  # a property
    low: str
    high: str
    unit: str
    choices: str
    execute: str
    name: str
    is_feature: str
    visibility: str
    implemented: Callable[[Any], bool]
    readable: Callable[[Any], bool]
    writable: Callable[[Any], bool]
    errors: type[Exception] | tuple[type[Exception], ...]


class GenApiFeatures:
    """The features of one open camera.

    Parameters
    ----------
    camera:
        Its name in the rig, for messages.
    spelling:
        Of the wrapper that the nodes are from.
    find:
        From a name to its node.
    nodes:
        All nodes.
    """

    def __init__(
        self,
        camera: str,
        spelling: Spelling,
        find: Callable[[str], Any],
        nodes: Callable[[], Sequence[Any]],
    ) -> None:
        self._camera = camera
        self._spelling = spelling
        self._find = find
        self._nodes = nodes
        self._pulses_hz: float | None = None

    @property
    def triggered(self) -> bool:
        """Whether frames wait for a trigger."""
        return self.value_or("TriggerMode", "Off") == "On"

    @property
    def exposure_us(self) -> float:
        """Exposure time; 0 of a camera that does not tell it."""
        return float(next((self.value(name) for name in _EXPOSURE if self.has(name)), 0.0))

    @property
    def rate_hz(self) -> float:
        """Frames a second: of the pulses where they were told, else what the camera makes; 0: not told."""
        if self.triggered and self._pulses_hz is not None:
            return self._pulses_hz
        names = _RATE if self.value_or(_LIMITER, True) else RESULTING
        return float(next((self.value(name) for name in (*names, *_RATE) if self.has(name)), 0.0))

    def has(self, name: str) -> bool:
        """Whether the feature is there and can be read now."""
        node = self._node(name)
        return node is not None and self._spelling.readable(node)

    def knows(self, name: str) -> bool:
        """Whether the camera has the feature at all."""
        return self._node(name) is not None

    def value(self, name: str) -> Value:
        """What a feature is now."""
        if name == "exposure_us":
            return self.exposure_us
        if name == "rate_hz":
            return self.rate_hz
        node = self._node(name)
        if node is None:
            raise self._unknown(name)
        kind = _kind(node)
        if kind == "ICommand":
            return True
        told = self._tell(node, self._spelling.value)
        if kind == "IFloat":
            return float(told)
        return bool(told) if kind == "IBoolean" else int(told) if kind == "IInteger" else str(told)

    def value_or(self, name: str, otherwise: Value) -> Value:
        """The same, or `otherwise` of a feature that is not there."""
        return self.value(name) if self.has(name) else otherwise

    def word(self, name: str) -> str:
        """The same as a word, "" of a feature that is not there, or that cannot be read now."""
        try:
            return str(self.value_or(name, ""))
        except self._spelling.errors:
            return ""

    def set(self, wished: dict[str, Value]) -> dict[str, Value]:
        """Set features in their order, read them all back at the end: a later one may have moved an earlier.

        Returns
        -------
        The features as they are now.

        Raises
        ------
        RigposeError
            A feature that the camera has not, that cannot be set (now), or that came out otherwise.
        """
        for name, value in wished.items():
            if name == "exposure_us":
                self._set_exposure(value)
            elif name == "rate_hz":
                self._set_rate(value)
            else:
                self._set_node(name, value)
            self._check(name, value)
        for name, value in wished.items():
            self._check(name, value)
        check_rate(self._camera, wished, self.word)
        return {name: self.value(name) for name in wished}

    def list(self) -> list[Feature]:
        """All that can be set now, by name; commands, and what is meant for the maker, are left out."""
        spelling = self._spelling
        found = []
        for node in self._nodes():
            core = self._core(node)
            try:
                if (
                    _kind(node) in (None, "ICommand")
                    or not self._tell(core, spelling.is_feature)
                    or int(self._tell(core, spelling.visibility)) > _BEGINNER_TO_GURU
                    or not (spelling.readable(node) and spelling.writable(node))
                ):
                    continue
                found.append(self._feature(str(self._tell(core, spelling.name)), node))
            except spelling.errors:
                continue  # a node that depends on another one's value
        return sorted(found, key=lambda feature: feature.name)

    def _core(self, node: Any) -> Any:
        """The INode of a typed node."""
        core = getattr(node, "GetNode", None) or node.node
        return core() if callable(core) else core

    def _node(self, name: str) -> Any:
        try:
            node = self._find(name)
            return node if node is not None and self._spelling.implemented(node) else None
        except self._spelling.errors:
            return None

    def _feature(self, name: str, node: Any) -> Feature:
        spelling, kind = self._spelling, _kind(node)
        value = self.value(name)
        if kind == "IEnumeration":
            return Feature(name, value, choices=tuple(self._tell(node, spelling.choices)))
        if kind in ("IFloat", "IInteger"):
            low, high = float(self._tell(node, spelling.low)), float(self._tell(node, spelling.high))
            unit = str(self._tell(node, spelling.unit) or "")
            return Feature(name, value, low, high, unit=unit)
        return Feature(name, value)

    def _tell(self, node: Any, what: str) -> Any:
        told = getattr(node, what)
        return told() if callable(told) else told

    def _set_node(self, name: str, wished: Value) -> None:
        spelling, node = self._spelling, self._node(name)
        if node is None:
            raise self._unknown(name)
        if not spelling.writable(node):
            raise RigposeError(
                f"camera '{self._camera}'", expected=f"{name} to be one that can be set",
                found="one that can only be read, or not now",
                remedy="Remove it from the camera's settings file, or put it after the one it depends on",
            )  # fmt: skip
        kind = _kind(node)
        try:
            if kind == "ICommand":
                self._tell(node, spelling.execute)
                return
            if kind == "IEnumeration":
                value: Any = _word(wished)
            elif kind == "IBoolean":
                if not isinstance(wished, bool):
                    raise ValueError("neither true nor false")
                value = wished
            elif kind in ("IFloat", "IInteger"):
                value = float(wished) if kind == "IFloat" else round(float(wished))
            else:
                value = str(wished)
            setattr(node, spelling.value, value)
        except (ValueError, TypeError) as error:
            raise self._unfit(name, wished, str(error)) from None
        except spelling.errors as error:
            raise self._unfit(name, wished, str(error).split(" : ")[0]) from None

    def _check(self, name: str, wished: Value) -> None:
        actual = self.value(name)
        if isinstance(actual, bool | str):
            same = str(_word(wished)) == str(_word(actual))
        else:
            same = abs(float(actual) - float(wished)) <= NEAR * abs(float(wished))
        if not same:
            raise self._unfit(name, wished, f"{actual} when read back")

    def _set_exposure(self, wished: Value) -> None:
        name = next((name for name in _EXPOSURE if self.has(name)), None)
        if name is None:
            raise RigposeError(
                f"camera '{self._camera}'", expected="a camera whose exposure time can be set",
                found="none of the features " + ", ".join(_EXPOSURE), remedy="Leave exposure_us out",
            )  # fmt: skip
        self._set_node(name, number(self._camera, "exposure_us", wished))

    def _set_rate(self, wished: Value) -> None:
        rate_hz = number(self._camera, "rate_hz", wished)
        if self.triggered:
            self._pulses_hz = rate_hz
            # A limiter set to the rate of the pulses would ignore every one that comes a little early.
            if self.has(_LIMITER):
                self._set_node(_LIMITER, False)
        else:
            name = next((name for name in _RATE if self.has(name)), None)
            if name is None:
                raise RigposeError(
                    f"camera '{self._camera}'", expected="a camera whose rate can be set",
                    found="none of the features " + ", ".join(_RATE), remedy="Leave rate_hz out",
                )  # fmt: skip
            if self.has(_LIMITER):
                self._set_node(_LIMITER, True)
            self._set_node(name, rate_hz)

    def _unknown(self, name: str) -> RigposeError:
        names = [str(self._tell(self._core(node), self._spelling.name)) for node in self._nodes()]
        near = difflib.get_close_matches(name, names, n=2)
        return RigposeError(
            f"camera '{self._camera}'", expected="a feature that it has",
            found=f"'{name}'" + (f", which it has not (nearest: {', '.join(near)})" if near else ""),
            remedy="Mend it in the camera's settings file; 'rigpose cameras' lists what there is",
        )  # fmt: skip

    def _unfit(self, name: str, wished: Value, found: str) -> RigposeError:
        node, expected = self._node(name), f"{name} that it can take"
        if node is not None:
            feature = self._feature(name, node)
            if feature.choices:
                expected = f"{name}: one of {', '.join(feature.choices)}"
            elif feature.low is not None and feature.high is not None:
                expected = f"{name}: {feature.low:g} to {feature.high:g} {feature.unit}".rstrip()
        return RigposeError(
            f"camera '{self._camera}'", expected=expected, found=f"{wished} ({found})",
            remedy="Mend it in the camera's settings file or the rig file",
        )  # fmt: skip


def swig_module(name: str) -> Any:
    """Import a wrapper: SWIG's types draw a DeprecationWarning, which made an error ends the interpreter."""
    if name in sys.modules:
        return sys.modules[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(name)


def _kind(node: Any) -> str | None:
    return next((base.__name__ for base in type(node).__mro__ if base.__name__ in _KINDS), None)


def _word(value: Value) -> Value:
    """YAML reads On and Off without quotes as true and false; devices say them as words."""
    return {True: "On", False: "Off"}[value] if isinstance(value, bool) else value
