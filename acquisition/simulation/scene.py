"""A scene: the settings of a simulated rig, and what follows from them."""

from __future__ import annotations

import json
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import Field, model_validator

from acquisition.errors import RigposeError
from acquisition.settings import Settings, beside, parse_settings, read_settings
from acquisition.simulation.animal import Animal
from acquisition.simulation.boards import BoardSettings, CharucoSettings, CheckerboardSettings, WavedBoard
from acquisition.simulation.led import LedSettings
from acquisition.simulation.lens import Floats
from acquisition.simulation.viewpoints import Viewpoint, camera_names, place_cameras


class SceneSettings(Settings):
    """scene.yaml: everything that makes a simulated rig, and what it looks at."""

    seed: int = Field(0, ge=0, description="motion, noise, losses")
    camera_seed: int = Field(
        1, ge=0, description="the rig: lenses, places and clocks of the cameras, lamps, arena"
    )
    individual: int = Field(1, ge=0, description="the animal: its proportions and fur")
    board: Annotated[BoardSettings, Field(discriminator="kind")] | None = Field(
        None, description="a waved board instead of the animal"
    )
    cameras: int = Field(4, ge=1, le=99, description="cameras around the arena")
    size_px: tuple[int, int] = Field((640, 480), description="width and height of the images")
    rate_hz: float = Field(30.0, gt=0, le=1000, description="frame sets a second")
    frame_sets: int = Field(600, ge=1, le=100_000, description="after so many the motion repeats, seamlessly")
    exposures_us: tuple[float, ...] = Field(
        (2000.0, 2600.0, 1800.0, 2300.0),
        min_length=1,
        description="exposure times, camera by camera, repeated",
    )
    noise_read: float = Field(0.9, ge=0, le=4, description="noise of a black image, grey levels")
    noise_light: float = Field(1.6, ge=0, le=12, description="what full brightness adds to it, grey levels")
    loss_rate: float = Field(0.0, ge=0, lt=1, description="share of frames that are counted and never arrive")
    ignored_rate: float = Field(0.0, ge=0, lt=1, description="share of pulses that meet a busy camera")
    id_wraps: bool = Field(True, description="frame ids run to 65535 and go on at 1")
    clock_offset_s: float = Field(3600.0, ge=0, description="camera clocks are ahead by up to this")
    drift_ppm: float = Field(50.0, ge=0, le=500, description="camera clocks run fast or slow by up to this")
    latency_ms: float = Field(4.0, ge=0, description="mean delay from the end of exposure to arrival")
    jitter_ms: float = Field(2.0, ge=0, description="random part added to the delay")
    led: LedSettings | None = Field(None, description="the trigger's LED, blinking the pulse count")
    pictures_off_by: dict[str, int] = Field(
        {}, description="cameras whose pictures are of so many pulses later than every count and stamp says"
    )
    world: Path = Field(Path("world"), description="folder of pictures, trigger and truth, from scene.yaml")

    @model_validator(mode="after")
    def _exposures_fit(self) -> SceneSettings:
        if min(self.size_px) < 64 or max(self.size_px) > 4096:
            raise ValueError(f"size_px {self.size_px} must be between 64 and 4096 each way")
        if min(self.exposures_us) <= 0 or max(self.exposures_us) >= 0.9e6 / self.rate_hz:
            raise ValueError(f"exposures_us must lie within 90 % of a period, {0.9e6 / self.rate_hz:g} us")
        return self


class Scene:
    """A scene brought to life. Costs a few milliseconds; nothing is drawn.

    Attributes
    ----------
    settings, world:
        Its settings and its world folder.
    views:
        The cameras, in rig order.
    """

    def __init__(self, settings: SceneSettings, world: Path) -> None:
        self.settings = settings
        self.world = world
        self.views: tuple[Viewpoint, ...] = place_cameras(
            settings.cameras, settings.size_px, settings.camera_seed
        )

    @classmethod
    def load(cls, path: Path) -> Scene:
        """The scene of a scene.yaml; raises `RigposeError`."""
        settings = read_settings(SceneSettings, path)
        return cls(settings, beside(Path(path).parent, settings.world).resolve())

    @classmethod
    def of_world(cls, world: Path) -> Scene:
        """The scene whose world folder this is; raises `RigposeError` if it is none."""
        path = Path(world) / "scene.json"
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            raise RigposeError(
                world, expected="the world folder of a simulated rig, with scene.json", found="none",
                remedy="Give the folder named by 'world' in scene.yaml",
            ) from None  # fmt: skip
        return cls(parse_settings(SceneSettings, content, path), Path(world))

    @cached_property
    def subject(self) -> Animal | WavedBoard:
        """What moves in the arena."""
        if self.settings.board is None:
            return Animal(self.settings.individual, self.settings.seed, self.loop_s)
        return WavedBoard(self.settings.board, self.views, self.settings.seed, self.loop_s)

    @property
    def loop_s(self) -> float:
        """Seconds until the motion repeats."""
        return self.settings.frame_sets / self.settings.rate_hz

    def view(self, camera: str | int) -> Viewpoint:
        """A camera by name or place in the rig; raises `KeyError`."""
        return self.views[self.camera_index(camera)]

    def camera_index(self, camera: str | int) -> int:
        """Place of a camera in the rig; raises `KeyError`."""
        if isinstance(camera, int):
            return camera
        for index, view in enumerate(self.views):
            if view.name == camera:
                return index
        raise KeyError(camera)

    def exposure_ns(self, camera: str | int) -> int:
        """Exposure time of a camera."""
        exposures = self.settings.exposures_us
        return round(1000 * exposures[self.camera_index(camera) % len(exposures)])

    def middle_s(self, index: int, camera: str | int | None = None) -> float:
        """Time in the loop of the middle of exposure `index`.

        Exposures start with the pulse. Without a camera: the median over the cameras.
        """
        cameras = range(len(self.views)) if camera is None else [camera]
        delay_ns = float(np.median([self.exposure_ns(each) / 2 for each in cameras]))
        return index % self.settings.frame_sets / self.settings.rate_hz + delay_ns * 1e-9

    def sample_times_s(self, index: int, camera: str | int, shares: Floats) -> Floats:
        """Times in the loop at shares of the exposure (-0.5 its start, 0.5 its end)."""
        return self.middle_s(index, camera) + shares * self.exposure_ns(camera) * 1e-9

    def save_to_world(self) -> None:
        """Make the world folder and note in it which scene it belongs to."""
        self.world.mkdir(parents=True, exist_ok=True)
        write_atomically(self.world / "scene.json", self.settings.model_dump_json(indent=1).encode())


def scene_of(uri: str) -> tuple[Path, str]:
    """Path of scene.yaml and the camera named by `sim://scene.yaml#cam_0`; '' without a camera."""
    path, _, camera = uri.removeprefix("sim://").partition("#")
    return Path(path), camera


def write_atomically(path: Path, content: bytes) -> None:
    """Write under another name, then rename: readers see the old or the new, nothing between."""
    # Cameras of one rig write at the same moment, from threads and from processes.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    temporary.write_bytes(content)
    temporary.replace(path)


def write_scene(
    folder: Path,
    *,
    kind: Literal["animal", "charuco", "checkerboard"],
    seed: int,
    rate_hz: float = 30.0,
    frame_sets: int = 600,
    cameras: int = 4,
    size: tuple[int, int] = (640, 480),
    board: dict[str, Any] | None = None,
    rig: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Write scene.yaml and a rig.yaml that uses it; for boards board.yaml as well.

    Parameters
    ----------
    folder:
        Where to write; made if absent. Files of those names are replaced.
    kind:
        The animal, or a board of its default size.
    board:
        Keys of board.yaml that differ from the default.
    rig:
        Further sections of rig.yaml, or sections to replace whole.
    settings:
        Further keys of `SceneSettings`, such as loss_rate, ignored_rate, camera_seed.

    Returns
    -------
    Path of rig.yaml.
    """
    folder = Path(folder)
    content: dict[str, Any] = {
        "seed": seed, "cameras": cameras, "size_px": list(size), "rate_hz": rate_hz, "frame_sets": frame_sets,
        **settings,
    }  # fmt: skip
    if kind != "animal":
        made: type[Settings] = CharucoSettings if kind == "charuco" else CheckerboardSettings
        content["board"] = parse_settings(made, {"kind": kind, **(board or {})}, "board").model_dump(
            mode="json"
        )
    scene = parse_settings(SceneSettings, content, folder / "scene.yaml")
    folder.mkdir(parents=True, exist_ok=True)
    _write_yaml(folder / "scene.yaml", scene.model_dump(mode="json", exclude_none=True))
    if scene.board is not None:
        _write_yaml(folder / "board.yaml", scene.board.model_dump(mode="json"))
    Scene(scene, beside(folder, scene.world).resolve()).save_to_world()
    period_ms = 1000.0 / rate_hz
    sections: dict[str, Any] = {
        "name": "simulated",
        "cameras": {name: {"uri": f"sim://scene.yaml#{name}"} for name in camera_names(cameras)},
        "trigger": {
            "port": "sim://scene.yaml", "rate_hz": rate_hz,
            "exposure_us": float(np.median(scene.exposures_us)),
        },
        "sync": {"tolerance_ms": round(min(4.0, 0.4 * period_ms), 3)},
        **(rig or {}),
    }  # fmt: skip
    _write_yaml(folder / "rig.yaml", sections)
    return folder / "rig.yaml"


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, yaml.safe_dump(content, sort_keys=False).encode())
