"""`--json` never takes the place of anything but figures: refused in one line before any work."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.proof.report import JSON, OPTICAL
from acquisition.recordings import events, pack, session
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import load_calibration, save_toml
from deploy.bundles.bundle import MANIFEST_FILE
from deploy.offline.batch import FAILED_SUFFIX
from deploy.poses_io.columns import META_SUFFIX
from rigpose.measured_file import OWN_NAMES, write_measured
from tests.acquisition.sessions import write_session
from tests.rigpose.calling import run
from training.comparison.plan import PLAN_FILE
from training.evaluation.evaluate import REPORT_FILE
from training.evaluation.videos import COMPARISON_FILE
from training.learning.quantization_aware import RANGES_FILE
from training.projects.origins import NOTES_FILE
from training.refinement.record import RECORD_FILE
from training.run import SETTINGS_FILE

GOLDEN = Path(__file__).parents[1] / "deploy" / "golden" / "schema1.bundle"
BOARD = "kind: checkerboard\ninner_corners: [5, 4]\nsquare_mm: 20\n"


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one of each."""
    camera = CameraModel("top", (64, 48), np.diag([50.0, 50, 1]), np.zeros(5), np.zeros(3), np.ones(3))
    save_toml(CalibratedRig((camera,)), tmp_path / "old.toml", {"report": {}})
    (tmp_path / "bare.toml").write_bytes((tmp_path / "old.toml").read_bytes())  # Anipose's own: no JSON
    (tmp_path / "board.yaml").write_text(BOARD)
    (tmp_path / "rig.yaml").write_text("name: rig\ncameras: {}\n")
    (tmp_path / "poses.csv").write_text("fnum,a_x,a_y,a_z,a_ncams\n0,1,2,3,2\n")
    (tmp_path / "stills").mkdir()
    write_session(tmp_path / "day1", pulses=3)
    shutil.copytree(GOLDEN, tmp_path / "m.bundle")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "file", "says"),
    [
        ("calibrate stills --board board.yaml -o new.toml", "new.json", "what belongs to new.toml"),
        ("calibrate stills --board board.yaml -o new.toml", "new.toml", "reads or writes itself"),
        ("calibrate stills --board board.yaml -o new.toml", "board.yaml", "reads or writes itself"),
        ("calibrate stills --board board.yaml -o n.toml --report r.html", "./r.html", "reads or writes"),
        (
            "calibrate stills --board board.yaml -o n.toml --anchor old.toml",
            "old.json",
            "belongs to old.toml",
        ),
        ("triangulate bare.toml poses.csv -o out.csv", "bare.json", "what belongs to bare.toml"),
        ("triangulate old.toml poses.csv -o out.csv", "poses.csv", "reads or writes itself"),
        ("record rig.yaml -o new", "rig.yaml", "reads or writes itself"),
        ("live rig.yaml --model m.bundle", "day1/../rig.yaml", "reads or writes itself"),
        ("live rig.yaml --model m.bundle", "m.bundle/manifest.json", "gives to a file in m.bundle"),
        ("analyze m.bundle day1 -o .", "analyze_m.json", "gives to a file in ."),
        ("analyze m.bundle day1 -o .", "day1_cam_0X.meta.json", "gives to a file in ."),
        ("analyze m.bundle day1 -o day1", "day1/session.json", "gives to a file in day1"),
        ("sync-report day1", "day1/synchronisation.json", "gives to a file in day1"),
        ("check-sync day1", "day1/optical_proof.json", "gives to a file in day1"),
        ("video check day1", "day1/events.jsonl", "gives to a file in day1"),
        ("bench m.bundle -o stills", "stills/bench.json", "gives to a file in stills"),
        ("demo -o stills", "stills/figures.json", "gives to a file in stills"),
        ("filter poses.csv", "board.yaml", "another file, which is no JSON"),
        ("filter poses.csv", "day1/session.json", "another JSON file"),
        ("filter poses.csv", "old.json", "another JSON file"),
        ("filter poses.csv", "link.json", "reads or writes itself"),
        ("filter poses.csv", "pipe", "a device or a pipe"),
        ("filter poses.csv", "/dev/null", "a device or a pipe"),
    ],
)
def test_nothing_of_the_command_or_of_others_is_overwritten(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, file: str, says: str
) -> None:
    (place / "link.json").symlink_to("poses.csv")
    if file == "pipe":
        os.mkfifo(place / file)
    before = everything(place)
    assert run(*words.split(), "--json", file) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rigpose: error: --json {Path(file)}: expected a file for nothing but what was")
    assert said.count("\n") == 1
    assert says in said
    assert everything(place) == before


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("bench m.bundle --turns 0", "bench.json"),  # without -o it writes none
        ("video check day1", "synchronisation.json"),  # not the session's
        ("analyze m.bundle no.mp4 -o stills", "stills/figures.json"),
        ("filter no.csv", "empty.json"),
        ("filter no.csv", "earlier.json"),
    ],
)
def test_other_files_are_for_everyone_to_name(place: Path, capsys, words: str, file: str) -> None:
    (place / "empty.json").touch()
    (place / "earlier.json").write_text('{"files": []}\n')
    run(*words.split(), "--json", file)
    assert "--json" not in capsys.readouterr().err


def test_a_calibration_stays_one(place: Path) -> None:
    assert run("triangulate", "old.toml", "poses.csv", "-o", "out.csv", "--json", "old.json") == 2
    assert load_calibration(Path("old.toml")).names == ("top",)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    (tmp_path / "link.json").symlink_to("there.json")
    write_measured(tmp_path / "link.json", {"rows": np.int64(3), "error_px": float("nan"), "at": tmp_path})
    assert (tmp_path / "link.json").is_symlink()
    said = json.loads((tmp_path / "there.json").read_text())
    assert said == {"rows": 3, "error_px": None, "at": str(tmp_path)}
    assert len(list(tmp_path.iterdir())) == 2


def test_the_names_are_those_that_the_layers_give() -> None:
    given = {
        session.FILE, events.NAME, JSON, OPTICAL, pack.FILE, MANIFEST_FILE, SETTINGS_FILE, REPORT_FILE,
        COMPARISON_FILE, PLAN_FILE, NOTES_FILE, RECORD_FILE, RANGES_FILE, f"*{META_SUFFIX}",
        f"*{FAILED_SUFFIX}",
    }  # fmt: skip
    assert given <= set(OWN_NAMES)
