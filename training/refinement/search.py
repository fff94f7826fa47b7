"""What `refine find` looks for: the rules, how wrong each instant is by one, and whether it can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from training.frames.extraction import listed
from training.frames.footage import Footage
from training.refinement.machine_poses import MachinePoses, file_of
from training.refinement.outliers import Scores, doubts, jumps, misfits, reprojections

RULES = ("jump", "uncertain", "fitting", "reprojection", "list")


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What is looked for: a rule of `RULES` and its bounds, as `find` describes them."""

    by: str
    epsilon_px: float
    cutoff: float
    count: int
    numbers: tuple[int, ...]
    rig: CalibratedRig | None
    span: tuple[float, float]
    seed: int

    def scores(self, footage: Footage, poses: MachinePoses) -> Scores:
        """(T,) how wrong each instant is, px or 1 - confidence; more than `bound` is found."""
        if self.by == "reprojection":
            assert self.rig is not None
            cameras = _cameras(footage, self.rig)
            values = poses.values[:, [number for number, _ in cameras]]
            return reprojections(self.rig.subset([name for _, name in cameras]), values, self.cutoff)
        per_view = []
        for view in range(len(footage.views)):
            values = poses.values[:, view]
            if self.by == "jump":
                per_view.append(jumps(footage.index, values, self.cutoff))
            elif self.by == "fitting":
                per_view.append(misfits(footage.index, values, self.cutoff))
            else:
                per_view.append(doubts(values))
        worst: Scores = np.max(per_view, axis=0)
        return worst

    @property
    def bound(self) -> float:
        """Scores above it are found."""
        return 1 - self.cutoff if self.by == "uncertain" else self.epsilon_px


def _cameras(footage: Footage, rig: CalibratedRig) -> list[tuple[int, str]]:
    """(number of the view, its camera) of the views that are calibrated."""
    return [(number, view.camera) for number, view in enumerate(footage.views) if view.camera in rig.names]


def check(search: Search, bundle: Path | None, poses: Sequence[Path]) -> None:
    """Raises `RigposeError` where options contradict each other or are out of range."""

    def refuse(option: str, expected: str, found: str, remedy: str) -> None:
        raise RigposeError(option, expected=expected, found=found, remedy=remedy)

    if search.by not in RULES:
        refuse("--by", f"one of {', '.join(RULES)}", f"'{search.by}'", "Choose one of these")
    if (bundle is None) == (not poses):
        refuse(
            "--bundle and --poses", "one of the two", "neither" if bundle is None else "both",
            "Give --bundle X.bundle, or --poses with the files of rigpose analyze",
        )  # fmt: skip
    if not 0 < search.cutoff < 1:
        refuse("--cutoff", "a confidence between 0 and 1", f"{search.cutoff:g}", "Give for instance 0.6")
    if not search.epsilon_px > 0:
        refuse("--epsilon", "px, more than 0", f"{search.epsilon_px:g}", "Give for instance 20")
    if (search.by == "list") != bool(search.numbers):
        numbers = f"{len(search.numbers)} numbers with --by {search.by}"
        refuse("--list", "numbers with --by list, and only there", numbers, "Say --by list --list 10,20,30")
    if search.by == "reprojection" and search.rig is None:
        refuse("--by reprojection", "the rig's calibration", "none", "Give --calibration C.toml")


def check_footage(search: Search, footage: Footage) -> None:
    """Raises `RigposeError` where a source cannot be searched so."""
    if search.by == "list":
        listed(footage, search.numbers)
    if search.by != "reprojection":
        return
    assert search.rig is not None
    if not footage.recording:
        raise RigposeError(
            footage.source, expected="a recording of several cameras", found="a lone video",
            remedy="Only a recording says which frames show one instant: give its folder",
        )  # fmt: skip
    if len(_cameras(footage, search.rig)) < 2:
        raise RigposeError(
            footage.source, expected=f"two cameras of {', '.join(search.rig.names)}",
            found=", ".join(view.camera for view in footage.views),
            remedy="Give the calibration of the rig that made the recording",
        )  # fmt: skip


def check_files(poses: Sequence[Path], footages: Sequence[Footage]) -> None:
    """Raises `RigposeError` where poses belong to none of the sources."""
    for path in poses:
        if not any(file_of([path], view) for footage in footages for view in footage.views):
            names = ", ".join(view.folder for footage in footages for view in footage.views)
            raise RigposeError(
                path, expected=f"poses of one of the videos ({names})", found="a name that begins with none",
                remedy="Name its video after the project",
            )  # fmt: skip
