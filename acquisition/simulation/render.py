"""The kernels that draw: rays through the true lens, eight samples a pixel.

Each sample has its own place within the pixel and its own time within the exposure, so one loop
gives antialiasing and motion blur. The eight are symmetric about (0, 0, 0) and uncorrelated: neither
moves the picture (`SAMPLES` is tested). Pixel centres are at integers.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from acquisition.simulation.lens import Floats

Float32s = npt.NDArray[np.float32]

# Columns: x, y in pixels from the pixel's centre; time in exposures from the middle.
SAMPLES = (
    np.stack([np.arange(8), np.array([2, 6, 4, 0, 7, 3, 1, 5]), np.array([3, 6, 0, 5, 2, 7, 1, 4])], axis=-1)
    - 3.5
) / 8

FUR_SIDE = 64  # voxels of the periodic fur texture
FUR_PER_MM = 0.8


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def draw_ellipsoids(
    rays: Float32s,
    samples: Floats,
    box: npt.NDArray[np.int64],
    to_unit: Floats,
    origins: Floats,
    bounds: npt.NDArray[np.int64],
    rest_centres: Floats,
    rest_frames: Floats,
    fur: Float32s,
    lamp: Floats,
    up: Floats,
    ambient: float,
    albedo: float,
    contrast: float,
    background: Float32s,
    gain: Float32s,
    floor: Float32s,
    shadows: Floats,
    picture: npt.NDArray[np.uint8],
) -> None:
    """One picture of a body of P ellipsoids on a background, into `picture` (h, w).

    rays (H+1, W+1, 2): normalised coordinates at the pixels' corners. box: x, y, w, h of the patch.
    to_unit (S, P, 3, 3), origins (S, P, 3): camera's frame to each ellipsoid's unit sphere, at each
    sample's time, and the camera's centre there. bounds (S, P, 4): x0, y0, x1, y1 that hold it.
    shadows (B, 4): x, y, radius mm and depth of soft spots on the floor.
    """
    left, top, width, height = box[0], box[1], box[2], box[3]
    count, parts = to_unit.shape[0], to_unit.shape[1]
    total = np.zeros((height, width))
    covered = np.zeros((height, width))
    depth = np.empty((height, width))
    owner = np.empty((height, width), np.int32)
    ray = np.empty((height, width, 2))
    for s in range(count):
        x0, y0, x1, y1 = left + width, top + height, left, top
        for p in range(parts):
            x0, y0 = min(x0, bounds[s, p, 0]), min(y0, bounds[s, p, 1])
            x1, y1 = max(x1, bounds[s, p, 2]), max(y1, bounds[s, p, 3])
        x0, y0 = max(x0, left), max(y0, top)
        x1, y1 = min(x1, left + width), min(y1, top + height)
        fx, fy = samples[s, 0] + 0.5, samples[s, 1] + 0.5
        w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
        for y in range(y0, y1):
            for x in range(x0, x1):
                for k in range(2):
                    ray[y - top, x - left, k] = (
                        w00 * rays[y, x, k] + w01 * rays[y, x + 1, k]
                        + w10 * rays[y + 1, x, k] + w11 * rays[y + 1, x + 1, k]
                    )  # fmt: skip
                depth[y - top, x - left] = 1e30
                owner[y - top, x - left] = -1
        for p in range(parts):
            m = to_unit[s, p]
            ox, oy, oz = origins[s, p, 0], origins[s, p, 1], origins[s, p, 2]
            c = ox * ox + oy * oy + oz * oz - 1.0
            for y in range(max(bounds[s, p, 1], top), min(bounds[s, p, 3], top + height)):
                for x in range(max(bounds[s, p, 0], left), min(bounds[s, p, 2], left + width)):
                    rx, ry = ray[y - top, x - left, 0], ray[y - top, x - left, 1]
                    dx = m[0, 0] * rx + m[0, 1] * ry + m[0, 2]
                    dy = m[1, 0] * rx + m[1, 1] * ry + m[1, 2]
                    dz = m[2, 0] * rx + m[2, 1] * ry + m[2, 2]
                    a = dx * dx + dy * dy + dz * dz
                    b = dx * ox + dy * oy + dz * oz
                    inside = b * b - a * c
                    if inside > 0.0:
                        reach = (-b - np.sqrt(inside)) / a
                        if 0.0 < reach < depth[y - top, x - left]:
                            depth[y - top, x - left] = reach
                            owner[y - top, x - left] = p
        for y in range(y0 - top, y1 - top):
            for x in range(x0 - left, x1 - left):
                p = owner[y, x]
                if p < 0:
                    continue
                m = to_unit[s, p]
                rx, ry, reach = ray[y, x, 0], ray[y, x, 1], depth[y, x]
                qx = origins[s, p, 0] + reach * (m[0, 0] * rx + m[0, 1] * ry + m[0, 2])
                qy = origins[s, p, 1] + reach * (m[1, 0] * rx + m[1, 1] * ry + m[1, 2])
                qz = origins[s, p, 2] + reach * (m[2, 0] * rx + m[2, 1] * ry + m[2, 2])
                nx = m[0, 0] * qx + m[1, 0] * qy + m[2, 0] * qz
                ny = m[0, 1] * qx + m[1, 1] * qy + m[2, 1] * qz
                nz = m[0, 2] * qx + m[1, 2] * qy + m[2, 2] * qz
                scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
                facing = max(0.0, (nx * lamp[0] + ny * lamp[1] + nz * lamp[2]) * scale)
                upward = (nx * up[0] + ny * up[1] + nz * up[2]) * scale
                # Fur is darker where it is seen aslant; this draws the outline of part before part.
                aslant = -(nx * rx + ny * ry + nz) * scale / np.sqrt(rx * rx + ry * ry + 1.0)
                light = (ambient * (0.65 + 0.35 * upward) + (1 - ambient) * facing) * (0.6 + 0.4 * aslant)
                f = rest_frames[p]
                tone = 0.0
                # Trilinear reading of the fur; the offset keeps the truncation away from negatives.
                u = (rest_centres[p, 0] + f[0, 0] * qx + f[0, 1] * qy + f[0, 2] * qz) * FUR_PER_MM + 1024.0
                v = (rest_centres[p, 1] + f[1, 0] * qx + f[1, 1] * qy + f[1, 2] * qz) * FUR_PER_MM + 1024.0
                w = (rest_centres[p, 2] + f[2, 0] * qx + f[2, 1] * qy + f[2, 2] * qz) * FUR_PER_MM + 1024.0
                iu, iv, iw = int(u), int(v), int(w)
                u, v, w = u - iu, v - iv, w - iw
                for k in range(8):
                    ku, kv, kw = k & 1, (k >> 1) & 1, k >> 2
                    share = (u if ku else 1 - u) * (v if kv else 1 - v) * (w if kw else 1 - w)
                    tone += share * fur[(iu + ku) & 63, (iv + kv) & 63, (iw + kw) & 63]
                total[y, x] += light * albedo * (1.0 + contrast * tone)
                covered[y, x] += 1.0
    for y in range(height):
        for x in range(width):
            shade = 1.0
            px, py = floor[top + y, left + x, 0], floor[top + y, left + x, 1]
            for k in range(shadows.shape[0]):
                dx, dy, radius = px - shadows[k, 0], py - shadows[k, 1], shadows[k, 2]
                nearness = 1.0 - (dx * dx + dy * dy) / (radius * radius)
                if nearness > 0.0:
                    shade *= 1.0 - shadows[k, 3] * nearness * nearness
            value = (
                total[y, x] / count + (1.0 - covered[y, x] / count) * shade * background[top + y, left + x]
            )
            picture[y, x] = np.uint8(min(255.0, value * gain[top + y, left + x] + 0.5))


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def draw_plane(
    rays: Float32s,
    samples: Floats,
    box: npt.NDArray[np.int64],
    to_texel: Floats,
    facing: npt.NDArray[np.bool_],
    light: Floats,
    texture: Float32s,
    background: Float32s,
    gain: Float32s,
    picture: npt.NDArray[np.uint8],
) -> None:
    """One picture of a printed plane on a background, into `picture` (h, w).

    to_texel (S, 3, 3): homography from a ray to texel coordinates at each sample's time (centre of
    texel (0, 0) at 0, 0), third coordinate 1/depth. facing (S,): its print is seen; light (S,): on it.
    """
    left, top, width, height = box[0], box[1], box[2], box[3]
    rows, columns = texture.shape
    for y in range(top, top + height):
        for x in range(left, left + width):
            total, covered = 0.0, 0.0
            ax, bx, cx, dx = rays[y, x, 0], rays[y, x + 1, 0], rays[y + 1, x, 0], rays[y + 1, x + 1, 0]
            ay, by, cy, dy = rays[y, x, 1], rays[y, x + 1, 1], rays[y + 1, x, 1], rays[y + 1, x + 1, 1]
            # Within a pixel the rays are linear: their middle, and their change across and down.
            mx, my = (ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4
            across_x, across_y = (bx + dx - ax - cx) / 2, (by + dy - ay - cy) / 2
            down_x, down_y = (cx + dx - ax - bx) / 2, (cy + dy - ay - by) / 2
            for s in range(len(samples)):
                rx = mx + samples[s, 0] * across_x + samples[s, 1] * down_x
                ry = my + samples[s, 0] * across_y + samples[s, 1] * down_y
                m = to_texel[s]
                scale = m[2, 0] * rx + m[2, 1] * ry + m[2, 2]
                if scale <= 0.0:
                    continue
                u = (m[0, 0] * rx + m[0, 1] * ry + m[0, 2]) / scale
                v = (m[1, 0] * rx + m[1, 1] * ry + m[1, 2]) / scale
                if u < -0.5 or v < -0.5 or u > columns - 0.5 or v > rows - 0.5:
                    continue
                covered += 1.0
                if not facing[s]:
                    total += 0.45 * light[s]
                    continue
                u, v = min(max(u, 0.0), columns - 1.001), min(max(v, 0.0), rows - 1.001)
                j, i = int(u), int(v)
                u, v = u - j, v - i
                total += light[s] * (
                    (1 - v) * ((1 - u) * texture[i, j] + u * texture[i, j + 1])
                    + v * ((1 - u) * texture[i + 1, j] + u * texture[i + 1, j + 1])
                )
            value = (total + (len(samples) - covered) * background[y, x]) / len(samples)
            picture[y - top, x - left] = np.uint8(min(255.0, value * gain[y, x] + 0.5))


@numba.njit(cache=True, nogil=True)
def compose(
    background: npt.NDArray[np.uint8],
    patch: npt.NDArray[np.uint8],
    left: int,
    top: int,
    noise: npt.NDArray[np.int8],
    offset: int,
    floor: int,
    slope: int,
    image: npt.NDArray[np.uint8],
) -> None:
    """Background, patch and sensor noise into `image` (H, W).

    noise: flat bank, deviation 32, read from `offset` on. Deviation of the result in grey levels is
    (floor + slope * value / 256) / 8: read noise and a share that grows with light.
    """
    height, width = background.shape
    bottom, right = top + patch.shape[0], left + patch.shape[1]
    for y in range(height):
        bank = noise[offset + y * width : offset + (y + 1) * width]
        row, out = background[y], image[y]
        for x in range(width):
            value = np.int32(row[x])
            scale = np.int32(floor) + ((np.int32(slope) * value) >> np.int32(8))
            value += (np.int32(bank[x]) * scale + np.int32(128)) >> np.int32(8)
            out[x] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
        if top <= y < bottom:
            row = patch[y - top]
            for x in range(left, right):
                value = np.int32(row[x - left])
                scale = np.int32(floor) + ((np.int32(slope) * value) >> np.int32(8))
                value += (np.int32(bank[x]) * scale + np.int32(128)) >> np.int32(8)
                out[x] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
