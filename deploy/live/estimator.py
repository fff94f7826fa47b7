"""From the images of a frame set to measured poses: windows, network, triangulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.rings.ring import RingGeometry
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import calibration_hash, load_calibration
from calibration.poses import Pose3D
from calibration.triangulation import triangulate
from deploy.bundles.animal_size import AnimalSizeWatch
from deploy.bundles.manifest import AnimalSize
from deploy.bundles.predictor import Predictor
from deploy.live.following import LOST, AnimalWindow
from deploy.live.tracker_plan import TrackerPlan

SIZE = "animal size"
_WARM_UP = 5
_CLOSER = "crop or follow the animal (live --crop, --follow)"

News = tuple[str, str, str]
"""Something that happened: its name, the camera, and what more there is to say."""


class Estimator:
    """The network of a rig, where it looks, and its calibration.

    Attributes
    ----------
    predictor, calibration, calibration_sha256:
        What makes the poses; None and "" without 3D.
    news:
        What happened since it was last emptied.

    Raises
    ------
    RigposeError
        If the network or the calibration is not as it must be, or a window cannot follow with this network.
    """

    def __init__(self, plan: TrackerPlan) -> None:
        self.news: list[News] = []
        self.predictor = Predictor(
            plan.bundle, runtime=plan.runtime, precision=plan.precision, cameras=len(plan.cameras),
            threads=plan.threads,
        )  # fmt: skip
        self.calibration: CalibratedRig | None = None
        self.calibration_sha256 = ""
        self._calibration_file = plan.calibration
        if plan.calibration is not None:
            self.calibration = load_calibration(Path(plan.calibration)).subset(plan.cameras)
            self.calibration_sha256 = calibration_hash(Path(plan.calibration))
        trained = self.predictor.bundle.manifest.animal_size
        followed = plan.tracking.followed(plan.cameras)
        if followed:
            require_size(self.predictor.bundle.path, trained)
        input_wh = self.predictor.bundle.input_wh
        self._windows = {
            name: AnimalWindow(
                name, plan.tracking.crop.get(name), trained if name in followed else None, input_wh
            )
            for name in plan.cameras
        }
        self._sizes = {name: AnimalSizeWatch(trained, f"camera '{name}'", _CLOSER) for name in plan.cameras}

    def warm_up(self, geometries: Mapping[str, RingGeometry], meanwhile: Callable[[], None]) -> None:
        """Size checks, and everything once that is slow the first time (kernels compile, pages fault).

        `meanwhile` is called between the steps. Raises `RigposeError` where sizes do not fit.
        """
        images = []
        for camera, geometry in geometries.items():
            images.append(np.zeros(geometry.image_shape, np.uint8))
            size = (geometry.width_px, geometry.height_px)
            self._windows[camera].check(*size)
            if self.calibration is not None and self.calibration.camera(camera).size_px != size:
                calibrated = self.calibration.camera(camera).size_px
                raise RigposeError(
                    f"calibration {self._calibration_file}", expected=f"images of {size} px from '{camera}'",
                    found=f"a calibration for {calibrated} px", remedy="Calibrate the rig as it is now",
                )  # fmt: skip
        views = [window.of(image)[0] for window, image in zip(self._windows.values(), images, strict=True)]
        for _ in range(_WARM_UP):
            keypoints = self.predictor.predict(views)
            meanwhile()
        if self.calibration is not None:
            wide = np.asarray([camera.size_px for camera in self.calibration.cameras], np.float32)
            keypoints[..., :2] = wide[:, None] / 2
            keypoints[..., 2] = 1.0
            for view in range(len(keypoints)):  # the path of an outlier view, and of a missing one
                triangulate(self.calibration, keypoints)
                keypoints[view, ::2, 0] += 50
                keypoints[view, 1::2] = np.nan

    def keypoints(self, images: Sequence[Image | None]) -> npt.NDArray[np.float32]:
        """Keypoints of one frame set, (cameras, K, 3) in the cameras' full images; NaN without an image."""
        views: list[Image | None] = []
        transforms = []
        for window, image in zip(self._windows.values(), images, strict=True):
            view, transform = (None, None) if image is None else window.of(image)
            views.append(view)
            transforms.append(transform)
        found = self.predictor.predict(views, transforms)
        for (camera, window), view, points in zip(self._windows.items(), views, found, strict=True):
            if view is None:
                window.absent()
                continue
            said = self._sizes[camera].add(points, window.scale)
            if said:
                self.news.append((SIZE, camera, said))
            news = window.saw(points)
            if news:
                where = "looking for it in the whole image" if news == LOST else "following it"
                self.news.append((news, camera, where))
        return found

    def points(self, index: int, t_exposure_ns: int, keypoints: npt.NDArray[np.float32]) -> Pose3D | None:
        """The 3D pose of those keypoints; None without a calibration."""
        if self.calibration is None:
            return None
        return Pose3D(index, t_exposure_ns, triangulate(self.calibration, keypoints))

    def counters(self) -> dict[str, dict[str, int | float]]:
        """For `health`: of the cameras whose window follows the animal."""
        return {
            f"follow {camera}": {
                "following": int(window.following), "lost": window.lost, "sets_searched": window.searched,
            }
            for camera, window in self._windows.items() if window.follows
        }  # fmt: skip


def require_size(bundle: Path, trained: AnimalSize | None) -> None:
    """Refuse, with `RigposeError`, to follow with a network of which no animal size is known."""
    if trained is None or trained.median_px <= 0:
        raise RigposeError(
            bundle, expected="a network that knows the animal's size, to follow it",
            found="no size in its manifest (one keypoint, or an old bundle)",
            remedy="Export the run again, or crop instead (--crop)",
        )  # fmt: skip
