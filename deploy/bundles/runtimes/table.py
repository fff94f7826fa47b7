"""The runtime port, the table of runtimes, and the choice among a bundle's artifacts."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import Acceptance
from deploy.bundles.bundle import Bundle
from deploy.bundles.manifest import Artifact, Manifest
from deploy.bundles.runtimes.gpu import gpu_missing


class Runtime(Protocol):
    """A loaded artifact, ready for a fixed batch. Every verb blocks; none is thread-safe.

    `decode_ns` is the part of the last `infer` that decoded on the host; 0 where the graph decodes.
    """

    batch: int
    decode_ns: int

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB, network input -> (batch, K, 3): x, y network px, confidence."""

    def describe(self) -> dict[str, Any]:
        """Runtime, version, threads and batch, as JSON."""


@runtime_checkable
class FrameRuntime(Runtime, Protocol):
    """A runtime that can also resample the cameras' images itself, where `takes_frames` says so.

    `preprocess_ns` is the part of the last `infer_frames` before the network could begin.
    """

    takes_frames: bool
    preprocess_ns: int

    def infer_frames(
        self, images: Sequence[Image | None], transforms: Sequence[ImageTransform | None]
    ) -> npt.NDArray[np.float32]:
        """One image a camera, as `to_network` takes it, or None -> as `infer`; levels within 1."""


@runtime_checkable
class BuiltRuntime(Runtime, Protocol):
    """A runtime whose engine is made on this machine, where it must prove itself before it is used.

    `acceptance` is what it did on the bundle's check/ here; None while nobody measured it.
    """

    acceptance: Acceptance | None

    def keep(self, acceptance: Acceptance | None) -> None:
        """Keep the engine, or that it was refused, for the next start."""

    def close(self) -> None:
        """Let go of what only this runtime keeps alive on the GPU; it is not used again. Twice is fine."""


class RuntimeClass(Protocol):
    """How a runtime is built. Raises whatever its library raises; `load_runtime` translates."""

    def __call__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> Runtime:
        """Load the artifact at `path` and make it ready."""


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """One row of the table.

    Attributes
    ----------
    target:
        Where the class is.
    needs, extra:
        The imports it needs, and the extra that brings them.
    gpu:
        Whether it needs an NVIDIA GPU.
    builds:
        Whether it is a `BuiltRuntime`.
    runs:
        The runtime whose artifacts it runs; "": its own.
    auto:
        Whether `auto` may choose it.
    """

    target: str
    needs: tuple[str, ...]
    extra: str
    gpu: bool = False
    builds: bool = False
    runs: str = ""
    auto: bool = True


RUNTIMES = {
    "litert": RuntimeRow(
        "deploy.bundles.runtimes.litert:LiteRTRuntime", needs=("ai_edge_litert",), extra="litert"
    ),
    "onnx": RuntimeRow("deploy.bundles.runtimes.onnx:OnnxRuntime", needs=("onnxruntime",), extra="onnx"),
    "tensorrt": RuntimeRow(
        "deploy.bundles.runtimes.tensorrt.runtime:TensorRTRuntime",
        needs=("tensorrt", "pycuda", "cuda"), extra="tensorrt", gpu=True, builds=True,
    ),
    # ONNX Runtime's providers of a GPU: asked for by name, as long as nobody has measured them on one.
    "onnx-cuda": RuntimeRow(
        "deploy.bundles.runtimes.onnx:OnnxCuda", needs=("onnxruntime",), extra="onnx-gpu", gpu=True,
        builds=True, runs="onnx", auto=False,
    ),
    "onnx-tensorrt": RuntimeRow(
        "deploy.bundles.runtimes.onnx:OnnxTensorRT", needs=("onnxruntime",), extra="onnx-gpu", gpu=True,
        builds=True, runs="tensorrt", auto=False,
    ),
}  # fmt: skip

# What `auto` tries, fastest first: the GPU's, then by medians on a CPU (benchmarks/inference.py).
PREFERENCE = (
    ("tensorrt", "int8"), ("tensorrt", "fp16"), ("tensorrt", "fp32"),
    ("litert", "int8"), ("onnx", "int8"), ("litert", "fp32"), ("onnx", "fp32"), ("onnx", "fp16"),
    ("onnx-tensorrt", "int8"), ("onnx-tensorrt", "fp16"), ("onnx-tensorrt", "fp32"),
    ("onnx-cuda", "fp16"), ("onnx-cuda", "fp32"),
)  # fmt: skip
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """The artifact to run, the runtime that runs it and, in words, why this one."""

    artifact: Artifact
    runtime: str
    reason: str


def artifact_for(bundle: Bundle, runtime: str, precision: str) -> Artifact | None:
    """What a runtime of the table runs in this precision, if the bundle holds it."""
    return bundle.artifact(RUNTIMES[runtime].runs or runtime, precision)


def choose(
    bundle: Bundle,
    runtime: str = AUTO,
    precision: str = AUTO,
    refused: Mapping[tuple[str, str], str] | None = None,
) -> Choice:
    """The first artifact of `PREFERENCE` that is installed, asked for and within tolerance.

    An artifact beyond tolerance is used only where its precision is asked for by name, and one that is to be
    built here but that no frames in the bundle could prove only where its runtime is. Without a GPU, `auto`
    does not speak of runtimes that need one.

    Parameters
    ----------
    refused:
        Runtimes and precisions that failed on this machine, and how, in words.

    Raises
    ------
    RigposeError
        If no artifact fits; it names the pip line where only a package is missing.
    """
    if runtime not in (AUTO, *RUNTIMES):
        raise RigposeError(
            f"runtime '{runtime}'",
            expected=f"one of auto, {', '.join(RUNTIMES)}",
            found=f"'{runtime}'",
            remedy="Choose another --runtime",
        )
    passed_over: list[str] = []
    missing: list[str] = []
    for name, level in PREFERENCE:
        if runtime not in (AUTO, name) or precision not in (AUTO, level):
            continue
        row = RUNTIMES[name]
        no_gpu = gpu_missing() if row.gpu else ""
        if runtime == AUTO and (no_gpu or not row.auto):
            continue
        artifact = artifact_for(bundle, name, level)
        lacking = [need for need in row.needs if importlib.util.find_spec(need) is None]
        if artifact is None:
            passed_over.append(f"{name} {level} is not in the bundle")
        elif no_gpu:
            passed_over.append(no_gpu)
        elif lacking:
            missing.append(row.extra)
            passed_over.append(f"{lacking[0]} is not installed")
        elif refused and (name, level) in refused:
            passed_over.append(f"{name} {level} {refused[name, level]}")
        elif row.builds and runtime == AUTO and not bundle.manifest.check_files:
            passed_over.append(f"{name} {level} cannot be proved here: the bundle carries no held-out frames")
        elif not artifact.within_tolerance and precision == AUTO:
            passed_over.append(f"{name} {level} {artifact.verdict}")
        else:
            why = "; ".join(dict.fromkeys(passed_over)) or (
                "the fastest" if runtime == precision == AUTO else "as asked"
            )
            if not artifact.within_tolerance:
                why = f"asked for by name, although it {artifact.verdict}"
            return Choice(artifact, name, f"{name} {level}: {why}")
    held = ", ".join(f"{artifact.runtime} {artifact.precision}" for artifact in bundle.manifest.artifacts)
    remedy = (
        f"pip install 'rigpose[{missing[0]}]'"
        if missing
        else f"The bundle holds {held}: choose another --runtime or --precision"
    )
    raise RigposeError(
        bundle.path,
        expected=f"an artifact for runtime {runtime}, precision {precision}",
        found="; ".join(dict.fromkeys(passed_over)) or "none of that kind",
        remedy=remedy,
    )
