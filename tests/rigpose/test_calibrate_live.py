"""What `rigpose calibrate --live` refuses before it opens a camera: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.simulation.scene import write_scene
from rigpose.front_door import main


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder, kind="charuco", seed=1, frame_sets=10, cameras=2, size=(160, 120))
    (folder / "full").mkdir()
    (folder / "full" / "old.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rig.yaml", "-o", "new"], "--board"),
        (["rig.yaml", "--board", "no.yaml", "-o", "new"], "no.yaml"),
        (["no.yaml", "--board", "board.yaml", "-o", "new"], "no.yaml"),
        (["board.yaml", "--board", "board.yaml", "-o", "new"], "a value for 'name'"),
        (["rig.yaml", "--board", "rig.yaml", "-o", "new"], "rig.yaml"),
        (["rig.yaml", "--board", "board.yaml", "-o", "c.toml"], "a new folder for pictures of the board"),
        (["rig.yaml", "--board", "board.yaml", "-o", "full"], "not empty"),
        (["rig.yaml", "--board", "board.yaml", "-o", "new", "--accept"], "no option beside it"),
        (["rig.yaml", "--board", "board.yaml", "-o", "new", "--lens", "fisheye"], "no option beside it"),
    ],
)
def test_bad_input(scene: Path, words: list[str], message: str, monkeypatch, capsys) -> None:
    monkeypatch.chdir(scene)
    before = sorted(scene.rglob("*"))
    assert main(["calibrate", *words, "--live"]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "Traceback" not in said and len(said.splitlines()) == 1
    assert sorted(scene.rglob("*")) == before
