"""`deploy.bundles.preprocess` on the GPU: all cameras of a frame set in one launch, from their own images.

The images of a set lie behind a table of crops in one staging buffer, so that one copy brings all of it to
the GPU (none on a Jetson). The arithmetic is in preprocess.h.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.image_transform import ImageTransform
from deploy.bundles.preprocess import check_image, resize_windows
from deploy.bundles.runtimes.tensorrt.device import Gpu, SharedMemory
from deploy.whole_file import whole_file

SOURCES = (Path(__file__).with_name("preprocess.cu"), Path(__file__).with_name("preprocess.h"))
KERNEL = "preprocess"
BLOCK = (32, 8, 1)

# The twin of `rigpose::Crop`, which says what the fields mean.
CROP = np.dtype([
    ("image", "<i8"), ("x", "<i8"), ("x_column", "<i8"), ("x_row", "<i8"),
    ("y", "<i8"), ("y_column", "<i8"), ("y_row", "<i8"),
    ("left", "<i4"), ("top", "<i4"), ("right", "<i4"), ("bottom", "<i4"),
    ("first_x", "<i4"), ("first_y", "<i4"), ("last_x", "<i4"), ("last_y", "<i4"),
    ("row_bytes", "<i4"), ("channels", "<i4"), ("padded", "<i4"), ("unused", "<i4"),
])  # fmt: skip
_POSITION = 2.0**32
_FURTHEST_PX = 2.0**30
_ALIGNED = 256


def crop_of(
    shape: tuple[int, ...], transform: ImageTransform, input_wh: tuple[int, int], offset: int
) -> npt.NDArray[np.void]:
    """One camera's row of the table.

    Parameters
    ----------
    shape:
        (H, W), (H, W, 1) or (H, W, 3) of its image.
    transform:
        From the image's pixels to the network's input.
    offset:
        Where the image begins in the staging buffer, bytes.

    Returns
    -------
    `CROP` ().
    """
    height, width = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    windows = resize_windows((width, height), transform, input_wh)
    target, source = windows or ((0, 0, *input_wh), (0, 0, width, height))
    inverse = transform.inverse()
    corners = inverse.apply([[x, y] for x in (0, input_wh[0]) for y in (0, input_wh[1])])
    back = inverse.matrix
    if not np.abs([*back.ravel(), *corners.ravel()]).max() < _FURTHEST_PX:
        target = (0, 0, 0, 0)  # further away than a position can say: nothing of the image is seen
        back = np.zeros((2, 3))
    (x_column, x_row, x), (y_column, y_row, y) = np.rint(back * _POSITION).astype(np.int64).tolist()
    first_x, first_y, end_x, end_y = source
    row = (
        offset, x, x_column, x_row, y, y_column, y_row, *target, first_x, first_y, end_x - 1, end_y - 1,
        width * channels, channels, windows is None, 0,
    )  # fmt: skip
    return np.array(row, CROP)


class Staging:
    """The images of a frame set and their crops, where the GPU reads them.

    Parameters
    ----------
    gpu:
        Its context is current whenever this is used.

    Attributes
    ----------
    memory:
        The table of crops, then the images; another one after `fill` had to make room.
    """

    def __init__(self, gpu: Gpu, cameras: int, input_wh: tuple[int, int]) -> None:
        self._gpu = gpu
        self._input_wh = input_wh
        self._room = [0] * cameras
        self._placed: list[tuple[ImageTransform, tuple[int, ...]] | None] = [None] * cameras
        self._make_room()

    def fill(self, images: Sequence[Image | None], transforms: Sequence[ImageTransform | None]) -> None:
        """Copy the images in, and say where they lie in the network's input.

        Raises
        ------
        RigposeError
            If an image is not uint8 (H, W), (H, W, 1) or (H, W, 3).
        """
        for image in images:
            if image is not None:
                check_image(image)
        sizes = [0 if image is None else image.nbytes for image in images]
        if any(size > room for size, room in zip(sizes, self._room, strict=True)):
            self._room = [max(pair) for pair in zip(sizes, self._room, strict=True)]
            self._make_room()
        for slot, (image, transform) in enumerate(zip(images, transforms, strict=True)):
            if image is None or transform is None:
                self._crops[slot] = np.zeros((), CROP)
                self._placed[slot] = None
                continue
            placed = self._placed[slot]
            if placed is None or placed[0] is not transform or placed[1] != image.shape:
                self._crops[slot] = crop_of(image.shape, transform, self._input_wh, self._offsets[slot])
                self._placed[slot] = transform, image.shape
            begin = self._offsets[slot]
            np.copyto(self.memory.host[begin : begin + image.nbytes].reshape(image.shape), image)

    def _make_room(self) -> None:
        table = len(self._room) * CROP.itemsize
        ends = np.cumsum([_aligned(table), *map(_aligned, self._room)]).tolist()
        self._offsets = ends[:-1]
        self.memory = SharedMemory(self._gpu, ends[-1])
        self._crops = self.memory.host[:table].view(CROP)
        self._placed = [None] * len(self._room)


def _aligned(count: int) -> int:
    return -(-count // _ALIGNED) * _ALIGNED


class Kernel:
    """The kernel, compiled for this GPU (once: the result is kept in `folder`).

    Raises
    ------
    RuntimeError
        If there is no CUDA compiler, or it fails.
    """

    def __init__(self, gpu: Gpu, folder: Path, cameras: int, input_wh: tuple[int, int]) -> None:
        self._gpu = gpu
        self._width, self._height = input_wh
        columns, rows, _ = BLOCK
        self._grid = (-(-self._width // columns), -(-self._height // rows), cameras)
        major, minor = gpu.capability
        self._module = gpu.cuda.module_from_buffer(kept_cubin(f"sm_{major}{minor}", folder))
        self._function = self._module.get_function(KERNEL).prepare("PPPii")

    def enqueue(self, staging: SharedMemory, images: SharedMemory) -> None:
        """Resample what lies in `staging` into the network's input."""
        crops = staging.address  # the table comes first, and offsets count from its beginning
        self._function.prepared_async_call(
            self._grid, BLOCK, self._gpu.stream, crops, staging.address, images.address, self._width,
            self._height,
        )  # fmt: skip


def kept_cubin(architecture: str, folder: Path) -> bytes:
    """The kernel for `sm_87` and the like, from `folder` or compiled and kept there."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()
    path = folder / f"{KERNEL}-{architecture}-{digest[:16]}.cubin"
    try:
        return path.read_bytes()
    except OSError:
        cubin = compile_kernel(architecture)
    # a cache that cannot be written costs some seconds at the next start
    with contextlib.suppress(RigposeError), whole_file(path) as unfinished:
        unfinished.write_bytes(cubin)
    return cubin


def compile_kernel(architecture: str) -> bytes:
    """The kernel for `sm_87` and the like, by nvcc.

    Raises
    ------
    RuntimeError
        If there is no nvcc, or it fails; its last line is in the error.
    """
    compiler = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if compiler is None:
        raise RuntimeError("nvcc is not installed")
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        command = [compiler, "-cubin", f"-arch={architecture}", "-O3", "-o", str(cubin), str(SOURCES[0])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines() or ["no words"]
            raise RuntimeError(f"nvcc: {words[-1]}")
        return cubin.read_bytes()
