"""What several tests of the front door look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rigpose.demo_run import run_demo


@pytest.fixture(scope="session")
def whole_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """The whole demo, run once: the folder that holds it, its exit code, its stderr. Takes eight minutes."""
    folder = tmp_path_factory.mktemp("whole")
    return (folder, *run_demo(folder))
