"""Pictures drawn ahead of time: one background and one small patch per frame and camera.

They are kept in the world folder under a hash of everything they depend on, this code included;
other settings make other pictures, never stale ones.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.simulation import render
from acquisition.simulation.led import LedSpot, spot_of
from acquisition.simulation.scene import Scene
from acquisition.simulation.studio import Patch, Studio

_IMAGE_KEYS = {
    "seed", "camera_seed", "individual", "board", "cameras", "size_px", "rate_hz", "frame_sets",
    "exposures_us",
}  # fmt: skip
_NOISE_EXTRA = 1 << 16
_CHUNK = 16  # frames posed in one go


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """The drawn pictures of one camera, and the noise to put on them.

    Attributes
    ----------
    background:
        uint8 (H, W).
    patches:
        uint8, all patches' pixels one after the other.
    boxes:
        int64 (frames, 5): left, top, width, height, and where in `patches` it begins.
    noise:
        int8 bank, deviation 32.
    led:
        The trigger's LED, None where this camera does not see it.
    off_by:
        The pictures are those of so many pulses later: a fault that no count and no stamp shows.
    """

    background: Image
    patches: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.int64]
    noise: npt.NDArray[np.int8]
    noise_levels: tuple[int, int]
    seed: int
    led: LedSpot | None = None
    off_by: int = 0

    def compose(self, pulse: int, image: Image) -> None:
        """The picture of a pulse, with noise, into `image` uint8 (H, W). The same pulse, the same bytes."""
        pulse += self.off_by
        left, top, width, height, start = self.boxes[pulse % len(self.boxes)]
        patch = self.patches[start : start + width * height].reshape(height, width)
        offset = mix(self.seed, pulse) % _NOISE_EXTRA
        render.compose(self.background, patch, left, top, self.noise, offset, *self.noise_levels, image)
        if self.led is not None:
            self.led.paint(pulse, image)


def load_film(scene: Scene, camera: str, progress: Callable[[int], None] = lambda drawn: None) -> Film:
    """The film of a camera: from the world folder, or drawn now on all cores and put there.

    `progress` is called with the number of frames drawn so far.
    """
    path = scene.world / f"{camera}-{film_hash(scene)}.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            background, patches, boxes = stored["background"], stored["patches"], stored["boxes"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        background, patches, boxes = _draw_all(scene, camera, progress)
        _store(path, camera, background=background, patches=patches, boxes=boxes)
    return Film(background, patches, boxes, *_noise(scene, camera), *_led_and_fault(scene, camera))


def render_set(scene: Scene, index: int) -> list[Image]:
    """The images of all cameras at frame set `index`, drawn now; uint8 (H, W) in rig order.

    Byte for byte what the cameras deliver for that pulse. For many sets of one scene use `Renderer`.
    """
    return Renderer(scene).images(index)


class Renderer:
    """Draws frame sets of a scene in any order, without waiting and without a world folder."""

    def __init__(self, scene: Scene) -> None:
        self._studios = [Studio(scene, view.name) for view in scene.views]
        self._more = [(*_noise(scene, view.name), *_led_and_fault(scene, view.name)) for view in scene.views]
        self._frame_sets = scene.settings.frame_sets

    def image(self, camera: int, index: int) -> Image:
        """One camera's image at pulse `index`, uint8 (H, W)."""
        studio = self._studios[camera]
        _, off_by = self._more[camera][-2:]
        ((left, top, patch),) = studio.patches([(index + off_by) % self._frame_sets])
        box = np.array([[left, top, patch.shape[1], patch.shape[0], 0]])
        image = np.empty_like(studio.background)
        Film(studio.background, patch.ravel(), box, *self._more[camera]).compose(index, image)
        return image

    def images(self, index: int) -> list[Image]:
        """All cameras' images at pulse `index`, in rig order."""
        return [self.image(camera, index) for camera in range(len(self._studios))]


def _led_and_fault(scene: Scene, camera: str) -> tuple[LedSpot | None, int]:
    """The LED as a camera sees it, and by how many pulses its pictures are later than they should be."""
    led = scene.settings.led
    spot = None if led is None else spot_of(led, scene.view(camera))
    return spot, scene.settings.pictures_off_by.get(camera, 0)


def film_hash(scene: Scene) -> str:
    """Of the settings that reach the pictures, and of the code that draws them."""
    digest = hashlib.sha256(scene.settings.model_dump_json(include=_IMAGE_KEYS).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def mix(*numbers: int) -> int:
    """A well mixed 64-bit number of some integers (splitmix64): random, yet the same each time."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state + (number & 0xFFFFFFFFFFFFFFFF) + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state


def _draw_all(
    scene: Scene, camera: str, progress: Callable[[int], None]
) -> tuple[Image, npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    studio = Studio(scene, camera)
    frames = range(scene.settings.frame_sets)
    to_draw = [index for index in frames if not studio.is_still(index)]
    chunks = [to_draw[start : start + _CHUNK] for start in range(0, len(to_draw), _CHUNK)]
    drawn: dict[int, Patch] = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for chunk, patches in zip(chunks, pool.map(studio.patches, chunks), strict=True):
            drawn.update(zip(chunk, patches, strict=True))
            progress(len(drawn))
    boxes = np.zeros((len(frames), 5), np.int64)
    start = 0
    for index in frames:
        if index not in drawn:
            boxes[index] = boxes[index - 1]
            continue
        left, top, pixels = drawn[index]
        boxes[index] = left, top, pixels.shape[1], pixels.shape[0], start
        start += pixels.size
    return studio.background, np.concatenate([pixels.ravel() for *_, pixels in drawn.values()]), boxes


def _store(path: Path, camera: str, **arrays: npt.NDArray[Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        temporary.replace(path)
        for old in path.parent.glob(f"{camera}-*.npz"):
            if old != path:
                old.unlink(missing_ok=True)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RigposeError(
            path.parent, expected="room for the simulated pictures", found=error.strerror or str(error),
            remedy="Free space, or point 'world' in scene.yaml elsewhere",
        ) from None  # fmt: skip


def _noise(scene: Scene, camera: str) -> tuple[npt.NDArray[np.int8], tuple[int, int], int]:
    """Noise bank, its two levels in eighths of a grey level, and the seed of its shifts."""
    settings, index = scene.settings, scene.camera_index(camera)
    width, height = settings.size_px
    random = np.random.default_rng([settings.seed, index, 31])
    bank = random.standard_normal(width * height + _NOISE_EXTRA, dtype=np.float32)
    levels = round(8 * settings.noise_read), round(8 * settings.noise_light)
    return np.clip(np.rint(32 * bank), -127, 127).astype(np.int8), levels, mix(settings.seed, index, 32)
