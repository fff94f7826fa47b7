"""A skip says why in one line; where everything is required it is a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_of_data(data_dir):
    assert data_dir.is_dir()

def test_of_equipment():
    pytest.skip("no simavr: apt-get install simavr")

@pytest.mark.gpu
def test_of_hardware():
    pytest.skip("no NVIDIA GPU")
"""


def run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tests = folder / "checkout" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_sample.py").write_text(TESTS)
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tests)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RIGPOSE_", "PYTEST_"))}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "-o",
            "markers=gpu",
            *options,
        ],
        cwd=tests.parent,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
    )


def test_without_data_tests_are_skipped_with_one_line(tmp_path):
    ran = run(tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "3 skipped" in ran.stdout
    assert (
        f"no real recordings: set RIGPOSE_DATA to its folder (looked in {tmp_path}/shared/data)" in ran.stdout
    )


@pytest.mark.parametrize("how", ["option", "environment"])
def test_where_everything_is_required_a_skip_fails_except_for_hardware(tmp_path, how):
    ran = run(tmp_path, "--require-equipment") if how == "option" else run(tmp_path, RIGPOSE_REQUIRE="1")
    assert ran.returncode == 1
    assert "1 failed, 1 skipped, 1 error" in ran.stdout, ran.stdout
    assert "required, but Skipped: no simavr: apt-get install simavr" in ran.stdout


def test_the_folder_beside_the_checkout_is_found(tmp_path):
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert "1 passed, 2 skipped" in run(tmp_path).stdout


def test_the_variable_goes_first(tmp_path):
    (tmp_path / "mine").mkdir()
    assert "1 passed, 2 skipped" in run(tmp_path, RIGPOSE_DATA=str(tmp_path / "mine")).stdout
