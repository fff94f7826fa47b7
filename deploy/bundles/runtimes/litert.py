"""LiteRT on the CPU (XNNPACK), float32 and fully int8.

The artifact takes the image minus 128, as float32 or int8: with scale 1 and zero point 0 the int8 form
is the uint8 one with its top bit flipped, which costs nothing. It returns `heatmap` and `offset`
(NHWC or NCHW, told by their shapes); `deploy.bundles.decode` does the rest on the host, since a fully int8
graph would quantize the coordinates themselves.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from deploy.bundles.decode import Layout, Quantization
from deploy.bundles.decode_kernel import decode
from deploy.bundles.manifest import Manifest

INPUT_SHIFT = -128
"""Added to the uint8 image to make the artifact's input."""


class LiteRTRuntime:
    """One LiteRT interpreter, its input resized to the batch.

    Raises
    ------
    ValueError
        If the model's tensors are not those of the bundle's contract.
    """

    def __init__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.batch = batch
        self.decode_ns = 0
        self._threads = threads
        self._stride = manifest.stride_px
        height, width = manifest.input.height_px, manifest.input.width_px
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        signature = self._interpreter.get_input_details()[0]
        self._input = int(signature["index"])
        self._dtype = np.dtype(signature["dtype"])
        if tuple(signature["shape"][1:]) != (height, width, 3) or self._dtype not in (np.int8, np.float32):
            raise ValueError(f"input {tuple(signature['shape'])} {self._dtype}")
        if self._dtype == np.int8 and tuple(signature["quantization"]) != (1.0, 0):
            raise ValueError(f"input quantization {signature['quantization']}, not (1, 0)")
        if batch != signature["shape"][0]:
            self._interpreter.resize_tensor_input(self._input, (batch, height, width, 3))
        self._interpreter.allocate_tensors()
        self._shape = (batch, height, width, 3)

        count = len(manifest.keypoints)
        cells = (height // self._stride, width // self._stride)
        self._heatmap = self._output(count, cells)
        self._offset = self._output(2 * count, cells)
        if self._heatmap[1] != self._offset[1]:
            raise ValueError("heatmap and offset of different layouts")

    def _output(self, channels: int, cells: tuple[int, int]) -> tuple[int, Layout, Quantization]:
        for detail in self._interpreter.get_output_details():
            scale, zero = detail["quantization"]
            quantization = (float(scale), int(zero)) if scale else (1.0, 0)
            shape = tuple(int(size) for size in detail["shape"][1:])
            if shape == (channels, *cells):
                return int(detail["index"]), "NCHW", quantization
            if shape == (*cells, channels):
                return int(detail["index"]), "NHWC", quantization
        raise ValueError(f"no output of {channels} channels and {cells} cells")

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB -> float32 (batch, K, 3): x, y in network px, confidence."""
        if images.shape != self._shape or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._shape}, got {images.dtype} {images.shape}")
        if self._dtype == np.int8:
            fed = np.bitwise_xor(images, 0x80).view(np.int8)
        else:
            fed = np.add(images, np.float32(INPUT_SHIFT), dtype=np.float32)
        self._interpreter.set_tensor(self._input, fed)
        self._interpreter.invoke()
        invoked_ns = time.monotonic_ns()
        heatmap, layout, heatmap_quantization = self._heatmap
        offset, _, offset_quantization = self._offset
        keypoints = decode(
            self._interpreter.get_tensor(heatmap),
            self._interpreter.get_tensor(offset),
            self._stride,
            layout=layout,
            heatmap_quantization=heatmap_quantization,
            offset_quantization=offset_quantization,
        )
        self.decode_ns = time.monotonic_ns() - invoked_ns
        return keypoints

    def describe(self) -> dict[str, Any]:
        """Runtime, version, threads and batch, as JSON."""
        return {
            "runtime": "litert",
            "version": version("ai-edge-litert"),
            "device": "CPU",
            "threads": self._threads,
            "batch": self.batch,
        }
