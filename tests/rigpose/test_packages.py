"""What is imported by what, and what the wheel holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("rigpose", "training", "deploy", "calibration", "acquisition")
HEAVY = ("torch", "pandas", "tables", "safetensors", "onnx", "matplotlib", "litert_torch")


def test_an_edge_install_needs_neither_torch_nor_pandas():
    script = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({HEAVY!r}))  # importing one of them now fails
for package in ("acquisition", "calibration", "deploy"):
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        importlib.import_module(module.name)
        print(module.name)
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) > 5


def test_the_layers_are_kept():
    pytest.importorskip("importlinter")
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in (*PACKAGES, "firmware_configs", "tests", "benchmarks", "docs"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("rigpose-*.whl")
    return built


@pytest.mark.long
def test_the_wheel_holds_our_packages_and_the_hardware_files_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        str(file.relative_to(CHECKOUT))
        for name in (*PACKAGES, "firmware_configs")
        for file in (CHECKOUT / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert held == expected
    assert "firmware_configs/udev/99-rigpose.rules" in held


@pytest.mark.long
def test_the_installed_command_works_inside_a_folder_with_packages_of_our_names(wheel, tmp_path):
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
    )
    folder = tmp_path / "work"
    for name in PACKAGES[1:]:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    ran = subprocess.run(
        [site / "bin" / "rigpose", "configs", "copy", "hardware"],
        cwd=folder, env={"PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (folder / "hardware" / "network" / "90-rigpose.conf").is_file()
