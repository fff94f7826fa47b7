"""From one program's calibration to another's: what a file is, is told from its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import load_calibration, save_toml
from calibration.formats.deeplabcut3d import load_deeplabcut_3d
from calibration.formats.lengths import Unit
from calibration.formats.opencv_yaml import load_opencv, save_opencv

YAML = {".yaml", ".yml"}


def convert(
    source: Path, output: Path, *, square_mm: float | None = None, unit: Unit | None = None
) -> dict[str, Any]:
    """Read a calibration and write it for another program; returns what was in it, JSON-able.

    Parameters
    ----------
    square_mm:
        Of a DeepLabCut project: side of its board's squares.
    unit:
        Of other files: what their lengths are in, where they do not say.

    Raises
    ------
    RigposeError
        If the source is none that is known, its unit of length is not, or the output's name says no format.
    """
    source, output = Path(source), Path(output)
    if output.suffix.lower() not in {".toml", *YAML}:
        raise RigposeError(
            output, expected="a name that ends in .toml (rigpose, Anipose) or .yaml (OpenCV)",
            found=f"'{output.name}'", remedy="Say for instance -o calibration.toml",
        )  # fmt: skip
    if output.resolve() == source.resolve():
        raise RigposeError(
            output, expected="an output that is not the input", found="the input", remedy="Choose another -o"
        )
    rig = _load(source, square_mm, unit)
    if output.suffix.lower() in YAML:
        save_opencv(rig, output)
    else:
        save_toml(rig, output)
    return {
        "output": str(output),
        "cameras": {
            camera.name: {"size_px": list(camera.size_px), "lens": camera.lens_model}
            for camera in rig.cameras
        },
    }


def _load(source: Path, square_mm: float | None, unit: Unit | None) -> CalibratedRig:
    if source.is_dir() or source.name == "config.yaml":
        if unit is not None:
            raise RigposeError(
                "--unit", expected="a file of Anipose or OpenCV", found="a DeepLabCut 3D project",
                remedy="Say --square-mm alone: it counts in squares of its board",
            )  # fmt: skip
        if square_mm is None:
            raise RigposeError(
                source, expected="--square-mm with a DeepLabCut 3D project, which counts in board squares",
                found="none", remedy="Measure a square of the board it was calibrated with",
            )  # fmt: skip
        return load_deeplabcut_3d(source, square_mm)
    if source.suffix.lower() in YAML:
        return load_opencv(source, unit)
    return load_calibration(source, unit)
