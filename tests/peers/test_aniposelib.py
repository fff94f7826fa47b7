"""Our calibration in the hands of aniposelib, in an environment of its own: it triangulates as we do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from calibration.formats.anipose import load_toml, save_toml
from calibration.triangulation import TriangulationSettings, triangulate_exactly
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
