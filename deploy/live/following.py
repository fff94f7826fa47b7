"""The window of one camera: the part of its image that the network sees.

It may be fixed, and it may follow the animal: then it is placed ahead of where the animal was last, at a
scale that makes it as large as the animals of the training. Where the animal is lost, the window is the
whole (fixed) part again until it is found.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.animal_size import box_of
from deploy.bundles.manifest import AnimalSize
from deploy.tracking_settings import Window

PATIENCE = 3
"""Sets without the animal before the window is given up."""

LOST, FOUND = "animal lost", "animal found"
_SIZE_MEMORY = 0.2  # weight of the newest size


class AnimalWindow:
    """The window of one camera.

    Attributes
    ----------
    following:
        Whether the animal is being followed now.
    lost:
        How often it was lost.
    searched:
        Sets in which the animal was looked for in the whole part.

    Parameters
    ----------
    camera:
        Its name.
    fixed:
        The part of the image that is looked at; None: all of it.
    follow:
        The sizes of the training (network px), if the window is to follow the animal.
    input_wh:
        Width and height of the network's input.
    """

    def __init__(
        self, camera: str, fixed: Window | None, follow: AnimalSize | None, input_wh: tuple[int, int]
    ) -> None:
        self.camera = camera
        self.following = False
        self.lost = self.searched = 0
        self._fixed = fixed
        self._trained = follow
        self._input_wh = input_wh
        self._part_wh = (0, 0)
        self._window: Window | None = None
        self._transform: ImageTransform | None = None
        self._scale = self._size_px = 0.0
        self._centre: npt.NDArray[np.float64] | None = None
        self._missed = 0

    @property
    def follows(self) -> bool:
        """Whether it is to follow the animal at all."""
        return self._trained is not None

    def check(self, width_px: int, height_px: int) -> None:
        """Refuse, with `RigposeError`, a fixed window that is not inside an image of this size."""
        if self._fixed is None:
            return
        left, top, width, height = self._fixed
        if left + width > width_px or top + height > height_px:
            raise RigposeError(
                f"tracking.crop of '{self.camera}'", expected=f"a window inside {width_px}x{height_px} px",
                found=f"[{left}, {top}, {width}, {height}]", remedy="Mend the rig file or --crop",
            )  # fmt: skip

    def of(self, image: Image) -> tuple[Image, ImageTransform | None]:
        """What to give to `Predictor.predict`: a view of the image, and its transform (None: all of it)."""
        if self._fixed is not None:
            left, top, width, height = self._fixed
            image = image[top : top + height, left : left + width]
        self._part_wh = image.shape[1], image.shape[0]
        return image, self._transform

    @property
    def scale(self) -> float:
        """Network px per image px, as of the last `of`."""
        if self._window is not None:
            return self._input_wh[0] / self._window[2]
        return min(target / source for target, source in zip(self._input_wh, self._part_wh, strict=True))

    def saw(self, keypoints: npt.NDArray[np.float32]) -> str:
        """What the network found, (K, 3) px of the view given; moved in place to the whole image's pixels.

        Returns `LOST` or `FOUND` when that happens, else "".
        """
        news = self._follow(keypoints, self._trained) if self._trained is not None else ""
        if self._fixed is not None:
            keypoints[:, :2] += np.array(self._fixed[:2], np.float32)
        return news

    def absent(self) -> None:
        """The camera has no frame in this set."""
        self._centre = None

    def _follow(self, keypoints: npt.NDArray[np.float32], trained: AnimalSize) -> str:
        box = box_of(keypoints)
        self.searched += not self.following
        if box is None:
            self._centre = None
            self._missed += 1
            if not self.following or self._missed < PATIENCE:
                return ""
            self.following = False
            self._look_at(None)
            self.lost += 1
            return LOST
        (low, high), whole = box
        if not self.following and not whole:  # a part of it says nothing of its size
            self._centre = None
            return ""
        size_px = float(np.linalg.norm(high - low))
        if not self.following:
            self._size_px, self._scale = size_px, 0.0
        elif whole:
            self._size_px += _SIZE_MEMORY * (size_px - self._size_px)
        apparent_px = self._scale * self._size_px
        # Between the median and the ends of the range the scale stays: zooming all the time gains nothing.
        if (
            not math.sqrt(trained.p5_px * trained.median_px)
            <= apparent_px
            <= math.sqrt(trained.p95_px * trained.median_px)
        ):
            self._scale = trained.median_px / max(self._size_px, 1.0)
        centre = (low + high) / 2
        ahead = centre if self._centre is None else 2 * centre - self._centre
        self._look_at(self._placed(ahead, self._scale))
        self._centre, self._missed = centre, 0
        found, self.following = not self.following, True
        return FOUND if found else ""

    def _look_at(self, window: Window | None) -> None:
        """From the next image on."""
        if window == self._window:
            return
        self._window, self._transform = window, None
        if window is not None:
            left, top, width, height = window
            scaled = ImageTransform.resize(self._input_wh[0] / width, self._input_wh[1] / height)
            self._transform = ImageTransform.crop(left, top).then(scaled)

    def _placed(self, centre: npt.NDArray[np.float64], scale: float) -> Window | None:
        """The window of that scale around `centre`, inside the part; None where all of it fits in."""
        size = [max(8, round(side / scale)) for side in self._input_wh]
        if size[0] >= self._part_wh[0] and size[1] >= self._part_wh[1]:
            return None
        corner = [
            min(max(0, round(float(middle) - side / 2)), room) if room >= 0 else room // 2
            for middle, side, room in zip(
                centre, size, (self._part_wh[0] - size[0], self._part_wh[1] - size[1]), strict=True
            )
        ]
        return corner[0], corner[1], size[0], size[1]
