"""What is asked of each camera of a rig, and whether the one that was opened is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from acquisition.camera import CameraInfo, Value, driver_of
from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from acquisition.settings import read_yaml

# What the trigger section of a rig file sets, by our names and by those of GenICam.
_EXPOSURE = ("exposure_us", "ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw")
_RATE = ("rate_hz", "AcquisitionFrameRate", "AcquisitionFrameRateAbs")
_MODEL = "camera_model"
_NO_RISING_EDGE = ("FallingEdge", "AnyEdge", "LevelLow")
_ONCE = "A file can set a feature once: keep one of them, set the others in the camera (its user set)"


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """What one camera thread is to do: open `uri` with the wished features, accept only `serial`.

    Attributes
    ----------
    triggered:
        Whether the rig has a trigger; else the camera runs freely.
    model:
        What its feature file was written for: a part of `CameraInfo.model`, "" for any.
    """

    name: str
    uri: str
    wished: dict[str, Value]
    serial: str | None
    triggered: bool = False
    model: str = ""


def capture_plans(rig: RigSettings) -> dict[str, list[CapturePlan]]:
    """The plans of all cameras, by driver: one capture process each.

    Raises
    ------
    RigposeError
        An unknown driver, or a feature file that cannot be read or sets what the trigger section sets.
    """
    plans: dict[str, list[CapturePlan]] = {}
    for name, camera in rig.cameras.items():
        driver_of(camera.uri, name)
        wished: dict[str, Value] = {}
        if camera.settings is not None:
            wished.update(_feature_file(camera.settings))
        model = str(wished.pop(_MODEL, ""))
        if rig.trigger is not None:
            for names, what in ((_EXPOSURE, "exposure"), (_RATE, "rate")):
                twice = [feature for feature in names if feature in wished]
                if twice:
                    raise RigposeError(
                        camera.settings, expected=f"one place that sets the {what}",
                        found=f"'{twice[0]}' here and in the rig file's trigger section",
                        remedy="Remove it here",
                    )  # fmt: skip
            wished["exposure_us"] = rig.trigger.exposure_us
            wished["rate_hz"] = rig.trigger.rate_hz
        plan = CapturePlan(name, camera.uri, wished, camera.serial, rig.trigger is not None, model)
        plans.setdefault(urlsplit(camera.uri).scheme, []).append(plan)
    return plans


def _feature_file(path: Path) -> dict[str, Value]:
    """The wished features of a file, in its order; raises `RigposeError`."""
    wished = read_yaml(path, repeated=_ONCE)
    for feature, value in wished.items():
        if not isinstance(value, (str, int, float)):
            raise RigposeError(
                path, expected=f"a word, a number, true or false for '{feature}'",
                found="nothing" if value is None else type(value).__name__, remedy="Mend that line",
            )  # fmt: skip
    return wished


def check_serial(plan: CapturePlan, info: CameraInfo, serial: str | None) -> None:
    """Refuse another camera than the rig file names, or than was there when the rig started."""
    if serial is not None and info.serial != serial:
        raise RigposeError(
            f"camera '{plan.name}' at {plan.uri}", expected=f"serial number {serial}",
            found=info.serial or "a camera that gives none",
            remedy="Put the cameras back as they were, or mend 'serial' in the rig file",
        )  # fmt: skip


def check_model(plan: CapturePlan, info: CameraInfo) -> None:
    """Refuse a camera of another model than the feature file was written for."""
    if plan.model not in info.model:
        raise RigposeError(
            f"camera '{plan.name}' at {plan.uri}", expected=f"a {plan.model}, for which its settings file is",
            found=info.model, remedy=f"Give it a settings file of its own, or mend '{_MODEL}' there",
        )  # fmt: skip


def check_trigger(plan: CapturePlan, info: CameraInfo) -> None:
    """Of a triggered rig, refuse a camera whose exposures would belong to no pulse, or to another one."""
    if not plan.triggered:
        return
    if info.features.get("TriggerMode") == "Off":
        raise RigposeError(
            f"camera '{plan.name}' at {plan.uri}", expected="a camera that waits for the trigger's pulses",
            found="TriggerMode Off",
            remedy='Put TriggerMode: "On" into its settings file, as cameras/mono8.yaml does',
        )  # fmt: skip
    activation = info.features.get("TriggerActivation")
    if activation in _NO_RISING_EDGE:
        raise RigposeError(
            f"camera '{plan.name}' at {plan.uri}", expected="exposures that begin with the rising edge",
            found=f"TriggerActivation {activation}",
            remedy="Put TriggerActivation: RisingEdge into its settings file; where the wiring inverts "
            "the pulse, LineInverter: true as well",
        )  # fmt: skip
    period_ns = 1e9 / float(plan.wished["rate_hz"])
    if 4 * info.trigger_delay_ns >= period_ns:  # counted by its time, it would be taken for the next pulse's
        raise RigposeError(
            f"camera '{plan.name}' at {plan.uri}",
            expected=f"a trigger delay of less than a quarter of a period, {period_ns / 4e3:g} us",
            found=f"{info.trigger_delay_ns / 1e3:g} us", remedy="Lower TriggerDelay in its settings file",
        )  # fmt: skip
