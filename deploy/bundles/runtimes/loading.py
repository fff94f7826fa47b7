"""Loading a runtime for a bundle: chosen, made ready, and where it was built here, proved here."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import Acceptance, FindKeypoints, accept
from deploy.bundles.bundle import Bundle
from deploy.bundles.preprocess import to_network
from deploy.bundles.runtimes.table import (
    AUTO,
    RUNTIMES,
    BuiltRuntime,
    Choice,
    FrameRuntime,
    Runtime,
    RuntimeClass,
    choose,
)


@dataclass(frozen=True, slots=True)
class LoadedRuntime:
    """A runtime, why it was chosen and, if its engine was built here, what that did on check/."""

    runtime: Runtime
    choice: Choice
    acceptance: Acceptance | None = None

    @property
    def batch(self) -> int:
        """Images per call."""
        return self.runtime.batch

    @property
    def decode_ns(self) -> int:
        """The part of the last `infer` that decoded on the host."""
        return self.runtime.decode_ns

    @property
    def frames(self) -> FrameRuntime | None:
        """The runtime, if it resamples the cameras' images itself."""
        runtime = self.runtime
        return runtime if isinstance(runtime, FrameRuntime) and runtime.takes_frames else None

    def infer(self, images: Image) -> npt.NDArray[np.float32]:
        """uint8 (batch, H, W, 3) RGB -> float32 (batch, K, 3): x, y in network px, confidence."""
        return self.runtime.infer(images)

    def describe(self) -> dict[str, Any]:
        """What runs, as JSON: artifact, precision, hash, reason, and the runtime's own words."""
        artifact = self.choice.artifact
        said = {
            **self.runtime.describe(),
            "artifact": artifact.file,
            "artifact_sha256": artifact.sha256,
            "precision": artifact.precision,
            "reason": self.choice.reason,
        }
        if self.acceptance is not None:
            said["accepted_here"] = self.acceptance.model_dump(mode="json")
        return said


def load_runtime(
    bundle: Bundle, runtime: str = AUTO, precision: str = AUTO, *, batch: int = 1, threads: int = 1
) -> LoadedRuntime:
    """Choose an artifact and make it ready for `batch` images a call on `threads` threads.

    An engine that is built here must first do on the bundle's check/, on this device, what the artifact did
    where it was made: parity, and the int8 guard. If it does not, or cannot be built, the next of
    `PREFERENCE` is taken, and its reason says so.

    Raises
    ------
    RigposeError
        If none can be chosen, or the chosen one does not load.
    """
    refused: dict[tuple[str, str], str] = {}
    while True:
        choice = choose(bundle, runtime, precision, refused)
        level = choice.artifact.precision
        built: Runtime | None = None  # one passed over must be gone from the GPU before the next is built
        try:
            built = _build(bundle, choice, batch, threads)
            acceptance = _proved(built, bundle, choice) if isinstance(built, BuiltRuntime) else None
        except RigposeError as error:
            _let_go(built)
            if not RUNTIMES[choice.runtime].builds or AUTO not in (runtime, precision):
                raise
            refused[choice.runtime, level] = f"fails here: {error.found}"
            continue
        if acceptance is not None and acceptance.refused:
            refused[choice.runtime, level] = f"is, on this GPU, {acceptance.refused}"
        elif acceptance is None or acceptance.within_tolerance:
            return LoadedRuntime(built, choice, acceptance)
        elif precision == AUTO:
            refused[choice.runtime, level] = f"{acceptance.verdict}, on this GPU"
        else:
            although = f"asked for by name, although it {acceptance.verdict}, on this GPU"
            choice = replace(choice, reason=f"{choice.runtime} {level}: {although}")
            return LoadedRuntime(built, choice, acceptance)
        _let_go(built)


def _build(bundle: Bundle, choice: Choice, batch: int, threads: int) -> Runtime:
    module, _, name = RUNTIMES[choice.runtime].target.partition(":")
    build: RuntimeClass = getattr(importlib.import_module(module), name)
    with _translated(bundle, choice):
        return build(bundle.path / choice.artifact.file, bundle.manifest, batch=batch, threads=threads)


def _proved(runtime: BuiltRuntime, bundle: Bundle, choice: Choice) -> Acceptance | None:
    """What the engine does on check/: as kept, or measured now and kept; None where there is no check/."""
    if runtime.acceptance is None:
        check = bundle.check()
        if check is None:
            runtime.keep(None)
        else:
            with _translated(bundle, choice):
                measured = accept(_finder(runtime, bundle), runtime.batch, check, choice.artifact.precision)
            runtime.keep(measured)
            return measured
    return runtime.acceptance


def _let_go(runtime: Runtime | None) -> None:
    if isinstance(runtime, BuiltRuntime):
        runtime.close()


@contextlib.contextmanager
def _translated(bundle: Bundle, choice: Choice) -> Iterator[None]:
    """What a runtime's library raises inside comes out as a `RigposeError`.

    Where it needs a GPU that is anything: a driver or its packages that do not fit fail in ways of their own
    (TypeError, OSError, kinds that derive from Exception only), and the CPU is still there.
    """
    kinds = (Exception,) if RUNTIMES[choice.runtime].gpu else (RuntimeError, ValueError, ImportError)
    try:
        yield
    except RigposeError:
        raise
    except kinds as error:
        raise RigposeError(
            bundle.path / choice.artifact.file,
            expected=f"an artifact that {choice.runtime} can run on this machine",
            found=" ".join(str(error).split())[:200] or type(error).__name__,
            remedy="Choose another --runtime, or export again",
        ) from error


def _finder(runtime: Runtime, bundle: Bundle) -> FindKeypoints:
    """What finds keypoints in the end: the runtime with its own preprocessing, if it has one."""
    if isinstance(runtime, FrameRuntime) and runtime.takes_frames:
        return runtime.infer_frames
    width, height = bundle.input_wh
    inputs = np.zeros((runtime.batch, height, width, 3), np.uint8)

    def find(
        images: Sequence[Image | None], transforms: Sequence[ImageTransform | None]
    ) -> npt.NDArray[np.float32]:
        for slot, (image, transform) in enumerate(zip(images, transforms, strict=True)):
            if image is not None and transform is not None:
                to_network(image, transform, bundle.input_wh, out=inputs[slot])
        return runtime.infer(inputs)

    return find
