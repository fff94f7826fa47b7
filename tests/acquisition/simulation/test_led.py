"""The simulated LED: its code against the reader's, its spot against the camera that sees it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.simulation.film import Renderer
from acquisition.simulation.led import LedSettings, is_on, spot_of
from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.synchronisation.pulse_code import led


@settings(deadline=None)
@given(st.integers(0, 2**20))
def test_the_scene_writes_what_the_reader_knows(pulse):
    assert is_on(pulse) == led(pulse)


def scene(tmp_path, **settings) -> Scene:
    wished = {"cameras": 2, "size_px": (160, 120), "frame_sets": 8, "noise_read": 0, "noise_light": 0}
    return Scene(SceneSettings(**wished, **settings), tmp_path)


def test_led_is_where_it_is_and_only_where_it_is_on(tmp_path):
    lit, dark = scene(tmp_path, led={"brightness": 90}), scene(tmp_path)
    pulses = [k for k in range(64) if is_on(k)][:3] + [k for k in range(64) if not is_on(k)][:3]
    for pulse in pulses:
        for view, with_led, without in zip(
            lit.views, Renderer(lit).images(pulse), Renderer(dark).images(pulse), strict=True
        ):
            more = with_led.astype(int) - without
            if not is_on(pulse):
                assert not more.any()
                continue
            rows, columns = np.mgrid[: more.shape[0], : more.shape[1]]
            centre = (more * columns).sum() / more.sum(), (more * rows).sum() / more.sum()
            assert centre == pytest.approx(view.project(np.array(LedSettings().position_mm)), abs=0.3)
            assert 40 < more.max() <= 90


def test_led_is_hidden_and_pictures_are_another_pulse_s_where_asked(tmp_path):
    hidden = LedSettings(hidden_from=("cam_1",))
    assert spot_of(hidden, scene(tmp_path).view("cam_0")) is not None
    assert spot_of(hidden, scene(tmp_path).view("cam_1")) is None
    late = Renderer(scene(tmp_path, pictures_off_by={"cam_1": 1}, led={}))
    right = Renderer(scene(tmp_path, led={}))
    assert (late.image(1, 4) == right.image(1, 5)).all() and (late.image(0, 4) == right.image(0, 4)).all()
