"""Of the container files, what can be told without an engine that builds them."""

import re

from tests.docs.pages import CHECKOUT, DOCS

DESKTOP = (CHECKOUT / "Dockerfile").read_text()
JETSON = (CHECKOUT / "Dockerfile.jetson").read_text()
PROJECT = (CHECKOUT / "pyproject.toml").read_text()


def extras(text: str) -> list[list[str]]:
    """The extras of every `pip install '...[...]'`."""
    return [names.split(",") for names in re.findall(r"pip install [^\n]*'[^'\n]*\[([\w,-]+)\]'", text)]


def test_the_desktop_s_step_is_the_makefile_s():
    target = re.search(r"RUN make -C /opt/rigpose (\w+)", DESKTOP)
    assert target
    assert re.search(rf"^{target[1]}:", (CHECKOUT / "Makefile").read_text(), re.M)


def test_every_extra_of_an_install_line_is_one_of_pyproject_s():
    known = set(
        re.findall(r"^([a-z0-9-]+) = \[", PROJECT.partition("[project.optional-dependencies]")[2], re.M)
    )
    pages = [JETSON, *((DOCS / name).read_text() for name in ("jetson.md", "tutorial.md"))]
    asked = [extra for page in pages for line in extras(page) for extra in line]
    assert len(asked) > 8
    assert set(asked) <= known
    assert "train" not in {extra for line in extras(JETSON) for extra in line}


def test_both_start_the_installed_command_in_what_was_copied():
    for text in (DESKTOP, JETSON):
        assert "COPY . /opt/rigpose" in text
        assert 'ENTRYPOINT ["/opt/rigpose/.venv/bin/rigpose"]' in text
    kept_out = (CHECKOUT / ".dockerignore").read_text().split()
    assert ".venv" in kept_out
    for line in re.findall(r"^COPY \S+", DESKTOP + JETSON, re.M):
        assert line == "COPY ."
