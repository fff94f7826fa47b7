"""A command, called as a person calls it."""

from __future__ import annotations

from rigpose.front_door import main


def run(*words: object) -> int:
    """Its exit code."""
    try:
        return main([str(word) for word in words]) or 0
    except SystemExit as left:
        return int(left.code or 0)
