"""Stamps of a triggered camera, from what its driver says and the trigger's pulses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.camera import CameraInfo
from acquisition.capture import _align, _clock_of

PERIOD_NS, FIRST_NS = 10_000_000, 10**12


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    delay_us=st.integers(0, 4900),
    exposure_us=st.integers(100, 4000),
    latency_us=st.integers(100, 6000),
)
def test_delay_after_the_pulse_is_no_latency(seed, delay_us, exposure_us, latency_us):
    info = CameraInfo(
        "basler://1", "m", "1", 8, 8, 1, 100.0, float(exposure_us), None, 0, True, exposure_us * 500, 50_000,
        "start of exposure, camera clock", trigger_delay_ns=delay_us * 1000,
    )  # fmt: skip
    clock = _clock_of(info, None)
    _align(clock, info, {"first_pulse_ns": FIRST_NS, "pulses": {"period_ns": PERIOD_NS}})
    starts = FIRST_NS + delay_us * 1000 + np.arange(300) * PERIOD_NS
    late = latency_us * 1000 + np.random.default_rng(seed).exponential(200_000, len(starts))
    for n, (start_ns, late_ns) in enumerate(zip(starts.tolist(), late.tolist(), strict=True)):
        arrival_ns = start_ns + exposure_us * 1000 + round(late_ns)
        t_ns, uncertainty_ns = clock.to_rig(start_ns - FIRST_NS + 777 * 10**9, arrival_ns)
        if n > 100:
            assert abs(t_ns - (start_ns + exposure_us * 500)) <= uncertainty_ns < 500_000
