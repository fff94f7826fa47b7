"""The `tracking` section of rig.yaml: where the network looks, and what is made of its poses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from acquisition.errors import RigposeError
from acquisition.settings import Settings

Window = tuple[int, int, int, int]
"""Left, top, width and height of a part of an image, px."""

Smoothing = Literal["none", "one-euro", "kalman"]


class OneEuroSettings(Settings):
    """Parameters of the one-euro filter, as in the paper; speeds in px/s (2D) and mm/s (3D)."""

    min_cutoff_hz: float = Field(1.5, gt=0, description="cutoff at rest: lower it against jitter")
    beta: float = Field(0.02, ge=0, description="Hz of cutoff for each px/s or mm/s: raise it against lag")
    derivative_cutoff_hz: float = Field(5.0, gt=0, description="cutoff of the speed itself")


class TrackingSettings(Settings):
    """From the images to the stream. Recordings keep the measured poses, whatever is set here."""

    crop: dict[str, Window] = Field(
        default_factory=dict,
        description="by camera [left, top, width, height] px: the only part of its image that is looked at",
    )
    follow: bool | tuple[str, ...] = Field(
        False, description="cameras whose window follows the animal; true: all of them"
    )
    smooth: Smoothing = Field("none", description="filter of the poses of kind 'filtered'")
    one_euro: OneEuroSettings = Field(default_factory=OneEuroSettings, description="of smooth: one-euro")
    predict: bool = Field(False, description="publish where the animal is by now, as kind 'predicted'")
    lead_ms: float = Field(0.0, ge=0, le=500, description="predict so much further, for what comes after us")

    @field_validator("crop")
    @classmethod
    def _windows_hold_something(cls, crop: dict[str, Window]) -> dict[str, Window]:
        for camera, (left, top, width, height) in crop.items():
            if min(left, top) < 0 or min(width, height) < 8:
                raise ValueError(f"the window of '{camera}' needs left, top >= 0 and width, height >= 8 px")
        return crop

    def followed(self, cameras: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `cameras` whose window follows the animal."""
        if isinstance(self.follow, bool):
            return cameras if self.follow else ()
        return self.follow

    def check(self, cameras: tuple[str, ...]) -> None:
        """Refuse, with `RigposeError`, what names a camera that the rig does not have."""
        for key, names in (("crop", tuple(self.crop)), ("follow", self.followed(cameras))):
            for name in names:
                if name not in cameras:
                    raise RigposeError(
                        f"tracking.{key}", expected=f"cameras of the rig: {', '.join(cameras)}",
                        found=f"'{name}'", remedy="Mend the rig file or the option",
                    )  # fmt: skip
