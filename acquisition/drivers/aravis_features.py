"""Features of a camera that Aravis has opened: set, read back, listed.

Names are the device's own (GenICam's Standard Features Naming Convention, mostly), and those of Aravis's
GigE Vision stream, which no camera knows.
"""

from __future__ import annotations

import contextlib
from typing import Any

from acquisition.camera import Feature, Value
from acquisition.drivers.aravis_stream import STREAM_OPTIONS, kernel_limit_mb
from acquisition.drivers.timing import NEAR
from acquisition.errors import RigposeError

_DEPTH = 8


class CameraFeatures:
    """The features of one open camera.

    Parameters
    ----------
    name:
        Of the camera in the rig, for messages.
    aravis:
        The module.
    camera:
        An `Aravis.Camera`.
    """

    def __init__(self, name: str, aravis: Any, camera: Any) -> None:
        self._name = name
        self._aravis = aravis
        self._camera = camera
        self._device = camera.get_device()
        self.stream: dict[str, Value] = dict(STREAM_OPTIONS) if camera.is_gv_device() else {}
        self.stream["buffers"] = 16.0
        self._rate_hz: float | None = None

    def set(self, feature: str, wished: Value) -> None:
        """Set one feature and read it back.

        Raises
        ------
        RigposeError
            A feature that the camera has not, that cannot be set (now), or that came out otherwise.
        """
        if feature == "exposure_us":
            self._set_exposure(wished)
        elif feature == "rate_hz":
            self._set_rate(wished)
        elif feature in self.stream:
            self._set_stream_option(feature, wished)
        elif feature == "packet_size" and self._camera.is_gv_device():
            if wished == "auto":
                self._camera.gv_auto_packet_size()
            else:
                self._camera.gv_set_packet_size(int(self._number(feature, wished, 576, 65507)))
        elif feature == "packet_delay_ns" and self._camera.is_gv_device():
            self._camera.gv_set_packet_delay(int(self._number(feature, wished, 0, 1e9)))
        else:
            self._set_node(feature, wished)
            if feature == "TriggerMode" and self.triggered:
                self._unlimit()
        self.check(feature, wished)

    def check(self, feature: str, wished: Value) -> None:
        """Raise `RigposeError` where the feature is not (or no longer) what was wished."""
        actual = self.value(feature)
        if feature == "packet_size" and wished == "auto":
            return
        if isinstance(actual, (bool, str)):
            same = str(_word(wished)) == str(_word(actual))
        else:
            same = abs(float(actual) - float(wished)) <= NEAR * abs(float(wished))
        if not same:
            limits = self._feature(feature)
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{feature} to become {wished}",
                found=f"{actual:g}" if isinstance(actual, float) else str(actual),
                remedy=f"{_can_be(limits)}; mend it in the camera's settings file or the rig file",
            )  # fmt: skip

    def value(self, feature: str) -> Value:
        """What a feature is now; raises `RigposeError` for one the camera has not."""
        camera = self._camera
        if feature == "exposure_us":
            return float(camera.get_exposure_time())
        if feature == "rate_hz":
            return self.rate_hz()
        if feature in self.stream:
            return self.stream[feature]
        if feature == "packet_size" and camera.is_gv_device():
            return int(camera.gv_get_packet_size())
        if feature == "packet_delay_ns" and camera.is_gv_device():
            return int(camera.gv_get_packet_delay())
        return self._node_value(self._node(feature))

    def rate_hz(self) -> float:
        """Frames a second: its own, or waiting for pulses what they ask as far as it can; 0: not known."""
        camera = self._camera
        if not camera.is_frame_rate_available():
            return (self._rate_hz or 0.0) if self.triggered else 0.0
        if not self.triggered:
            return float(camera.get_frame_rate())
        most_hz = float(camera.get_frame_rate_bounds()[1])
        return most_hz if self._rate_hz is None else min(self._rate_hz, most_hz)

    @property
    def triggered(self) -> bool:
        """Whether the camera waits for pulses (TriggerMode On)."""
        return self._told("TriggerMode") == "On"

    def word(self, feature: str) -> str:
        """The value of a feature, "" where the camera has it not, not now, or describes it wrongly."""
        try:
            return self._told(feature)
        except self._errors:
            return ""

    def _told(self, feature: str) -> str:
        node = self._device.get_feature(feature)
        value = node.get_value_as_string() if node is not None and node.is_available() else None
        return "" if value is None else str(value)  # None of an enumeration whose value has no name

    def settable(self) -> list[Feature]:
        """Everything that can be set now: rate and exposure, the stream's options, the device's own."""
        found = []
        if self._camera.is_exposure_time_available():
            found.append(self._feature("exposure_us"))
        if self._camera.is_frame_rate_available():
            found.append(self._feature("rate_hz"))
        if self._camera.is_gv_device():
            found += [self._feature("packet_size"), self._feature("packet_delay_ns")]
        found += [self._feature(name) for name in self.stream]
        self._walk("Root", found, _DEPTH)
        return found

    def _walk(self, name: str, found: list[Feature], depth: int) -> None:
        node = self._device.get_genicam().get_node(name)
        if isinstance(node, self._aravis.GcCategory) and depth:
            for child in node.get_features():
                self._walk(child, found, depth - 1)
        elif (
            isinstance(node, self._aravis.GcFeatureNode)
            and not isinstance(node, (self._aravis.GcCommand, self._aravis.GcCategory))
            and all(name != feature.name for feature in found)
        ):
            # A node that a model's description gets wrong hides itself only.
            with contextlib.suppress(self._errors):
                if self._can_be_set(node):
                    found.append(self._feature(name))

    def _feature(self, name: str) -> Feature:
        value = self.value(name)
        low: float | None = None
        high: float | None = None
        if name == "exposure_us":
            low, high = self._camera.get_exposure_time_bounds()
            return Feature(name, value, low, high, unit="us")
        if name == "rate_hz":
            low, high = self._camera.get_frame_rate_bounds()
            return Feature(name, value, low, high, unit="Hz")
        if name in self.stream or name in ("packet_size", "packet_delay_ns"):
            return Feature(name, value)
        node, aravis = self._node(name), self._aravis
        if isinstance(node, aravis.GcEnumeration):
            entries = [entry.get_name() for entry in node.get_entries() if entry.is_available()]
            return Feature(name, value, choices=tuple(sorted(entries)))
        if isinstance(node, (aravis.GcFloat, aravis.GcInteger)) and not isinstance(node, aravis.GcBoolean):
            with contextlib.suppress(self._errors):  # limits that cannot be told are none
                low, high = float(node.get_min()), float(node.get_max())
            unit = ""
            with contextlib.suppress(self._errors):
                unit = node.get_unit() or ""
            return Feature(name, value, low, high, unit=unit)
        return Feature(name, value)

    def _node(self, name: str) -> Any:
        node = self._device.get_feature(name)
        if node is None or isinstance(node, self._aravis.GcCategory):
            raise RigposeError(
                f"camera '{self._name}'", expected=f"features of a {self._camera.get_model_name()}",
                found=f"'{name}', which it has not",
                remedy="Remove it from the camera's settings file; 'rigpose cameras URI' lists what it has",
            )  # fmt: skip
        return node

    def _node_value(self, node: Any) -> Value:
        aravis = self._aravis
        if isinstance(node, aravis.GcCommand):
            return True
        if isinstance(node, aravis.GcEnumeration):
            return str(node.get_string_value())
        if isinstance(node, aravis.GcBoolean):
            return bool(node.get_value())
        if isinstance(node, aravis.GcFloat):
            return float(node.get_value())
        if isinstance(node, aravis.GcInteger):
            return int(node.get_value())
        return str(node.get_value_as_string())

    def _can_be_set(self, node: Any) -> bool:
        modes = self._aravis.GcAccessMode
        return bool(node.is_available()) and node.get_actual_access_mode() in (modes.RW, modes.WO)

    def _set_node(self, name: str, wished: Value) -> None:
        aravis, node = self._aravis, self._node(name)
        if not self._can_be_set(node) or node.is_locked():
            raise RigposeError(
                f"camera '{self._name}'", expected=f"{name} to be one that can be set",
                found="one that can only be read" if node.is_available() else "one that is not there now",
                remedy="Remove it from the camera's settings file, or put it after the one it depends on",
            )  # fmt: skip
        if isinstance(node, aravis.GcCommand):
            node.execute()
        elif isinstance(node, aravis.GcEnumeration):
            entries = {entry.get_name() for entry in node.get_entries() if entry.is_available()}
            if _word(wished) not in entries:
                raise self._unfit(name, wished, f"one of {', '.join(sorted(entries))}")
            node.set_string_value(_word(wished))
        elif isinstance(node, aravis.GcBoolean):
            if not isinstance(wished, bool):
                raise self._unfit(name, wished, "true or false")
            node.set_value(wished)
        elif isinstance(node, (aravis.GcFloat, aravis.GcInteger)):
            limits = self._feature(name)
            number = self._number(name, wished, limits.low, limits.high)
            node.set_value(number if isinstance(node, aravis.GcFloat) else round(number))
        else:
            node.set_value(str(wished))

    def _set_exposure(self, wished: Value) -> None:
        if not self._camera.is_exposure_time_available():
            raise self._unfit("exposure_us", wished, "nothing: this camera has no exposure time to set")
        self._camera.set_exposure_time(
            self._number("exposure_us", wished, *self._camera.get_exposure_time_bounds())
        )

    def _set_rate(self, wished: Value) -> None:
        has_rate = self._camera.is_frame_rate_available()
        limits = self._camera.get_frame_rate_bounds() if has_rate else (None, None)
        self._rate_hz = self._number("rate_hz", wished, *limits)
        if self.triggered:
            self._unlimit()
        elif has_rate:
            self._camera.set_frame_rate(self._rate_hz)
        else:
            raise self._unfit("rate_hz", wished, "nothing: this camera has no rate to set")

    def _unlimit(self) -> None:
        """A limiter set to the rate of the pulses would ignore every one that comes a little early."""
        if self._camera.is_feature_available("AcquisitionFrameRateEnable"):
            self._camera.set_boolean("AcquisitionFrameRateEnable", False)

    def _set_stream_option(self, name: str, wished: Value) -> None:
        if name == "packet_resend":
            if not isinstance(wished, bool):
                raise self._unfit(name, wished, "true or false")
            self.stream[name] = wished
            return
        number = self._number(name, wished, 1, 10_000)
        most_mb = kernel_limit_mb()
        if name == "socket_buffer_mb" and number > most_mb:
            raise RigposeError(
                f"camera '{self._name}'", expected=f"a kernel that allows buffers of {number:g} MB",
                found=f"net.core.rmem_max of {most_mb:g} MB",
                remedy="Install network/90-rigpose.conf ('rigpose configs copy')",
            )  # fmt: skip
        self.stream[name] = number

    def _number(self, name: str, wished: Value, low: float | None, high: float | None) -> float:
        right = isinstance(wished, (int, float)) and not isinstance(wished, bool)
        if not right or (low is not None and wished < low) or (high is not None and wished > high):  # type: ignore[operator]
            raise self._unfit(name, wished, _can_be(Feature(name, 0, low, high)))
        return float(wished)

    def _unfit(self, name: str, wished: Value, fit: str) -> RigposeError:
        return RigposeError(
            f"camera '{self._name}'", expected=f"{name}: {fit}", found=str(wished),
            remedy="Mend it in the camera's settings file or the rig file",
        )  # fmt: skip

    @property
    def _errors(self) -> type[Exception]:
        from gi.repository import GLib

        error: type[Exception] = GLib.Error
        return error


def _word(value: Value) -> Value:
    """YAML reads On and Off without quotes as true and false; devices say them as words."""
    return {True: "On", False: "Off"}[value] if isinstance(value, bool) else value


def _can_be(feature: Feature) -> str:
    if feature.choices:
        return f"one of {', '.join(feature.choices)}"
    if feature.low is not None and feature.high is not None:
        return f"a number from {feature.low:g} to {feature.high:g} {feature.unit}".rstrip()
    return "a value it can take"
