"""A project that needs no camera: a bright and a dark blob on a textured grey floor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.projects.labels import write_labels
from training.projects.project import Project
from training.projects.saved_frames import save_images

KEYPOINTS = ("light", "dark")


def dot_image(random: np.random.Generator, size_px: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A uint8 (H, W) image and the points (2, 2) px of its bright and its dark blob."""
    width, height = size_px
    floor = random.normal(0, 1, (height // 8 + 1, width // 8 + 1)).astype(np.float32)
    image = 120 + 12 * cv2.resize(floor, size_px, interpolation=cv2.INTER_LINEAR)
    centre = random.uniform(0.3, 0.7, 2) * size_px
    angle = random.uniform(0, 2 * np.pi)
    arm = 0.16 * min(size_px) * np.array([np.cos(angle), np.sin(angle)])
    points = np.stack([centre + arm, centre - arm])
    y, x = np.mgrid[:height, :width]
    for (px, py), level in zip(points, (90.0, -90.0), strict=True):
        image = image + level * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (0.04 * min(size_px)) ** 2))
    return np.clip(image, 0, 255).astype(np.uint8), points


def dot_project(
    folder: Path, count: int = 12, size_px: tuple[int, int] = (96, 64), *, name: str = "dots", seed: int = 0
) -> Project:
    """A project of `count` labelled images, one keypoint of the last image without a label."""
    random = np.random.default_rng(seed)
    project = Project.create(folder, task=name, scorer="Ada", keypoints=KEYPOINTS, symmetric_pairs=())
    made = [dot_image(random, size_px) for _ in range(count)]
    names = save_images(project, "a", [(index, image) for index, (image, _) in enumerate(made)])
    points = np.stack([points for _, points in made])
    points[-1, 1] = np.nan
    write_labels(project, "a", names, points)
    return Project.open(project.root)
