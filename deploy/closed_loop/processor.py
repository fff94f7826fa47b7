"""What a closed-loop processor is: DeepLabCut-Live's two methods, and what rigpose gives them besides.

    class MyProcessor:
        def process(self, pose, **kwargs):   # for every pose; returns a pose
        def save(self, file):                # once, at the end of a recorded run

`pose` is an array (keypoints, 3) of x px, y px, confidence of one camera, NaN where it had no frame. Of the
keyword arguments `frame_time` (exposure, seconds since 1970), `pose_time` (when the pose was published) and
`record` are DeepLabCut-Live's and its GUI's; `moment` (`Moment`) and `outputs` (name -> `OutputHandle`) are
ours. A processor that was written for DeepLabCut-Live runs as it is; where that package is not installed,
its `Processor` class is stood in for.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.stream.messages import Kind, Session

__all__ = ["Moment", "Processor", "ProcessorLike", "load_processor"]


class ProcessorLike(Protocol):
    """The two methods."""

    def process(self, pose: npt.NDArray[np.float32], **kwargs: Any) -> Any:
        """Do something about a pose; returns the pose, changed or not."""
        ...

    def save(self, file: str = "") -> Any:
        """Keep what was gathered, in `file` or beside it."""
        ...


class Processor:
    """A base for processors; it does nothing. Using it is not required."""

    def __init__(self, **kwargs: Any) -> None:
        pass

    def process(self, pose: npt.NDArray[np.float32], **kwargs: Any) -> npt.NDArray[np.float32]:
        """Do something about a pose."""
        return pose

    def save(self, file: str = "") -> Any:
        """Keep what was gathered."""
        return 0


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is known of the pose being processed.

    Attributes
    ----------
    index, kind, t_exposure_ns, t_valid_ns:
        Frame set, measured, filtered or predicted, middle of the exposure, and the instant the pose speaks
        of (rig clock, CLOCK_MONOTONIC).
    keypoints:
        float32 (cameras, keypoints, 3): x px, y px, confidence; NaN where absent.
    points:
        float32 (keypoints, 11) as in `calibration.poses.Pose3D`; None without a calibration.
    session:
        Names and clock of the stream.
    """

    index: int
    kind: Kind
    t_exposure_ns: int
    t_valid_ns: int
    keypoints: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32] | None
    session: Session

    def xyz_mm(self, keypoint: str) -> npt.NDArray[np.float32]:
        """Where a keypoint is in the world, (3,) mm; NaN where it is not known, or without a calibration."""
        if self.points is None:
            return np.full(3, np.nan, np.float32)
        place: npt.NDArray[np.float32] = self.points[self.session.keypoints.index(keypoint), :3]
        return place

    def xy_px(self, camera: str, keypoint: str) -> npt.NDArray[np.float32]:
        """Where a camera sees it, (2,) px of its full image."""
        cameras = [view.name for view in self.session.cameras]
        place: npt.NDArray[np.float32] = self.keypoints[
            cameras.index(camera), self.session.keypoints.index(keypoint), :2
        ]
        return place


def load_processor(file: Path, name: str, options: dict[str, Any]) -> ProcessorLike:
    """An instance of class `name` in a Python file, made with `options`.

    Raises
    ------
    RigposeError
        If there is no such file or class, it cannot be imported or made, or it lacks one of the methods.
    """
    whose = f"processor {file}:{name}"
    if not file.is_file():
        raise RigposeError(
            whose, expected="a Python file", found="no such file", remedy="Give --processor FILE.py:CLASS"
        )
    _stand_in_for_dlclive()
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise RigposeError(
            whose, expected="a Python file", found=f"'{file.name}'", remedy="Give --processor FILE.py:CLASS"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.parent))  # it may import what lies beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own: whatever it is, it is told in one line
        raise _broken(whose, "a file that can be imported", error) from error
    made = getattr(module, name, None)
    if not isinstance(made, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise RigposeError(
            whose, expected=f"a class of that name; the file has {', '.join(classes) or 'none'}",
            found="none", remedy="Give --processor FILE.py:CLASS",
        )  # fmt: skip
    for method in ("process", "save"):
        if not callable(getattr(made, method, None)):
            raise RigposeError(
                whose, expected="the methods process(pose, **kwargs) and save(file)", found=f"no {method}",
                remedy="Write it, or inherit from deploy.closed_loop.processor.Processor",
            )  # fmt: skip
    try:
        instance: ProcessorLike = made(**options)
    except Exception as error:
        raise _broken(whose, f"a class that can be made with {json.dumps(options)}", error) from error
    return instance


def arguments_of(processor: ProcessorLike) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Which of the keyword arguments its `process` takes: an old one may take none."""
    parameters = inspect.signature(processor.process).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return lambda offered: offered
    return lambda offered: {name: value for name, value in offered.items() if name in parameters}


def _stand_in_for_dlclive() -> None:
    """`from dlclive import Processor` (or from dlclive.processor) works on a device without the package."""
    if "dlclive" in sys.modules or importlib.util.find_spec("dlclive") is not None:
        return
    package, module = types.ModuleType("dlclive"), types.ModuleType("dlclive.processor")
    package.__path__ = []
    package.__dict__.update(Processor=Processor, processor=module)
    module.__dict__.update(Processor=Processor)
    sys.modules["dlclive"], sys.modules["dlclive.processor"] = package, module


def _broken(whose: str, expected: str, error: Exception) -> RigposeError:
    return RigposeError(
        whose, expected=expected, found=f"{type(error).__name__}: {error}", remedy="Mend it, or its options"
    )
