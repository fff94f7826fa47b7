"""What runs a bundle is settled once; whoever cannot run exactly that says why."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
from deploy.bundles.runtimes import table

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN / "six_artifacts.bundle")


def test_auto_comes_to_names_and_runs_the_same_elsewhere(bundle: Bundle) -> None:
    execution = Execution.resolve(bundle, threads=2)
    assert table.AUTO not in (execution.runtime, execution.precision)
    assert execution.threads == 2
    again = Execution.from_json(execution.as_json())
    assert again == execution
    ran = again.predictor(Bundle.load(bundle.path)).describe()
    assert (ran["runtime"], ran["precision"]) == (execution.runtime, execution.precision)
    assert ran["artifact_sha256"] == execution.artifact_sha256
    assert ran["threads"] == 2


def test_the_number_of_threads_does_not_make_other_poses(bundle: Bundle) -> None:
    one, two = Execution.resolve(bundle, threads=1), Execution.resolve(bundle, threads=2)
    assert one.key == two.key != Execution.resolve(bundle, precision="fp32").key


def test_another_bundle_is_refused(bundle: Bundle) -> None:
    execution = Execution.resolve(bundle)
    with pytest.raises(RigposeError, match="the bundle of this batch"):
        execution.predictor(Bundle.load(GOLDEN / "schema1.bundle"))


def test_a_machine_without_the_runtime_says_which_extra_and_runs_no_other(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = Execution.resolve(bundle, "litert", "int8")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if "litert" in name else found(name, *rest)
    )
    with pytest.raises(RigposeError, match=r"ai_edge_litert is not installed.*rigpose\[litert\]"):
        execution.predictor(bundle)


def test_no_runtime_for_any_artifact_names_an_extra(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[litert\]'"):
        Execution.resolve(bundle)


def test_what_kept_its_bounds_there_must_keep_them_here(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = Execution.resolve(bundle, "onnx", "fp32")
    worse = replace(execution, within_tolerance=False)
    worse.predictor(bundle)  # chosen by name, although it did not: the same is true here
    monkeypatch.setattr(Execution, "of", classmethod(lambda cls, predictor: worse))
    with pytest.raises(RigposeError, match="within tolerance, as where it was chosen"):
        execution.predictor(bundle)
