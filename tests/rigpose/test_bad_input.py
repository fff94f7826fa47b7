"""Bad input through the command line: one clear line, exit code 2, no traceback, nothing half-written."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from acquisition.simulation.scene import write_scene
from training.projects.labels import write_labels
from training.projects.project import Project
from training.projects.saved_frames import save_images

GOLDEN_BUNDLE = Path(__file__).parents[1] / "deploy" / "golden" / "schema1.bundle"


@pytest.fixture
def rig_file(tmp_path: Path) -> Path:
    return write_scene(
        tmp_path / "scene", kind="animal", seed=1, cameras=2, size=(96, 72), frame_sets=10
    ).resolve()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    copy = tmp_path / "mouse.bundle"
    shutil.copytree(GOLDEN_BUNDLE, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path, task="mouse", scorer="anna", keypoints=["nose", "tail"])
    images = [(n, np.full((72, 96), 40 * n, np.uint8)) for n in range(5)]
    names = save_images(made, "day1", images)
    write_labels(made, "day1", names, np.full((5, 2, 2), 30.0))
    return made


def refused(folder: Path, words: Sequence[object], *says: str) -> None:
    """Run the command in `folder`; it must refuse in one line that holds all of `says`, and leave nothing."""
    before = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    run = subprocess.run(
        [sys.executable, "-m", "rigpose", *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    lines = [line for line in run.stderr.splitlines() if not line.startswith(("INFO: ", "WARNING: All log"))]
    assert run.returncode == 2, run.stderr
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    for part in says:
        assert part in lines[0]
    after = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    assert [path for path in after if path not in before and "world" not in path.parts] == []


@pytest.mark.parametrize(
    "words",
    [
        ["record", "no.yaml", "-o", "out", "--seconds", "1"],
        ["calibrate", "no-folder", "--board", "no-board.yaml", "-o", "c.toml"],
        ["triangulate", "no.toml", "a.csv", "-o", "out.csv"],
        ["train", "no-project", "-o", "run"],
        ["evaluate", "no-run"],
        ["export", "no-run", "-o", "no.bundle"],
        ["analyze", "no.bundle", "no.mp4", "-o", "out"],
        ["live", "no.yaml", "--model", "no.bundle"],
        ["inspect", "nothing"],
    ],
)
def test_a_missing_file(tmp_path: Path, words: list[str]) -> None:
    missing = [word for word in words if word.startswith("no")]
    refused(tmp_path, words, missing[-1] if words[0] == "calibrate" else missing[0])  # the board comes first


def test_a_yaml_key_that_does_not_exist(tmp_path: Path, rig_file: Path) -> None:
    content = yaml.safe_load(rig_file.read_text())
    content["trigger"]["rate_hertz"] = 30
    rig_file.write_text(yaml.safe_dump(content, sort_keys=False))
    refused(tmp_path, ["record", rig_file, "-o", "out", "--seconds", "1"], "rate_hertz", "rate_hz")


def test_labels_of_another_scorer(tmp_path: Path, project: Project) -> None:
    folder = project.root / "labeled-data" / "day1"
    (folder / "CollectedData_anna.h5").unlink()
    table = folder / "CollectedData_anna.csv"
    table.write_text(table.read_text().replace("anna", "berta"))
    refused(tmp_path, ["train", project.root, "-o", "run", "--epochs", "1"], "anna", "berta")


def test_a_labelled_image_that_is_damaged(tmp_path: Path, project: Project) -> None:
    image = sorted((project.root / "labeled-data" / "day1").glob("*.png"))[2]
    image.write_bytes(image.read_bytes()[:60])
    refused(tmp_path, ["train", project.root, "-o", "run", "--epochs", "1"], image.name)


def test_boards_of_another_image_size(tmp_path: Path) -> None:
    board = {"kind": "checkerboard", "inner_corners": [5, 4], "square_mm": 20.0}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(board))
    squares = np.kron(np.indices((5, 6)).sum(axis=0) % 2, np.ones((40, 40))).astype(np.uint8) * 200
    for camera in ("left", "right"):
        (tmp_path / camera).mkdir()
        for number in range(4):
            pad = 40 + 3 * number + (30 if camera == "right" and number == 2 else 0)
            picture = cv2.copyMakeBorder(
                squares, pad, 80 - pad + 9, pad, 30, cv2.BORDER_CONSTANT, value=[220]
            )
            cv2.imwrite(str(tmp_path / camera / f"{number:02d}.png"), picture)
    refused(tmp_path, ["calibrate", tmp_path, "--board", "board.yaml", "-o", "c.toml"], "size")


def test_a_corrupt_video(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 20)
    refused(tmp_path, ["analyze", bundle, "broken.mp4", "-o", tmp_path], "broken.mp4")


def test_a_bundle_with_a_changed_byte(tmp_path: Path, bundle: Path, rig_file: Path) -> None:
    artifact = next(path for path in sorted(bundle.iterdir()) if path.suffix in (".tflite", ".onnx"))
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.write_bytes(content)
    refused(tmp_path, ["live", rig_file, "--model", bundle, "--seconds", "1"], artifact.name, "SHA-256")


def test_a_camera_that_is_not_there(tmp_path: Path, bundle: Path, rig_file: Path) -> None:
    rig_file.write_text(rig_file.read_text().replace("#cam_1", "#cam_7"))
    refused(tmp_path, ["live", rig_file, "--model", bundle, "--seconds", "1"], "cam_7")


def test_a_port_in_use(tmp_path: Path, bundle: Path, rig_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        words = ["live", rig_file, "--model", bundle, "--seconds", "1", "--endpoint", endpoint]
        refused(tmp_path, words, endpoint, "in use")
