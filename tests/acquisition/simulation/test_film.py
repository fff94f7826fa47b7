"""Drawn pictures: the same bytes each time, no seam, never a stale one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.simulation import film
from acquisition.simulation.boards import CharucoSettings
from acquisition.simulation.film import Renderer, film_hash, load_film, render_set
from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.simulation.studio import Studio

SMALL = {"seed": 3, "size_px": (160, 120), "cameras": 2, "frame_sets": 6}


def _compose(made: film.Film, pulse: int) -> np.ndarray:
    image = np.empty_like(made.background)
    made.compose(pulse, image)
    return image


def test_the_same_settings_make_the_same_bytes(tmp_path: Path) -> None:
    for camera in range(2):
        images = []
        for folder in ("one", "two"):
            scene = Scene(SceneSettings(**SMALL), tmp_path / folder)
            made = load_film(scene, f"cam_{camera}")
            images.append([_compose(made, pulse) for pulse in range(8)])
        assert np.array_equal(images[0], images[1])
        # Straight from the renderer as well, and stored pictures are the drawn ones.
        assert np.array_equal(render_set(scene, 4)[camera], images[0][4])
        stored = load_film(scene, f"cam_{camera}")
        assert np.array_equal(_compose(stored, 7), images[0][7])


def test_other_seeds_make_other_pictures() -> None:
    def first(**changed: object) -> np.ndarray:
        return render_set(Scene(SceneSettings(**{**SMALL, **changed}), Path("unused")), 0)[0].astype(int)

    base = first()
    for changed in ({"seed": 4}, {"camera_seed": 2}, {"individual": 2}):
        assert np.abs(first(**changed) - base).max() > 12


def test_changed_settings_are_drawn_anew_and_unchanged_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    draw_all = film._draw_all

    def counted(scene, camera, progress):
        drawn.append(camera)
        return draw_all(scene, camera, progress)

    monkeypatch.setattr(film, "_draw_all", counted)

    def load(**changed: object) -> film.Film:
        return load_film(Scene(SceneSettings(**{**SMALL, **changed}), tmp_path), "cam_0")

    base = load()
    load(loss_rate=0.5, id_wraps=False, latency_ms=9)  # nothing of this shows in the picture
    assert drawn == ["cam_0"]
    for count, changed in enumerate(
        [{"seed": 5}, {"frame_sets": 5}, {"exposures_us": (9000.0,)}, {"size_px": (150, 120)},
         {"individual": 3}, {"camera_seed": 7}, {"rate_hz": 31}, {"board": CharucoSettings()}], start=2
    ):  # fmt: skip
        made = load(**changed)
        assert len(drawn) == count
        assert not np.array_equal(made.patches, base.patches)
    assert len(list(tmp_path.glob("cam_0-*.npz"))) == 1  # old ones are removed
    # A torn file is drawn again.
    stored = next(tmp_path.glob("cam_0-*.npz"))
    stored.write_bytes(stored.read_bytes()[:1000])
    load(board=CharucoSettings())
    assert len(drawn) == count + 1


def test_the_hash_covers_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(SceneSettings(**SMALL), tmp_path)
    before = film_hash(scene)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "render.py").write_text("# another way to draw")
    monkeypatch.setattr(film, "__file__", str(tmp_path / "code" / "film.py"))
    assert film_hash(scene) != before


def test_the_loop_is_seamless_in_the_pictures() -> None:
    scene = Scene(SceneSettings(seed=3, cameras=1, size_px=(320, 240), frame_sets=60), Path("unused"))
    renderer = Renderer(scene)
    images = [renderer.image(0, index).astype(int) for index in (58, 59, 60, 61)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(images)]
    assert steps[1] < 1.2 * max(steps[0], steps[2])
    # Pulse 60 shows what pulse 0 did, under other noise.
    noise = images[2] - renderer.image(0, 0)
    assert np.abs(noise).max() < 16
    assert 0.8 < noise.std() < 4


def test_a_board_at_rest_is_drawn_once(tmp_path: Path) -> None:
    scene = Scene(SceneSettings(**{**SMALL, "frame_sets": 60, "board": CharucoSettings()}), tmp_path)
    made = load_film(scene, "cam_0")
    starts = made.boxes[:, 4]
    assert 20 < len(np.unique(starts)) < 50
    studio = Studio(scene, "cam_0")
    for index in range(1, 60):
        if starts[index] == starts[index - 1]:
            (_, _, before), (_, _, now) = studio.patches([index - 1, index])
            assert np.array_equal(before, now)


def test_no_room_for_pictures_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RigposeError, match="room for the simulated pictures"):
        load_film(Scene(SceneSettings(**{**SMALL, "frame_sets": 1}), tmp_path / "file" / "world"), "cam_0")
