"""ONNX Runtime, on the CPU or on an NVIDIA GPU. Decoding is inside the graph: uint8 images in, keypoints out.

Its threads would spin while they wait and so distort whatever else runs on the machine (capture,
encoders): spinning is off.

Where a provider of a GPU cannot start (a library is missing, CUDA is another version), ONNX Runtime runs the
whole graph on the CPU and leaves a line in its log. Here that is refused: the first run is profiled, and what
it says of each node's provider is what `describe` tells.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from deploy.bundles.acceptance import Acceptance
from deploy.bundles.manifest import Manifest

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class OnnxRuntime:
    """One ONNX Runtime session on the CPU.

    Raises
    ------
    ValueError
        If the model's tensors are not those of the bundle's contract.
    """

    name = "onnx"
    providers: tuple[str, ...] = (CPU,)
    """The one that is to run the graph, then those for nodes that it has no kernel for."""

    def __init__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> None:
        import onnxruntime

        self.batch = batch
        self.decode_ns = 0
        self._threads = threads
        self._version = onnxruntime.__version__
        self._shape = (batch, manifest.input.height_px, manifest.input.width_px, 3)
        missing = set(self.providers) - set(onnxruntime.get_available_providers())
        if missing:
            raise ValueError(
                f"the installed onnxruntime {self._version} has no {sorted(missing)[0]}: onnxruntime-gpu "
                "brings it, in place of onnxruntime"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; its warnings speak of the graph's own constants
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        with tempfile.TemporaryDirectory(prefix="rigpose-onnx-") as folder:
            options.enable_profiling = self.providers != (CPU,)
            options.profile_file_prefix = str(Path(folder) / "first")
            try:
                self._session = onnxruntime.InferenceSession(
                    str(path), sess_options=options, providers=list(self.providers)
                )
            except Exception as error:  # its own exceptions derive from Exception only
                raise ValueError(str(error)) from error
            self._check_tensors(manifest)
            self.nodes: dict[str, int] = {}
            if options.enable_profiling:
                self.infer(np.zeros(self._shape, np.uint8))
                self.nodes = nodes_by_provider(Path(self._session.end_profiling()))
        require_provider(self.providers[0], self._session.get_providers(), self.nodes)

    def _check_tensors(self, manifest: Manifest) -> None:
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
        try:
            keypoints: npt.NDArray[np.float32] = self._session.run([self._output], {self._input: images})[0]
        except Exception as error:  # a GPU that is full or lacks a library shows in the run
            raise RuntimeError(str(error)) from error
        return keypoints

    def describe(self) -> dict[str, Any]:
        """Runtime, version, provider and the nodes it ran, threads and batch, as JSON."""
        said: dict[str, Any] = {
            "runtime": self.name,
            "version": self._version,
            "device": "CPU" if self.providers == (CPU,) else "GPU",
            "provider": self.providers[0],
            "threads": self._threads,
            "batch": self.batch,
        }
        return {**said, "nodes": self.nodes} if self.nodes else said


class OnnxCuda(OnnxRuntime):
    """The same on CUDA, proved on the bundle's check/ at every start, since kernels differ from GPU to GPU.

    Attributes
    ----------
    acceptance:
        What it did there; None before.
    """

    name = "onnx-cuda"
    providers: tuple[str, ...] = (CUDA, CPU)

    def __init__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> None:
        self.acceptance: Acceptance | None = None
        super().__init__(path, manifest, batch=batch, threads=threads)

    def keep(self, acceptance: Acceptance | None) -> None:
        """Remember it for this session: nothing of ours is on disk."""
        self.acceptance = acceptance

    def close(self) -> None:
        """Nothing to do: the session goes with the last who holds this."""


class OnnxTensorRT(OnnxCuda):
    """The same with TensorRT's provider, which builds its engine anew at each start (30 to 50 s)."""

    name = "onnx-tensorrt"
    providers = (TENSORRT, CUDA, CPU)


def nodes_by_provider(profile: Path) -> dict[str, int]:
    """How many nodes each provider ran, by a profile that ONNX Runtime wrote of one run."""
    events = json.loads(profile.read_text(encoding="utf-8"))
    ran = {
        (event["name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(Counter(provider for _, provider in ran))


def require_provider(wanted: str, registered: list[str], nodes: dict[str, int]) -> None:
    """Refuse, with `ValueError`, a session that runs elsewhere than it was asked to.

    `nodes` is empty where nothing was profiled.
    """
    if wanted not in registered:
        raise ValueError(f"{wanted} did not start, and ONNX Runtime would silently use {registered[0]}")
    if nodes and not nodes.get(wanted):
        elsewhere = ", ".join(f"{count} on {provider}" for provider, count in nodes.items())
        raise ValueError(f"{wanted} runs none of the graph's nodes: {elsewhere}")
