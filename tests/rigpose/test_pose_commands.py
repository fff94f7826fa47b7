"""`filter` and what else is done to files of poses, through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import load_poses
from rigpose.chain import describe
from tests.acquisition.clips import clip
from tests.acquisition.sessions import write_session
from tests.deploy.tracks import walk
from tests.rigpose.calling import run


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    save_columns(walk(rows=120, gaps=((50, 52),)).poses(), tmp_path / "aS.poses.npz")
    return tmp_path / "aS.poses.npz"


def test_filter_writes_beside_and_says_what_it_did(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_csv(load_poses(poses), "S", poses.with_name("aS.csv"))
    figures = poses.parent / "figures.json"
    assert run("filter", poses, poses.with_name("aS.csv"), "--kind", "kalman", "--json", figures) == 0
    said = json.loads(figures.read_text())
    assert [Path(file["output"]).name for file in said["files"]] == [
        "aS_filtered.poses.npz",
        "aS_filtered.csv",
    ]
    assert [file["bridged"] for file in said["files"]] == [4, 4]
    assert "4 bridged, 0 left out" in capsys.readouterr().out


def test_label_video(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, output = clip(poses.with_name("a.mp4"), range(0, 4800, 40)), poses.with_name("o.mp4")
    assert run("label-video", video, poses, "-o", output, "--trail", "5", "--numbers", "--black") == 0
    assert "o.mp4: 120 pictures of 64 x 48 px, 25 a second" in capsys.readouterr().out
    clip(video, range(0, 400, 40))
    assert run("label-video", video, poses, "-o", output.with_name("p.mp4")) == 2
    assert "the 120 frames that aS.poses.npz speaks of, found 10" in capsys.readouterr().err
    assert run("label-video", video, poses, "-o", output.with_name("p.mp4"), "--unequal") == 0


def test_export_nwb_asks_for_all_that_it_needs_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_session(tmp_path / "day1", pulses=6, loss=0, ignored=0)
    words = ["export-nwb", tmp_path / "day1", "-o", tmp_path / "a.nwb"]
    assert run(*words) == 2
    assert "no description, no species, no sex, no age" in capsys.readouterr().err
    files = []
    for camera in ("cam_0", "cam_1"):
        files.append(tmp_path / f"day1_{camera}S.poses.npz")
        save_columns(Poses.of_video(("a",), np.zeros((6, 1, 3))), files[-1])
    (tmp_path / "lab.yaml").write_text("species: Mus musculus\nsex: F\nage: P90D\n")
    figures = tmp_path / "figures.json"
    options = ["--metadata", tmp_path / "lab.yaml", "--description", "by hand", "--json", figures]
    assert run(*words, "--poses", *files, *options) == 0
    assert json.loads(figures.read_text())["poses_2d"] == {"cam_0": 6, "cam_1": 6}
    assert "2D poses cam_0 6, cam_1 6" in capsys.readouterr().out
    shown = describe(tmp_path / "a.nwb")
    assert (shown["kind"], shown["facts"]["session"]) == ("NWB file", "day1")
    assert shown["facts"]["subject"].endswith("Mus musculus")
    assert shown["facts"]["poses"] == "PoseEstimation_cam_0, PoseEstimation_cam_1"
    assert shown["chain"] == [
        *(f"PoseEstimation_{camera}: 2D poses of day1_{camera}S.poses.npz" for camera in ("cam_0", "cam_1")),
        *(f"video_{camera}: video day1/day1_{camera}.mkv" for camera in ("cam_0", "cam_1")),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["filter"], "found none"),
        (["filter", "no.h5"], "no such file"),
        (["filter", "aS.poses.npz", "--kind", "median", "--window", "4"], "Give 5"),
        (["filter", "aS.poses.npz", "--kind", "arima", "--order", "3"], "2 whole numbers"),
        (["filter", "aS.poses.npz", "--kind", "mean"], "Choose from"),
        (["skeleton", "aS.poses.npz", "--skeleton", "none"], "nothing there"),
        (["skeleton", "--skeleton", "none"], "found none"),
        (["plot"], "found none"),
        (["label-video", "aS.poses.npz", "-o", "o.mp4"], "at least one video"),
        (["export-slp", "aS.poses.npz", "-o", "o.slp"], "no word of it"),
        (["label-video", "a.mp4", "aS.poses.npz", "-o", "o.gif"], ".mp4"),
        (["label-video", "a.mp4", "aS.poses.npz", "-o", "o.mp4"], "nothing there"),
        (["plot", "aS.poses.npz", "--keypoints", "snout,ear"], "'ear'"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    words: list[object], says: str, poses: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(poses.parent)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert "Traceback" not in said
    assert list(poses.parent.iterdir()) == [poses]
