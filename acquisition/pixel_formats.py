"""From the bytes that a camera sends to a uint8 picture, grey or RGB.

Formats go by their names in GenICam's Pixel Format Naming Convention 2.4 (PFNC), with the older names of
GigE Vision 1.2 beside them. The rule, the same for every driver:

- More than 8 bits: the 8 most significant ones are kept; nothing is scaled to what the picture holds.
- Bayer: reduced to 8 bits, then demosaiced bilinearly (OpenCV's COLOR_Bayer*).
- YUV: BT.601. The names with 601 in them are of limited range (luma 16 to 235), the others of full range.
  Chroma is repeated, not interpolated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image

_SENSOR = re.compile(
    r"(?P<colour>Mono|BayerRG|BayerGR|BayerGB|BayerBG)(?P<bits>8|10|12|14|16)(?P<packing>p|Packed|)"
)
_DEMOSAIC = {
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}
# Name -> (bytes a pixel, conversion; None: as it is).
_COLOUR: dict[str, tuple[int, int | None]] = {
    "RGB8": (3, None),
    "RGB8Packed": (3, None),
    "BGR8": (3, cv2.COLOR_BGR2RGB),
    "BGR8Packed": (3, cv2.COLOR_BGR2RGB),
    "RGBa8": (4, cv2.COLOR_RGBA2RGB),
    "RGBA8Packed": (4, cv2.COLOR_RGBA2RGB),
    "BGRa8": (4, cv2.COLOR_BGRA2RGB),
    "BGRA8Packed": (4, cv2.COLOR_BGRA2RGB),
}
# Two pixels in four bytes: where the first luma, Cb and Cr stand.
_YUV422 = {
    "YUV422_8": (0, 1, 3),
    "YUV422_8_UYVY": (1, 0, 2),
    "YCbCr422_8": (0, 1, 3),
    "YCbCr422_8_CbYCrY": (1, 0, 2),
    "YCbCr601_422_8": (0, 1, 3),
    "YCbCr601_422_8_CbYCrY": (1, 0, 2),
    "YUV422Packed": (1, 0, 2),
    "YUV422_YUYV_Packed": (0, 1, 3),
}
# All luma, then Cb and Cr in turn, one pair for four pixels: NV12.
_SEMIPLANAR = ("YCbCr420_8_YY_CbCr_Semiplanar", "YCbCr601_420_8_YY_CbCr_Semiplanar")

PIXEL_FORMATS = (
    *("Mono8", "Mono10", "Mono12", "Mono14", "Mono16", "Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"),
    *(f"{pattern}{depth}" for pattern in _DEMOSAIC for depth in ("8", "10", "12", "16", "10p", "12p",
                                                                 "10Packed", "12Packed")),
    *_COLOUR, *_YUV422, *_SEMIPLANAR,
)  # fmt: skip
"""Every name that `to_uint8` knows."""


def channels_of(pixel_format: str, camera: str) -> int:
    """1 for grey, 3 for colour; raises `RigposeError`, in the name of `camera`, for an unknown format."""
    if pixel_format not in PIXEL_FORMATS:
        raise RigposeError(
            f"camera '{camera}'", expected="a pixel format such as Mono8, Mono12p, BayerRG8, RGB8, YUV422_8",
            found=pixel_format, remedy="Set another 'PixelFormat' in the camera's settings file",
        )  # fmt: skip
    return 1 if pixel_format.startswith("Mono") else 3


def line_bytes(pixel_format: str, width_px: int) -> int:
    """Bytes of one line without padding (of NV12 one line of luma)."""
    if pixel_format in _COLOUR:
        return _COLOUR[pixel_format][0] * width_px
    if pixel_format in _YUV422:
        return 2 * width_px
    if pixel_format in _SEMIPLANAR:
        return width_px
    bits, packing = _sensor(pixel_format)[1:]
    if packing == "Packed":
        bits = 12  # GigE Vision 1.2 puts two pixels of 10 bits into three bytes, too
    return -(-width_px * bits // 8) if packing else width_px * (1 if bits == 8 else 2)


def image_bytes(pixel_format: str, width_px: int, height_px: int) -> int:
    """Bytes of a whole picture without padding. Packed formats run on from line to line."""
    if pixel_format in _SEMIPLANAR:
        return width_px * height_px * 3 // 2
    if pixel_format in _COLOUR or pixel_format in _YUV422 or not _sensor(pixel_format)[2]:
        return line_bytes(pixel_format, width_px) * height_px
    return line_bytes(pixel_format, width_px * height_px)


def to_uint8(
    buffer: Any, pixel_format: str, width_px: int, height_px: int, stride_bytes: int | None = None
) -> Image:
    """The picture in `buffer`.

    Parameters
    ----------
    buffer:
        bytes, a memoryview, a uint8 array: at least `image_bytes` of it. Multi-byte pixels are little-endian.
    pixel_format:
        One of `PIXEL_FORMATS`.
    stride_bytes:
        From line to line, where lines are padded (not with packed formats and NV12).

    Returns
    -------
    uint8, (H, W) or (H, W, 3) RGB. May be a view of `buffer` (Mono8 and RGB8 are not copied).

    Raises
    ------
    ValueError
        If the buffer is too short, or the format is none of `PIXEL_FORMATS`.
    """
    data: Image = np.frombuffer(buffer, np.uint8)
    if pixel_format not in PIXEL_FORMATS:
        raise ValueError(f"unknown pixel format {pixel_format}")
    line = line_bytes(pixel_format, width_px)
    whole = image_bytes(pixel_format, width_px, height_px)
    if stride_bytes is not None and stride_bytes != line:
        if stride_bytes < line or whole != line * height_px:
            raise ValueError(f"lines of {pixel_format} with {stride_bytes} bytes")
        if data.size < stride_bytes * (height_px - 1) + line:
            raise ValueError(f"{data.size} bytes for {height_px} lines of {stride_bytes}")
        lines = np.lib.stride_tricks.as_strided(data, (height_px, line), (stride_bytes, 1), writeable=False)
        data = np.ascontiguousarray(lines).reshape(-1)
    if data.size < whole:
        raise ValueError(f"{data.size} bytes for a picture of {whole}")
    return _convert(data[:whole], pixel_format, width_px, height_px)


def _convert(data: Image, pixel_format: str, width_px: int, height_px: int) -> Image:
    if pixel_format in _COLOUR:
        size, code = _COLOUR[pixel_format]
        colours: Image = data.reshape(height_px, width_px, size)
        return colours if code is None else _image(cv2.cvtColor(colours, code))
    if pixel_format in _YUV422:
        luma, cb, cr = _YUV422[pixel_format]
        pairs = data.reshape(height_px, width_px // 2, 4)
        planes = [data.reshape(height_px, -1)[:, luma::2]]
        planes += [np.repeat(pairs[:, :, at], 2, axis=1) for at in (cr, cb)]
        return _from_luma(planes, limited="601" in pixel_format)
    if pixel_format in _SEMIPLANAR:
        luma_plane = data[: width_px * height_px].reshape(height_px, width_px)
        chroma = data[width_px * height_px :].reshape(height_px // 2, width_px // 2, 2)
        chroma = chroma.repeat(2, axis=0).repeat(2, axis=1)
        return _from_luma([luma_plane, chroma[..., 1], chroma[..., 0]], limited="601" in pixel_format)
    colour, bits, packing = _sensor(pixel_format)
    if packing:
        grey = _PACKED[packing, bits if packing == "p" else 12](data, width_px * height_px)
    elif bits > 8:
        grey = (data.view("<u2") >> (bits - 8)).astype(np.uint8)
    else:
        grey = data
    picture = grey.reshape(height_px, width_px)
    return picture if colour == "Mono" else _image(cv2.cvtColor(picture, _DEMOSAIC[colour]))


def _sensor(pixel_format: str) -> tuple[str, int, str]:
    """(colour, bits, packing) of a Mono or Bayer format."""
    match = _SENSOR.fullmatch(pixel_format)
    if match is None:
        raise ValueError(f"unknown pixel format {pixel_format}")
    return match["colour"], int(match["bits"]), match["packing"]


def _from_luma(planes: list[Image], *, limited: bool) -> Image:
    """RGB of [Y, Cr, Cb], full range after OpenCV's COLOR_YCrCb2RGB (JFIF)."""
    picture = np.stack(planes, axis=-1)
    if limited:
        steps = np.arange(256, dtype=np.float64)
        luma = np.clip(np.rint((steps - 16) * 255 / 219), 0, 255)
        chroma = np.clip(np.rint((steps - 128) * 255 / 224 + 128), 0, 255)
        picture = _image(cv2.LUT(picture, np.stack([luma, chroma, chroma], axis=-1).astype(np.uint8)[None]))
    return _image(cv2.cvtColor(picture, cv2.COLOR_YCrCb2RGB))


def _lsb_10(data: Image, pixels: int) -> Image:
    """Four pixels in five bytes, the first in the lowest bits."""
    padded = np.zeros(-(-pixels // 4) * 5, np.uint8)
    padded[: data.size] = data
    b = padded.reshape(-1, 5)
    grey = np.empty((len(b), 4), np.uint8)
    grey[:, 0] = b[:, 0] >> 2 | b[:, 1] << 6
    grey[:, 1] = b[:, 1] >> 4 | b[:, 2] << 4
    grey[:, 2] = b[:, 2] >> 6 | b[:, 3] << 2
    grey[:, 3] = b[:, 4]
    return grey.reshape(-1)[:pixels]


def _lsb_12(data: Image, pixels: int) -> Image:
    """Two pixels in three bytes, the first in the lowest bits."""
    padded = np.zeros(-(-pixels // 2) * 3, np.uint8)
    padded[: data.size] = data
    b = padded.reshape(-1, 3)
    grey = np.empty((len(b), 2), np.uint8)
    grey[:, 0] = b[:, 0] >> 4 | b[:, 1] << 4
    grey[:, 1] = b[:, 2]
    return grey.reshape(-1)[:pixels]


def _gige_12(data: Image, pixels: int) -> Image:
    """GigE Vision's packing: the high bytes of two pixels with their low bits between them."""
    padded = np.zeros(-(-pixels // 2) * 3, np.uint8)
    padded[: data.size] = data
    return padded.reshape(-1, 3)[:, ::2].reshape(-1)[:pixels]


_PACKED: dict[tuple[str, int], Callable[[Image, int], Image]] = {
    ("p", 10): _lsb_10,
    ("p", 12): _lsb_12,
    ("Packed", 12): _gige_12,
}


def _image(array: Any) -> Image:
    picture: Image = np.asarray(array, np.uint8)
    return picture
