"""The GPU through pycuda: its context, a stream, and memory that host and GPU share or copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# CU_STREAM_NON_BLOCKING: what anybody does on the default stream must not break the capture of a graph.
_NON_BLOCKING = 1


class Gpu:
    """The first GPU that CUDA shows (`CUDA_VISIBLE_DEVICES` chooses), in its primary context.

    The primary context is the one TensorRT and cuda-python use by themselves, so that all three share memory
    and streams.

    Attributes
    ----------
    name, capability:
        "Orin", (8, 7).
    integrated:
        Whether GPU and CPU have one memory (Jetson): what one writes the other reads, without a copy.
    stream:
        pycuda's stream; everything of one runtime goes through it, in order.

    Raises
    ------
    RuntimeError
        If CUDA does not start, or the GPU has no room for a context or belongs to another process alone.
    """

    def __init__(self) -> None:
        import pycuda.driver

        self.cuda: Any = pycuda.driver
        with self._told():
            self.cuda.init()
            device = self.cuda.Device(0)
            self.name: str = device.name()
            self.capability: tuple[int, int] = tuple(device.compute_capability())
            self.integrated = bool(device.get_attribute(self.cuda.device_attribute.INTEGRATED))
            self._context = device.retain_primary_context()
        with self.current():
            self.stream = self.cuda.Stream(_NON_BLOCKING)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Inside, the context is this thread's; CUDA's errors come out as RuntimeError."""
        with self._told():
            self._context.push()
            try:
                yield
            finally:
                self.cuda.Context.pop()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self.cuda.Error as error:
            raise RuntimeError(f"CUDA: {error}") from error


class SharedMemory:
    """Bytes that host and GPU both have: one memory on a Jetson, else a pinned and a device copy.

    Both addresses stay as they are for its whole life, as a CUDA graph needs.

    Attributes
    ----------
    host:
        uint8 (bytes,): pinned.
    address:
        Where the GPU finds them.
    """

    def __init__(self, gpu: Gpu, count: int) -> None:
        self._gpu = gpu
        flags = gpu.cuda.host_alloc_flags.DEVICEMAP if gpu.integrated else 0
        self.host: npt.NDArray[np.uint8] = gpu.cuda.pagelocked_empty(count, np.uint8, mem_flags=flags)
        self.host[:] = 0
        self._on_gpu: Any = self.host.base if gpu.integrated else gpu.cuda.mem_alloc(count)
        self.address = int(self._on_gpu.get_device_pointer() if gpu.integrated else self._on_gpu)

    def to_gpu(self) -> None:
        """Enqueue the copy to the GPU, where one is needed."""
        if not self._gpu.integrated:
            self._gpu.cuda.memcpy_htod_async(self.address, self.host, self._gpu.stream)

    def to_host(self) -> None:
        """Enqueue the copy back."""
        if not self._gpu.integrated:
            self._gpu.cuda.memcpy_dtoh_async(self.host, self.address, self._gpu.stream)
