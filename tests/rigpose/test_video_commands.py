"""`video shorten|crop|downsample|check|pack` through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acquisition.clips import clip
from tests.acquisition.sessions import write_session
from tests.rigpose.calling import run


def test_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = clip(tmp_path / "a.mp4")
    assert run("video", "shorten", video, "--start", "5f", "--stop", "0.8") == 0
    assert run("video", "crop", video, "--box", "0,32,0,48") == 0
    figures = tmp_path / "figures.json"
    assert run("video", "downsample", video, "--width", "32", "--turn", "90", "--json", figures) == 0
    said = capsys.readouterr().out
    assert "ashort.mp4: 15 frames of 64 x 48 px" in said
    assert "acropped.mp4: 25 frames of 32 x 48 px" in said
    assert json.loads(figures.read_text())["width_px"] == 24
    assert run("video", "check", *tmp_path.glob("*.mp4")) == 0


def test_check_says_what_is_wrong_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = clip(tmp_path / "a.mp4")
    bad = clip(tmp_path / "b.mkv", [n * 40 for n in range(30) if n != 9])
    figures = tmp_path / "figures.json"
    assert run("video", "check", good, bad, "--json", figures) == 1
    shown = capsys.readouterr()
    assert f"{good}: 25 frames, nothing wrong" in shown.out
    assert "1 frames missing by the times (first at 9)" in shown.out
    assert "1 of 2 videos have faults" in shown.err
    assert json.loads(figures.read_text())["videos"][1]["missing"]["count"] == 1


def test_a_cut_video_is_copied_as_far_as_it_goes_and_fails(tmp_path: Path) -> None:
    video = clip(tmp_path / "a.avi", range(0, 2000, 40), codec="mjpeg")
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    assert run("video", "shorten", video) == 1
    assert (tmp_path / "ashort.mp4").exists()


def test_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_session(tmp_path / "day1", pulses=20)
    assert run("video", "pack", tmp_path / "day1", "-o", tmp_path / "packed") == 0
    assert "20 pictures" in capsys.readouterr().out
    assert sorted(file.name for file in (tmp_path / "packed").iterdir()) == [
        "day1_cam_0.mp4", "day1_cam_1.mp4", "packed.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["video", "check"], "found none"),
        (["video", "check", "no.mp4"], "nothing there"),
        (["video", "shorten", "a.mp4", "--start", "9"], "none, the video has 25"),
        (["video", "crop", "a.mp4", "--box", "1,2,3"], "4 whole numbers"),
        (["video", "downsample", "a.mp4"], "what to make smaller"),
        (["video", "downsample", "a.mp4", "--turn", "45"], "Choose from"),
        (["video", "pack", "a.mp4", "-o", "p"], "session.json"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    words: list[object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clip(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert "Traceback" not in said
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
