"""What a file or folder is, and the chain it came from: labels, run, bundle, calibration, poses."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from acquisition.errors import RigposeError
from rigpose.inspection.links import Facts


def describe(path: Path) -> Facts:
    """`kind`, `facts` (by name) and `chain` (one sentence a link, nearest first) of what is at `path`.

    Raises
    ------
    RigposeError
        If nothing is there, it is nothing rigpose knows, or it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise RigposeError(
            path, expected="a file or a folder", found="nothing there", remedy="Check the path"
        )
    for fits, reader in KINDS:
        if fits(path):
            return _read(reader, path)
    for folder in path.resolve().parents[:2]:
        for fits, reader in WHOLES:
            if fits(folder):
                whole = _read(reader, folder)
                return {**whole, "kind": f"part of a {whole['kind']}", "facts": {"of": str(folder)}}
    raise RigposeError(
        path, expected="a file or folder that rigpose reads or writes",
        found="none of these", remedy="Give a bundle, run, project, recording, calibration, or file of poses",
    )  # fmt: skip


def _read(reader: str, path: Path) -> Facts:
    module, _, name = reader.partition(":")
    read: Callable[[Path], Facts] = getattr(importlib.import_module(f"rigpose.inspection.{module}"), name)
    return read(path)


def _holds(*names: str) -> Callable[[Path], bool]:
    """A folder with one of these in it."""
    return lambda path: path.is_dir() and any(True for name in names for _ in path.glob(name))


def _is(*names: str) -> Callable[[Path], bool]:
    """A file of one of these names."""
    return lambda path: path.is_file() and path.name in names


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.name.lower().endswith(endings)


def _measures(path: Path) -> bool:
    """Bones or angles of rigpose skeleton, by name."""
    return _ends(".csv", ".h5")(path) and path.stem.endswith(("_skeleton", "_angles"))


def _deeplabcut_table(path: Path) -> bool:
    """Labels, or 3D points in DeepLabCut's form, by name."""
    named = path.name.startswith("CollectedData") or path.stem.endswith("_DLC_3D")
    return _ends(".csv", ".h5")(path) and named


def _points_3d(path: Path) -> bool:
    if not _ends(".csv")(path):
        return False
    from deploy.poses_io.anipose_csv import is_anipose_csv

    return is_anipose_csv(path)


def _subscriber(path: Path) -> bool:
    """Arrays, none of a bundle's or a scene's."""
    folders = path.resolve().parents[:2]
    return _ends(".npz")(path) and not any(fits(folder) for folder in folders for fits, _ in WHOLES)


# Folders whose further files are parts of them.
WHOLES: tuple[tuple[Callable[[Path], bool], str], ...] = (
    (_holds("manifest.json"), "folders:bundle"),
    (_holds("session.json"), "folders:recording"),
    (_holds("settings.json"), "folders:run"),
    (_holds("comparison.json", "plan.json"), "folders:comparison"),
    (_holds("scene.json"), "folders:scene"),
)

# How each kind is recognised, and who reads it. The first that fits.
KINDS: tuple[tuple[Callable[[Path], bool], str], ...] = (
    *WHOLES,
    (_holds("config.yaml"), "folders:project"),
    (_holds("evaluation.json"), "folders:evaluation"),
    (_holds("packed.json"), "folders:packed"),
    (_holds("demo.txt"), "folders:demo"),
    (_holds("analyze_*.json"), "folders:poses"),
    (_holds("server.pub", "allowed"), "folders:keys"),
    (_is("manifest.json"), "folders:bundle_of"),
    (_is("session.json"), "folders:recording_of"),
    (_is("settings.json"), "folders:run_of"),
    (_is("scene.json"), "folders:scene_of"),
    (_is("config.yaml"), "folders:project"),
    (_is("rigpose.yaml"), "folders:project_of"),
    (_is("rigpose_points.json"), "json_files:notes_of_points"),
    (_is("rigpose_refine.json"), "json_files:record_of_refinement"),
    (_ends(".json"), "json_files:json_file"),
    (_is("events.jsonl"), "other_files:events"),
    (_ends(".frames"), "other_files:frame_table"),
    (_ends(".poses"), "pose_files:pose_table"),
    (_points_3d, "pose_files:points_3d"),
    (_measures, "pose_files:measures"),
    (_deeplabcut_table, "pose_files:deeplabcut_table"),
    (_is("learning_curve.csv", "predictions.csv"), "other_files:table"),
    (_ends(".poses.npz", ".h5", ".csv"), "pose_files:poses"),
    (_ends(".slp"), "pose_files:slp"),
    (_ends(".nwb"), "pose_files:nwb"),
    (_subscriber, "other_files:received"),
    (_ends(".toml"), "other_files:calibration"),
    (_ends(".yaml", ".yml"), "other_files:yaml"),
    (_ends(".mkv", ".mp4", ".mov", ".avi"), "other_files:video"),
    (_ends(".pub", ".secret"), "other_files:key"),
    (_ends(".html"), "other_files:page"),
    (_ends(".png", ".svg", ".pdf"), "other_files:picture"),
)
