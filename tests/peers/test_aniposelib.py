"""Our calibration in the hands of aniposelib, and ours with it, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from calibration.formats.anipose import load_toml, save_toml
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from calibration.world import scaled
from deploy.poses_io.anipose_csv import load_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.poses import Poses
from tests.calibration.synthetic import ring

TRIANGULATE = """
import sys, numpy
from aniposelib.cameras import CameraGroup
group = CameraGroup.load(sys.argv[1])
points = numpy.load(sys.argv[2])
numpy.savez(sys.argv[3], names=numpy.array(group.get_names()), points=group.triangulate(points))
group.dump(sys.argv[4])
"""


@pytest.fixture(scope="module")
def aniposelib() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    default = cache / "rigpose" / "aniposelib" / "bin" / "python"
    python = Path(os.environ.get("RIGPOSE_ANIPOSELIB_PYTHON", default))
    if not python.exists():
        pytest.skip("no aniposelib: run tests/peers/aniposelib_env.sh, or set RIGPOSE_ANIPOSELIB_PYTHON")
    return python


@pytest.mark.long
@pytest.mark.equipment
def test_a_rig_goes_there_and_back_and_triangulates_alike(tmp_path: Path, aniposelib: Path) -> None:
    rng = np.random.default_rng(0)
    rig = ring(4, seed=3)
    truth = rng.uniform(-100, 100, (50, 3))
    seen = np.stack([camera.project(truth) for camera in rig.cameras])
    seen[0, :10] = np.nan  # fewer views
    save_toml(rig, tmp_path / "ours.toml")
    np.save(tmp_path / "seen.npy", seen)
    arguments = [tmp_path / name for name in ("ours.toml", "seen.npy", "there.npz", "theirs.toml")]
    done = subprocess.run(
        [aniposelib, "-I", "-c", TRIANGULATE, *arguments], capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "there.npz", allow_pickle=False) as there:
        assert tuple(there["names"]) == rig.names
        theirs = there["points"]
    confident = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], axis=-1)
    ours = triangulate_exactly(rig, confident[None], TriangulationSettings())[0, :, :3]
    np.testing.assert_allclose(ours, truth, atol=1e-6)
    np.testing.assert_allclose(
        theirs, ours, atol=0.01
    )  # they minimise another error than ours, and stop early
    back = load_toml(tmp_path / "theirs.toml")
    for mine, other in zip(rig.cameras, back.cameras, strict=True):
        assert other.name == mine.name
        np.testing.assert_allclose(other.project(truth), mine.project(truth), atol=1e-6)


@pytest.mark.long
@pytest.mark.equipment
def test_triangulate_optim_is_smoother_than_its_points_and_fills_nothing_in(
    tmp_path: Path, aniposelib: Path
) -> None:
    rng = np.random.default_rng(1)
    rig = ring(3, seed=3)
    save_toml(scaled(rig, 1e-3), tmp_path / "c.toml")  # in metres, which aniposelib knows nothing of
    (tmp_path / "c.json").unlink()
    (tmp_path / "c.toml").write_text((tmp_path / "c.toml").read_text().replace('"mm"', '"m"'))
    t = np.linspace(0, 2, 60)[:, None]
    nose = np.concatenate([60 * np.cos(t), 60 * np.sin(t), 5 * t], axis=1)
    truth = np.stack([nose, nose + np.array([0, 0, 30.0])], axis=1)
    seen = rig.project(truth) + rng.normal(0, 2.0, (3, 60, 2, 2))
    sure = np.full((3, 60, 2, 1), 0.9)
    sure[:2, 30:33, 0] = 0.1  # one camera only
    files = []
    for name, px, confidence in zip(rig.names, seen, sure, strict=True):
        files.append(tmp_path / f"{name}.poses.npz")
        values = np.concatenate([px, confidence], axis=-1)
        save_columns(Poses.of_video(("nose", "tail"), values, {"camera": name}), files[-1])
    (tmp_path / "config.yaml").write_text("bodyparts: [nose, tail]\nskeleton: [[nose, tail]]\n")
    points = {}
    for name, options in (
        ("plain", ()), ("optim", ("--optim", "--skeleton", tmp_path / "config.yaml")),
    ):  # fmt: skip
        done = subprocess.run(
            [aniposelib, "-m", "rigpose", "triangulate", tmp_path / "c.toml", *files,
             "-o", tmp_path / f"{name}.csv", "--json", tmp_path / f"{name}.json", *options],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        points[name] = load_anipose_csv(tmp_path / f"{name}.csv").points
    figures = json.loads((tmp_path / "optim.json").read_text())
    assert figures["covariance"] == {
        "stated": False,
        "calibration_uncertainty_included": False,
        "checked": [],
    }
    assert figures["points"] == 117
    there = np.isfinite(points["plain"][..., 0])
    np.testing.assert_array_equal(there, np.isfinite(points["optim"][..., 0]))
    assert not there[30:33, 0].any()
    assert np.isnan(points["optim"][..., 3:9]).all()
    off = {name: np.linalg.norm(found[..., :3] - truth, axis=-1)[there] for name, found in points.items()}
    assert np.sqrt(np.mean(off["optim"] ** 2)) < np.sqrt(np.mean(off["plain"] ** 2))
    assert 1 < np.median(points["optim"][..., 10][there]) < 4
