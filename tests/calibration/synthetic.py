"""Rigs, boards and views for tests. The projection here is written apart from the code under test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.camera_model import CalibratedRig, CameraModel
from calibration.observations import Observations, View

GRID = (9, 6)
SQUARE_MM = 25.0


def turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix by the quaternion formula (not Rodrigues', which is under test)."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    w, (x, y, z) = np.cos(angle / 2), np.sin(angle / 2) * axis
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def vector_of(rotation: np.ndarray) -> np.ndarray:
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    if angle < 1e-12:
        return np.zeros(3)
    skew = (rotation - rotation.T) / (2 * np.sin(angle))
    return angle * np.array([skew[2, 1], skew[0, 2], skew[1, 0]])


def project(
    lens: np.ndarray, rotation: np.ndarray, translation: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Points (N, 3) to pixels (N, 2), term by term."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, k5, k6, fisheye = lens
    x, y, z = (rotation @ points.reshape(-1, 3).T) + np.reshape(translation, (3, 1))
    a, b = x / z, y / z
    r = np.hypot(a, b)
    if fisheye:
        angle = np.arctan2(np.hypot(x, y), z)
        bent = angle + k1 * angle**3 + k2 * angle**5 + k3 * angle**7 + k4 * angle**9
        radial = np.where(r > 0, bent / np.where(r > 0, r, 1), 1)
    else:
        radial = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
    u = a * radial + 2 * p1 * a * b + p2 * (r**2 + 2 * a**2)
    v = b * radial + p1 * (r**2 + 2 * b**2) + 2 * p2 * a * b
    return np.stack([fx * u + cx, fy * v + cy], axis=-1).reshape(*points.shape[:-1], 2)


def ring(
    cameras: int, seed: int = 0, size: tuple[int, int] = (640, 480), arc: float = 2 * np.pi
) -> CalibratedRig:
    """Cameras on an arc, looking at the origin from 600 mm, no two alike."""
    rng = np.random.default_rng(seed)
    made = []
    for c in range(cameras):
        angle = arc * c / cameras + rng.uniform(-0.1, 0.1)
        centre = np.array([500 * np.cos(angle), 500 * np.sin(angle), rng.uniform(280, 420)])
        z = -centre / np.linalg.norm(centre)
        x = np.cross(z, [0.0, 0.0, 1.0])
        x /= np.linalg.norm(x)
        rotation = np.stack([x, np.cross(z, x), z])
        focal = rng.uniform(0.95, 1.25) * size[0]
        matrix = np.array([
            [focal, 0, size[0] / 2 + rng.uniform(-9, 9)],
            [0, focal * rng.uniform(0.99, 1.01), size[1] / 2 + 3],
            [0, 0, 1.0],
        ])  # fmt: skip
        distortion = np.array([rng.uniform(-0.3, 0.0), rng.uniform(0, 0.1), 8e-4, -6e-4, 0.0])
        made.append(
            CameraModel(f"cam_{c}", size, matrix, distortion, vector_of(rotation), -rotation @ centre)
        )
    return CalibratedRig(tuple(made))


def with_lens(rig: CalibratedRig, model: str, seed: int = 0) -> CalibratedRig:
    """The rig with rational or fisheye lenses in place of its own; a fisheye's sees 125 degrees across."""
    rng = np.random.default_rng(seed)
    made = []
    for camera in rig.cameras:
        matrix = camera.matrix.copy()
        if model == "fisheye":
            matrix[[0, 1], [0, 1]] = camera.size_px[0] / np.radians(125) * rng.uniform(0.98, 1.02)
            distortion = np.array([0.05, -0.02, 0.008, -0.002]) * rng.uniform(0.8, 1.2)
        else:
            matrix[[0, 1], [0, 1]] *= 0.6
            distortion = np.array([0.9, 0.25, 4e-4, -5e-4, 0.02, 1.25, 0.45, 0.05])
        made.append(replace(camera, matrix=matrix, distortion=distortion, fisheye=model == "fisheye"))
    return CalibratedRig(tuple(made))


def board_points(grid: tuple[int, int] = GRID, square_mm: float = SQUARE_MM) -> np.ndarray:
    return np.array([[c * square_mm, r * square_mm, 0.0] for r in range(grid[1]) for c in range(grid[0])])


def board_poses(count: int, seed: int = 0, tilt: float = 0.9) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boards about the origin, face up, tilted any way."""
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(count):
        spin = turn([0, 0, 1], rng.uniform(0, 2 * np.pi))
        lean = turn([*rng.normal(size=2), 0], rng.uniform(0, tilt))
        rotation = lean @ spin @ np.diag([1.0, -1.0, -1.0])
        middle = board_points().mean(axis=0)
        poses.append((rotation, rng.uniform(-90, 90, 3) - rotation @ middle))
    return poses


def observe(
    rig: CalibratedRig, poses: list, noise_px: float, seed: int = 0, points: np.ndarray | None = None,
    sees=lambda camera, frame_set: True,
) -> Observations:  # fmt: skip
    """Every camera's view of every board that shows its face and lies in the image."""
    rng = np.random.default_rng(seed)
    points = board_points() if points is None else points
    views = []
    for s, (rotation, translation) in enumerate(poses):
        world = points @ rotation.T + translation
        for c in range(len(rig.cameras)):
            centre = -rig.rotations[c].T @ rig.translations[c]
            towards = rotation[:, 2] @ (world.mean(0) - centre) / np.linalg.norm(world.mean(0) - centre)
            px = project(rig.lenses[c], rig.rotations[c], rig.translations[c], world)
            inside = np.all((px >= 0) & (px <= np.array(rig.cameras[c].size_px) - 1), axis=1)
            if not sees(c, s) or towards < 0.25 or inside.sum() < 12:
                continue
            ids = np.flatnonzero(inside)
            views.append(View(c, s, s, ids, px[ids] + rng.normal(0, noise_px, (len(ids), 2))))
    return Observations(rig.names, tuple(camera.size_px for camera in rig.cameras), tuple(views))


def walk(
    rig: CalibratedRig, sets: int = 48, keypoints: int = 6, noise_px: float = 1.0, seed: int = 0,
    bias_px: float = 0.0, wrong: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """An animal's keypoints (T, C, K, 3) as it turns and walks about the origin.

    `bias_px`: of each keypoint in each camera, the same throughout; `wrong`: share of views far off.
    """
    rng = np.random.default_rng(seed)
    body = rng.uniform(-35, 35, (keypoints, 3))
    points = np.empty((sets, keypoints, 3))
    for number, t in enumerate(np.linspace(0, 1, sets)):
        middle = 90 * np.array([np.sin(7 * t + 1), np.cos(11 * t), 0.5 * np.sin(5 * t)])
        points[number] = body @ turn([0, 0, 1], 9 * t).T + middle
    px = np.stack(
        [
            project(rig.lenses[c], rig.rotations[c], rig.translations[c], points)
            for c in range(len(rig.cameras))
        ],
        axis=1,
    )
    px += rng.normal(0, noise_px, px.shape) + rng.normal(0, bias_px, (1, *px.shape[1:]))
    bad = rng.uniform(size=px.shape[:3]) < wrong
    px[bad] += rng.uniform(-80, 80, (bad.sum(), 2))
    return np.concatenate([px, rng.uniform(0.8, 1, (*px.shape[:3], 1))], axis=-1)


def bumped(
    rig: CalibratedRig, camera: int, degrees: float = 1.0, mm: float = 3.0, seed: int = 0
) -> CalibratedRig:
    """The rig with one camera turned about itself and pushed, any way."""
    rng = np.random.default_rng(seed)
    axis, push = rng.normal(size=3), rng.normal(size=3)
    there = rig.cameras[camera]
    rotation = turn(axis, np.radians(degrees)) @ there.rotation_matrix
    centre = there.centre_mm + mm * push / np.linalg.norm(push)
    cameras = list(rig.cameras)
    cameras[camera] = there.looking_from(vector_of(rotation), -rotation @ centre)
    return CalibratedRig(tuple(cameras))
