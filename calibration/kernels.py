"""Numba kernels of triangulation. `triangulation_numpy` computes the same in plain NumPy.

One thread, no fastmath: the result is the same bit for bit every time. Compiled once and cached
beside the module (or in the user's cache where the package is read-only).
"""

from __future__ import annotations

import numpy as np
from numba import njit

UNDISTORT_STEPS = 20
UNDISTORT_TOLERANCE = 1e-10
LINEAR_PASSES = 2  # the second weighs each ray by the depth that the first found
NEWTON_STEPS = 12
STEP_TOLERANCE_MM = 1e-7  # Gauss-Newton gains three digits a step: the next one would be 1e-10
REFIT_ROUNDS = 3
FLAT = 1e-13  # determinant of the normal matrix over its mean eigenvalue cubed: rays are parallel


@njit(cache=True, error_model="numpy")
def _undistort(u, v, lenses, c):  # type: ignore[no-untyped-def]
    """One pixel as an undistorted normalised point; NaN where the lens has no inverse."""
    k1, k2, p1, p2, k3 = lenses[c, 4], lenses[c, 5], lenses[c, 6], lenses[c, 7], lenses[c, 8]
    ta = (u - lenses[c, 2]) / lenses[c, 0]
    tb = (v - lenses[c, 3]) / lenses[c, 1]
    a, b = ta, tb
    for _ in range(UNDISTORT_STEPS + 1):
        r2 = a * a + b * b
        g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        ea = a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a) - ta
        eb = b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b - tb
        jaa = g + slope * a * a + 2 * p1 * b + 6 * p2 * a
        jbb = g + slope * b * b + 6 * p1 * b + 2 * p2 * a
        jab = slope * a * b + 2 * p1 * a + 2 * p2 * b
        determinant = jaa * jbb - jab * jab
        if abs(ea) + abs(eb) <= UNDISTORT_TOLERANCE:
            if determinant > 0 and jaa + jbb > 0:
                return a, b
            return np.nan, np.nan
        if determinant == 0:
            return np.nan, np.nan
        a -= (jbb * ea - jab * eb) / determinant
        b -= (jaa * eb - jab * ea) / determinant
    return np.nan, np.nan


@njit(cache=True, error_model="numpy")
def _solve3(h, g, x):  # type: ignore[no-untyped-def]
    """x = h^-1 g for h = (xx xy xz yy yz zz); False where h is singular."""
    cxx = h[3] * h[5] - h[4] * h[4]
    cxy = h[2] * h[4] - h[1] * h[5]
    cxz = h[1] * h[4] - h[2] * h[3]
    determinant = h[0] * cxx + h[1] * cxy + h[2] * cxz
    mean = (h[0] + h[3] + h[5]) / 3
    if not determinant > FLAT * mean * mean * mean:
        return False
    cyy = h[0] * h[5] - h[2] * h[2]
    cyz = h[1] * h[2] - h[0] * h[4]
    czz = h[0] * h[3] - h[1] * h[1]
    x[0] = (cxx * g[0] + cxy * g[1] + cxz * g[2]) / determinant
    x[1] = (cxy * g[0] + cyy * g[1] + cyz * g[2]) / determinant
    x[2] = (cxz * g[0] + cyz * g[1] + czz * g[2]) / determinant
    return True


@njit(cache=True, error_model="numpy")
def _linear(rays, weights, use, rotations, translations, x, h, g):  # type: ignore[no-untyped-def]
    """Weighted linear triangulation: minimises the normalised error as seen at the depth."""
    for attempt in range(LINEAR_PASSES):
        h[:] = 0
        g[:] = 0
        for c in range(len(use)):
            if not use[c]:
                continue
            w = weights[c]
            if attempt > 0:
                depth = rotations[c, 2, 0] * x[0] + rotations[c, 2, 1] * x[1] + rotations[c, 2, 2] * x[2]
                depth += translations[c, 2]
                if depth <= 0:
                    return False
                w = w / (depth * depth)
            for axis in range(2):
                ray = rays[c, axis]
                a = ray * rotations[c, 2, 0] - rotations[c, axis, 0]
                b = ray * rotations[c, 2, 1] - rotations[c, axis, 1]
                d = ray * rotations[c, 2, 2] - rotations[c, axis, 2]
                e = translations[c, axis] - ray * translations[c, 2]
                h[0] += w * a * a
                h[1] += w * a * b
                h[2] += w * a * d
                h[3] += w * b * b
                h[4] += w * b * d
                h[5] += w * d * d
                g[0] += w * a * e
                g[1] += w * b * e
                g[2] += w * d * e
        if not _solve3(h, g, x):
            return False
    return True


@njit(cache=True, error_model="numpy")
def _residual(c, pixels, lenses, rotations, translations, x, jacobian, derive):  # type: ignore[no-untyped-def]
    """Pixel residual of view c at x, and its 2x3 Jacobian if `derive`; infinite behind the camera."""
    x0, x1, x2 = x[0], x[1], x[2]
    r00, r01, r02 = rotations[c, 0, 0], rotations[c, 0, 1], rotations[c, 0, 2]
    r10, r11, r12 = rotations[c, 1, 0], rotations[c, 1, 1], rotations[c, 1, 2]
    r20, r21, r22 = rotations[c, 2, 0], rotations[c, 2, 1], rotations[c, 2, 2]
    fx, fy, k1, k2 = lenses[c, 0], lenses[c, 1], lenses[c, 4], lenses[c, 5]
    p1, p2, k3 = lenses[c, 6], lenses[c, 7], lenses[c, 8]
    px = r00 * x0 + r01 * x1 + r02 * x2 + translations[c, 0]
    py = r10 * x0 + r11 * x1 + r12 * x2 + translations[c, 1]
    pz = r20 * x0 + r21 * x1 + r22 * x2 + translations[c, 2]
    if not pz > 0:
        return np.inf, np.inf
    a, b = px / pz, py / pz
    r2 = a * a + b * b
    g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    if derive:
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        jaa = (g + slope * a * a + 2 * p1 * b + 6 * p2 * a) / pz
        jbb = (g + slope * b * b + 6 * p1 * b + 2 * p2 * a) / pz
        jab = (slope * a * b + 2 * p1 * a + 2 * p2 * b) / pz
        jacobian[0, 0] = fx * (jaa * (r00 - a * r20) + jab * (r10 - b * r20))
        jacobian[0, 1] = fx * (jaa * (r01 - a * r21) + jab * (r11 - b * r21))
        jacobian[0, 2] = fx * (jaa * (r02 - a * r22) + jab * (r12 - b * r22))
        jacobian[1, 0] = fy * (jab * (r00 - a * r20) + jbb * (r10 - b * r20))
        jacobian[1, 1] = fy * (jab * (r01 - a * r21) + jbb * (r11 - b * r21))
        jacobian[1, 2] = fy * (jab * (r02 - a * r22) + jbb * (r12 - b * r22))
    u = fx * (a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + lenses[c, 2]
    v = fy * (b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + lenses[c, 3]
    return u - pixels[c, 0], v - pixels[c, 1]


@njit(cache=True, error_model="numpy")
def _refine(pixels, weights, use, lenses, rotations, translations, x, h, g, j, step):  # type: ignore[no-untyped-def]
    """Gauss-Newton on the pixels; leaves the normal matrix in h. False where it gets lost."""
    for _ in range(NEWTON_STEPS):
        h[:] = 0
        g[:] = 0
        for c in range(len(use)):
            if not use[c]:
                continue
            du, dv = _residual(c, pixels, lenses, rotations, translations, x, j, True)
            if not np.isfinite(du + dv):
                return False
            w = weights[c]
            for m in range(3):
                g[m] -= w * (j[0, m] * du + j[1, m] * dv)
            h[0] += w * (j[0, 0] * j[0, 0] + j[1, 0] * j[1, 0])
            h[1] += w * (j[0, 0] * j[0, 1] + j[1, 0] * j[1, 1])
            h[2] += w * (j[0, 0] * j[0, 2] + j[1, 0] * j[1, 2])
            h[3] += w * (j[0, 1] * j[0, 1] + j[1, 1] * j[1, 1])
            h[4] += w * (j[0, 1] * j[0, 2] + j[1, 1] * j[1, 2])
            h[5] += w * (j[0, 2] * j[0, 2] + j[1, 2] * j[1, 2])
        if not _solve3(h, g, step):
            return False
        for m in range(3):
            x[m] += step[m]
        if abs(step[0]) + abs(step[1]) + abs(step[2]) < STEP_TOLERANCE_MM:
            return True
    return True


@njit(cache=True, error_model="numpy")
def triangulate_block(points, lenses, rotations, translations, noise, least, gate2, quantiles, out):  # type: ignore[no-untyped-def]
    """Points (T, C, K, 3) float64 to out (T, K, 11) float64, columns as `POSE3D_COLUMNS`.

    noise (K,) px; least: smallest confidence used; gate2: squared gate in sigmas;
    quantiles (C + 1,): largest chi-square that n views may have without a search for outliers.
    """
    cameras = points.shape[1]
    rays = np.empty((cameras, 2))
    pixels = np.empty((cameras, 2))
    weights = np.empty(cameras)
    seen = np.zeros(cameras, np.bool_)
    use = np.zeros(cameras, np.bool_)
    best = np.zeros(cameras, np.bool_)
    x, step, g, h, j = np.empty(3), np.empty(3), np.empty(3), np.empty(6), np.empty((2, 3))
    unit, column = np.empty(3), np.empty(3)
    for t in range(points.shape[0]):
        for k in range(points.shape[2]):
            result = out[t, k]
            result[:] = np.nan
            views = 0
            for c in range(cameras):
                u, v, confidence = points[t, c, k, 0], points[t, c, k, 1], points[t, c, k, 2]
                seen[c] = confidence >= least and np.isfinite(u) and np.isfinite(v)
                if seen[c]:
                    pixels[c, 0], pixels[c, 1] = u, v
                    rays[c, 0], rays[c, 1] = _undistort(u, v, lenses, c)
                    seen[c] = np.isfinite(rays[c, 0])
                    weights[c] = confidence / (noise[k] * noise[k])
                views += seen[c]
                use[c] = seen[c]
            result[9] = views
            if views < 2:
                continue
            good = _linear(rays, weights, use, rotations, translations, x, h, g) and _refine(
                pixels, weights, use, lenses, rotations, translations, x, h, g, j, step
            )
            chi2 = np.inf
            if good:
                chi2 = 0.0
                for c in range(cameras):
                    if use[c]:
                        du, dv = _residual(c, pixels, lenses, rotations, translations, x, j, False)
                        chi2 += weights[c] * (du * du + dv * dv)
            if chi2 > quantiles[views] and views > 2:
                lowest = np.inf
                for first in range(cameras):  # MSAC, every pair: there are few cameras
                    for second in range(first + 1, cameras):
                        if not (seen[first] and seen[second]):
                            continue
                        use[:] = False
                        use[first] = True
                        use[second] = True
                        if not _linear(rays, weights, use, rotations, translations, x, h, g):
                            continue
                        cost = 0.0
                        for c in range(cameras):
                            if seen[c]:
                                du, dv = _residual(c, pixels, lenses, rotations, translations, x, j, False)
                                e2 = weights[c] * (du * du + dv * dv)
                                use[c] = e2 <= gate2
                                cost += min(e2, gate2)
                        if cost < lowest:
                            lowest = cost
                            best[:] = use
                good = lowest < np.inf
                use[:] = best
                for _ in range(REFIT_ROUNDS):
                    if not good:
                        break
                    good = _linear(rays, weights, use, rotations, translations, x, h, g) and _refine(
                        pixels, weights, use, lenses, rotations, translations, x, h, g, j, step
                    )
                    changed = False
                    for c in range(cameras):
                        if good and seen[c]:
                            du, dv = _residual(c, pixels, lenses, rotations, translations, x, j, False)
                            inside = weights[c] * (du * du + dv * dv) <= gate2
                            changed = changed or inside != use[c]
                            best[c] = inside
                    if not changed or best.sum() < 2:
                        break
                    use[:] = best
            if not good or use.sum() < 2:
                continue
            squares = 0.0
            inside = True
            for c in range(cameras):
                if use[c]:
                    du, dv = _residual(c, pixels, lenses, rotations, translations, x, j, False)
                    squares += du * du + dv * dv
                    inside = inside and weights[c] * (du * du + dv * dv) <= gate2
            result[9] = use.sum()
            result[10] = np.sqrt(squares / use.sum())
            if not inside:
                continue  # the views contradict each other and none can be told to be wrong
            index = 3
            for m in range(3):
                unit[:] = 0
                unit[m] = 1
                if not _solve3(h, unit, column):
                    break
                result[m] = x[m]
                for n in range(m, 3):
                    result[index] = column[n]
                    index += 1
