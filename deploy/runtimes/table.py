"""The runtime port, the table of runtimes, and the choice among a bundle's artifacts."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from deploy.bundle import Bundle
from deploy.manifest import Artifact, Manifest


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


class RuntimeClass(Protocol):
    """How a runtime is built. Raises whatever its library raises; `load_runtime` translates."""

    def __call__(self, path: Path, manifest: Manifest, *, batch: int, threads: int) -> Runtime:
        """Load the artifact at `path` and make it ready."""


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """One row of the table: where the class is, which import it needs, which extra brings that."""

    target: str
    needs: str
    extra: str


RUNTIMES = {
    "litert": RuntimeRow("deploy.runtimes.litert:LiteRTRuntime", needs="ai_edge_litert", extra="litert"),
    "onnx": RuntimeRow("deploy.runtimes.onnx:OnnxRuntime", needs="onnxruntime", extra="onnx"),
}

# What `auto` tries, fastest first (medians on a CPU; benchmarks/inference.py).
PREFERENCE = (
    ("litert", "int8"), ("onnx", "int8"), ("litert", "fp32"), ("onnx", "fp32"), ("onnx", "fp16"),
)  # fmt: skip
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """The artifact to run, the runtime that runs it and, in words, why this one."""

    artifact: Artifact
    runtime: str
    reason: str


def choose(bundle: Bundle, runtime: str = AUTO, precision: str = AUTO) -> Choice:
    """The first artifact of `PREFERENCE` that is installed, asked for and within tolerance.

    An artifact beyond tolerance is used only where its precision is asked for by name.

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
        artifact = bundle.artifact(name, level)
        if artifact is None:
            passed_over.append(f"{name} {level} is not in the bundle")
        elif importlib.util.find_spec(RUNTIMES[name].needs) is None:
            missing.append(RUNTIMES[name].extra)
            passed_over.append(f"{RUNTIMES[name].needs} is not installed")
        elif not artifact.within_tolerance and precision == AUTO:
            passed_over.append(f"{name} {level} {artifact.verdict}")
        else:
            why = "; ".join(passed_over) or ("the fastest" if runtime == precision == AUTO else "as asked")
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


@dataclass(frozen=True, slots=True)
class LoadedRuntime:
    """A runtime and why it was chosen."""

    runtime: Runtime
    choice: Choice

    @property
    def batch(self) -> int:
        """Images per call."""
        return self.runtime.batch

    @property
    def decode_ns(self) -> int:
        """The part of the last `infer` that decoded on the host."""
        return self.runtime.decode_ns

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB -> float32 (batch, K, 3): x, y in network px, confidence."""
        return self.runtime.infer(images)

    def describe(self) -> dict[str, Any]:
        """What runs, as JSON: artifact, precision, hash, reason, and the runtime's own words."""
        artifact = self.choice.artifact
        return {
            **self.runtime.describe(),
            "artifact": artifact.file,
            "artifact_sha256": artifact.sha256,
            "precision": artifact.precision,
            "reason": self.choice.reason,
        }


def load_runtime(
    bundle: Bundle, runtime: str = AUTO, precision: str = AUTO, *, batch: int = 1, threads: int = 1
) -> LoadedRuntime:
    """Choose an artifact and make it ready for `batch` images a call on `threads` threads.

    Raises
    ------
    RigposeError
        If none can be chosen, or the chosen one does not load.
    """
    choice = choose(bundle, runtime, precision)
    module, _, name = RUNTIMES[choice.runtime].target.partition(":")
    build: RuntimeClass = getattr(importlib.import_module(module), name)
    path = bundle.path / choice.artifact.file
    try:
        return LoadedRuntime(build(path, bundle.manifest, batch=batch, threads=threads), choice)
    except (RuntimeError, ValueError, ImportError) as error:
        raise RigposeError(
            path,
            expected=f"an artifact that {choice.runtime} can run on this machine",
            found=" ".join(str(error).split())[:200],
            remedy="Choose another --runtime, or export again",
        ) from error
