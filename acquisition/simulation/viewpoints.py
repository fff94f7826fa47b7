"""Where the simulated cameras stand, and what each of them is like.

Everything here follows from `camera_seed`, so that boards and animals are seen by one rig, under its
lamps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acquisition.simulation.arena import ARENA_HALF_MM, WALL_HEIGHT_MM
from acquisition.simulation.lens import Floats, Lens

_ELEVATIONS_DEG = (74.0, 50.0, 44.0, 58.0)
_DISTANCES_MM = (640.0, 590.0, 680.0, 560.0)
_MARGIN_PX = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Viewpoint:
    """One simulated camera.

    Attributes
    ----------
    rotation, translation_mm:
        World to camera: x_camera = rotation @ x_world + translation_mm; z forward, y down.
    gain, vignette:
        Grey levels per unit of radiance, and the share lost in the image's corners.
    light, ambient, gradient:
        Unit vector towards the lamp (world), share of light from everywhere, and the relative
        change of brightness from edge to edge in x and y.
    """

    name: str
    size_px: tuple[int, int]
    lens: Lens
    rotation: Floats
    translation_mm: Floats
    gain: float
    vignette: float
    light: Floats
    ambient: float
    gradient: tuple[float, float]

    @property
    def position_mm(self) -> Floats:
        """The camera's centre in the world, float64 (3,)."""
        return np.asarray(-self.rotation.T @ self.translation_mm, dtype=np.float64)

    def to_camera(self, points_mm: Floats) -> Floats:
        """World points (..., 3) in the camera's frame."""
        return np.asarray(points_mm @ self.rotation.T + self.translation_mm, dtype=np.float64)

    def project(self, points_mm: Floats) -> Floats:
        """World points (..., 3) mm to pixels (..., 2); NaN behind the camera."""
        return self.lens.project(self.to_camera(points_mm))


def camera_names(count: int) -> list[str]:
    """`cam_0`, `cam_1`, ...; zero-padded from ten on, so that sorting keeps the rig order."""
    digits = len(str(count - 1))
    return [f"cam_{index:0{digits}d}" for index in range(count)]


def place_cameras(count: int, size_px: tuple[int, int], camera_seed: int) -> tuple[Viewpoint, ...]:
    """`count` cameras around the arena, all of which see the whole of it."""
    return tuple(
        _place(index, name, count, size_px, camera_seed) for index, name in enumerate(camera_names(count))
    )


def _place(index: int, name: str, count: int, size_px: tuple[int, int], camera_seed: int) -> Viewpoint:
    random = np.random.default_rng([camera_seed, index, 1])
    lighting = np.random.default_rng([camera_seed, index, 2])
    elevation = math.radians(_ELEVATIONS_DEG[index % 4] + random.uniform(-2, 2))
    azimuth = math.radians(360 * index / count + random.uniform(-9, 9))
    distance = _DISTANCES_MM[index % 4] * random.uniform(0.97, 1.03)
    outward = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    roll = math.radians(random.uniform(-3, 3))

    k1 = random.uniform(-0.30, -0.05)
    # k2 >= 9/20 k1^2 keeps the radial map growing everywhere, inside the image and outside of it.
    k2 = random.uniform(0.5, 0.8) * k1 * k1
    distortion = (k1, k2, random.uniform(-5e-4, 5e-4), random.uniform(-5e-4, 5e-4), random.uniform(0.0, 2e-3))
    centre = np.array(size_px) / 2 - 0.5 + random.uniform(-0.012, 0.012, 2) * size_px
    aspect = random.uniform(0.998, 1.002)

    corners = np.array(
        [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, WALL_HEIGHT_MM)], dtype=np.float64
    ) * (ARENA_HALF_MM + 2, ARENA_HALF_MM + 2, 1)
    best = (0.0, np.eye(3), np.zeros(3))
    for shift in np.linspace(-80, 80, 33):
        target = outward * shift
        position = target + distance * (
            outward * math.cos(elevation) + np.array([0.0, 0.0, math.sin(elevation)])
        )
        rotation = _look(position, target, roll)
        translation = -rotation @ position
        focal = _largest_focal(corners @ rotation.T + translation, size_px, centre, aspect, distortion)
        if focal > best[0]:
            best = (focal, rotation, translation)
    focal, rotation, translation = best

    height, turn = math.radians(lighting.uniform(40, 70)), lighting.uniform(0, 2 * math.pi)
    return Viewpoint(
        name=name,
        size_px=size_px,
        lens=Lens(focal, focal * aspect, float(centre[0]), float(centre[1]), *distortion),
        rotation=rotation,
        translation_mm=translation,
        gain=275 * random.uniform(0.85, 1.15),
        vignette=random.uniform(0.08, 0.3),
        light=np.array(
            [math.cos(height) * math.cos(turn), math.cos(height) * math.sin(turn), math.sin(height)]
        ),
        ambient=lighting.uniform(0.4, 0.6),
        gradient=(lighting.uniform(-0.25, 0.25), lighting.uniform(-0.25, 0.25)),
    )


def _look(position: Floats, target: Floats, roll: float) -> Floats:
    """Rotation world to camera of a camera at `position` that looks at `target`."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = math.cos(roll), math.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward])


def _largest_focal(
    corners: Floats, size_px: tuple[int, int], centre: Floats, aspect: float, distortion: tuple[float, ...]
) -> float:
    """The focal length in px at which the corners (in the camera's frame) just fill the image."""
    spread = Lens(1.0, aspect, 0.0, 0.0, *distortion).project(corners)
    room_high = np.array(size_px) - 1 - _MARGIN_PX - centre
    room_low = centre - _MARGIN_PX
    return float(min((room_high / spread.max(axis=0)).min(), (room_low / -spread.min(axis=0)).min()))
