"""Calibration: real boards against what was published of them, a simulated rig against its truth, time.

    python benchmarks/calibration.py [--data DIR] [--rigs 6] [--rounds 3] [--json FILE]

**stereo-checkerboard**, **charuco-4cam**: recordings of others (DIR, else $RIGPOSE_DATA), calibrated by the
one command with no setting of their own. charuco-4cam's cameras run freely: how much that costs is shown by
calibrating it as if they did not. **Simulated rigs**: 2 to 8 cameras, 0.2 px of noise; noise-free points are
triangulated by the calibrated rig and compared with what rigs drawn from its covariance say. **Solve**:
4 cameras x 60 views after detection, twice, bit for bit. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from calibration.boards import BoardSettings  # noqa: E402
from calibration.bundle import DELAY, LENS  # noqa: E402
from calibration.calibrate import Calibrated, calibrate  # noqa: E402
from calibration.camera_model import CalibratedRig, CameraModel  # noqa: E402
from calibration.formats.anipose import tomllib  # noqa: E402
from calibration.quality import board_distances, triangulate_corners  # noqa: E402
from calibration.rotation import rotation_matrix, rotation_vector  # noqa: E402
from calibration.single_camera import camera_of_lens  # noqa: E402
from calibration.solve import Solution, solve  # noqa: E402
from calibration.triangulation import TriangulationSettings, triangulate_exactly  # noqa: E402
from calibration.world import align  # noqa: E402
from tests.calibration.synthetic import board_poses, observe, ring  # noqa: E402

Array = np.ndarray[Any, np.dtype[np.float64]]

STEREO_T_MM = (-99.80198, 1.12443, 0.05041)  # OpenCV's own sample calibration of its left and right pictures
T_AT_MOST_MM, RMS_AT_MOST_PX, STEREO_VIEWS = 0.05, 0.205, 28
DISTANCE_AT_MOST_MM, SCALE_AT_MOST, OF_ORIGIN_AT_MOST = 0.4, 1e-3, 0.5
NOISE_PX, POINTS, DRAWS = 0.2, 200, 40
PREDICTED_AT_MOST, WITHIN_3_SIGMA = 1.2, 0.99
SOLVE_VIEWS, SOLVE_AT_MOST_S = 240, 20.0
BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=25.0)


def stereo(data: Path, folder: Path) -> dict[str, Any]:
    (folder / "board.yaml").write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 30\n")
    result = calibrate(data / "stereo-checkerboard", folder / "board.yaml")
    figures = result.figures()
    error = result.rig.cameras[1].translation - STEREO_T_MM
    return {
        "views": figures["views"], "rms_px": figures["rms_px"], "t_error_mm": error.tolist(),
        "baseline_error_mm": float(
            np.linalg.norm(result.rig.cameras[1].translation) - np.linalg.norm(STEREO_T_MM)
        ),
        "t_sd_mm": np.sqrt(
            np.diag(result.solution.adjusted.camera_covariance[1])[LENS + 3 : DELAY]
        ).tolist(),
        "held_out_px": figures["held_out"]["rms_px"], "opencv": opencv_on(result),
    }  # fmt: skip


def opencv_on(result: Calibrated) -> dict[str, Any]:
    """What OpenCV makes of these corners; the published T rests on others, refined in another window."""
    views = result.solution.observations.views
    corners = [{view.frame_set: view for view in views if view.camera == c} for c in (0, 1)]
    common = sorted(set(corners[0]) & set(corners[1]))
    points = result.board.points_mm.astype(np.float32)
    board = [points[corners[0][number].ids] for number in common]
    pixels = [[of[number].px.astype(np.float32) for number in common] for of in corners]
    size, plain = result.rig.cameras[0].size_px, cv2.CALIB_FIX_K3
    matrices, lenses = zip(
        *(cv2.calibrateCamera(board, each, size, None, None, flags=plain)[1:3] for each in pixels),
        strict=True,
    )
    found = {}
    for name, flags in (("joint", plain | cv2.CALIB_USE_INTRINSIC_GUESS), ("fixed", cv2.CALIB_FIX_INTRINSIC)):
        rms_px, *_, translation, _, _ = cv2.stereoCalibrate(
            board, *pixels, matrices[0].copy(), lenses[0].copy(), matrices[1].copy(), lenses[1].copy(), size,
            flags=flags, criteria=(3, 500, 1e-12),
        )  # fmt: skip
        found[name] = {"rms_px": rms_px, "t_error_mm": (translation.ravel() - STEREO_T_MM).tolist()}
    return found


def charuco(data: Path, folder: Path) -> dict[str, Any]:
    (folder / "board.yaml").write_text(
        "kind: charuco\nsquares: [4, 5]\nsquare_mm: 54\nmarker_mm: 40.5\ndictionary: DICT_4X4_1000\n"
    )
    result = calibrate(data / "charuco-4cam", folder / "board.yaml")
    seen = result.solution.observations
    theirs = triangulate_corners(origins_rig(data / "charuco-4cam"), seen, result.board)
    origin = board_distances(theirs[..., :3], theirs[..., 10], result.board)
    held_out = result.held_out
    assert origin is not None and held_out is not None and held_out.distances is not None
    # as if one trigger had made all pictures of a set
    still = solve(replace(seen, free_running=False), result.board, lens="pinhole")
    blind = triangulate_corners(still.rig, seen, result.board)
    as_triggered = board_distances(blind[..., :3], blind[..., 10], result.board)
    assert as_triggered is not None
    return {
        "distance_rms_mm": held_out.distances.rms_mm, "scale_bias": held_out.distances.scale_bias,
        "reprojection_px": held_out.distances.reprojection_px, "origin_distance_rms_mm": origin.rms_mm,
        "origin_reprojection_px": origin.reprojection_px,
        "as_if_triggered_distance_rms_mm": as_triggered.rms_mm,
        "as_if_triggered_reprojection_px": as_triggered.reprojection_px,
        "delays_ms": (result.solution.adjusted.bundle.delays * 1e3).tolist(),
        "jitter_ms": result.solution.adjusted.jitter_s * 1e3,
    }  # fmt: skip


def origins_rig(folder: Path) -> CalibratedRig:
    """The calibration that came with the recording; metres."""
    cameras = tomllib.loads((folder / "camera_array.toml").read_text())["cameras"]
    return CalibratedRig(
        tuple(
            CameraModel(
                f"cam_{key}", tuple(camera["size"]), np.array(camera["matrix"]),
                np.array(camera["distortions"]), rotation_vector(np.array(camera["rotation"])),
                1000 * np.array(camera["translation"]),
            )
            for key, camera in sorted(cameras.items())
        )
    )  # fmt: skip


def simulated(cameras: int, seed: int) -> dict[str, Any]:
    """One rig: errors of noise-free points over what the covariance predicts, and of parameters in sigmas."""
    true = ring(cameras, seed=seed, arc=2.1 if cameras < 4 else 2 * np.pi)
    found = solve(observe(true, board_poses(40, seed=seed), NOISE_PX, seed), BOARD)
    points = np.random.default_rng(seed).uniform(-80, 80, (POINTS, 3))
    error = off(found.rig, true, points)
    rng = np.random.default_rng(seed + 1)
    # rigs as they might have been, each looked at with the one that was found
    there = triangulated(found.rig, true.project(points))
    there = there[np.isfinite(there).all(1)]
    predicted = [off(drawn(found, rng), found.rig, there) for _ in range(DRAWS)]
    sd = np.sqrt(np.maximum([np.diag(each) for each in found.adjusted.camera_covariance], 0))[:, :8]
    scores = (found.adjusted.bundle.lenses[:, :8] - true.lenses[:, :8]) / np.where(sd > 0, sd, np.inf)
    return {
        "cameras": cameras, "seed": seed, "points_mm": error,
        "predicted_mm": float(np.sqrt(np.mean(np.square(predicted)))), "scores": scores.ravel().tolist(),
    }  # fmt: skip


def triangulated(rig: CalibratedRig, px: Array) -> Array:
    seen = np.concatenate([px, np.ones((*px.shape[:2], 1))], axis=-1)
    found: Array = triangulate_exactly(rig, seen[None], TriangulationSettings(noise_px=5))[0, :, :3]
    return found


def off(rig: CalibratedRig, true: CalibratedRig, points: Array) -> float:
    """RMS mm of noise-free points of `true` as `rig` triangulates them, both worlds laid onto each other."""
    found = triangulated(rig, true.project(points))
    good = np.isfinite(found).all(1)
    return float(align(rig, found[good], points[good]).rms_mm)


def drawn(solution: Solution, rng: np.random.Generator) -> CalibratedRig:
    """A rig as likely as the one found, by the joint covariance of all cameras."""
    size = solution.adjusted.covariance.shape[0] * solution.adjusted.covariance.shape[1]
    covariance = solution.adjusted.covariance.reshape(size, size)
    steps = rng.multivariate_normal(np.zeros(size), covariance, method="eigh").reshape(
        len(solution.rig.cameras), -1
    )
    bundle, made = solution.adjusted.bundle, []
    for c, camera in enumerate(solution.rig.cameras):
        lens = bundle.lenses[c].copy()
        lens[:LENS] += steps[c, :LENS]
        rotation = rotation_matrix(steps[c, LENS : LENS + 3]) @ bundle.rotations[c]
        translation = bundle.translations[c] + steps[c, LENS + 3 : DELAY]
        made.append(camera_of_lens(lens, camera.name, camera.size_px, rotation_vector(rotation), translation))
    return CalibratedRig(tuple(made))


def solving(rounds: int) -> dict[str, Any]:
    """4 cameras x 60 views: seconds, and whether two solutions are one."""
    views = observe(ring(4, seed=1), board_poses(110, seed=2), NOISE_PX)
    kept = np.zeros(len(views.views), dtype=bool)
    for c in range(4):
        kept[np.flatnonzero([view.camera == c for view in views.views])[: SOLVE_VIEWS // 4]] = True
    views = views.keep(kept)
    seconds, lenses = [], []
    for _ in range(rounds):
        start_ns = time.perf_counter_ns()
        lenses.append(solve(views, BOARD).rig.lenses)
        seconds.append((time.perf_counter_ns() - start_ns) / 1e9)
    return {
        "views": len(views.views), "seconds": seconds, "median_s": float(np.median(seconds)),
        "same": all(np.array_equal(each, lenses[0]) for each in lenses),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("RIGPOSE_DATA"))
    parser.add_argument("--rigs", type=int, default=6, help="simulated rigs of each size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    missed: list[str] = []
    rows: dict[str, Any] = {}

    def say(line: str, met: bool) -> None:
        print(line + ("" if met else "   MISSED"), flush=True)
        if not met:
            missed.append(line)

    if given.data is None:
        print("stereo-checkerboard, charuco-4cam: not run, no --data")
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows["stereo"] = row = stereo(Path(given.data), Path(folder))
            say(
                f"stereo-checkerboard: {row['views']} views, RMS {row['rms_px']:.4f} px, T off by "
                f"{np.round(row['t_error_mm'], 3)} mm (sd {np.round(row['t_sd_mm'], 3)}), baseline by "
                f"{row['baseline_error_mm']:+.3f} mm; OpenCV on these corners, all at once "
                f"{np.round(row['opencv']['joint']['t_error_mm'], 3)} mm, each lens by itself "
                f"{np.round(row['opencv']['fixed']['t_error_mm'], 3)} mm",
                row["views"] == STEREO_VIEWS and row["rms_px"] <= RMS_AT_MOST_PX
                and float(np.linalg.norm(row["t_error_mm"])) <= T_AT_MOST_MM,
            )  # fmt: skip
            rows["charuco"] = row = charuco(Path(given.data), Path(folder))
            say(
                f"charuco-4cam, held out: distances {row['distance_rms_mm']:.3f} mm, scale "
                f"{row['scale_bias']:+.4%}, reprojection {row['reprojection_px']:.3f} px (the origin's "
                f"{row['origin_reprojection_px']:.3f}); as if triggered "
                f"{row['as_if_triggered_distance_rms_mm']:.3f} mm, "
                f"{row['as_if_triggered_reprojection_px']:.3f} px",
                row["distance_rms_mm"] <= DISTANCE_AT_MOST_MM and abs(row["scale_bias"]) <= SCALE_AT_MOST
                and row["reprojection_px"] <= OF_ORIGIN_AT_MOST * row["origin_reprojection_px"],
            )  # fmt: skip
    rows["simulated"] = sims = [simulated(n, seed) for n in (2, 3, 4, 6, 8) for seed in range(given.rigs)]
    for n in (2, 3, 4, 6, 8):
        mine = [row for row in sims if row["cameras"] == n]
        error, predicted = (_root([row[key] for row in mine]) for key in ("points_mm", "predicted_mm"))
        say(
            f"simulated, {n} cameras: points off by {error:.4f} mm, predicted {predicted:.4f}, "
            f"ratio {error / predicted:.2f}",
            error <= PREDICTED_AT_MOST * predicted,
        )
    scores = np.concatenate([row["scores"] for row in sims])
    within = float(np.mean(np.abs(scores) <= 3))
    say(f"simulated: {within:.2%} of lens parameters within 3 sigma", within >= WITHIN_3_SIGMA)
    rows["solve"] = row = solving(given.rounds)
    say(
        f"solve, 4 cameras, {row['views']} views: {row['median_s']:.1f} s, "
        f"{'the same' if row['same'] else 'another'} every time",
        row["median_s"] <= SOLVE_AT_MOST_S and row["same"],
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if missed else 0


def _root(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    raise SystemExit(main())
