"""Where to hold the board next: what is still wanting, and the worst of it as one sentence.

The targets lie above what makes the report warn (`calibration.verdict`), so that what is enough here is not
too little there. Pure: the same coverage, the same words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calibration.live.coverage import Array, Coverage

Kind = Literal["coverage", "tilt", "views", "link"]
Cells = tuple[int, int, int, int]
"""First column, first row, and the column and row behind the last, of a part of the cells."""

ENOUGH = "enough: stop"
_STEPS = 4  # needs are compared by quarters, so that the sentence does not jump about between two of them
_KINDS: tuple[Kind, ...] = ("coverage", "tilt", "views", "link")

# Middle first: where nothing was seen yet, that is where to begin.
REGIONS: dict[str, Cells] = {
    "in the middle": (3, 2, 5, 4),
    "in the upper left": (0, 0, 3, 2), "at the top": (3, 0, 5, 2), "in the upper right": (5, 0, 8, 2),
    "on the left": (0, 2, 3, 4), "on the right": (5, 2, 8, 4),
    "in the lower left": (0, 4, 3, 6), "at the bottom": (3, 4, 5, 6), "in the lower right": (5, 4, 8, 6),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Targets:
    """When a camera, and a link between cameras, has enough."""

    coverage: float = 0.6
    views: int = 20
    tilted: int = 8
    shared: int = 10


TARGETS = Targets()


@dataclass(frozen=True, slots=True)
class Need:
    """Something that is wanting.

    Attributes
    ----------
    kind, cameras:
        What, and of which: one camera, or the two of a link.
    have, target:
        A share of the image, or a number of views.
    where:
        A key of `REGIONS`; "" for a link. More views may be had anywhere else, too.
    tilted:
        Whether the camera wants tilted views besides.
    """

    kind: Kind
    cameras: tuple[int, ...]
    have: float
    target: float
    where: str = ""
    tilted: bool = False

    @property
    def lacking(self) -> float:
        """Share of the target that is wanting, above 0 to 1."""
        return 1.0 - self.have / self.target

    @property
    def urgency(self) -> int:
        """The same in quarters, 1 to 4."""
        return max(1, math.ceil(round(_STEPS * self.lacking, 9)))


@dataclass(frozen=True, slots=True)
class Advice:
    """What a person is told.

    Attributes
    ----------
    sentence:
        Where to hold the board, or that it is enough.
    need:
        The need it is for; None where there is none.
    """

    sentence: str
    need: Need | None

    @property
    def enough(self) -> bool:
        """Whether all targets hold."""
        return self.need is None


def needs(coverage: Coverage, targets: Targets = TARGETS) -> tuple[Need, ...]:
    """What is wanting, the worst first; of equals the cameras in rig order, then the links."""
    found: list[Need] = []
    for c in range(coverage.cameras):
        tilt = coverage.tilted[c] < targets.tilted
        share = float(coverage.covered[c])
        if share < targets.coverage:
            found.append(Need("coverage", (c,), share, targets.coverage, _emptiest(coverage, c), bool(tilt)))
        if tilt:
            where = _flattest(coverage, c)
            found.append(Need("tilt", (c,), int(coverage.tilted[c]), targets.tilted, where, True))
        if coverage.views[c] < targets.views:
            found.append(
                Need("views", (c,), int(coverage.views[c]), targets.views, _emptiest(coverage, c), bool(tilt))
            )
    for a, b in tree(coverage):
        if coverage.shared[a, b] < targets.shared:
            found.append(Need("link", (a, b), int(coverage.shared[a, b]), targets.shared))
    found.sort(key=lambda need: (-need.urgency, need.kind == "link", need.cameras, _KINDS.index(need.kind)))
    return tuple(found)


def advise(wanting: Sequence[Need], names: Sequence[str]) -> Advice:
    """The worst of what `needs` found, for a person; `names` are the cameras', in rig order."""
    if not wanting:
        return Advice(ENOUGH, None)
    need = wanting[0]
    who = [names[c] for c in need.cameras]
    tilted = ", tilted" if need.tilted else ""
    more = round(need.target - need.have)
    noun = "views" if more > 1 else "view"
    sentence = {
        "coverage": f"hold the board {need.where} of {who[0]}{tilted}",
        "tilt": f"hold the board {need.where} of {who[0]}, tilted by 30 to 45 degrees",
        "views": f"hold the board {need.where} of {who[0]}{tilted}: {more} more {noun}",
        "link": f"show the board to {' and '.join(who)} at once",
    }[need.kind]
    return Advice(sentence, need)


def tree(coverage: Coverage) -> tuple[tuple[int, int], ...]:
    """The pairs of cameras that link the rig best: a maximum spanning tree (Kruskal) of the shared views.

    Two cameras that never see the board together need not: others link them. Of pairs that share equally
    much, and at the start all do, neighbours in the rig's order come first.
    """
    count = coverage.cameras
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    pairs.sort(key=lambda pair: (-coverage.shared[pair], pair[1] - pair[0], pair[0]))
    group = list(range(count))
    chosen = []
    for a, b in pairs:
        if group[a] != group[b]:
            chosen.append((a, b))
            joined = group[b]
            group = [group[a] if one == joined else one for one in group]
    return tuple(chosen)


def _emptiest(coverage: Coverage, camera: int) -> str:
    """The region of which the largest share has not been seen."""
    return max(REGIONS, key=lambda name: float((_part(coverage, camera, name) < 0).mean()))


def _flattest(coverage: Coverage, camera: int) -> str:
    """Of the regions that were seen, the one whose views were tilted least."""

    def tilt_deg(name: str) -> float:
        part = _part(coverage, camera, name)
        seen = part[part >= 0]
        return float(seen.mean()) if seen.size else math.inf

    return min(REGIONS, key=tilt_deg)


def _part(coverage: Coverage, camera: int, region: str) -> Array:
    left, top, right, bottom = REGIONS[region]
    return coverage.cells[camera, top:bottom, left:right]
