"""One line of `rigpose doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "change", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and what to do about it.

    Attributes
    ----------
    what:
        The thing, in a few words.
    state:
        "ok"; "note": something optional is not there; "change": works, but not well enough for a rig;
        "broken": rigpose will not work.
    found:
        As it is.
    remedy:
        What to do or run; '' only where the state is "ok".
    """

    what: str
    state: State
    found: str
    remedy: str = ""


def ok(what: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(what, "ok", found)
