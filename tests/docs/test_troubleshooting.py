"""What the page on errors quotes is what the code says."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from itertools import chain, islice, product
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, DOCS, quoted, rows

PACKAGES = ("rigpose", "training", "deploy", "calibration", "acquisition")
UNKNOWN = "…"
MOST = 16  # ways to say one thing that are looked at
Names = dict[str, list[ast.expr]]


def ways(node: ast.expr, names: Names) -> list[str]:
    """What an expression may say; what is only known when it runs is UNKNOWN."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return joined([ways(part, names) for part in node.values])
    if isinstance(node, ast.FormattedValue):
        return [UNKNOWN]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return joined([ways(node.left, names), ways(node.right, names)])
    if isinstance(node, ast.IfExp):
        return [*ways(node.body, names), *ways(node.orelse, names)]
    if isinstance(node, ast.BoolOp):
        return [text for part in node.values for text in ways(part, names)]
    if isinstance(node, ast.Name) and node.id in names:
        others = {name: values for name, values in names.items() if name != node.id}
        return [text for value in names[node.id] for text in ways(value, others)]
    return [UNKNOWN]


def joined(parts: list[list[str]]) -> list[str]:
    return ["".join(each) for each in islice(product(*parts), MOST)]


def assigned(tree: ast.AST) -> Names:
    """Local names and what is assigned to them anywhere in a function."""
    names: Names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=False))
                for name, value in pairs:
                    if isinstance(name, ast.Name):
                        names.setdefault(name.id, []).append(value)
    return names


def errors_of(path: Path) -> Iterator[str]:
    """Every message of a `RigposeError` in a file, and every other text of two words or more."""
    source = path.read_text(encoding="utf-8")
    if "raise " not in source:
        return
    for node, names in calls(ast.parse(source)):
        if isinstance(node, ast.Call):
            said = {word.arg: ways(word.value, names) for word in node.keywords}
            if {"expected", "found", "remedy"} <= said.keys():
                for each in islice(product(said["expected"], said["found"], said["remedy"]), MOST**2):
                    yield "expected {}, found {}. {}".format(*each)
        elif any(" " in text for text in ways(node, {})):
            yield from ways(node, {})


def calls(tree: ast.Module) -> Iterator[tuple[ast.expr, Names]]:
    """The `RigposeError`s of a module, each with the local names where it is, and its other texts."""
    pending: list[tuple[ast.AST, ast.AST | None]] = [(tree, None)]
    while pending:
        node, function = pending.pop()
        if isinstance(node, ast.FunctionDef):
            function = node
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            yield node, {}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RigposeError":
            yield node, {} if function is None else assigned(function)
        else:
            pending += [(child, function) for child in ast.iter_child_nodes(node)]


@functools.cache
def said() -> str:
    """All that the code may say, a line each."""
    files = chain.from_iterable(sorted((CHECKOUT / package).rglob("*.py")) for package in PACKAGES)
    return "\n".join(" ".join(text.split()) for file in files for text in errors_of(file))


def table() -> list[list[str]]:
    return rows((DOCS / "troubleshooting.md").read_text())


def fragments() -> list[str]:
    return [fragment for cells in table() for fragment in quoted(cells[0])]


def pattern(fragment: str) -> re.Pattern[str]:
    """`...` of a fragment stands for anything within a line."""
    return re.compile("[^\n]*?".join(re.escape(part) for part in fragment.split("...")))


def test_every_quoted_error_is_one_that_the_code_says():
    assert [fragment for fragment in fragments() if not pattern(fragment).search(said())] == []


def test_every_row_says_what_it_means_and_what_to_do():
    assert len(fragments()) >= 40
    assert len(set(fragments())) == len(fragments())
    for cells in table():
        assert len(cells) == 3
        assert all(cells)


MESSAGES = [
    ("raise RigposeError(1, expected='a', found=x or 'b', remedy='c')", "expected a, found b. c"),
    ("raise RigposeError(1, expected=f'a {z}', found='b', remedy='c')", "expected a …, found b. c"),
    ("y = 'b'; raise RigposeError(1, expected='a', found=y, remedy='c')", "expected a, found b. c"),
    ("raise z({1: 'free some' ' space'})", "free some space"),
]


@pytest.mark.parametrize(("source", "says"), MESSAGES)
def test_messages_are_read_off_the_source(tmp_path, source, says):
    (tmp_path / "module.py").write_text(f"def f():\n    {source}\n", encoding="utf-8")
    assert says in list(errors_of(tmp_path / "module.py"))


def test_a_fragment_that_nobody_says_is_found_out():
    assert not pattern("expected a purple elephant").search(said())
