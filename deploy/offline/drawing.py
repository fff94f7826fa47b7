"""Poses drawn into pictures with cv2: points in their colours, bones, trails. Pictures are RGB."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image

Floats = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

BONE: Colour = (225, 225, 225)
_SHIFT = 4  # cv2 takes sixteenths of a pixel


@dataclass(frozen=True, slots=True)
class Pen:
    """How poses are drawn.

    Attributes
    ----------
    colours:
        RGB of each keypoint.
    bones:
        Pairs of keypoints by place.
    dot_px:
        Radius of a point.
    """

    colours: tuple[Colour, ...]
    bones: tuple[tuple[int, int], ...]
    dot_px: float

    def pose(self, image: Image, points: Floats, trail: Floats) -> None:
        """Draw a pose.

        Parameters
        ----------
        image:
            uint8 (H, W, 3), drawn into.
        points:
            (K, 2) px of the image, an integer the centre of a pixel; NaN where there is none.
        trail:
            (N, K, 2) px: where the points were before, oldest first.
        """
        self._trail(image, np.concatenate([trail, points[None]]))
        for a, b in self.bones:
            if drawable(points[[a, b]], image):
                ends = _sixteenths(points[a]), _sixteenths(points[b])
                cv2.line(image, *ends, BONE, self._line_px, cv2.LINE_AA, _SHIFT)
        for point, colour in zip(points, self.colours, strict=True):
            if drawable(point, image):
                radius = round(self.dot_px * 2**_SHIFT)
                cv2.circle(image, _sixteenths(point), radius, colour, -1, cv2.LINE_AA, _SHIFT)

    def rings(self, image: Image, points: Floats) -> None:
        """Rings around (K, 2) px: where others say that the points are."""
        for point, colour in zip(points, self.colours, strict=True):
            if drawable(point, image):
                radius = round((self.dot_px + 3) * 2**_SHIFT)
                cv2.circle(image, _sixteenths(point), radius, colour, 1, cv2.LINE_AA, _SHIFT)

    def _trail(self, image: Image, path: Floats) -> None:
        reach = 4 * max(image.shape[:2])
        with np.errstate(invalid="ignore"):
            there = (np.abs(path) < reach).all(axis=2)
        places = np.where(there[..., None], path, 0.0)
        sixteenths = np.rint(places * 2**_SHIFT).astype(np.int32)
        for keypoint, colour in enumerate(self.colours):
            breaks = np.flatnonzero(~there[:, keypoint])
            runs = np.split(sixteenths[:, keypoint], breaks)
            # every run but the first begins with the point that is missing
            lines = [np.ascontiguousarray(run[number > 0 :]) for number, run in enumerate(runs)]
            lines = [line for line in lines if len(line) > 1]
            if lines:
                cv2.polylines(image, lines, False, colour, 1, cv2.LINE_AA, _SHIFT)

    @property
    def _line_px(self) -> int:
        return max(1, round(self.dot_px / 2))


def drawable(points: Floats, image: Image) -> bool:
    """Whether all are there, and not so far outside that cv2's integers overflow."""
    reach = 4 * max(image.shape[:2])
    return bool(np.isfinite(points).all() and (np.abs(points) < reach).all())


def write(image: Image, text: str, at_px: tuple[int, int], size: float = 0.45, colour: Colour = BONE) -> None:
    """A line of text, its lower left corner at `at_px`, readable on any picture."""
    plain = text.encode("ascii", "replace").decode()
    for shade, thick in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(image, plain, at_px, cv2.FONT_HERSHEY_SIMPLEX, size, shade, thick, cv2.LINE_AA)


def _sixteenths(point: Floats) -> tuple[int, int]:
    return round(float(point[0]) * 2**_SHIFT), round(float(point[1]) * 2**_SHIFT)
