"""The frame sets worth keeping as a folder of stills: what `rigpose calibrate FOLDER` takes.

    FOLDER/cam_0/0001.png, FOLDER/cam_1/0001.png, ...    equal numbers: one instant
    FOLDER/cameras.json                                  which devices the cameras are

Lossless, grey, and only of cameras that saw the board.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.inputs import STILLS_FORMAT, STILLS_OF

_PNG = [int(cv2.IMWRITE_PNG_COMPRESSION), 1]  # noise does not compress; this takes a fifth of the time


class KeptViews:
    """Writes into a folder that is made with the first set.

    Attributes
    ----------
    count:
        Sets written.

    Parameters
    ----------
    folder:
        New or empty.
    devices:
        By camera, `calibration.camera_identity.device_of`.
    """

    def __init__(self, folder: Path, devices: Mapping[str, Mapping[str, Any]]) -> None:
        self.count = 0
        self._folder = folder
        self._devices = devices

    def keep(self, images: Mapping[str, Image]) -> None:
        """Write the images (H, W) of one frame set, by camera.

        Raises
        ------
        RigposeError
            If the disk is full or the folder cannot be written.
        """
        try:
            if not self.count:
                self._folder.mkdir(parents=True, exist_ok=True)
                facts = {"format": STILLS_FORMAT, "cameras": self._devices}
                _write(self._folder / STILLS_OF, json.dumps(facts, indent=1).encode())
            for camera, image in images.items():
                _, coded = cv2.imencode(".png", np.ascontiguousarray(image), _PNG)
                (self._folder / camera).mkdir(exist_ok=True)
                _write(self._folder / camera / f"{self.count + 1:04d}.png", coded.tobytes())
        except OSError as error:
            raise RigposeError(
                self._folder, expected="room for the board's pictures", found=error.strerror or str(error),
                remedy=f"Free some space; the {self.count} frame sets before can be calibrated with",
            ) from None  # fmt: skip
        self.count += 1


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a run that is killed leaves no half picture."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)
