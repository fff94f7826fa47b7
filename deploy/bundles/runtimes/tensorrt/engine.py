"""From an ONNX file to a TensorRT engine: strongly typed, for one batch, timed on the GPU that will run it.

Serves TensorRT 10 (JetPack 6), where strong typing is asked for, and 11, where there is nothing else: fp16
and int8 stand in the file (`training.exporting`), not in switches.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from deploy.whole_file import whole_file

RECIPE = 1
"""Raised whenever engines are built otherwise, so that kept ones are built again."""

_WHOLE = 100


def build_plan(tensorrt: Any, onnx: Path, batch: int, timing_cache: Path | None = None) -> bytes:
    """Build an engine for exactly `batch` images; a minute or so, with a bar.

    Parameters
    ----------
    tensorrt:
        The module (TensorRT-RTX's has the same names).
    timing_cache:
        What earlier builds timed on this GPU: read if there, written after.

    Returns
    -------
    The serialized engine.

    Raises
    ------
    RuntimeError
        If TensorRT refuses the graph or cannot build it; its first error is in the message.
    """
    words = logger(tensorrt)
    builder = tensorrt.Builder(words)
    flags = tensorrt.NetworkDefinitionCreationFlag
    typed = getattr(flags, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = tensorrt.OnnxParser(network, words)
    if not parser.parse_from_file(str(onnx)):
        found = [" ".join(str(parser.get_error(each).desc()).split()) for each in range(parser.num_errors)]
        raise RuntimeError(f"TensorRT cannot read {onnx.name}: {(found or words.errors or ['no words'])[0]}")

    config = builder.create_builder_config()
    if hasattr(tensorrt.BuilderFlag, "TF32"):
        config.clear_flag(tensorrt.BuilderFlag.TF32)  # float32 is what is left when others are too coarse
    profile = builder.create_optimization_profile()
    for each in range(network.num_inputs):
        tensor = network.get_input(each)
        shape = (batch, *tuple(tensor.shape)[1:])
        profile.set_shape(tensor.name, shape, shape, shape)
    config.add_optimization_profile(profile)
    if timing_cache is not None:
        known = timing_cache.read_bytes() if timing_cache.exists() else b""
        config.set_timing_cache(config.create_timing_cache(known), False)
    with Progress(f"building {onnx.stem} for this GPU", total=_WHOLE) as bar:
        shown = _shown(tensorrt, bar)
        if shown is not None:
            config.progress_monitor = shown
        plan = builder.build_serialized_network(network, config)
    if shown is not None and shown.cancelled:
        raise KeyboardInterrupt
    if plan is None:
        raise RuntimeError(f"TensorRT cannot build {onnx.name}: {(words.errors or ['no words'])[0]}")
    if timing_cache is not None:
        with contextlib.suppress(RigposeError), whole_file(timing_cache) as unfinished:
            unfinished.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def logger(tensorrt: Any) -> Any:
    """A logger of TensorRT's that keeps errors in `.errors` and says nothing."""

    class Words(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= tensorrt.ILogger.ERROR:
                self.errors.append(" ".join(message.split()))

    return Words()


class Shares:
    """How far a build is, from the phases within phases that TensorRT reports: each has a share of its
    parent's step, and steps are taken to last equally long.

    Attributes
    ----------
    done:
        0..1, never less than before.
    """

    def __init__(self) -> None:
        self.done = 0.0
        self._phases: dict[str, tuple[float, float, int]] = {}  # where it begins, its share, its steps

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside the current step of its parent."""
        begin, share = 0.0, 1.0
        if parent in self._phases:
            begin, whole, count = self._phases[parent]
            begin, share = max(begin, self.done), whole / count
        self._phases[phase] = begin, share, max(1, steps)

    def step(self, phase: str, step: int) -> None:
        """Step number `step` of the phase, counted from 0, is done."""
        begin, share, steps = self._phases.get(phase, (self.done, 0.0, 1))
        self.done = min(1.0, max(self.done, begin + share * (step + 1) / steps))

    def finish(self, phase: str) -> None:
        """The phase is over."""
        self._phases.pop(phase, None)


def _shown(tensorrt: Any, bar: Progress) -> Any:
    """A progress monitor that moves `bar` to `_WHOLE`, and stops the build on Ctrl-C."""
    if not hasattr(tensorrt, "IProgressMonitor"):
        return None

    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self._shares = Shares()
            self._moved = 0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._shares.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                self._shares.step(phase_name, step)
                now = round(_WHOLE * self._shares.done)
                bar.advance(now - self._moved, phase_name)
                self._moved = now
            except KeyboardInterrupt:  # must not travel through TensorRT, which is C++
                self.cancelled = True
            return not self.cancelled

        def phase_finish(self, phase_name: str) -> None:
            self._shares.finish(phase_name)

    return Monitor()
