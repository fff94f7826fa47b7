"""When a GenICam camera exposes, from features that makers spell differently."""

from __future__ import annotations

import pytest

from acquisition.camera import CameraInfo
from acquisition.drivers.timing import timed

INFO = CameraInfo("x://1", "m", "1", 8, 8, 1, 100.0, 2000.0, None, 0, True, 0, 0, "start")


@pytest.mark.parametrize(
    ("features", "delay_ns"),
    [
        ({"TriggerDelay": "3.0"}, 3000),
        ({"TriggerDelayAbs": "3.0"}, 3000),
        ({"TriggerDelay": "3.0", "TriggerDelayEnabled": "True"}, 3000),
        ({"TriggerDelay": "3.0", "TriggerDelayEnabled": "false"}, 0),
        ({"TriggerDelay": "3.0", "TriggerMode": "Off"}, 0),
        ({}, 0),
    ],
)
def test_the_delay_is_known_by_either_name_and_only_where_it_is_switched_on(
    features: dict[str, str], delay_ns: int
) -> None:
    there = {"TriggerMode": "On", **features}
    assert timed(INFO, lambda name: there.get(name, "")).trigger_delay_ns == delay_ns
