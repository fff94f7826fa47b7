"""TensorRT: one engine for the rig's cameras, run as one CUDA graph a call.

The graph holds everything between the cameras' images and the keypoints: the copy to the GPU (none on a
Jetson), the kernel that resamples all cameras, the engine, which also decodes, and the copy back. The host
waits once, for the keypoints.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import Acceptance
from deploy.bundles.manifest import Manifest
from deploy.bundles.runtimes.tensorrt.device import Gpu, SharedMemory
from deploy.bundles.runtimes.tensorrt.engine import RECIPE, build_plan, logger
from deploy.bundles.runtimes.tensorrt.engine_cache import EngineCache, EngineKey
from deploy.bundles.runtimes.tensorrt.graph import Graph
from deploy.bundles.runtimes.tensorrt.preprocess import Kernel, Staging


class TensorRTRuntime:
    """One engine with its buffers: read from the cache, or built (which takes a minute).

    Attributes
    ----------
    acceptance:
        What the engine did on the bundle's check/ on this GPU; None while nobody measured it. An engine that
        was refused earlier is not built again and cannot run.
    takes_frames:
        Whether `infer_frames` is there: not without a CUDA compiler; `describe` says why.
    preprocess_ns:
        The part of the last `infer_frames` that copied images to where the GPU reads them.

    Raises
    ------
    RuntimeError
        If CUDA or TensorRT fails.
    ValueError
        If the engine's tensors are not those of the bundle's contract.
    """

    def __init__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> None:
        import tensorrt

        self.batch = batch
        self.decode_ns = 0
        self.preprocess_ns = 0
        self.takes_frames = False
        self.acceptance: Acceptance | None = None
        self._tensorrt: Any = tensorrt
        self._threads = threads
        self._gpu = Gpu()
        self._graphs: dict[str, Graph] = {}
        self._without: list[str] = []
        self._plan = b""
        artifact = next(each for each in manifest.artifacts if each.file == path.name)
        self._key = EngineKey(
            artifact_sha256=artifact.sha256, precision=artifact.precision, batch=batch, gpu=self._gpu.name,
            capability=".".join(map(str, self._gpu.capability)), tensorrt=str(tensorrt.__version__),
            recipe=RECIPE,
        )  # fmt: skip
        self._cache = EngineCache()
        with self._gpu.current():
            engine = self._kept_or_built(path)
            if engine is None:
                return
            self._prepare(engine, manifest)

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB -> float32 (batch, K, 3): x, y in network px, confidence."""
        if images.shape != self._shape or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._shape}, got {images.dtype} {images.shape}")
        with self._gpu.current():
            np.copyto(self._images.host.reshape(self._shape), images)
            return self._run("images", self._images_through)

    def infer_frames(
        self, images: Sequence[Image | None], transforms: Sequence[ImageTransform | None]
    ) -> npt.NDArray[np.float32]:
        """The cameras' own images, and where they lie in the network's input -> as `infer`.

        Parameters
        ----------
        images:
            One per camera: uint8 (H, W) or (H, W, 3) RGB; None where there is none.
        transforms:
            From each image to the network's input; None where there is no image.
        """
        start_ns = time.monotonic_ns()
        with self._gpu.current():
            memory = self._staging.memory
            try:
                self._staging.fill(images, transforms)
            finally:
                if self._staging.memory is not memory and "frames" in self._graphs:
                    self._graphs.pop("frames").close()  # it knows the old address
            self.preprocess_ns = time.monotonic_ns() - start_ns
            return self._run("frames", self._frames_through)

    def keep(self, acceptance: Acceptance | None) -> None:
        """Keep the engine for the next start, with what it did on check/ (None: nobody could measure)."""
        self.acceptance = acceptance
        if self._plan:
            self._cache.store(self._key, self._plan, acceptance)
            self._plan = b""

    def close(self) -> None:
        """Let go of the graphs, which know this runtime: with them it stays, and its engine on the GPU."""
        graphs, self._graphs = self._graphs, {}
        if graphs:
            with contextlib.suppress(RuntimeError), self._gpu.current():  # CUDA may be what has failed
                for graph in graphs.values():
                    graph.close()

    def describe(self) -> dict[str, Any]:
        """Runtime, version, GPU, threads, batch, and what it does without, as JSON."""
        return {
            "runtime": "tensorrt",
            "version": self._key.tensorrt,
            "device": f"{self._gpu.name} ({self._key.capability})",
            "threads": self._threads,
            "batch": self.batch,
            "without": "; ".join(self._without),
        }

    def _kept_or_built(self, onnx: Path) -> Any:
        """The engine, None where it was refused here before; `_plan` is what is still to be kept."""
        self._logger = logger(self._tensorrt)
        try:
            self._reader = self._tensorrt.Runtime(self._logger)
        except TypeError as error:  # pybind11's word for a null pointer, as when its CUDA is too new here
            said = (self._logger.errors or [error])[-1]
            raise RuntimeError(
                f"TensorRT {self._key.tensorrt} does not start with this driver: {said}"
            ) from error
        kept = self._cache.load(self._key)
        if kept is not None:
            self.acceptance = kept.acceptance
            if kept.plan is None:
                return None
            engine = self._reader.deserialize_cuda_engine(kept.plan)
            if engine is not None:
                self._plan = b"" if kept.acceptance else kept.plan
                return engine
            self.acceptance = None
        self._plan = build_plan(self._tensorrt, onnx, self.batch, self._cache.timing_cache(self._key))
        engine = self._reader.deserialize_cuda_engine(self._plan)
        if engine is None:
            raise RuntimeError(f"TensorRT cannot load what it built: {(self._logger.errors or ['?'])[-1]}")
        return engine

    def _prepare(self, engine: Any, manifest: Manifest) -> None:
        """Buffers at fixed addresses, and the kernel."""
        width, height = manifest.input.width_px, manifest.input.height_px
        self._shape = (self.batch, height, width, 3)
        self._found = (self.batch, len(manifest.keypoints), 3)
        self._engine = engine
        self._context = engine.create_execution_context()
        if self._context is None:
            said = (self._logger.errors or ["out of memory"])[-1]
            raise RuntimeError(f"no room on the GPU to run the engine: {said}")
        names = [engine.get_tensor_name(each) for each in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == self._tensorrt.TensorIOMode.INPUT]
        outputs = [name for name in names if name not in inputs]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"inputs {inputs}, outputs {outputs}")
        self._context.set_input_shape(inputs[0], self._shape)
        for name, shape, dtype in (
            (inputs[0], self._shape, self._tensorrt.DataType.UINT8),
            (outputs[0], self._found, self._tensorrt.DataType.FLOAT),
        ):
            found = tuple(self._context.get_tensor_shape(name)), engine.get_tensor_dtype(name)
            if found != (shape, dtype):
                raise ValueError(f"{name} {found[0]} {found[1]}, not {shape} {dtype}")
        self._images = SharedMemory(self._gpu, int(np.prod(self._shape)))
        self._keypoints = SharedMemory(self._gpu, 4 * int(np.prod(self._found)))
        self._context.set_tensor_address(inputs[0], self._images.address)
        self._context.set_tensor_address(outputs[0], self._keypoints.address)
        try:
            self._kernel = Kernel(self._gpu, self._cache.folder, self.batch, (width, height))
        except (RuntimeError, self._gpu.cuda.Error) as error:
            self._without.append(f"preprocessing on the GPU: {error}")
            return
        self._staging = Staging(self._gpu, self.batch, (width, height))
        self.takes_frames = True

    def _images_through(self) -> None:
        self._images.to_gpu()
        self._network_through()

    def _frames_through(self) -> None:
        self._staging.memory.to_gpu()
        self._kernel.enqueue(self._staging.memory, self._images)
        self._network_through()

    def _network_through(self) -> None:
        if not self._context.execute_async_v3(stream_handle=self._gpu.stream.handle):
            raise RuntimeError(f"TensorRT: {(self._logger.errors or ['it did not run'])[-1]}")
        self._keypoints.to_host()

    def _run(self, path: str, enqueue: Callable[[], None]) -> npt.NDArray[np.float32]:
        """Launch the path's graph (the first time: run it once, then capture it); wait for the keypoints."""
        graph = self._graphs.get(path)
        if graph is None:
            enqueue()  # TensorRT sets itself up in the first call, which must not be captured
            self._gpu.stream.synchronize()
            self._capture(path, enqueue)
        else:
            graph.launch()
            self._gpu.stream.synchronize()
        found: npt.NDArray[np.float32] = self._keypoints.host.view(np.float32).reshape(self._found).copy()
        return found

    def _capture(self, path: str, enqueue: Callable[[], None]) -> None:
        if any(said.startswith("CUDA graph") for said in self._without):
            return
        try:
            self._graphs[path] = Graph(self._gpu.stream.handle, enqueue)
        except (RuntimeError, self._gpu.cuda.Error) as error:
            self._without.append(f"CUDA graph: {error}")
