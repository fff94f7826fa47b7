from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from acquisition.pixel_formats import PIXEL_FORMATS, channels_of, image_bytes, to_uint8

BAYER = {"RG": [["R", "G"], ["G", "B"]], "GR": [["G", "R"], ["B", "G"]],
         "GB": [["G", "B"], ["R", "G"]], "BG": [["B", "G"], ["G", "R"]]}  # fmt: skip


def bit_packed(values: np.ndarray, bits: int) -> bytes:
    """PFNC's "p": a little-endian stream of bits (worked out with Python's own integers)."""
    whole = sum(int(v) << (bits * n) for n, v in enumerate(values))
    return whole.to_bytes(-(-len(values) * bits // 8), "little")


def gige_packed(values: np.ndarray, bits: int) -> bytes:
    """GigE Vision 1.2, 'Mono10Packed' and 'Mono12Packed': high bytes outside, low bits in the middle one."""
    low = bits - 8
    out = bytearray()
    for n in range(0, len(values), 2):
        a, b = int(values[n]), int(values[n + 1]) if n + 1 < len(values) else 0
        out += bytes([a >> low, a & (1 << low) - 1 | (b & (1 << low) - 1) << 4, b >> low])
    return bytes(out[: -(-len(values) * 12 // 8)])


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from([f for f in PIXEL_FORMATS if f.startswith("Mono")]),
    width=st.integers(1, 9), height=st.integers(1, 7), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_eight_highest_bits_of_grey_are_kept(form, width, height, seed):
    bits = int("".join(c for c in form if c.isdigit()))
    values = np.random.default_rng(seed).integers(0, 2**bits, width * height)
    if form.endswith("Packed"):
        data = gige_packed(values, bits)
    elif form.endswith("p"):
        data = bit_packed(values, bits)
    else:
        data = values.astype("<u2" if bits > 8 else np.uint8).tobytes()
    assert len(data) == image_bytes(form, width, height)
    picture = to_uint8(data + b"beyond", form, width, height)
    assert picture.dtype == np.uint8 and picture.shape == (height, width)
    np.testing.assert_array_equal(picture.reshape(-1), values >> (bits - 8))


@pytest.mark.parametrize("pattern", BAYER)
@pytest.mark.parametrize("depth", ["8", "12", "12p", "10Packed"])
def test_bayer_gives_back_a_flat_colour(pattern, depth):
    colour = {"R": 200, "G": 90, "B": 30}
    flat = np.array([[colour[BAYER[pattern][y % 2][x % 2]] for x in range(8)] for y in range(6)]).reshape(-1)
    bits = int("".join(c for c in depth if c.isdigit()))
    raw = flat << (bits - 8)
    packers = {"12p": bit_packed, "10Packed": gige_packed}
    data = (
        packers[depth](raw, bits) if depth in packers else raw.astype("<u2" if bits > 8 else "u1").tobytes()
    )
    picture = to_uint8(data, f"Bayer{pattern}{depth}", 8, 6)
    assert (picture.reshape(-1, 3) == [200, 90, 30]).all()


@pytest.mark.parametrize("form", [f for f in PIXEL_FORMATS if f.startswith(("RGB", "BGR"))])
def test_colours_come_in_the_order_red_green_blue(form):
    values = dict(zip("RGBA", (10, 20, 30, 255), strict=True))
    order = form.split("8")[0].upper()
    picture = to_uint8(bytes(values[c] for c in order) * 6, form, 3, 2)
    assert picture.shape == (2, 3, 3) and (picture == [10, 20, 30]).all()


@pytest.mark.parametrize("form", [f for f in PIXEL_FORMATS if f.startswith("Y")])
def test_luma_and_chroma_give_the_colour_they_were_made_of(form):
    red, green, blue = 180, 60, 110
    # BT.601, written out: full range as in JFIF, limited with 219 and 224 steps.
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = (blue - y) / 1.772 + 128, (red - y) / 1.402 + 128
    if "601" in form:
        y, cb, cr = y * 219 / 255 + 16, (cb - 128) * 224 / 255 + 128, (cr - 128) * 224 / 255 + 128
    y, cb, cr = round(y), round(cb), round(cr)
    if "420" in form:
        data = bytes([y] * 32 + [cb, cr] * 8)
    elif form.endswith(("UYVY", "CbYCrY")) or form == "YUV422Packed":
        data = bytes([cb, y, cr, y] * 16)
    else:
        data = bytes([y, cb, y, cr] * 16)
    picture = to_uint8(data, form, 8, 4)
    assert picture.shape == (4, 8, 3)
    assert np.abs(picture.astype(int) - [red, green, blue]).max() <= 3


def test_chroma_stays_with_its_two_pixels():
    data = bytes([100, 128, 100, 128, 100, 128, 100, 255])
    picture = to_uint8(data, "YUV422_8", 4, 1)
    assert (picture[0, :2] == 100).all() and (picture[0, 2:, 0] > 200).all()


def test_padding_of_lines_is_left_out():
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6)
    padded = np.full((4, 8), 255, np.uint8)
    padded[:, :6] = picture
    np.testing.assert_array_equal(to_uint8(padded.reshape(-1)[:-2], "Mono8", 6, 4, 8), picture)
    raw = np.zeros((4, 10), "<u2")
    raw[:, :6] = picture.astype(int) << 4
    np.testing.assert_array_equal(to_uint8(raw.tobytes(), "Mono12", 6, 4, 20), picture)
    assert to_uint8(padded.reshape(-1), "BayerRG8", 6, 4, 8).shape == (4, 6, 3)
    assert (to_uint8(padded.reshape(-1), "BayerRG8", 6, 4, 8) < 255).all()


def test_grey_is_not_copied():
    data = np.arange(12, dtype=np.uint8)
    assert np.shares_memory(to_uint8(data, "Mono8", 4, 3), data)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="11 bytes for a picture of 12"):
        to_uint8(bytes(11), "Mono8", 4, 3)
    with pytest.raises(ValueError, match="Coord3D_ABC32f"):
        to_uint8(bytes(99), "Coord3D_ABC32f", 1, 1)
    with pytest.raises(RigposeError, match=r"camera 'top': expected a pixel format .*, found Coord3D"):
        channels_of("Coord3D_ABC32f", "top")
    assert [channels_of(f, "top") for f in ("Mono12p", "BayerGB8", "YUV422_8")] == [1, 3, 3]
    with pytest.raises(ValueError, match="3 bytes"):
        to_uint8(bytes(99), "Mono8", 4, 3, 3)
