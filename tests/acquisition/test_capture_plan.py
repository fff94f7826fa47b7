"""What a rig file and its feature files ask of each camera."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acquisition.camera import CameraInfo
from acquisition.capture_plan import CapturePlan, capture_plans, check_trigger
from acquisition.errors import RigposeError
from acquisition.rig import RigSettings

TRIGGER = {"port": "/dev/ttyACM0", "rate_hz": 100, "exposure_us": 2000}


def plans(folder, features: str, trigger=None):
    (folder / "camera.yaml").write_text(features)
    rig = RigSettings.model_validate(
        {
            "name": "r",
            "cameras": {
                "top": {"uri": "aravis://GV01", "settings": folder / "camera.yaml"},
                "side": {"uri": "sim://scene.yaml#cam_0", "serial": "S-1"},
            },
            "trigger": trigger,
        }
    )
    return {plan.name: plan for some in capture_plans(rig).values() for plan in some}


def test_features_keep_the_order_of_their_file_and_the_trigger_comes_last(tmp_path):
    found = plans(tmp_path, "Width: 640\nPixelFormat: Mono8\nTriggerMode: 'On'\n", TRIGGER)
    assert list(found["top"].wished.items()) == [
        ("Width", 640), ("PixelFormat", "Mono8"), ("TriggerMode", "On"),
        ("exposure_us", 2000), ("rate_hz", 100),
    ]  # fmt: skip
    assert found["top"].triggered and found["side"].serial == "S-1"


def test_free_running_camera_gets_rate_and_exposure_from_its_file(tmp_path):
    found = plans(tmp_path, "camera_model: Fake\nexposure_us: 900\nrate_hz: 60\n")
    assert found["top"].wished == {"exposure_us": 900, "rate_hz": 60}
    assert (found["top"].model, found["top"].triggered, found["side"].model) == ("Fake", False, "")


@pytest.mark.parametrize("feature", ["exposure_us", "ExposureTime", "ExposureTimeAbs"])
def test_exposure_is_set_in_one_place(tmp_path, feature):
    with pytest.raises(
        RigposeError, match=f"one place that sets the exposure, found '{feature}' here and in"
    ):
        plans(tmp_path, f"{feature}: 900\n", TRIGGER)


@pytest.mark.parametrize("feature", ["rate_hz", "AcquisitionFrameRate"])
def test_rate_is_set_in_one_place(tmp_path, feature):
    with pytest.raises(RigposeError, match=f"one place that sets the rate, found '{feature}' here and in"):
        plans(tmp_path, f"{feature}: 90\n", TRIGGER)


def test_feature_that_is_there_twice_would_be_set_once(tmp_path):
    features = "LineSelector: Line1\nLineMode: Input\nLineSelector: Line2\nLineMode: Output\n"
    with pytest.raises(
        RigposeError, match=r"'LineSelector' in line 1 and again in line 3\. A file can set a feature once"
    ):
        plans(tmp_path, features)


@pytest.mark.parametrize(("value", "found"), [("[1, 2]", "list"), ("{a: 1}", "dict"), ("", "nothing")])
def test_value_that_is_none_is_named(tmp_path, value, found):
    with pytest.raises(RigposeError, match=rf"camera\.yaml: expected a word, .* for 'Gain', found {found}"):
        plans(tmp_path, f"Gain: {value}\n")


PLAN = CapturePlan("top", "basler://1", {"exposure_us": 2000, "rate_hz": 100}, None, triggered=True)
WAITS = CameraInfo(
    "basler://1", "m", "1", 8, 8, 1, 100.0, 2000.0, None, 0, True, 1_000_000, 50_000, "start",
    features={"TriggerMode": "On"},
)  # fmt: skip


@pytest.mark.parametrize("delay_us", [0, 2400, 2500, 5000, 12_000])
def test_delay_that_leads_to_the_next_pulse_is_refused(delay_us):
    info = replace(WAITS, trigger_delay_ns=delay_us * 1000)
    if delay_us < 2500:
        check_trigger(PLAN, info)
    else:
        with pytest.raises(
            RigposeError, match=rf"less than a quarter of a period, 2500 us, found {delay_us} us"
        ):
            check_trigger(PLAN, info)


@pytest.mark.parametrize("activation", ["FallingEdge", "AnyEdge", "LevelLow"])
def test_exposures_that_do_not_begin_with_the_rising_edge_are_refused(activation):
    check_trigger(PLAN, replace(WAITS, features={**WAITS.features, "TriggerActivation": "RisingEdge"}))
    info = replace(WAITS, features={**WAITS.features, "TriggerActivation": activation})
    check_trigger(replace(PLAN, triggered=False), info)  # no trigger: its own affair
    with pytest.raises(RigposeError, match=rf"found TriggerActivation {activation}\. .*LineInverter"):
        check_trigger(PLAN, info)
