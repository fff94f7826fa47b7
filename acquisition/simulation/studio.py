"""One simulated camera's studio: draws what moves, patch by patch, on a background drawn once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from acquisition.simulation import render
from acquisition.simulation.animal import PART_NAMES, Animal
from acquisition.simulation.arena import draw_arena, floor_points, gain_map, noise_texture_3d
from acquisition.simulation.boards import WavedBoard, outline_mm, print_board
from acquisition.simulation.lens import Floats
from acquisition.simulation.scene import Scene
from acquisition.simulation.viewpoints import Viewpoint

_FUR_ALBEDO, _FUR_CONTRAST = 0.37, 0.24
_SHADOW_CASTERS = (
    "rump", "back", "shoulders", "skull", "left_haunch", "right_haunch", "tail_3", "tail_7",
)  # fmt: skip
Patch = tuple[int, int, Image]  # left, top, pixels
Painter = Callable[[Floats], list[Patch]]  # times (frames, samples) to patches


class Studio:
    """Draws the patches of one camera of a scene."""

    def __init__(self, scene: Scene, camera: str | int) -> None:
        self.scene = scene
        self.view: Viewpoint = scene.view(camera)
        self._camera = scene.camera_index(camera)
        width, height = self.view.size_px
        corners = np.stack(np.meshgrid(np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5), axis=-1)
        rays = self.view.lens.rays(corners)
        centres = (rays[:-1, :-1] + rays[1:, :-1] + rays[:-1, 1:] + rays[1:, 1:]) / 4
        self._rays = rays.astype(np.float32)
        self._floor = floor_points(self.view, centres).astype(np.float32)
        self._radiance = draw_arena(self.view, scene.settings.camera_seed, rays).astype(np.float32)
        self._gain = gain_map(self.view).astype(np.float32)
        grey = np.clip(self._radiance * self._gain + 0.5, 0, 255)
        self.background: Image = grey.astype(np.uint8)
        subject = scene.subject
        if isinstance(subject, Animal):
            self._paint = self._animal_painter(subject)
        else:
            self._paint = self._board_painter(subject)

    def patches(self, indices: Sequence[int]) -> list[Patch]:
        """For each frame: left, top of the part that differs from the background, and that part."""
        shares = render.SAMPLES[:, 2]
        return self._paint(
            np.stack([self.scene.sample_times_s(index, self._camera, shares) for index in indices])
        )

    def is_still(self, index: int) -> bool:
        """Whether frame `index` shows exactly what frame `index - 1` did."""
        subject = self.scene.subject
        if isinstance(subject, Animal) or index == 0:
            return False
        shares = np.array([-0.5, 0.0, 0.5])
        times = [self.scene.sample_times_s(at, self._camera, shares) for at in (index - 1, index)]
        rotations, places = subject.pose(np.concatenate(times))
        return bool(np.ptp(rotations, axis=0).max() < 1e-12 and np.ptp(places, axis=0).max() < 1e-9)

    def _animal_painter(self, animal: Animal) -> Painter:
        view = self.view
        rest_centres, rest_frames = animal.rest
        fur = noise_texture_3d(
            np.random.default_rng([self.scene.settings.individual, 13]), render.FUR_SIDE, 2.5, 30.0
        ).astype(np.float32)
        lamp, up = view.rotation @ view.light, view.rotation @ np.array([0.0, 0.0, 1.0])
        casters = [PART_NAMES.index(name) for name in _SHADOW_CASTERS]

        def paint(times: Floats) -> list[Patch]:
            posed = animal.pose(times.ravel())
            centres = view.to_camera(posed.centres)
            frames: Floats = np.asarray(view.rotation @ posed.frames, dtype=np.float64)
            to_unit = np.asarray(np.linalg.inv(frames), dtype=np.float64)
            origins = -(to_unit @ centres[..., None])[..., 0]
            bounds = self._ellipsoid_bounds(centres, frames)
            patches = []
            for at in range(len(times)):
                now = slice(at * times.shape[1], (at + 1) * times.shape[1])
                shadows = self._shadows(
                    posed.centres[now, casters].mean(axis=0), posed.frames[now, casters].mean(axis=0)
                )
                box = self._box([bounds[now].reshape(-1, 4), self._shadow_bounds(shadows)])
                picture = np.empty((box[3], box[2]), np.uint8)
                render.draw_ellipsoids(
                    self._rays, render.SAMPLES, box, to_unit[now], origins[now], bounds[now], rest_centres,
                    rest_frames, fur, lamp, up, view.ambient, _FUR_ALBEDO, _FUR_CONTRAST, self._radiance,
                    self._gain, self._floor, shadows, picture,
                )  # fmt: skip
                patches.append((int(box[0]), int(box[1]), picture))
            return patches

        return paint

    def _board_painter(self, board: WavedBoard) -> Painter:
        view = self.view
        texture = print_board(board.settings)
        left, top, right, bottom = outline_mm(board.settings)
        scale = texture.shape[1] / (right - left)
        texel_of_mm = np.array([[scale, 0, -left * scale - 0.5], [0, scale, -top * scale - 0.5], [0, 0, 1]])
        # Distortion bends the edges: points all over the paper bound its picture, not only the corners.
        x, y = np.meshgrid(np.linspace(left, right, 9), np.linspace(top, bottom, 7))
        paper = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=-1)

        def paint(times: Floats) -> list[Patch]:
            return [paint_one(moments) for moments in times]

        def paint_one(times: Floats) -> Patch:
            rotations, places = board.pose(times)
            turned, moved = view.rotation @ rotations, view.to_camera(places)
            planes = np.concatenate([turned[:, :, :2], moved[:, :, None]], axis=2)
            to_texel = texel_of_mm @ np.linalg.inv(planes)
            facing = (turned[:, :, 2] * moved).sum(axis=1) > 0
            towards = rotations[:, :, 2] @ view.light * np.where(facing, -1.0, 1.0)
            light = view.ambient + (1 - view.ambient) * np.maximum(0.0, towards)
            pixels = view.lens.project(paper @ turned.transpose(0, 2, 1) + moved[:, None]).reshape(-1, 2)
            ends = np.concatenate([np.floor(pixels.min(axis=0)) - 2, np.ceil(pixels.max(axis=0)) + 3])
            box = self._box([ends[None]])
            picture = np.empty((box[3], box[2]), np.uint8)
            render.draw_plane(
                self._rays, render.SAMPLES, box, to_texel, facing, light, texture, self._radiance, self._gain,
                picture,
            )  # fmt: skip
            return int(box[0]), int(box[1]), picture

        return paint

    def _ellipsoid_bounds(self, centres: Floats, frames: Floats) -> npt.NDArray[np.int64]:
        """Pixel boxes x0, y0, x1, y1 (the ends outside) that hold ellipsoids in the camera's frame."""
        lens, depth = self.view.lens, centres[..., 2]
        middle = lens.project(centres)
        # Half extent of the outline to first order of size/distance; a tenth and 2 px cover the rest,
        # and barrel distortion only shrinks it.
        slant = centres[..., :2] / depth[..., None]
        reach = frames[..., :2, :] - slant[..., None] * frames[..., 2:, :]
        extent = np.sqrt((reach**2).sum(axis=-1)) / depth[..., None] * (lens.focal_x_px, lens.focal_y_px)
        extent = 1.1 * extent + 2.0
        ends = np.concatenate([np.floor(middle - extent), np.ceil(middle + extent) + 1], axis=-1)
        return np.asarray(ends, dtype=np.int64)

    def _shadows(self, centres: Floats, frames: Floats) -> Floats:
        """Soft spots (B, 4) x, y, radius mm, depth: each part's shade, thrown away from the lamp."""
        light = self.view.light
        thrown = centres[:, :2] - 0.8 * centres[:, 2:] * light[:2] / light[2]
        radius = 0.55 * np.sqrt((frames[:, :2, :] ** 2).sum(axis=(1, 2))) + 0.9 * centres[:, 2] + 3.0
        depth = np.minimum(0.45, 0.05 + 0.022 * np.sqrt((frames[:, :2, :] ** 2).sum(axis=(1, 2))))
        return np.concatenate([thrown, radius[:, None], depth[:, None] * (1 - self.view.ambient)], axis=1)

    def _shadow_bounds(self, shadows: Floats) -> npt.NDArray[np.int64]:
        turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = np.stack([np.cos(turns), np.sin(turns), np.zeros(16)], axis=-1) * 1.03
        spots = np.pad(shadows[:, :2], ((0, 0), (0, 1)))
        pixels = self.view.project(spots[:, None] + ring * shadows[:, 2, None, None]).reshape(-1, 2)
        ends = np.concatenate([np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0)) + 1])
        return np.asarray(ends[None], dtype=np.int64)

    def _box(self, bounds: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """x, y, w, h of the part of the image that holds all the bounds; w or h may be 0."""
        every = np.concatenate([np.asarray(each, dtype=np.int64) for each in bounds])
        size = np.array(self.view.size_px)
        low = np.clip(every[:, :2].min(axis=0), 0, size)
        high = np.clip(every[:, 2:].max(axis=0), low, size)
        return np.concatenate([low, high - low])
