"""What the names of still pictures say: whose they are, and which are of one instant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError

_NUMBERED = re.compile(r"(.*?)(?<!\d)(\d{1,15})")  # more digits are a date, or no int64


def by_prefix(path: Path, stills: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Stills named camera-1-01.jpg or left01.jpg: what stands before the last number is the camera.

    Raises
    ------
    RigposeError
        If a name holds no number, or a camera has two pictures of one.
    """
    cameras: dict[str, dict[str, Path]] = {}
    for file in stills:
        match = re.fullmatch(r"(.*?)[-_ .]?(\d+)", file.stem)
        if match is None:
            raise RigposeError(
                file, expected="a name of camera and number, for instance left01.jpg or camera-1-01.jpg",
                found=f"'{file.name}'", remedy="Rename or remove it, or make one folder per camera",
            )  # fmt: skip
        keep_still(cameras.setdefault(match[1] or path.name, {}), str(int(match[2])), file)
    return cameras


def keep_still(stills: dict[str, Path], key: str, file: Path) -> None:
    """Add a camera's picture of the instant `key`; raises `RigposeError` if there is one."""
    if key in stills:
        raise RigposeError(
            file, expected="one picture of each number", found=f"{stills[key].name} as well",
            remedy="Rename or remove one of them",
        )  # fmt: skip
    stills[key] = file


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort by: 2 before 10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part
    ]


def numbers_of(instants: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """int64 (S,): the numbers that instants in order are called by, ascending; None where they are not.

    0001 and frame_0001 are, as long as all have one word before the number and no number comes twice.
    """
    matches = [_NUMBERED.fullmatch(instant) for instant in instants]
    if not all(matches) or len({match[1] for match in matches if match}) != 1:
        return None
    numbers = np.array([int(match[2]) for match in matches if match], dtype=np.int64)
    return numbers if (np.diff(numbers) > 0).all() else None
