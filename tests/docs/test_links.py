"""What a page points at is there."""

import re

import pytest

from tests.docs.pages import CHECKOUT, DOCS, PAGES, anchors, links, quoted

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
FOLDERS = (
    "rigpose", "training", "deploy", "calibration", "acquisition", "firmware_configs", "docs", "tests",
    "benchmarks", "examples",
)  # fmt: skip
PATH = re.compile(
    rf"(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:md|py|sh|c|h|cu|cpp|js|json|yaml|conf|rules|service)"
)


@every_page
def test_links_lead_somewhere(page):
    for target in links(page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target}: there is no such file"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{target}: no such heading"


@every_page
def test_paths_of_the_repository_exist(page):
    for code in quoted(page.read_text()):
        if PATH.fullmatch(code):
            assert (CHECKOUT / code).exists(), f"`{code}` is not there"


def test_the_index_has_one_line_for_every_page():
    lines = [line for line in (DOCS / "README.md").read_text().splitlines() if line.startswith("- [")]
    named = [re.match(r"- \[[^]]+\]\((\w+\.md)\): \S", line) for line in lines]
    assert all(named)
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert sorted(match[1] for match in named if match) == sorted(pages)


def test_headings_become_what_links_name():
    text = (
        "# `rigpose trigger test`\n## Webcams, capture cards: V4L2\n```\n# no heading\n```\n"
        "## Twice\n## Twice\n"
    )
    assert anchors(text) == {"rigpose-trigger-test", "webcams-capture-cards-v4l2", "twice", "twice-1"}
