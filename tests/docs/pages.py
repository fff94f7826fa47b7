"""Pages for people, taken apart: what they quote, the commands in it, their headings, links and tables."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
PAGES = (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"(?:^|&& |\| |; )\s*(?:\w+=\S* )*rigpose ")
_BETWEEN = ("&&", "|", ";", ">")


def fenced(text: str) -> list[str]:
    """What stands between ``` and ```."""
    return _FENCED.findall(text)


def quoted(text: str) -> list[str]:
    """What stands between single backticks, in one line each."""
    found = []
    for paragraph in re.split(r"\n\s*\n", _FENCED.sub("\n", text)):
        found += [
            " ".join(words.replace("\\|", "|").split()) for words in re.findall(r"`([^`]+)`", paragraph)
        ]
    return found


def commands(block: str) -> list[list[str]]:
    """The `rigpose` commands of a fenced block, as the words that follow the name."""
    found = []
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line)
        if not _COMMAND.search(line):
            continue
        words: list[str] = []
        for word in [*shlex.split(line), ";"]:
            if word in _BETWEEN:
                if "rigpose" in words:
                    found.append(words[words.index("rigpose") + 1 :])
                words = []
            else:
                words.append(word)
    return found


def anchors(text: str) -> set[str]:
    """What a link may name after `#`: GitHub's form of every heading."""
    times: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", _FENCED.sub("", text), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{times[slug]}" if times[slug] else slug)
        times[slug] += 1
    return found


def links(text: str) -> list[str]:
    """Targets of links, addresses of other sites left out."""
    targets = re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.M)
    assert found is not None, f"no heading '{heading}'"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """Cells of every table, headings and rules left out."""
    found = []
    lines = _FENCED.sub("", text).splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not re.match(r"\|[-:| ]+$", line) and not re.match(r"\|[-:| ]+$", below):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])])
    return found
