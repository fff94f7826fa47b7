"""ONNX Runtime on the CPU. Decoding is inside the graph: uint8 images in, keypoints out.

Its threads would spin while they wait and so distort whatever else runs on the machine (capture,
encoders): spinning is off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from deploy.bundles.manifest import Manifest


class OnnxRuntime:
    """One ONNX Runtime session.

    Raises
    ------
    ValueError
        If the model's tensors are not those of the bundle's contract.
    """

    def __init__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> None:
        import onnxruntime

        self.batch = batch
        self.decode_ns = 0
        self._threads = threads
        self._version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; its warnings speak of the graph's own constants
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own exceptions derive from Exception only
            raise ValueError(str(error)) from error
        self._shape = (batch, manifest.input.height_px, manifest.input.width_px, 3)
        fed, out = self._session.get_inputs()[0], self._session.get_outputs()[0]
        if tuple(fed.shape[1:]) != self._shape[1:] or fed.type != "tensor(uint8)":
            raise ValueError(f"input {fed.shape} {fed.type}")
        if tuple(out.shape[1:]) != (len(manifest.keypoints), 3):
            raise ValueError(f"output {out.shape}")
        self._input, self._output = fed.name, out.name

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB -> float32 (batch, K, 3): x, y in network px, confidence."""
        if images.shape != self._shape or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._shape}, got {images.dtype} {images.shape}")
        keypoints: npt.NDArray[np.float32] = self._session.run([self._output], {self._input: images})[0]
        return keypoints

    def describe(self) -> dict[str, Any]:
        """Runtime, version, threads and batch, as JSON."""
        return {
            "runtime": "onnx",
            "version": self._version,
            "device": "CPU",
            "threads": self._threads,
            "batch": self.batch,
        }
