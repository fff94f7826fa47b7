"""From the images of one frame set to keypoints in each camera's own pixels, in one inference call."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Bundle
from deploy.bundles.preprocess import to_network
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.table import AUTO


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What the stages of one `predict` took, ns; `decode_ns` includes the way back to image pixels."""

    preprocess_ns: int = 0
    network_ns: int = 0
    decode_ns: int = 0


class Predictor:
    """A bundle on a runtime, for a fixed number of cameras.

    Parameters
    ----------
    bundle:
        A loaded bundle or its path.
    runtime, precision:
        As `deploy.bundles.runtimes.table.choose` takes them.
    cameras:
        Images per call: one inference call serves them all.
    threads:
        Of the inference.

    Attributes
    ----------
    bundle:
        The loaded bundle.
    keypoints:
        Names, in the order of the result.
    times:
        What the last `predict` took, by stage.

    Raises
    ------
    RigposeError
        If the bundle is damaged or no artifact can run here.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        runtime: str = AUTO,
        precision: str = AUTO,
        cameras: int = 1,
        threads: int = 1,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self.keypoints = self.bundle.manifest.keypoints
        self.times = StageTimes()
        self._runtime = load_runtime(self.bundle, runtime, precision, batch=cameras, threads=threads)
        self._frames = self._runtime.frames
        width, height = self.bundle.input_wh
        self._input = np.zeros((cameras, height, width, 3), np.uint8)
        self._whole: dict[tuple[int, int], ImageTransform] = {}

    @property
    def cameras(self) -> int:
        """Images per call."""
        return self._runtime.batch

    @property
    def resamples(self) -> bool:
        """Whether the runtime fits images into its input itself (on the GPU)."""
        return self._frames is not None

    def describe(self) -> dict[str, Any]:
        """What runs and why, as JSON: bundle, its hash, artifact, precision, runtime, reason."""
        return {"bundle": self.bundle.name, "bundle_sha256": self.bundle.sha256, **self._runtime.describe()}

    def whole_frame(self, image: Image) -> ImageTransform:
        """The default transform: the whole image fitted into the network's input."""
        wh = image.shape[1], image.shape[0]
        if wh not in self._whole:
            self._whole[wh] = ImageTransform.fit(wh, self.bundle.input_wh)
        return self._whole[wh]

    def predict(
        self, images: Sequence[Image | None], transforms: Sequence[ImageTransform | None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Keypoints of one frame set.

        Parameters
        ----------
        images:
            One per camera: uint8 (H, W) mono or (H, W, 3) RGB; None where there is no frame.
        transforms:
            One per camera, image -> network input; None: the whole frame.

        Returns
        -------
        float32 (cameras, K, 3): x, y in px of the image given, confidence; NaN where the image is None.

        Raises
        ------
        RigposeError
            If an image is not 8 bits, or not of one of these shapes.
        """
        if len(images) != self.cameras:
            raise ValueError(f"{len(images)} images for a predictor of {self.cameras} cameras")
        start_ns = time.monotonic_ns()
        used: list[ImageTransform | None] = []
        for slot, image in enumerate(images):
            given = transforms[slot] if transforms is not None else None
            used.append(None if image is None else given if given is not None else self.whole_frame(image))
        if self._frames is not None:
            keypoints = self._frames.infer_frames(images, used)
            fed_ns = start_ns + self._frames.preprocess_ns
        else:
            for slot, (image, transform) in enumerate(zip(images, used, strict=True)):
                if image is None or transform is None:
                    self._input[slot] = 0
                else:
                    to_network(image, transform, self.bundle.input_wh, out=self._input[slot])
            fed_ns = time.monotonic_ns()
            keypoints = self._runtime.infer(self._input)
        inferred_ns, decode_ns = time.monotonic_ns(), self._runtime.decode_ns
        for found, back in zip(keypoints, used, strict=True):
            if back is None:
                found[:] = np.nan
            else:
                found[:, :2] = _inverse(back).apply(found[:, :2])
        self.times = StageTimes(
            fed_ns - start_ns, inferred_ns - fed_ns - decode_ns, time.monotonic_ns() - inferred_ns + decode_ns
        )
        return keypoints


@functools.lru_cache(maxsize=256)  # a camera that stands still has one transform for ever
def _inverse(transform: ImageTransform) -> ImageTransform:
    return transform.inverse()
