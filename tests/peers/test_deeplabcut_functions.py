"""The page for people who come from DeepLabCut knows every function that DeepLabCut itself offers."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.docs.test_coming_from_deeplabcut import FUNCTIONS
from tests.peers.test_deeplabcut import deeplabcut  # noqa: F401 (a fixture)

# Of DeepLabCut-Live, another package; and modules, constants and an enumeration, which nobody calls.
ELSEWHERE = {"DLCLive", "dlclive.Processor", "dlclive.benchmark_videos"}
NO_FUNCTIONS = {"VERSION", "__version__", "DEBUG", "Engine", "auxfun_videos", "auxiliaryfunctions"}


def offered(source: str) -> set[str]:
    """What `deeplabcut/__init__.py` offers: its lists named ..._EXPORTS, read without importing it."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or not target.id.endswith("_EXPORTS"):
            continue
        if isinstance(value, ast.List):
            names |= {ast.literal_eval(each) for each in value.elts}
        elif isinstance(value, ast.Dict):
            names |= {ast.literal_eval(key) for key in value.keys if key is not None}
    return names


def test_every_function_of_deeplabcut_is_on_the_page(deeplabcut: Path):  # noqa: F811
    (source,) = deeplabcut.parents[1].glob("lib/python*/site-packages/deeplabcut/__init__.py")
    names = offered(source.read_text(encoding="utf-8"))
    assert len(names) > 50
    assert names - NO_FUNCTIONS == set(FUNCTIONS.split()) - ELSEWHERE
