"""Pictures by the FourCC that Video4Linux names them with."""

from __future__ import annotations

import cv2
import numpy as np

from acquisition.frame import Image
from acquisition.pixel_formats import to_uint8

# FourCC -> PFNC name, after the kernel's "Image Formats". Video4Linux takes YUV to be of limited range
# unless the device says otherwise. Formats with more than 8 bits are the unpacked ones.
_NAMES = {
    "GREY": "Mono8", "Y10": "Mono10", "Y12": "Mono12", "Y16": "Mono16",
    "YUYV": "YCbCr601_422_8", "UYVY": "YCbCr601_422_8_CbYCrY", "NV12": "YCbCr601_420_8_YY_CbCr_Semiplanar",
    "RGB3": "RGB8", "BGR3": "BGR8",
    "BA81": "BayerBG8", "GBRG": "BayerGB8", "GRBG": "BayerGR8", "RGGB": "BayerRG8",
    "BG10": "BayerBG10", "GB10": "BayerGB10", "BA10": "BayerGR10", "RG10": "BayerRG10",
    "BG12": "BayerBG12", "GB12": "BayerGB12", "BA12": "BayerGR12", "RG12": "BayerRG12",
}  # fmt: skip
_FULL_RANGE = {
    "YCbCr601_422_8": "YCbCr422_8",
    "YCbCr601_422_8_CbYCrY": "YCbCr422_8_CbYCrY",
    "YCbCr601_420_8_YY_CbCr_Semiplanar": "YCbCr420_8_YY_CbCr_Semiplanar",
}
_JPEG = ("MJPG", "JPEG")

FOURCCS = (*_NAMES, *_JPEG)
"""Every format that `picture` reads, without trailing blanks."""


def is_grey(fourcc: str) -> bool:
    """Whether pictures of this format have one channel."""
    return _NAMES.get(fourcc, "").startswith("Mono")


def picture(
    buffer: memoryview | bytes,
    fourcc: str,
    size_px: tuple[int, int],
    stride_bytes: int | None = None,
    *,
    full_range: bool = False,
    grey: bool = False,
) -> Image:
    """The picture in a buffer.

    Parameters
    ----------
    size_px:
        Width and height.
    stride_bytes:
        From line to line, where lines are padded.
    full_range:
        The device's luma runs from 0 to 255, not from 16 to 235.
    grey:
        One channel is wanted: the luma of a colour picture (BT.601).

    Returns
    -------
    uint8, (H, W) or (H, W, 3) RGB; may be a view of `buffer`.

    Raises
    ------
    ValueError
        If the buffer does not hold a whole picture of this format and size.
    """
    width, height = size_px
    if fourcc in _JPEG:
        return _jpeg(buffer, size_px, grey)
    name = _NAMES.get(fourcc)
    if name is None:
        raise ValueError(f"unknown FourCC {fourcc}")
    image = to_uint8(
        buffer, _FULL_RANGE.get(name, name) if full_range else name, width, height, stride_bytes or None
    )
    return (
        np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) if grey and image.ndim == 3 else image
    )


def _jpeg(buffer: memoryview | bytes, size_px: tuple[int, int], grey: bool) -> Image:
    data = np.frombuffer(buffer, np.uint8)
    # The decoder fills what is missing with grey and says so on stderr only: look for the end marker first.
    if bytes(data[:2]) != b"\xff\xd8" or b"\xff\xd9" not in bytes(data[-4096:]):
        raise ValueError("a JPEG that was cut off")
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB)
    if decoded is None or decoded.shape[1::-1] != size_px:
        raise ValueError(f"no JPEG of {size_px[0]}x{size_px[1]}")
    return np.asarray(decoded, np.uint8)
