"""`analyze` and `inspect` through the front door; `export`'s table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.poses_io.columns import save_columns
from deploy.poses_io.poses import Poses
from rigpose.chain import describe
from tests.acquisition.sessions import write_session
from tests.deploy.offline.dots import pictures, write_video
from tests.rigpose.calling import run

GOLDEN = Path(__file__).parents[1] / "deploy" / "golden" / "schema1.bundle"


def test_analyze_writes_poses_and_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    assert run("analyze", GOLDEN, GOLDEN / "check", "-o", tmp_path / "poses", "--json", figures) == 0
    said = json.loads(figures.read_text())
    assert said["videos"][0]["frames"] == 6
    assert said["runs"]["bundle_sha256"] == Bundle.load(GOLDEN).sha256
    assert all(Path(file).exists() for file in said["videos"][0]["files"])
    assert "6 frames" in capsys.readouterr().out


def test_analyze_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mkv", pictures(3))
    (tmp_path / "videos" / "cover.jpg").write_bytes(b"")
    assert run("analyze", GOLDEN, tmp_path / "videos", "-o", tmp_path / "poses") == 0
    assert "cover.jpg" in capsys.readouterr().out


def test_analyze_of_a_cut_video_keeps_what_it_has_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_session(tmp_path / "day1", ended=False, loss=0, ignored=0)
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    figures = tmp_path / "figures.json"
    assert run("analyze", GOLDEN, tmp_path / "day1", "-o", tmp_path / "poses", "--json", figures) == 1
    said = json.loads(figures.read_text())
    assert all(Path(file).exists() for each in said["videos"] for file in each["files"])
    assert "were cut off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["analyze", GOLDEN, "-o", "out"], "found none"),
        (["analyze", GOLDEN, "no.mp4", "-o", "out"], "nothing there"),
        (["analyze", "no.bundle", "no.mp4", "-o", "out"], "rigpose export"),
        (["analyze", GOLDEN, GOLDEN / "check", GOLDEN / "check", "-o", "out"], "different folders"),
        (
            ["analyze", GOLDEN, GOLDEN / "check", "-o", "out", "--precision", "fp16"],
            "fp16 is not in the bundle",
        ),
        (["analyze", GOLDEN, "--list", "no.txt", "-o", "out"], "one video a line"),
        (["analyze", GOLDEN, GOLDEN / "check", "-o", "out", "--shard", "3"], "expected K/N"),
        (["analyze", GOLDEN, GOLDEN / "check", "-o", "out", "--shard", "0/2"], "K from 1 to N"),
        (["analyze", GOLDEN, GOLDEN / "check", "-o", "out", "--jobs", "0"], "expected 1 or more"),
        (["export", "no-run", "-o", "out"], "rigpose train"),
        (["inspect", "nothing"], "nothing there"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    words: list[object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_analyze_takes_a_list_a_shard_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_session(tmp_path / "day1")
    (tmp_path / "list.txt").write_text(f"# both\nday1\n{GOLDEN / 'check'}\n")
    words = ("analyze", GOLDEN, "--list", tmp_path / "list.txt", "-o", tmp_path / "poses", "--shard", "1/2")
    figures = tmp_path / "figures.json"
    assert run(*words, "--rows", "frames", "--json", figures) == 0
    said = json.loads(figures.read_text())
    assert [video["camera"] for video in said["videos"]] == ["cam_0", "cam_1", None]
    assert all(video["rows"] == video["frames"] for video in said["videos"])
    assert json.loads(Path(said["status"]).read_text())["counts"] == {"done": 3}
    capsys.readouterr()
    assert run(*words, "--rows", "frames") == 0
    assert capsys.readouterr().out.count("as it was") == 3
    assert run(*words, "--json", figures) == 0  # one row a set: other rows, made again
    said = json.loads(figures.read_text())
    assert said["videos"][0]["rows"] == said["videos"][1]["rows"] > said["videos"][0]["frames"]
    assert [video["kept"] for video in said["videos"]] == [False, False, True]


def test_inspect_tells_the_chain_of_a_bundle_and_of_its_poses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", GOLDEN) == 0
    assert "model bundle" in capsys.readouterr().out
    bundle = describe(GOLDEN)
    assert "colour-finder" in bundle["chain"][0]
    assert run("analyze", GOLDEN, GOLDEN / "check", "-o", tmp_path) == 0
    written = [path for ending in ("*.h5", "*.csv", "*.poses.npz") for path in tmp_path.glob(ending)]
    assert len(written) == 3
    for path in written:
        poses = describe(path)
        assert poses["kind"] == "file of poses"
        assert poses["facts"]["rows"] == 6
    columns = describe(next(tmp_path.glob("*.npz")))
    assert Bundle.load(GOLDEN).sha256[:12] in columns["chain"][0]


def test_every_kind_is_recognised(tmp_path: Path) -> None:
    from calibration.camera_model import CalibratedRig, CameraModel
    from calibration.formats.anipose import save_toml
    from tests.training.colour_finder import settings
    from training.files import write_json
    from training.projects.project import Project

    write_session(tmp_path / "day1")
    save_columns(Poses.of_video(("a",), np.zeros((2, 1, 3))), tmp_path / "v.poses.npz")
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "settings.json", settings().model_dump(mode="json"))
    camera = CameraModel("top", (640, 480), np.diag([500.0, 500, 1]), np.zeros(5), np.zeros(3), np.zeros(3))
    save_toml(CalibratedRig((camera,)), tmp_path / "calibration.toml")
    paths = {
        "model bundle": GOLDEN, "recording": tmp_path / "day1", "training run": tmp_path / "run",
        "calibration": tmp_path / "calibration.toml", "file of poses": tmp_path / "v.poses.npz",
    }  # fmt: skip
    for kind, path in paths.items():
        assert describe(path)["kind"] == kind
    project = Project.create(tmp_path, task="t", scorer="me", keypoints=("a",))
    with pytest.raises(RigposeError, match="labels"):
        describe(project.root)  # recognised; it holds no labels yet
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(RigposeError, match="none of these"):
        describe(tmp_path / "other.txt")


def test_export_shows_its_artifacts(capsys: pytest.CaptureFixture[str]) -> None:
    from rigpose.commands.deployment import _show_artifacts

    manifest = Bundle.load(GOLDEN).manifest.model_dump(mode="json")
    _show_artifacts(
        {"trained": None, "artifacts": manifest["artifacts"], "refused": ["a: too far"], "bundle": "b"}
    )
    said = capsys.readouterr().out
    assert "int8.tflite" in said
    assert "not shipped: a: too far" in said
