"""PASS, WARN or FAIL: what is not as it should be, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["PASS", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and what to do."""

    level: Level
    whose: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.level} {self.whose}: {self.found}. {self.remedy}"


def verdict_of(findings: Sequence[Finding]) -> tuple[Level, tuple[Finding, ...]]:
    """The worst of the findings, and all of them, worst first."""
    ordered = sorted(findings, key=lambda finding: finding.level != "FAIL")
    level: Level = "PASS" if not ordered else "FAIL" if ordered[0].level == "FAIL" else "WARN"
    return level, tuple(ordered)
