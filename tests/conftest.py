"""What every test may ask for. A missing piece skips with one line, or fails if it is required."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-equipment",
        action="store_true",
        default=os.environ.get("RIGPOSE_REQUIRE", "") not in ("", "0"),
        help="missing data or equipment fails a test instead of skipping it (or set RIGPOSE_REQUIRE=1)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Under --require-equipment a skip is a failure, whoever asked for it and why.

    Tests of hardware that no test machine can be given by a package (gpu, camera, jetson) may skip.
    """
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.config.getoption("--require-equipment")
        and not any(item.get_closest_marker(name) for name in ("gpu", "camera", "jetson"))
    ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: required, but {reason}"
    return report


def _folder(variable: str, beside: str, what: str) -> Path:
    given = os.environ.get(variable)
    folder = Path(given) if given else CHECKOUT.parent / "shared" / beside
    if not folder.is_dir():
        pytest.skip(f"no {what}: set {variable} to its folder (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings: $RIGPOSE_DATA, else ../shared/data beside the checkout."""
    return _folder("RIGPOSE_DATA", "data", "real recordings")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of pretrained trunks: $RIGPOSE_WEIGHTS, else ../shared/weights beside the checkout."""
    return _folder("RIGPOSE_WEIGHTS", "weights", "pretrained weights")


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """A simulated Arduino Uno with the trigger's firmware: a `Board` of tests.equipment."""
    from tests.equipment.microcontroller.simulated import build

    return build(tmp_path_factory.mktemp("board"))
