"""ONNX Runtime's providers: the one that runs is told, and no other takes its place unsaid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
from deploy.bundles.runtimes import table
from deploy.bundles.runtimes.gpu import gpu_missing
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.onnx import CPU, CUDA, TENSORRT, nodes_by_provider, require_provider
from deploy.bundles.runtimes.table import artifact_for, choose

GOLDEN = Path(__file__).parents[2] / "golden" / "six_artifacts.bundle"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


def test_on_a_cpu_the_provider_is_told(bundle: Bundle) -> None:
    said = load_runtime(bundle, "onnx", "fp32").describe()
    assert (said["runtime"], said["device"], said["provider"]) == ("onnx", "CPU", CPU)
    assert Execution.resolve(bundle, "onnx", "fp32").within_tolerance


def test_a_profile_tells_which_provider_ran_each_node(bundle: Bundle, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "p")
    artifact = bundle.artifact("onnx", "fp32")
    assert artifact is not None
    session = onnxruntime.InferenceSession(
        str(bundle.path / artifact.file), sess_options=options, providers=[CPU]
    )
    image = np.zeros((1, 96, 128, 3), np.uint8)
    for _ in range(2):  # a node that runs twice counts once
        session.run(None, {session.get_inputs()[0].name: image})
    nodes = nodes_by_provider(Path(session.end_profiling()))
    assert list(nodes) == [CPU] and nodes[CPU] > 3
    with pytest.raises(ValueError, match=f"{CUDA} runs none of the graph's nodes: {nodes[CPU]} on {CPU}"):
        require_provider(CUDA, [CUDA, CPU], nodes)


def test_a_provider_that_did_not_start_is_refused() -> None:
    with pytest.raises(ValueError, match=f"{CUDA} did not start, and ONNX Runtime would silently use {CPU}"):
        require_provider(CUDA, [CPU], {})
    require_provider(CUDA, [CUDA, CPU], {CUDA: 3, CPU: 2})
    require_provider(CPU, [CPU], {})


@pytest.mark.parametrize(("runtime", "provider"), [("onnx-cuda", CUDA), ("onnx-tensorrt", TENSORRT)])
def test_an_onnxruntime_without_the_provider_is_one_clear_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, runtime: str, provider: str
) -> None:
    monkeypatch.setattr(table, "gpu_missing", lambda: "")
    there = onnxruntime.get_available_providers()
    if {CUDA, TENSORRT} & set(there):
        pytest.skip("this onnxruntime is the one for GPUs")
    with pytest.raises(
        RigposeError, match=r"has no (CUDA|Tensorrt)ExecutionProvider: onnxruntime-gpu brings"
    ):
        load_runtime(bundle, runtime, "fp32")


def test_they_run_the_artifacts_made_for_their_kind_and_only_by_name(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert artifact_for(bundle, "onnx-cuda", "fp32") == bundle.artifact("onnx", "fp32")
    assert artifact_for(bundle, "onnx-tensorrt", "int8") == bundle.artifact("tensorrt", "int8")
    monkeypatch.setattr(table, "gpu_missing", lambda: "no GPU here")
    with pytest.raises(RigposeError, match="found no GPU here"):
        choose(bundle, "onnx-cuda")
    monkeypatch.setattr(table, "gpu_missing", lambda: "")
    assert choose(bundle, "onnx-cuda", "fp32").runtime == "onnx-cuda"
    refused = {pair: "is refused" for pair in table.PREFERENCE if not pair[0].startswith("onnx-")}
    with pytest.raises(RigposeError):
        choose(bundle, refused=refused)


@pytest.mark.gpu
@pytest.mark.parametrize(("runtime", "provider"), [("onnx-cuda", CUDA), ("onnx-tensorrt", TENSORRT)])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_a_gpu_it_runs_there_and_is_proved(
    bundle: Bundle, runtime: str, provider: str, precision: str
) -> None:
    if why := gpu_missing():
        pytest.skip(why)
    if provider not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has no {provider}: onnxruntime-gpu")
    said = load_runtime(bundle, runtime, precision, batch=2).describe()
    assert said["device"] == "GPU" and said["nodes"][provider] > 0
    assert said["accepted_here"]["refused"] == ""
