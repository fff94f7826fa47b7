"""A DeepLabCut project as it is, through the public commands: open, train, evaluate, export, analyze."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import rigpose

PROJECT = "openfield-Pranav-2018-10-30"
IMAGENET = "mobilenet_v2_1.0_224_quant.tflite"
EPOCHS = 45  # passes, not minutes: a slow machine learns as much

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.alone, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data_dir: Path, weights_dir: Path) -> Path:
    folder = tmp_path_factory.mktemp("openfield") / "run"
    trained = rigpose.train(
        data_dir / PROJECT, output=folder, network="mobilenetv2-1.0", init=str(weights_dir / IMAGENET),
        epochs=EPOCHS, fold="0/5",
    )  # fmt: skip
    held_out = trained["held_out"]
    print(
        f"openfield, fold 0 of 5: {held_out['mean_px']:.2f} px mean on {trained['held_out_images']} held-out "
        f"images after {trained['seconds']:.0f} s and {trained['steps']} steps"
    )
    return folder


@pytest.fixture(scope="module")
def exported(run: Path) -> dict[str, Any]:
    figures: dict[str, Any] = rigpose.export(run, output=run.parent / "openfield.bundle")
    return figures


def test_the_held_out_error_is_that_of_a_working_network(run: Path) -> None:
    measured = rigpose.evaluate(run)
    assert measured["all"]["mean_px"] < 4.0


def test_int8_stays_beside_fp32(exported: dict[str, Any]) -> None:
    error = {
        (artifact["runtime"], artifact["precision"]): artifact["held_out"]["mean_px"]
        for artifact in exported["artifacts"]
    }
    fp32, int8 = error["litert", "fp32"], error["litert", "int8"]
    print(f"openfield, held out: fp32 {fp32:.2f} px, int8 {int8:.2f} px")
    assert int8 <= max(1.05 * fp32, fp32 + 0.15)


def test_its_video_becomes_files_that_deeplabcut_reads(
    exported: dict[str, Any], run: Path, data_dir: Path
) -> None:
    output = run.parent / "poses"
    rigpose.analyze(
        run.parent / "openfield.bundle", data_dir / PROJECT / "videos" / "m3v1mp4.mp4", output=output
    )
    (table,) = output.glob("m3v1mp4DLC_*.h5")
    poses = pd.read_hdf(table, key="df_with_missing")
    assert poses.shape == (2330, 12)
    assert poses.columns.names == ["scorer", "bodyparts", "coords"]
    likelihood = poses.xs("likelihood", axis=1, level="coords")
    assert (likelihood > 0.5).mean().mean() > 0.7
    peer = os.environ.get("RIGPOSE_PANDAS2_PYTHON")
    if peer:
        read = f"import pandas; print(pandas.read_hdf({str(table)!r}).shape, pandas.__version__[0])"
        seen = subprocess.run([peer, "-c", read], capture_output=True, text=True, check=True)
        assert seen.stdout.split() == ["(2330,", "12)", "2"]
