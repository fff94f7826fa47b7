"""Every command that a page shows is one of the table's, with options that it has."""

import functools
import re

import pytest
from cyclopts import App, CycloptsError

from rigpose import reference
from rigpose.call import load
from rigpose.commands.table import COMMANDS
from tests.docs.pages import CHECKOUT, PAGES, commands, fenced, quoted, rows

SHOWN = (*PAGES, *sorted((CHECKOUT / "firmware_configs").rglob("README.md")))
OF_ALL = {"--help", "--json", "--quiet"}
every_page = pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(CHECKOUT)))


def split(words: list[str]) -> tuple[str, list[str]]:
    """A command's name and what follows it."""
    for length in (2, 1):
        if (name := " ".join(words[:length])) in COMMANDS and len(words) >= length:
            return name, words[length:]
    raise AssertionError(f"there is no command 'rigpose {' '.join(words)}'")


@functools.cache
def options(name: str) -> set[str]:
    of_each = reference.option_names(load(COMMANDS[name])).values()
    return OF_ALL.union(*of_each)


def alternatives(words: list[str]) -> list[list[str]]:
    """`trigger flash|test PORT` is two commands."""
    if len(words) > 1 and "|" in words[1]:
        return [[words[0], word, *words[2:]] for word in words[1].split("|")]
    return [words]


@functools.cache
def app_of(name: str) -> App:
    app = App()
    app.default(load(COMMANDS[name]))
    return app


def refused(name: str, words: list[str]) -> str:
    """Why the front door would not take these words after a command's name; '' where it would."""
    words = list(words)
    if "--json" in words:  # which the front door takes itself, as it does --quiet
        place = words.index("--json")
        del words[place : place + 2]
    words = [word for word in words if word != "--quiet"]
    try:
        app_of(name).parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        return str(error)
    return ""


@every_page
def test_a_command_line_of_a_page_is_understood(page):
    for block in fenced(page.read_text()):
        for words in commands(block):
            if words[0] not in ("--help", "--version"):
                name, rest = split(words)
                assert not refused(name, rest), f"rigpose {' '.join(words)}"


def test_a_command_line_that_is_wrong_is_refused():
    assert "--output" in refused("train", ["project"])
    assert "--no-such" in refused("train", ["project", "-o", "run", "--no-such", "1"])
    assert "minutes" in refused("train", ["project", "-o", "run", "--minutes", "soon"])
    assert not refused("train", ["project", "-o", "run", "--minutes", "3", "--quiet", "--json", "f.json"])


@every_page
def test_a_command_named_in_the_text_exists_with_its_options(page):
    for code in quoted(page.read_text()):
        words = code.split()
        if words[0] != "rigpose" or len(words) == 1 or words[1] in ("COMMAND", "--help", "--version"):
            continue
        for each in alternatives(words[1:]):
            if len(each) == 1 and any(name.startswith(f"{each[0]} ") for name in COMMANDS):
                continue  # the name of a group: `rigpose video`
            name, rest = split(each)
            asked = {word for word in re.findall(r"(?<![\w'\"])--?[a-z][\w-]*", " ".join(rest))}
            assert asked <= options(name), f"`{code}`: {name} has no {asked - options(name)}"


def test_options_beside_a_command_in_the_table_for_deeplabcut_are_its_own():
    text = (CHECKOUT / "docs/coming_from_deeplabcut.md").read_text()
    seen = 0
    for cells in rows(text):
        codes = [code.split() for code in quoted("\n\n".join(cells))]
        named = [split(words[1:])[0] for words in codes if words[0] == "rigpose" and len(words) > 1]
        known = set().union(*map(options, named))
        asked = {words[0] for words in codes if words[0].startswith("--")}
        assert asked <= known, f"{cells[0]}: {asked - known}"
        seen += len(asked)
    assert seen > 20


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rigpose demo --seed 3 -o /tmp/demo", [["demo", "--seed", "3", "-o", "/tmp/demo"]]),
        ("rigpose label P   # a page in the browser's window", [["label", "P"]]),
        ("source a/bin/activate && rigpose doctor", [["doctor"]]),
        ("PYLON_CAMEMU=4 rigpose cameras sim://scene.yaml#cam_0", [["cameras", "sim://scene.yaml#cam_0"]]),
        ("rigpose live rig.yaml \\\n    --page", [["live", "rig.yaml", "--page"]]),
        ("rigpose.train('reach')", []),
        ("# rigpose nothing", []),
    ],
)
def test_commands_are_found_in_a_block(line, words):
    assert commands(line) == words
