"""scene.yaml and the files written beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from acquisition.settings import read_settings
from acquisition.simulation.boards import CheckerboardSettings, WavedBoard
from acquisition.simulation.scene import Scene, scene_of, write_scene


@pytest.mark.parametrize("kind", ["animal", "charuco", "checkerboard"])
def test_what_is_written_can_be_read(tmp_path: Path, kind: str) -> None:
    path = write_scene(tmp_path / "s", kind=kind, seed=4, cameras=3, rate_hz=60, loss_rate=0.01)
    rig = read_settings(RigSettings, path)
    assert list(rig.cameras) == ["cam_0", "cam_1", "cam_2"]
    assert rig.trigger is not None
    assert rig.trigger.rate_hz == 60
    scene = Scene.load(path.parent / "scene.yaml")
    assert scene.settings.loss_rate == 0.01
    assert Scene.of_world(scene.world).settings == scene.settings
    assert (path.parent / "board.yaml").exists() == (kind != "animal")
    assert isinstance(scene.subject, WavedBoard) == (kind != "animal")
    assert not list(path.parent.glob("*.part"))


def test_a_world_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    write_scene(tmp_path / "s", kind="animal", seed=4, world="~/world")
    assert Scene.load(tmp_path / "s" / "scene.yaml").world == tmp_path / "anna" / "world"
    assert (tmp_path / "anna" / "world" / "scene.json").exists()


def test_board_and_rig_may_be_given(tmp_path: Path) -> None:
    path = write_scene(
        tmp_path, kind="checkerboard", seed=1, board={"inner_corners": [6, 4]}, rig={"calibration": "c.toml"}
    )
    board = read_settings(CheckerboardSettings, tmp_path / "board.yaml")
    assert board.inner_corners == (6, 4)
    assert yaml.safe_load(path.read_text())["calibration"] == "c.toml"


def test_boards_and_animals_share_the_rig(tmp_path: Path) -> None:
    one = Scene.load(write_scene(tmp_path / "a", kind="animal", seed=1).parent / "scene.yaml")
    other = Scene.load(write_scene(tmp_path / "b", kind="charuco", seed=2).parent / "scene.yaml")
    assert [view.lens for view in one.views] == [view.lens for view in other.views]
    assert (one.views[3].rotation == other.views[3].rotation).all()


def test_addresses() -> None:
    assert scene_of("sim://scene.yaml#cam_0") == (Path("scene.yaml"), "cam_0")
    assert scene_of("sim:///a b/50%/scene.yaml#cam_1") == (Path("/a b/50%/scene.yaml"), "cam_1")
    assert scene_of("sim://scene.yaml") == (Path("scene.yaml"), "")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss_rat": 0.1}, "Did you mean 'loss_rate'"),
        ({"exposures_us": [40_000.0]}, "exposures_us"),
        ({"size": (8, 8)}, "size_px"),
        ({"loss_rate": 1.5}, "loss_rate"),
        ({"board": {"squares_mm": 3}, "kind": "charuco"}, "squares_mm"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    tmp_path: Path, settings: dict[str, object], expected: str
) -> None:
    with pytest.raises(RigposeError, match=expected):
        write_scene(tmp_path / "s", **{"kind": "animal", "seed": 1, **settings})  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()
