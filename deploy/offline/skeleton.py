"""Bones: which keypoints they join, their lengths and directions over time, the angles between them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.settings import read_yaml
from deploy.offline.tracks import Tracks

Floats = npt.NDArray[np.float64]
Bone = tuple[str, str]

CONFIG_FILE, RUN_FILE, BUNDLE_FILE = "config.yaml", "settings.json", "manifest.json"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Columns of numbers over time, in groups.

    Attributes
    ----------
    columns:
        (name of the bone or angle, what of it) of each of C columns.
    values:
        float64 (T, C), NaN where a point is missing.
    """

    columns: tuple[tuple[str, str], ...]
    values: Floats


def load_skeleton(source: Path, keypoints: Sequence[str]) -> tuple[Bone, ...]:
    """The bones that a bundle, a run, a project's folder or a config.yaml names, of these keypoints.

    Raises
    ------
    RigposeError
        If it is none of these, names no bone, or none between two of the keypoints.
    """
    listed = _listed(Path(source))
    bones = tuple((str(a), str(b)) for a, b in listed if str(a) in keypoints and str(b) in keypoints)
    if not bones:
        found = "none there" if not listed else f"bones of other keypoints, such as {'-'.join(listed[0])}"
        raise RigposeError(
            source, expected=f"bones between the keypoints {', '.join(keypoints)}", found=found,
            remedy="List them under 'skeleton' in config.yaml, [[a, b], [b, c]], and give that file",
        )  # fmt: skip
    return tuple(dict.fromkeys(bones))


def measure_bones(tracks: Tracks, bones: Sequence[Bone], cutoff: float = 0.0) -> Measured:
    """Each bone's length, direction and confidence, as DeepLabCut's analyzeskeleton lays them out.

    Length in the tracks' unit. 2D: `orientation`, the angle of b - a from the image's x axis towards its
    y axis, 0 to 360 degrees. 3D: `azimuth` in the x-y plane from x towards y, 0 to 360, and `elevation`
    above that plane, -90 to 90. `likelihood` is the lower one of its two ends.
    """
    points, confidence = _of_sure(tracks, cutoff)
    columns: list[tuple[str, str]] = []
    values: list[Floats] = []
    for a, b in bones:
        start, end = tracks.keypoints.index(a), tracks.keypoints.index(b)
        along = points[:, end] - points[:, start]
        length = np.linalg.norm(along, axis=1)
        turned = np.degrees(np.arctan2(along[:, 1], along[:, 0])) % 360
        parts = {"length": length, "orientation": turned}
        if tracks.dimensions == 3:
            flat = np.hypot(along[:, 0], along[:, 1])
            parts = {
                "length": length, "azimuth": turned, "elevation": np.degrees(np.arctan2(along[:, 2], flat)),
            }  # fmt: skip
        parts["likelihood"] = np.minimum(confidence[:, start], confidence[:, end])
        columns += [(f"{a}_{b}", part) for part in parts]
        values += parts.values()
    return Measured(tuple(columns), np.stack(values, axis=1))


def measure_angles(tracks: Tracks, bones: Sequence[Bone], cutoff: float = 0.0) -> Measured:
    """The angle a-b-c at every keypoint b in which two bones meet, 0 to 180 degrees (180: straight)."""
    points, confidence = _of_sure(tracks, cutoff)
    columns: list[tuple[str, str]] = []
    values: list[Floats] = [np.empty((len(points), 0))]
    for joint in tracks.keypoints:
        ends = [b if a == joint else a for a, b in bones if joint in (a, b)]
        for a, c in itertools.combinations(dict.fromkeys(ends), 2):
            at, left, right = (tracks.keypoints.index(name) for name in (joint, a, c))
            u, v = points[:, left] - points[:, at], points[:, right] - points[:, at]
            # exact near 0 and 180 too, where a cosine is not (Kahan 2006)
            u, v = u * _norm(v), v * _norm(u)
            angle = np.degrees(2 * np.arctan2(_norm(u - v)[:, 0], _norm(u + v)[:, 0]))
            angle[(_norm(u)[:, 0] == 0) | (_norm(v)[:, 0] == 0)] = np.nan
            likelihood = confidence[:, [at, left, right]].min(axis=1)
            columns += [(f"{a}_{joint}_{c}", "angle"), (f"{a}_{joint}_{c}", "likelihood")]
            values.append(np.stack([angle, likelihood], axis=1))
    return Measured(tuple(columns), np.concatenate(values, axis=1))


def _norm(vectors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return lengths


def _of_sure(tracks: Tracks, cutoff: float) -> tuple[Floats, Floats]:
    points = tracks.points.copy()
    points[~tracks.sure(cutoff)] = np.nan
    return points, tracks.confidence


def _listed(source: Path) -> list[tuple[str, str]]:
    """The pairs under `skeleton` of whatever `source` is."""
    for name in (CONFIG_FILE, BUNDLE_FILE, RUN_FILE):
        if (source / name).is_file():
            source = source / name
            break
    if source.name == BUNDLE_FILE:
        from deploy.bundles.bundle import Bundle

        return list(Bundle.load(source.parent).manifest.skeleton)
    content: dict[str, Any] = {}
    if source.suffix in (".yaml", ".yml") and source.is_file():
        content = read_yaml(source)
    elif source.name == RUN_FILE:
        try:
            content = json.loads(source.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _not_a_source(source, str(error)) from None
    else:
        raise _not_a_source(source, "none of these" if source.exists() else "nothing there")
    pairs = content.get("skeleton") or []
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise _not_a_source(source, f"{pairs!r:.60} under 'skeleton'")
    return [(str(a), str(b)) for a, b in pairs]


def _not_a_source(source: Path, found: str) -> RigposeError:
    return RigposeError(
        source, expected="a skeleton: a bundle, a run, a project or a config.yaml with pairs of keypoints",
        found=found, remedy="Give one of these after --skeleton",
    )  # fmt: skip
