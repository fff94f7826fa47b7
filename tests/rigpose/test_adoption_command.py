"""`rigpose adopt` through the front door, and what the session is good for afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acquisition.clips import clip
from tests.rigpose.calling import run


def test_a_session_that_other_commands_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = [clip(tmp_path / f"day-{name}.mp4", range(0, 400, 40)) for name in ("top", "side")]
    figures = tmp_path / "figures.json"
    day1 = tmp_path / "day1"
    assert run("adopt", *videos, "--camera-regex", "day-([a-z]+)", "-o", day1, "--json", figures) == 0
    said = capsys.readouterr().out
    assert "top" in said and "day-top.mp4" in said and "remuxed" in said
    assert "Times from frame numbers, 25.000 Hz; 10 of 10 frame sets complete" in said
    assert json.loads(figures.read_text())["cameras"]["side"]["frames"] == 10
    assert run("video", "check", day1) == 0
    assert run("video", "pack", day1, "-o", tmp_path / "packed") == 0
    assert run("inspect", day1) == 0
    assert f"camera top: file://{videos[0]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a-cam0.mp4", "--camera-regex", "view"], "found none"),
        (["--camera-regex", "cam."], "expected videos, found none"),
        (["no-cam0.mp4", "--camera-regex", "cam."], "nothing there"),
        (["a-cam0.mp4", "b-cam1.mp4", "--camera-regex", "cam."], "--assume-aligned"),
        (["a-cam0.mp4", "--camera-regex", "cam.", "-o", "a-cam0.mp4"], "found a file of that name"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clip(tmp_path / "a-cam0.mp4", range(0, 400, 40))
    clip(tmp_path / "b-cam1.mp4", range(0, 440, 40))
    monkeypatch.chdir(tmp_path)
    assert run("adopt", *words, *([] if "-o" in words else ["-o", "day1"])) == 2
    error = capsys.readouterr().err
    assert says in error and len(error.strip().splitlines()) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-cam0.mp4", "b-cam1.mp4"]
