"""The file that `--json` names: refused before any work if something else would be lost; written whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError

# What rigpose itself keeps in the folders that it is given or makes, by name.
OWN_NAMES = (
    "session.json", "events.jsonl", "synchronisation.json", "optical_proof.json", "packed.json",
    "manifest.json", "settings.json", "split.json", "training.json", "ranges.json", "evaluation.json",
    "comparison.json", "plan.json", "rigpose_points.json", "rigpose_refine.json", "scene.json",
    "trigger.json", "execution.json", "analyze_*.json", "*.meta.json", "*.failed.json",
)  # fmt: skip
# Names that only these commands give.
OWN_NAMES_OF = {"bench": ("bench.json",), "demo": ("figures.json", "live.json", "figures/*.json")}
# At the top of our JSON files; no command measures anything of these names.
_MARKS = ("format", "schema", "schema_version")


def refuse_unfit(file: Path, command: str, arguments: Mapping[str, Any]) -> None:
    """Refuse, with `RigposeError`, a file that cannot be written or that is needed for something else.

    Parameters
    ----------
    command:
        Its name in the table.
    arguments:
        What it is called with, by name, defaults included. Every path among them counts as one of its own.
    """
    if file.is_dir() or not os.access(file.resolve().parent, os.W_OK):
        raise RigposeError(
            f"--json {file}", expected="a file in an existing folder that may be written",
            found="a folder" if file.is_dir() else "no such folder, or one that may not be written",
            remedy="Create the folder or name another file",
        )  # fmt: skip
    if (found := _needed_for(file, command, arguments) or _held_by(file)) is not None:
        raise RigposeError(
            f"--json {file}", expected="a file for nothing but what was measured", found=found,
            remedy="Name another file",
        )  # fmt: skip


def write_measured(file: Path, measured: Any) -> None:
    """Write what a command measured, whole or not at all; the file of a link, not the link."""
    file = file.resolve()
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        text = json.dumps(_finite(measured), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    """JSON has no NaN; null says the same."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _needed_for(file: Path, command: str, arguments: Mapping[str, Any]) -> str | None:
    """Which of the command's own files it is, in words; None: none."""
    here = file.resolve()
    for path in _paths(list(arguments.values())):
        there = path.resolve()
        if here == there:
            return "what the command reads or writes itself"
        if path.suffix.lower() == ".toml" and here == there.with_suffix(".json"):
            return f"the place of what belongs to {path.name}"
        if here.is_relative_to(there):
            inside = here.relative_to(there).as_posix()
            for name in (*OWN_NAMES, *OWN_NAMES_OF.get(command, ())):
                if fnmatch(inside if "/" in name else here.name, name):
                    return f"a name that rigpose itself gives to a file in {path}"
    return None


def _held_by(file: Path) -> str | None:
    """What lies there that no command measured, in words; None: nothing, or figures of before."""
    if not file.exists():
        return None
    if not file.is_file():
        return "a device or a pipe"
    if not file.stat().st_size:
        return None
    try:
        said = json.loads(file.read_bytes())
    except ValueError:
        return "another file, which is no JSON"
    if not isinstance(said, dict) or any(mark in said for mark in _MARKS):
        return "another JSON file"
    return None


def _paths(values: Any) -> Iterator[Path]:
    """All paths among a command's arguments."""
    for value in values if isinstance(values, (list, tuple)) else [values]:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _paths(value)
