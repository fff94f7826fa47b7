"""The edge install on aarch64, emulated: its wheels exist, import, and compute what x86-64 computes.

It says nothing about speed. Tests of the packages themselves run there unchanged.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.equipment.arm64.emulated import Emulated

pytestmark = [pytest.mark.long, pytest.mark.equipment]

BUNDLE = Path("tests/deploy/golden/six_artifacts.bundle")
CHECKOUT = Path(__file__).resolve().parents[2]

KEYPOINTS = """
import platform, sys
from pathlib import Path
import cv2, numpy
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
bundle = Bundle.load(Path(sys.argv[1]))
predictor = Execution.resolve(bundle, "litert", "int8", threads=1).predictor(bundle)
images = [cv2.imread(str(file)) for file in sorted(bundle.path.glob("check/*.png"))]
numpy.save(sys.argv[2], numpy.concatenate([predictor.predict([image]) for image in images]))
print(platform.machine())
"""

RECORD_KILL_RECOVER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from acquisition.recordings.recording import Recording
from acquisition.simulation.scene import write_scene
rig = write_scene(Path("scene"), kind="animal", seed=1, rate_hz=4.0, frame_sets=64, cameras=2, size=(96, 64))
rigpose = [sys.executable, "-m", "rigpose"]
run = subprocess.Popen([*rigpose, "record", rig, "-o", "day"], start_new_session=True)
tables = [Path("day") / f"day_{name}.frames" for name in ("cam_0", "cam_1")]
until = time.monotonic() + 500
while not all(table.exists() and table.stat().st_size > 1800 for table in tables):
    assert run.poll() is None and time.monotonic() < until, "nothing was recorded"
    time.sleep(0.1)
os.killpg(run.pid, signal.SIGKILL)
run.wait()
subprocess.run([*rigpose, "recover", "day"], check=True)
with Recording.open(Path("day")) as recording:
    rows = [len(recording.frame_table(camera)) for camera in recording.cameras]
    pictures = [sum(image is not None for image in recording.images(camera)) for camera in recording.cameras]
print(json.dumps({"rows": rows, "pictures": pictures}))
"""

TRIANGULATE = """
import sys, numpy
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from tests.calibration.synthetic import ring
rng = numpy.random.default_rng(0)
rig, points = ring(5, seed=1), rng.uniform(-100, 100, (6, 10, 3))
pixels = numpy.moveaxis(rig.project(points), 0, 1)
pixels = pixels + rng.normal(0, 0.5, pixels.shape)
pixels[rng.uniform(size=pixels.shape[:3]) < 0.1] += 80.0
seen = numpy.concatenate([pixels, numpy.ones((*pixels.shape[:3], 1))], -1)
numpy.save(sys.argv[1], triangulate_exactly(rig, seen, TriangulationSettings(noise_px=0.5)))
"""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    return Emulated(tmp_path_factory.mktemp("edge"))


def ran(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_int8_keypoints_are_those_of_x86(edge: Emulated) -> None:
    told = ran(edge.python("-c", KEYPOINTS, BUNDLE, "there.npy"))
    assert told.strip() == "aarch64" != platform.machine()
    here = edge.folder / "here.npy"
    subprocess.run([sys.executable, "-c", KEYPOINTS, BUNDLE, here], cwd=CHECKOUT, check=True)
    there, here_px = np.load(edge.folder / "there.npy"), np.load(here)
    assert there.shape == here_px.shape and len(there) > 5
    # XNNPACK rounds to int8 in another way on each: single coordinates may differ by more.
    assert np.abs(there - here_px)[..., :2].mean() < 0.05


def test_points_in_space_are_those_of_x86(edge: Emulated) -> None:
    # Unoptimised, for compiling is what takes long there.
    ran(edge.run(["env", "NUMBA_OPT=0", "python3", "-c", TRIANGULATE, "points.npy"]))
    subprocess.run(
        [sys.executable, "-c", TRIANGULATE, edge.folder / "here_points.npy"], cwd=CHECKOUT, check=True
    )
    there, here = np.load(edge.folder / "points.npy"), np.load(edge.folder / "here_points.npy")
    np.testing.assert_allclose(there, here, rtol=1e-7, atol=1e-7)


def test_a_killed_recording_is_recovered(edge: Emulated) -> None:
    figures = json.loads(ran(edge.python("-c", RECORD_KILL_RECOVER)).splitlines()[-1])
    assert figures["pictures"] == figures["rows"]
    assert min(figures["rows"]) >= 10


def test_the_streams_tests_of_keys_pass_there(edge: Emulated) -> None:
    tests = "tests/deploy/stream/test_authentication.py"
    told = ran(edge.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", tests))
    assert " passed" in told and "skipped" not in told
