"""Whether an NVIDIA GPU can be used here, asked of the driver itself: no vendor package, no context."""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def gpu_missing() -> str:
    """Why no NVIDIA GPU can be used here, in words; "" where one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver is installed"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver finds no GPU"
    return ""
