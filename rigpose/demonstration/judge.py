"""The demo's judge: what rigpose found against the simulator's ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Absence, Image
from acquisition.simulation.timeline import Cause
from acquisition.simulation.truth import Truth
from calibration.camera_model import CalibratedRig
from calibration.image_transform import ImageTransform
from deploy.bundles.accuracy import VIEWS, predict_each
from deploy.bundles.predictor import Predictor

Floats = npt.NDArray[np.float64]

_CAUSES = {Cause.LOST: Absence.LOST.value, Cause.IGNORED: Absence.IGNORED.value}
# What a machine that does not keep up loses by itself, and says so; the simulator injects neither.
_OWN = (Absence.LATE.value, Absence.RING_FULL.value)


# Further away than this, and the network took something else for the keypoint: a mistake of another kind
# than a bias, counted by itself.
GROSS_PX = 20.0


def errors_2d(bundle: Path, images: Sequence[Image], labels: Floats, precision: str) -> dict[str, Floats]:
    """Signed errors of a bundle's network, found minus true: float64 (points, 2) px by kind of input.

    `labels` is (N, K, 2) px of the images, NaN where a point cannot be seen.
    """
    predictor = Predictor(bundle, precision=precision)

    def predict(image: Image, to_input: ImageTransform) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = predictor.predict([image], [to_input])[0]
        return found

    errors: dict[str, Floats] = {}
    for view in VIEWS:
        found = predict_each(predict, images, labels, predictor.bundle.input_wh, view)
        signed = found[..., :2].astype(np.float64) - labels
        errors[view] = signed[np.isfinite(signed).all(axis=-1)]
    return errors


def summary_2d(errors: Floats) -> dict[str, float]:
    """Figures of signed errors (points, 2) px.

    Distances and the share of gross errors are of all points; the signed means are of those without gross
    errors, since one point lost in the background would outweigh two thousand that are all 0.1 px off.
    """
    distance = np.linalg.norm(errors, axis=1)
    near = errors[distance <= GROSS_PX]
    bias_x_px, bias_y_px = near.mean(axis=0) if len(near) else (np.nan, np.nan)
    return {
        "median_px": float(np.median(distance)),
        "mean_px": float(distance.mean()),
        "p95_px": float(np.percentile(distance, 95)),
        "points": len(errors),
        "gross_share": 1.0 - len(near) / len(errors),
        "bias_x_px": float(bias_x_px),
        "bias_y_px": float(bias_y_px),
        "abs_bias_x_px": float(abs(bias_x_px)),
        "abs_bias_y_px": float(abs(bias_y_px)),
    }


def world_of_truth(rig: CalibratedRig, truth: Truth) -> tuple[Floats, Floats]:
    """Rotation (3, 3) and translation (3,) mm from the calibration's world to the simulator's.

    Fitted rigidly, without scale, to places on the cameras alone (their centres, and points 100 mm
    along their axes), so that nothing of the animal can flatter the result.
    """
    ours: list[Floats] = []
    theirs: list[Floats] = []
    for camera in rig.cameras:
        true = truth.cameras[camera.name]
        for rotation, translation, into in (
            (cv2.Rodrigues(np.asarray(camera.rotation, np.float64))[0], np.asarray(camera.translation), ours),
            (np.asarray(true["rotation"]), np.asarray(true["translation_mm"]), theirs),
        ):
            into.append(-rotation.T @ translation)
            into += [rotation.T @ (axis - translation) for axis in 100.0 * np.eye(3)]
    a, b = np.array(ours, np.float64), np.array(theirs, np.float64)
    u, _, vt = np.linalg.svd((a - a.mean(axis=0)).T @ (b - b.mean(axis=0)))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = vt.T @ flip @ u.T
    return rotation, b.mean(axis=0) - rotation @ a.mean(axis=0)


def in_truth_world(points: npt.ArrayLike, world: tuple[Floats, Floats]) -> Floats:
    """Points (..., 3) mm of the calibration's world in the simulator's."""
    rotated: Floats = np.asarray(points, np.float64) @ world[0].T + world[1]
    return rotated


def errors_3d(indices: Sequence[int], points: npt.ArrayLike, truth: Truth) -> Floats:
    """Distances (sets, K) mm of points (sets, K, 3), already in the simulator's world; NaN where absent."""
    true = np.array([truth.points_3d(int(index)) for index in indices])
    distances: Floats = np.linalg.norm(np.asarray(points, np.float64) - true, axis=2)
    return distances


def seen_twice(indices: Sequence[int], truth: Truth) -> npt.NDArray[np.bool_]:
    """Which keypoints (sets, K) at least two cameras could see."""
    views = [[truth.visible(camera, int(index)) for camera in truth.cameras] for index in indices]
    return np.asarray(np.sum(views, axis=1) >= 2)


def summary_3d(errors: Floats, seen: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Figures of distances (sets, K) mm: of every point that was given, whether or not it could be seen.

    NaN where none was: a network that has learned too little is sure of nothing.
    """
    given = errors[np.isfinite(errors)]
    return {
        "median_mm": float(np.median(given)) if given.size else np.nan,
        "mean_mm": float(given.mean()) if given.size else np.nan,
        "p95_mm": float(np.percentile(given, 95)) if given.size else np.nan,
        "points": int(given.size),
        "given_of_seen_share": float(np.isfinite(errors[seen]).mean()),
    }


def losses(reported: Iterable[tuple[int, str, str]], truth: Truth, last: int) -> dict[str, Any]:
    """Reported absences (index, camera, cause) against what the simulator injected, up to set `last`.

    Causes are compared gap by gap: where a frame was lost and a trigger ignored one right after the
    other, a camera's counter tells how many of each there were, and nothing can tell their order.
    `own` is what was reported as this machine's own loss, apart from the rest.
    """
    said = {(int(index), camera): cause for index, camera, cause in reported if index <= last}
    injected = {
        (int(index), camera): _CAUSES[Cause(int(cause))]
        for camera, causes in truth.causes.items()
        for index, cause in enumerate(causes[: last + 1])
        if Cause(int(cause)) in _CAUSES
    }
    ours = {key for key, cause in said.items() if cause in _OWN}
    return {
        "injected": len(injected),
        "by_cause": dict(Counter(injected.values())),
        "missed": len(injected.keys() - said.keys()),
        "invented": len(said.keys() - injected.keys() - ours),
        "own": len(ours),
        "wrong_cause": sum(
            (Counter(injected[key] for key in gap) - Counter(said[key] for key in gap)).total()
            for gap in _gaps(injected.keys() & said.keys() - ours)
        ),
    }


def _gaps(absences: Iterable[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """(index, camera) in runs of consecutive indices of one camera."""
    gaps: list[list[tuple[int, str]]] = []
    for index, camera in sorted(absences, key=lambda key: (key[1], key[0])):
        if gaps and gaps[-1][-1] == (index - 1, camera):
            gaps[-1].append((index, camera))
        else:
            gaps.append([(index, camera)])
    return gaps
