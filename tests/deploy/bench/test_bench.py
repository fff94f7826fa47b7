"""The bench of a bundle: rows, refusals, the picture; timings are only asked to add up."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from acquisition.errors import RigposeError
from deploy.bench.bench import BenchOptions, bench
from deploy.bench.picture import draw
from deploy.bench.stages import END_TO_END, STAGES, ring_of_cameras, walk
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes import table

GOLDEN = Path(__file__).parents[1] / "golden" / "six_artifacts.bundle"
SHORT = BenchOptions(runtime="litert", cameras=(2,), turns=2, frame_sets=4, warm_up=1)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


@pytest.fixture(scope="module")
def measured(bundle: Bundle) -> dict[str, Any]:
    return bench(bundle, SHORT)


pytestmark = pytest.mark.long


def test_every_artifact_that_runs_here_has_a_row_with_every_stage(
    bundle: Bundle, measured: dict[str, Any]
) -> None:
    assert [(row["runtime"], row["precision"]) for row in measured["rows"]] == [
        ("litert", "int8"), ("litert", "fp32"),
    ]  # fmt: skip
    for row in measured["rows"]:
        artifact = bundle.artifact("litert", row["precision"])
        assert artifact is not None and artifact.held_out is not None
        assert row["artifact_sha256"] == artifact.sha256 and row["bundle_sha256"] == bundle.sha256
        assert row["within_tolerance"] and row["reason"] == f"litert {row['precision']}: as asked"
        assert row["held_out_px"] == round(artifact.held_out.mean_px, 3)
        assert row["input_wh"] == [128, 96] and row["threads"] == 1 and row["cameras"] == 2
        assert tuple(row["stages"]) == STAGES
        for figures in (*row["stages"].values(), row[END_TO_END]):
            assert figures["count"] == 8
            assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]
        assert row["cpu_percent"] > 0 and row["pss_mb"] > 30
    assert {(each["runtime"], each["precision"]) for each in measured["refused"]} == set()


def test_the_stages_make_up_the_whole(measured: dict[str, Any]) -> None:
    parts = ("crop_and_resize", "inference", "decode_heatmaps", "filter", "triangulate", "publish")
    for row in measured["rows"]:
        whole = 2e3 / row[END_TO_END]["frames_per_s"]  # the mean: two cameras a frame set
        summed = sum(2e3 / row["stages"][stage]["frames_per_s"] for stage in parts)
        assert 0.8 * whole < summed <= 1.01 * whole


def test_the_picture_shows_every_row(measured: dict[str, Any]) -> None:
    picture = ElementTree.fromstring(draw(measured))
    words = "\n".join(element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert "litert int8, 2 cameras" in words and "litert fp32, 2 cameras" in words
    assert "px held out" in words and "1 thread" in words


def test_one_camera_is_not_triangulated_and_what_does_not_run_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "gpu_missing", lambda: "no GPU here")
    measured = bench(bundle, BenchOptions(precision="fp16", cameras=(1,), turns=1, frame_sets=2, warm_up=1))
    assert [row["runtime"] for row in measured["rows"]] == ["onnx"]
    assert "triangulate" not in measured["rows"][0]["stages"]
    refused = {each["runtime"]: each["why"] for each in measured["refused"]}
    assert refused == dict.fromkeys(("tensorrt", "onnx-tensorrt", "onnx-cuda"), "no GPU here")


def test_nothing_that_runs_is_one_clear_error(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "gpu_missing", lambda: "no GPU here")
    with pytest.raises(RigposeError, match="no GPU here"):
        bench(bundle, BenchOptions(runtime="tensorrt"))


def test_what_is_no_video_is_refused_before_anything_starts(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    for video in (tmp_path, tmp_path / "x.mp4", tmp_path / "gone.mp4"):
        with pytest.raises(RigposeError, match="expected a video"):
            bench(bundle, BenchOptions(video=video))


def test_the_made_up_walk_agrees_between_the_cameras() -> None:
    from calibration.triangulation import triangulate

    rig = ring_of_cameras(4, (640, 480))
    for found in walk(rig, 5):
        points = triangulate(rig, found)
        assert (points[:, 9] == 4).all() and (points[:, 10] < 3).all()
        assert ((found[..., :2] > 0) & (found[..., :2] < (640, 480))).all()
