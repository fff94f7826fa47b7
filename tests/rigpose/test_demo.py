"""The whole loop as a person runs it: `rigpose demo`."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.rigpose.demo_run import run_demo


class _Pictures(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "img" and (dict(attrs).get("src") or "").startswith("data:image/png")


def check_page(folder: Path) -> None:
    parser = _Pictures()
    parser.feed((folder / "demo" / "report.html").read_text())
    assert parser.pictures == 6


# What depends on what else the machine does (the training has a budget of time, live has deadlines) may miss
# the demo's own bound here by this much; everything else must hold as the demo says.
ALLOWED = {"mean signed error": 0.3, "complete sets received": 0.9, "frame sets a second": 27.0}


def check(folder: Path, code: int, errors: str) -> dict[str, Any]:
    assert code in (0, 1), errors
    figures: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    assert figures["bounds"]
    for row in figures["bounds"]:
        allowed = next((limit for name, limit in ALLOWED.items() if name in row["figure"]), None)
        if allowed is None or row["held"]:
            assert row["held"], row
        else:
            assert row["value"] is not None, row
            assert row["value"] <= allowed if row["limit"] < allowed else row["value"] >= allowed, row
    assert figures["losses"]["injected"] > 0
    check_page(folder)
    return figures


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_the_short_demo_runs_and_its_accounts_balance(tmp_path: Path) -> None:
    check(tmp_path, *run_demo(tmp_path, "--short"))


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1800)
def test_the_demo_holds_its_bounds(whole_demo: tuple[Path, int, str]) -> None:
    figures = check(*whole_demo)
    assert figures["live_3d"]["given_of_seen_share"] > 0.9


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo" / "scenes").mkdir(parents=True)
    (tmp_path / "demo" / "demo.txt").write_text("of an earlier demo")
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    code, errors = run_demo(tmp_path)
    assert code == 2
    assert "thesis.txt" in errors
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "years of work"
