"""The notebooks run from top to bottom on what the demo leaves, and are stored without results."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.rigpose.demo_run import usual_environment

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "examples" / "notebooks"
NAMES = ("2d", "3d", "live")
RUNNER = Path(__file__).with_name("notebook_run.py")

each = pytest.mark.parametrize("name", NAMES)

UNIT = re.compile(r", (px|mm|s|ms|minutes|0 to 1)$")
WITHOUT_UNIT = {"keypoint", "camera", "step", "what became of them", "points", "frame sets", "frames"}


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def contents(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_there_is_no_notebook_that_is_not_run():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@each
def test_a_notebook_is_valid_and_stored_without_results(name: str):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook["nbformat"] == 4
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in code_cells(notebook):
        assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]


@each
def test_every_axis_of_a_figure_has_its_unit(name: str):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    labels = [
        label
        for cell in code_cells(notebook)
        for label in re.findall(r'(?:[xyz]label|(?<=colorbar\(dots, )label)="([^"]*)"', cell["source"])
    ]
    assert len(labels) >= 8
    assert [label for label in labels if not UNIT.search(label) and label not in WITHOUT_UNIT] == []


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1800)
@each
def test_a_notebook_runs_from_top_to_bottom(name: str, whole_demo: tuple[Path, int, str], tmp_path: Path):
    demo = whole_demo[0] / "demo"
    before = contents(demo)
    # Jupyter's own files and the notebook's temporary ones stay in the test's folder.
    own = dict.fromkeys(
        ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"),
        str(tmp_path / "jupyter"),
    )
    run = subprocess.run(
        [sys.executable, RUNNER, FOLDER / f"{name}.ipynb", tmp_path / "executed.ipynb"],
        env={**usual_environment(), **own, "TMPDIR": str(tmp_path), "RIGPOSE_DEMO": str(demo)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    executed = json.loads((tmp_path / "executed.ipynb").read_text())
    outputs = [output for cell in code_cells(executed) for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) >= 3
    assert contents(demo) == before
