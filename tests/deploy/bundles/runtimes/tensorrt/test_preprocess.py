"""The kernel is `deploy.bundles.preprocess`, to one level, on any image and transform; and it compiles."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from calibration.image_transform import ImageTransform
from deploy.bundles.preprocess import PAD_LEVEL, to_network
from deploy.bundles.runtimes.tensorrt.preprocess import CROP, compile_kernel, crop_of

pytestmark = pytest.mark.equipment
INPUT_WH = (64, 48)


def on_cpu(kernel: ctypes.CDLL, images: list[np.ndarray], transforms: list[ImageTransform]) -> np.ndarray:
    """What the kernel makes of a frame set, each image behind the one before."""
    crops, offset = np.zeros(len(images), CROP), 0
    for row, (image, transform) in enumerate(zip(images, transforms, strict=True)):
        crops[row] = crop_of(image.shape, transform, INPUT_WH, offset)
        offset += image.nbytes
    staging = np.concatenate([image.ravel() for image in images])
    found = np.empty((len(images), INPUT_WH[1], INPUT_WH[0], 3), np.uint8)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (crops, staging, found)]
    kernel.preprocess(*pointers, *INPUT_WH, len(images))
    return found


@some.composite
def transforms(draw: some.DrawFn, source_wh: tuple[int, int]) -> ImageTransform:
    kind = draw(some.sampled_from(["fit", "stretch", "crop", "free"]))
    width, height = source_wh
    if kind == "fit":
        return ImageTransform.fit(source_wh, INPUT_WH)
    if kind == "stretch":
        return ImageTransform.resize(INPUT_WH[0] / width, INPUT_WH[1] / height)
    place = some.floats(-20, 150)
    if kind == "crop":
        x, y = draw(some.integers(0, width - 1)), draw(some.integers(0, height - 1))
        wh = draw(some.integers(1, width - x)), draw(some.integers(1, height - y))
        return ImageTransform.crop(x, y).then(ImageTransform.fit(wh, INPUT_WH))
    turn, scale, lean = draw(some.floats(-3.2, 3.2)), draw(some.floats(0.2, 4)), draw(some.floats(0.7, 1.4))
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    turned = ImageTransform(np.array([[cos, -sin, 0], [sin * lean, cos * lean, 0]]))
    return ImageTransform.crop(draw(place), draw(place)).then(turned)


@settings(max_examples=150, deadline=None)
@given(data=some.data())
def test_it_is_the_preprocessing_of_every_floor(kernel_on_cpu: ctypes.CDLL, data: some.DataObject) -> None:
    images, used = [], []
    for _ in range(data.draw(some.integers(1, 3))):
        wh = data.draw(some.tuples(some.integers(1, 150), some.integers(1, 150)))
        shape = wh[::-1] + data.draw(some.sampled_from([(), (1,), (3,)]))
        seed = data.draw(some.integers(0, 1000))
        images.append(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))
        used.append(data.draw(transforms(wh)))
    for image, transform, found in zip(images, used, on_cpu(kernel_on_cpu, images, used), strict=True):
        expected = to_network(image, transform, INPUT_WH)
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_gradient_is_not_shifted(kernel_on_cpu: ctypes.CDLL) -> None:
    """One level of rounding must not lean to one side."""
    image = np.add.outer(np.arange(120), np.arange(160)).astype(np.uint8) // 2
    transform = ImageTransform.crop(7.3, 5.1).then(ImageTransform.resize(0.61))
    found = on_cpu(kernel_on_cpu, [image], [transform])[0].astype(int)
    assert abs((found - to_network(image, transform, INPUT_WH)).mean()) < 0.01


def test_an_absent_image_is_black_and_one_far_away_is_padding(kernel_on_cpu: ctypes.CDLL) -> None:
    image = np.full((9, 9), 7, np.uint8)
    far = ImageTransform(np.array([[1e-9, 0, 0], [0, 1e-9, 1e3]]))
    assert (on_cpu(kernel_on_cpu, [image], [far]) == PAD_LEVEL).all()
    found = np.ones((1, *INPUT_WH[::-1], 3), np.uint8)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (np.zeros(1, CROP), image, found)]
    kernel_on_cpu.preprocess(*pointers, *INPUT_WH, 1)
    assert not found.any()


def test_both_sides_know_one_table(kernel_on_cpu: ctypes.CDLL) -> None:
    assert kernel_on_cpu.size_of_crop() == CROP.itemsize


@pytest.mark.parametrize("architecture", ["sm_87", "sm_90"])
def test_it_compiles_for_orin_and_hopper(nvcc: None, architecture: str) -> None:
    cubin = compile_kernel(architecture)
    assert cubin[:4] == b"\x7fELF"
    assert b"preprocess" in cubin


def test_what_the_compiler_says_is_said(nvcc: None) -> None:
    with pytest.raises(RuntimeError, match=r"nvcc: .*sm_1"):
        compile_kernel("sm_1")
