"""What can be set on a Video4Linux device, by the names that `v4l2-ctl` uses."""

from __future__ import annotations

import difflib
import re
from typing import Any

from acquisition.camera import Feature, Value
from acquisition.errors import RigposeError

# UVC counts exposure in 100 us. The control was renamed in Linux 5.16, the menu that releases it too.
_EXPOSURE = ("exposure_time_absolute", "exposure_absolute")
_AUTO_EXPOSURE = ("auto_exposure", "exposure_auto")
_EXPOSURE_UNIT_US = 100.0
_NEAR = 0.01  # devices quantise: a number is taken if it came this near, relatively
_MANUAL = 1  # V4L2_EXPOSURE_MANUAL


def control_name(label: str) -> str:
    """The name of a control as `v4l2-ctl` prints it, from the driver's label: 'White Balance, Auto' ->
    'white_balance_auto'."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


class Controls:
    """The controls of an open `Device` of linuxpy (its module `linuxpy.video.device`).

    Integers, booleans and menus (by their words, or by number) are set and read back; a button is
    pushed by `true`. Controls of other kinds are left out.
    """

    def __init__(self, device: Any, camera: str, linuxpy: Any) -> None:
        kinds = linuxpy.ControlType
        self._camera = camera
        self._numbers = (kinds.INTEGER, kinds.INTEGER64)
        self._flag, self._menu = kinds.BOOLEAN, (kinds.MENU, kinds.INTEGER_MENU)
        self._button = kinds.BUTTON
        known = (*self._numbers, self._flag, *self._menu, self._button)
        self._controls = {control_name(c.name): c for c in device.controls.values() if c.type in known}
        for control in self._controls.values():
            control.clipping = False

    def features(self) -> list[Feature]:
        """All that can be set now, buttons apart."""
        return [
            self._feature(name, control)
            for name, control in self._controls.items()
            if control.type != self._button and control.is_writeable and not control.is_flagged_write_only
        ]

    def set(self, name: str, wished: Value) -> Value:
        """Set a control and read it back; raises `RigposeError`."""
        control = self._controls.get(name)
        if control is None:
            raise RigposeError(
                f"camera '{self._camera}'",
                expected="a control that it has" + _beside(name, list(self._controls)), found=f"'{name}'",
                remedy="`rigpose cameras` and `v4l2-ctl --list-ctrls` name them",
            )  # fmt: skip
        try:
            if control.type == self._button:
                control.push()
                return True
            control.value = self._raw(control, wished)
            actual = self._value(control)
        except (ValueError, AttributeError, OSError) as error:
            raise self._refused(name, control, wished, str(error)) from None
        same = actual == self._word(control, wished)
        if control.type in self._numbers:
            same = abs(float(actual) - float(wished)) <= _NEAR * abs(float(wished))
        if not same:
            raise self._refused(name, control, wished, f"{actual!r} when read back")
        return actual

    def set_exposure_us(self, wished_us: float) -> float:
        """Manual exposure of this length, to the 100 us that UVC counts in; raises `RigposeError`."""
        name = next((name for name in _EXPOSURE if name in self._controls), None)
        if name is None:
            raise RigposeError(
                f"camera '{self._camera}'", expected="a camera whose exposure time can be set",
                found="none of the controls " + ", ".join(_EXPOSURE),
                remedy="Leave exposure_us out, or use another camera",
            )  # fmt: skip
        for menu in _AUTO_EXPOSURE:
            if menu in self._controls:
                self.set(menu, _MANUAL)
        actual_us = float(self.set(name, round(wished_us / _EXPOSURE_UNIT_US))) * _EXPOSURE_UNIT_US
        if abs(actual_us - wished_us) > _NEAR * wished_us:
            raise RigposeError(
                f"camera '{self._camera}'", expected=f"an exposure in steps of {_EXPOSURE_UNIT_US:g} us",
                found=f"{wished_us:g} us, which became {actual_us:g}", remedy="Mend exposure_us",
            )  # fmt: skip
        return actual_us

    def exposure_us(self) -> float | None:
        """The exposure time as far as a control tells it: not while the camera chooses by itself."""
        if any(self._controls[menu].value != _MANUAL for menu in _AUTO_EXPOSURE if menu in self._controls):
            return None
        for name in _EXPOSURE:
            if name in self._controls:
                return float(self._controls[name].value) * _EXPOSURE_UNIT_US
        return None

    def _feature(self, name: str, control: Any) -> Feature:
        if control.type in self._menu:
            return Feature(name, self._value(control), choices=tuple(str(v) for v in control.data.values()))
        if control.type == self._flag:
            return Feature(name, self._value(control))
        return Feature(name, self._value(control), float(control.minimum), float(control.maximum))

    def _value(self, control: Any) -> Value:
        value = control.value
        if control.type in self._menu:
            return str(control.data.get(value, value))
        return bool(value) if control.type == self._flag else int(value)

    def _raw(self, control: Any, wished: Value) -> int:
        if control.type in self._menu:
            for index, word in control.data.items():
                if str(word) == str(wished) or (index == wished and not isinstance(wished, bool)):
                    return int(index)
            raise ValueError("not on its menu")
        if control.type == self._flag:
            if wished not in (True, False, 0, 1):
                raise ValueError("neither true nor false")
            return int(wished)
        if isinstance(wished, str | bool) or wished != int(wished):
            raise ValueError("not a whole number")
        return int(wished)

    def _word(self, control: Any, wished: Value) -> Value:
        raw = self._raw(control, wished)
        if control.type in self._menu:
            return str(control.data[raw])
        return bool(raw) if control.type == self._flag else raw

    def _refused(self, name: str, control: Any, wished: Value, found: str) -> RigposeError:
        if control.type in self._menu:
            expected = "one of " + ", ".join(str(word) for word in control.data.values())
        elif control.type == self._flag:
            expected = "true or false"
        else:
            expected = f"{control.minimum} to {control.maximum} in steps of {control.step}"
        return RigposeError(
            f"camera '{self._camera}', '{name}'", expected=expected, found=f"{wished!r}: {found}",
            remedy="Mend it in the camera's settings file",
        )  # fmt: skip


def _beside(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    return f" (such as {' or '.join(near)})" if near else ""
