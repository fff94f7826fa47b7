"""`rigpose bench`: figures and a picture in a folder; numbers out of range are refused before any work."""

import json
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from rigpose.chain import describe
from rigpose.commands.bench import bench

BUNDLE = Path(__file__).parents[1] / "deploy" / "golden" / "six_artifacts.bundle"


@pytest.mark.long
def test_figures_and_picture_lie_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = bench(
        BUNDLE, output=tmp_path / "bench", runtime="litert", precision="int8", cameras=(1,), turns=2,
        frame_sets=3, warm_up=1,
    )  # fmt: skip
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) == json.loads(json.dumps(measured))
    assert (tmp_path / "bench" / "bench.svg").read_text().startswith("<svg")
    shown = describe(tmp_path / "bench" / "bench.json")
    assert shown["kind"] == "bench"
    assert shown["chain"][0].startswith(
        f"bundle {measured['bundle']} (hash {measured['bundle_sha256'][:12]})"
    )
    assert any("p50" in str(value) for value in shown["facts"].values())
    said = capsys.readouterr().out
    assert "litert int8, 1 camera: held-out error 2.76 px" in said
    assert "1 thread(s) of inference; 2 turns of 3 frame sets, after 1 to warm up" in said
    assert "decode heatmaps" in said and "end to end" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [("turns", 0), ("frame_sets", 1001), ("cameras", ()), ("cameras", (4, 0)), ("threads", -1)],
)
def test_numbers_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(RigposeError, match=f"--{option.replace('_', '-')}: expected 1 to"):
        bench(BUNDLE, **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [4.0, float("inf"), float("nan")])
def test_a_loop_that_is_too_short_or_never_ends_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(RigposeError, match="--seconds: expected 5 or more"):
        bench(BUNDLE, loop=tmp_path / "rig.yaml", seconds=seconds)
