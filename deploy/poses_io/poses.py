"""The value that pose files hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError

NO_FRAME = -1
"""Where `Poses.frame` has no frame: lost, or the camera had not begun."""
NO_TIME_NS = -(2**63)
"""Where `Poses.t_exposure_ns` is not known: a video without a frame table."""


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """2D keypoints of one camera or video over time.

    Attributes
    ----------
    keypoints:
        Names, K of them.
    values:
        float32 (T, K, 3): x px, y px (an integer is the centre of a pixel), confidence 0..1. NaN where
        there is no frame.
    frame:
        int64 (T,): number of the decoded frame in the video; `NO_FRAME` where there is none.
    index:
        int64 (T,): index of the frame set; the row number where there are no frame sets.
    t_exposure_ns:
        int64 (T,): middle of the exposure on the rig clock; `NO_TIME_NS` where it is not known.
    about:
        What made them and of what, as JSON: scorer, video, camera, bundle, artifact, runtime.
    """

    keypoints: tuple[str, ...]
    values: npt.NDArray[np.float32]
    frame: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    t_exposure_ns: npt.NDArray[np.int64]
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.values)
        if self.values.shape != (rows, len(self.keypoints), 3):
            raise ValueError(f"values {self.values.shape} for {len(self.keypoints)} keypoints")
        for name in ("frame", "index", "t_exposure_ns"):
            if getattr(self, name).shape != (rows,):
                raise ValueError(f"{name} {getattr(self, name).shape} for {rows} rows")

    @classmethod
    def of_video(
        cls, keypoints: tuple[str, ...], values: npt.ArrayLike, about: dict[str, Any] | None = None
    ) -> Poses:
        """Poses of a video without a frame table: row n is frame n, no times."""
        array = np.asarray(values, dtype=np.float32)
        rows = np.arange(len(array), dtype=np.int64)
        return cls(keypoints, array, rows, rows.copy(), np.full(len(array), NO_TIME_NS), about or {})


def not_poses(path: Path, found: str) -> RigposeError:
    """The error of a file that should hold poses."""
    return RigposeError(
        path, expected="a file of poses", found=found, remedy="Analyse the video again: rigpose analyze"
    )
