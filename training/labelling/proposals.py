"""What a trained network proposes for a frame: nothing is a label until a person says so."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from training.images import read_image
from training.projects.project import Project

REMEMBERED = 512  # frames


class Proposer:
    """A bundle on the processor, one frame at a time.

    Parameters
    ----------
    bundle:
        The model bundle. Its keypoints are some or all of the project's.
    project:
        Whose frames it is asked about.

    Raises
    ------
    RigposeError
        If the bundle is damaged, cannot run here, or knows keypoints that the project does not.
    """

    def __init__(self, bundle: Path, project: Project) -> None:
        loaded = Bundle.load(bundle)
        if strange := [name for name in loaded.manifest.keypoints if name not in project.keypoints]:
            raise RigposeError(
                bundle, expected=f"a network for the project's keypoints {', '.join(project.keypoints)}",
                found=f"one that finds '{strange[0]}'", remedy="Give a bundle trained on this project",
            )  # fmt: skip
        self.name = loaded.name
        self._predictor = Predictor(loaded)
        self._busy = threading.Lock()
        self._known: OrderedDict[tuple[Path, int], dict[str, dict[str, float]]] = OrderedDict()

    def propose(self, image: Path) -> dict[str, dict[str, Any]]:
        """Keypoint -> {x, y px, confidence 0..1}. Raises `RigposeError` if the image cannot be read."""
        key = image, image.stat().st_mtime_ns if image.is_file() else 0
        with self._busy:
            if key not in self._known:
                picture = read_image(image)
                found = self._predictor.predict([picture])[0].astype(np.float64)
                height, width = picture.shape[:2]
                inside = np.clip(found[:, :2], -0.5, (width - 0.5, height - 0.5))
                self._known[key] = {
                    name: {"x": round(x, 2), "y": round(y, 2), "confidence": round(confidence, 4)}
                    for name, (x, y), confidence in zip(
                        self._predictor.keypoints, inside.tolist(), found[:, 2].tolist(), strict=True
                    )
                    if np.isfinite([x, y, confidence]).all()
                }
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            return dict(self._known[key])
