"""The same instant in other folders, and what a calibrated rig says of it.

Frames of one recording with equal numbers show one instant. With a calibration, a keypoint that is
labelled in one view lies, in another, on the image of the ray through that label: the epipolar line,
bent by the lens. Where two or more other views have the keypoint, its 3D point falls on one place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.triangulation import triangulate_exactly
from training.labelling.points import Point
from training.projects.origins import Origin

RAY_SAMPLES = 2000
# Depths along a ray, in units of the distance between the two cameras.
NEAREST, FARTHEST = 1e-2, 1e3
LINE_POINTS_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class View:
    """One frame of an instant: its folder, its image file and its camera (empty: not calibrated)."""

    folder: str
    image: str
    camera: str


class Views:
    """Which frames belong together, and their geometry.

    Parameters
    ----------
    folders:
        Folder -> its image files.
    recordings:
        Folder -> the recording it came from, as the project knows it.
    rig:
        The calibrated rig, or None.

    Attributes
    ----------
    cameras:
        Folder -> name of its camera in the calibration.
    """

    def __init__(
        self, folders: Mapping[str, Sequence[str]], recordings: Mapping[str, str], rig: CalibratedRig | None
    ) -> None:
        self.rig = rig
        self.cameras: dict[str, str] = {}
        self._recordings = dict(recordings)
        if rig is not None:
            for folder in folders:
                camera = camera_of(folder, recordings.get(folder), rig.names)
                if camera is not None:
                    self.cameras[folder] = camera
                    self._recordings.setdefault(folder, _without(folder, camera))
        self._folders: dict[str, list[str]] = {}
        for folder in folders:
            if folder in self._recordings:
                self._folders.setdefault(self._recordings[folder], []).append(folder)
        self._images: dict[tuple[str, int], str] = {}
        for folder, images in folders.items():
            for image in images:
                self.add_image(folder, image)

    def add_image(self, folder: str, image: str) -> None:
        """A frame that has come since."""
        recording = self._recordings.get(folder)
        if recording is not None and folder not in (known := self._folders.setdefault(recording, [])):
            known.append(folder)
        number = number_of(image)
        if number is not None:
            self._images.setdefault((folder, number), image)

    def require_rig(self, whose: Path, sizes_px: Mapping[str, tuple[int, int]]) -> None:
        """Refuse a calibration that this project has no use for.

        Parameters
        ----------
        sizes_px:
            Folder -> width and height of its images.

        Raises
        ------
        RigposeError
            If no two folders of one recording are views of its cameras, or an image is of another size
            than its camera was calibrated with.
        """
        assert self.rig is not None
        together = [
            [folder for folder in folders if folder in self.cameras] for folders in self._folders.values()
        ]
        if not any(len({self.cameras[folder] for folder in folders}) > 1 for folders in together):
            raise RigposeError(
                whose,
                expected="cameras that at least two folders of one recording are named after, such as "
                + "/".join(f"SESSION_{name}" for name in self.rig.names[:2]),
                found=", ".join(sorted(sizes_px)[:4]) + (" ..." if len(sizes_px) > 4 else ""),
                remedy="Give the calibration of the rig that recorded these frames",
            )  # fmt: skip
        for folder, camera in self.cameras.items():
            calibrated = self.rig.camera(camera).size_px
            if folder in sizes_px and sizes_px[folder] != calibrated:
                raise RigposeError(
                    whose, expected=f"images of {calibrated[0]}x{calibrated[1]} px of camera '{camera}'",
                    found=f"{sizes_px[folder][0]}x{sizes_px[folder][1]} px in the folder '{folder}'",
                    remedy="Give the calibration that was made with this size",
                )  # fmt: skip

    def together(self, folder: str, image: str) -> list[View]:
        """All frames of an image's instant, itself among them, in the order of the folders' names."""
        number = number_of(image)
        recording = self._recordings.get(folder)
        if number is None or recording is None:
            return [View(folder, image, self.cameras.get(folder, ""))]
        found = []
        for other in sorted(self._folders[recording]):
            shown = image if other == folder else self._images.get((other, number))
            if shown is not None:
                found.append(View(other, shown, self.cameras.get(other, "")))
        return found

    def geometry(
        self, view: View, others: Sequence[tuple[View, Sequence[Point]]], keypoints: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """What the other views say of each keypoint in `view`.

        Reprojected labels say nothing new and are left out; so are proposals.

        Parameters
        ----------
        others:
            The other frames of the instant with their points, in the order of `keypoints`.

        Returns
        -------
        Keypoint -> `lines`: [{folder, line: [[x, y], ...] px}]; `point`: None or {x, y, error_px, views},
        where error_px is the reprojection error over the views used; `disagree`: whether views that have
        the keypoint contradict each other.
        """
        if self.rig is None or not view.camera:
            return {}
        seen = [(other, points) for other, points in others if other.camera and other.camera != view.camera]
        target = self.rig.camera(view.camera)
        found: dict[str, dict[str, Any]] = {}
        for column, keypoint in enumerate(keypoints):
            labels = [
                (other, points[column].xy)
                for other, points in seen
                if points[column].is_label and points[column].origin is not Origin.REPROJECTED
            ]
            if not labels:
                continue
            lines = []
            for other, xy in labels:
                line = epipolar_line(self.rig.camera(other.camera), np.array(xy), target)
                lines.append({"folder": other.folder, "line": line.round(2).tolist()})
            point = _reprojected(self.rig, labels, target) if len(labels) > 1 else None
            found[keypoint] = {
                "lines": lines, "point": point, "disagree": len(labels) > 1 and point is None,
            }  # fmt: skip
        return found


def camera_of(folder: str, recording: str | None, cameras: Sequence[str]) -> str | None:
    """The camera that a folder is named after: `cam`, `SESSION_cam`, `cam-SESSION`; None: none of them."""
    for camera in cameras:
        if folder == camera or (recording is not None and folder == f"{recording}_{camera}"):
            return camera
    named = [camera for camera in cameras if re.search(_separate(camera), folder)]
    # of cam_1 and cam_1_left the longer one
    return max(named, key=len, default=None)


def number_of(image: str) -> int | None:
    """The last number in a file's name: the frame set that it shows."""
    numbers = re.findall(r"\d+", Path(image).stem)
    return int(numbers[-1]) if numbers else None


def epipolar_line(
    camera: CameraModel, pixel: npt.NDArray[np.float64], target: CameraModel
) -> npt.NDArray[np.float64]:
    """Where a point seen at `pixel` may be seen by another camera.

    The ray through the pixel is projected point by point, so the lens bends the line as it bends the
    picture.

    Returns
    -------
    float64 (N, 2) px inside the target's image (a margin of a tenth around), near to far; N may be 0.
    """
    ray = np.append(camera.undistort(pixel), 1.0)
    direction = camera.rotation_matrix.T @ ray
    base_mm = max(float(np.linalg.norm(target.centre_mm - camera.centre_mm)), 1e-6)
    depths = np.geomspace(NEAREST, FARTHEST, RAY_SAMPLES) * base_mm
    points = target.to_camera(camera.centre_mm + depths[:, None] * direction)
    points = points[points[:, 2] > 1e-9 * base_mm]
    normalised = points[:, :2] / points[:, 2:]
    line: npt.NDArray[np.float64] = target.to_pixels(target.distort(normalised))
    size = np.array(target.size_px)
    margin = 0.1 * size
    inside = np.asarray(((line >= -margin) & (line <= size - 1 + margin)).all(axis=1))
    # beyond its fold a lens model shows points that the camera does not see
    inside[inside] = np.isclose(target.undistort(line[inside]), normalised[inside], atol=1e-6).all(axis=1)
    line = line[inside]
    if len(line) > LINE_POINTS_AT_MOST:
        line = line[np.linspace(0, len(line) - 1, LINE_POINTS_AT_MOST).round().astype(int)]
    return line


def _reprojected(
    rig: CalibratedRig, labels: Sequence[tuple[View, tuple[float, float] | None]], target: CameraModel
) -> dict[str, Any] | None:
    subset = rig.subset([view.camera for view, _ in labels])
    keypoints = np.array([[[*xy, 1.0]] for _, xy in labels if xy is not None])
    pose = triangulate_exactly(subset, keypoints[None])[0, 0]
    if not np.isfinite(pose[:3]).all():
        return None
    x, y = target.project(pose[:3])
    if not (np.isfinite([x, y]).all() and -0.5 <= x <= target.size_px[0] - 0.5):
        return None
    if not -0.5 <= y <= target.size_px[1] - 0.5:
        return None
    return {
        "x": round(float(x), 2), "y": round(float(y), 2), "error_px": round(float(pose[10]), 2),
        "views": int(pose[9]),
    }  # fmt: skip


def _separate(camera: str) -> str:
    return rf"(?:^|[_.\- ]){re.escape(camera)}(?:$|[_.\- ])"


def _without(folder: str, camera: str) -> str:
    """The folder's name without its camera: what folders of one recording have in common."""
    return re.sub(_separate(camera), "", folder, count=1)
