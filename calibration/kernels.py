"""Numba kernels of triangulation. `triangulation_numpy` computes the same in plain NumPy.

Points are fitted side by side (`calibration.lanes`) if every lens is a pinhole's; those that are not ordinary
are done again here, one by one, with a search for outliers, and so are all points of a rig with a rational or
fisheye lens. One thread, nothing reordered: the result is the same bit for bit every time.
Compiled once and cached beside the module (or in the user's cache where the package is read-only).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from calibration.lanes import FLAT, fit_lanes
from calibration.lens import NEAR_AXIS, WIDEST_START

LANES = 256  # fewer, and what each loop does before its first point is felt
UNDISTORT_STEPS = 20
UNDISTORT_TOLERANCE = 1e-10
LINEAR_PASSES = 2  # the second weighs each ray by the depth that the first found
NEWTON_STEPS = 20
# Each step of Gauss-Newton is about the same part of the one before: it ends where the next is foreseen to be
# below this. Through a fisheye's edge it converges more slowly, and not as evenly.
NEXT_STEP_MM = 1e-6
NEXT_STEP_WIDE_MM = 1e-8
REFIT_ROUNDS = 3


@njit(cache=True, error_model="numpy")
def _radial(r2, lenses, c):  # type: ignore[no-untyped-def]
    """g and 2 dg/dr2, as `lens.radial`."""
    k1, k2, k3 = lenses[c, 4], lenses[c, 5], lenses[c, 8]
    k4, k5, k6 = lenses[c, 9], lenses[c, 10], lenses[c, 11]
    if lenses[c, 12] != 0:
        if r2 < NEAR_AXIS:
            t2, shrink = r2, 1 - r2 / 3
        else:
            r = np.sqrt(r2)
            t = np.arctan(r)
            t2, shrink = t * t, t / r
        g = shrink * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        if r2 < NEAR_AXIS:
            return g, 2 * (k1 - 1 / 3)
        by_t = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
        return g, (by_t / (1 + r2) - g) / r2
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    g = above / below
    return g, (slope - 2 * g * (k4 + r2 * (2 * k5 + r2 * 3 * k6))) / below


@njit(cache=True, error_model="numpy")
def _undistort(u, v, lenses, c):  # type: ignore[no-untyped-def]
    """One pixel as an undistorted normalised point; NaN where the lens has no inverse."""
    p1, p2 = lenses[c, 6], lenses[c, 7]
    ta = (u - lenses[c, 2]) / lenses[c, 0]
    tb = (v - lenses[c, 3]) / lenses[c, 1]
    a, b = ta, tb
    if lenses[c, 12] != 0:
        angle = np.sqrt(ta * ta + tb * tb)
        if angle > 1e-9:
            stretch = np.tan(min(angle, WIDEST_START)) / angle
            a, b = ta * stretch, tb * stretch
    for _ in range(UNDISTORT_STEPS + 1):
        r2 = a * a + b * b
        g, slope = _radial(r2, lenses, c)
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
def _solve3(h0, h1, h2, h3, h4, h5, g0, g1, g2):  # type: ignore[no-untyped-def]
    """h^-1 g for h = (xx xy xz yy yz zz), and whether h has an inverse."""
    cxx = h3 * h5 - h4 * h4
    cxy = h2 * h4 - h1 * h5
    cxz = h1 * h4 - h2 * h3
    determinant = h0 * cxx + h1 * cxy + h2 * cxz
    mean = (h0 + h3 + h5) / 3
    if not determinant > FLAT * mean * mean * mean:
        return False, 0.0, 0.0, 0.0
    cyy = h0 * h5 - h2 * h2
    cyz = h1 * h2 - h0 * h4
    czz = h0 * h3 - h1 * h1
    x0 = (cxx * g0 + cxy * g1 + cxz * g2) / determinant
    x1 = (cxy * g0 + cyy * g1 + cyz * g2) / determinant
    x2 = (cxz * g0 + cyz * g1 + czz * g2) / determinant
    return True, x0, x1, x2


@njit(cache=True, error_model="numpy")
def _linear(rays, weights, use, rotations, translations, x):  # type: ignore[no-untyped-def]
    """Weighted linear triangulation: minimises the normalised error as seen at the depth."""
    for attempt in range(LINEAR_PASSES):
        h0 = h1 = h2 = h3 = h4 = h5 = g0 = g1 = g2 = 0.0
        for c in range(len(use)):
            if not use[c]:
                continue
            r20, r21, r22 = rotations[c, 2, 0], rotations[c, 2, 1], rotations[c, 2, 2]
            w = weights[c]
            if attempt > 0:
                depth = r20 * x[0] + r21 * x[1] + r22 * x[2] + translations[c, 2]
                if depth <= 0:
                    return False
                w = w / (depth * depth)
            for axis in range(2):
                ray = rays[c, axis]
                a = ray * r20 - rotations[c, axis, 0]
                b = ray * r21 - rotations[c, axis, 1]
                d = ray * r22 - rotations[c, axis, 2]
                e = translations[c, axis] - ray * translations[c, 2]
                h0 += w * a * a
                h1 += w * a * b
                h2 += w * a * d
                h3 += w * b * b
                h4 += w * b * d
                h5 += w * d * d
                g0 += w * a * e
                g1 += w * b * e
                g2 += w * d * e
        solved, x[0], x[1], x[2] = _solve3(h0, h1, h2, h3, h4, h5, g0, g1, g2)
        if not solved:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _residual(c, pixels, lenses, rotations, translations, x):  # type: ignore[no-untyped-def]
    """Pixel residual of view c at x; infinite behind the camera."""
    p1, p2 = lenses[c, 6], lenses[c, 7]
    px = rotations[c, 0, 0] * x[0] + rotations[c, 0, 1] * x[1] + rotations[c, 0, 2] * x[2]
    py = rotations[c, 1, 0] * x[0] + rotations[c, 1, 1] * x[1] + rotations[c, 1, 2] * x[2]
    pz = rotations[c, 2, 0] * x[0] + rotations[c, 2, 1] * x[1] + rotations[c, 2, 2] * x[2]
    px, py, pz = px + translations[c, 0], py + translations[c, 1], pz + translations[c, 2]
    if not pz > 0:
        return np.inf, np.inf
    a, b = px / pz, py / pz
    r2 = a * a + b * b
    g, _ = _radial(r2, lenses, c)
    u = lenses[c, 0] * (a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + lenses[c, 2]
    v = lenses[c, 1] * (b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + lenses[c, 3]
    return u - pixels[c, 0], v - pixels[c, 1]


@njit(cache=True, error_model="numpy")
def _refine(pixels, weights, use, lenses, rotations, translations, tolerance, x, normal):  # type: ignore[no-untyped-def]
    """Gauss-Newton on the pixels; `normal` is the matrix of the last step. False where it gets lost."""
    before = 0.0
    for _ in range(NEWTON_STEPS):
        h0 = h1 = h2 = h3 = h4 = h5 = g0 = g1 = g2 = 0.0
        x0, x1, x2 = x[0], x[1], x[2]
        for c in range(len(use)):
            if not use[c]:
                continue
            r00, r01, r02 = rotations[c, 0, 0], rotations[c, 0, 1], rotations[c, 0, 2]
            r10, r11, r12 = rotations[c, 1, 0], rotations[c, 1, 1], rotations[c, 1, 2]
            r20, r21, r22 = rotations[c, 2, 0], rotations[c, 2, 1], rotations[c, 2, 2]
            fx, fy, p1, p2 = lenses[c, 0], lenses[c, 1], lenses[c, 6], lenses[c, 7]
            pz = r20 * x0 + r21 * x1 + r22 * x2 + translations[c, 2]
            if not pz > 0:
                return False
            near = 1 / pz
            a = (r00 * x0 + r01 * x1 + r02 * x2 + translations[c, 0]) * near
            b = (r10 * x0 + r11 * x1 + r12 * x2 + translations[c, 1]) * near
            r2 = a * a + b * b
            g, slope = _radial(r2, lenses, c)
            du = fx * (a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + lenses[c, 2] - pixels[c, 0]
            dv = fy * (b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + lenses[c, 3] - pixels[c, 1]
            if not np.isfinite(du + dv):
                return False
            jaa = (g + slope * a * a + 2 * p1 * b + 6 * p2 * a) * near
            jbb = (g + slope * b * b + 6 * p1 * b + 2 * p2 * a) * near
            jab = (slope * a * b + 2 * p1 * a + 2 * p2 * b) * near
            a0, a1, a2 = r00 - a * r20, r01 - a * r21, r02 - a * r22
            b0, b1, b2 = r10 - b * r20, r11 - b * r21, r12 - b * r22
            u0, u1, u2 = fx * (jaa * a0 + jab * b0), fx * (jaa * a1 + jab * b1), fx * (jaa * a2 + jab * b2)
            v0, v1, v2 = fy * (jab * a0 + jbb * b0), fy * (jab * a1 + jbb * b1), fy * (jab * a2 + jbb * b2)
            w = weights[c]
            g0 -= w * (u0 * du + v0 * dv)
            g1 -= w * (u1 * du + v1 * dv)
            g2 -= w * (u2 * du + v2 * dv)
            h0 += w * (u0 * u0 + v0 * v0)
            h1 += w * (u0 * u1 + v0 * v1)
            h2 += w * (u0 * u2 + v0 * v2)
            h3 += w * (u1 * u1 + v1 * v1)
            h4 += w * (u1 * u2 + v1 * v2)
            h5 += w * (u2 * u2 + v2 * v2)
        normal[0], normal[1], normal[2], normal[3], normal[4], normal[5] = h0, h1, h2, h3, h4, h5
        solved, s0, s1, s2 = _solve3(h0, h1, h2, h3, h4, h5, g0, g1, g2)
        if not solved:
            return False
        x[0], x[1], x[2] = x0 + s0, x1 + s1, x2 + s2
        size = abs(s0) + abs(s1) + abs(s2)
        if size < tolerance or (size < before and size * size < tolerance * before):
            break
        before = size
    return True


@njit(cache=True, error_model="numpy")
def _robust(  # type: ignore[no-untyped-def]
    pixels, rays, weights, seen, use, best, lenses, rotations, translations, tolerance, gate2, x, normal
):
    """MSAC over every pair of views (there are few cameras), then refits; leaves the views in `use`."""
    cameras = len(seen)
    lowest = np.inf
    for first in range(cameras):
        for second in range(first + 1, cameras):
            if not (seen[first] and seen[second]):
                continue
            use[:] = False
            use[first] = True
            use[second] = True
            if not _linear(rays, weights, use, rotations, translations, x):
                continue
            cost = 0.0
            for c in range(cameras):
                if seen[c]:
                    du, dv = _residual(c, pixels, lenses, rotations, translations, x)
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
        good = _linear(rays, weights, use, rotations, translations, x) and _refine(
            pixels, weights, use, lenses, rotations, translations, tolerance, x, normal
        )
        changed = False
        for c in range(cameras):
            if good and seen[c]:
                du, dv = _residual(c, pixels, lenses, rotations, translations, x)
                inside = weights[c] * (du * du + dv * dv) <= gate2
                changed = changed or inside != use[c]
                best[c] = inside
        if not changed or best.sum() < 2:
            break
        use[:] = best
    return good


@njit(cache=True, error_model="numpy")
def _single(  # type: ignore[no-untyped-def]
    u, v, confidence, noise, lenses, rotations, translations, tolerance, least, gate2, quantiles, result
):
    """One point, by itself: views (C,) to `result` (11,)."""
    cameras = len(u)
    rays, pixels, weights = np.empty((cameras, 2)), np.empty((cameras, 2)), np.empty(cameras)
    seen, use, best = np.zeros(cameras, np.bool_), np.zeros(cameras, np.bool_), np.zeros(cameras, np.bool_)
    x, normal = np.empty(3), np.empty(6)
    result[:] = np.nan
    views = 0
    for c in range(cameras):
        seen[c] = confidence[c] >= least and np.isfinite(u[c]) and np.isfinite(v[c])
        if seen[c]:
            pixels[c, 0], pixels[c, 1] = u[c], v[c]
            rays[c, 0], rays[c, 1] = _undistort(u[c], v[c], lenses, c)
            seen[c] = np.isfinite(rays[c, 0])
            weights[c] = confidence[c] / (noise * noise)
        views += seen[c]
        use[c] = seen[c]
    result[9] = views
    if views < 2:
        return
    good = _linear(rays, weights, use, rotations, translations, x) and _refine(
        pixels, weights, use, lenses, rotations, translations, tolerance, x, normal
    )
    chi2 = worst = np.inf
    if good:
        chi2 = worst = 0.0
        for c in range(cameras):
            if use[c]:
                du, dv = _residual(c, pixels, lenses, rotations, translations, x)
                e2 = weights[c] * (du * du + dv * dv)
                chi2 += e2
                worst = max(worst, e2)
    if views > 2 and (chi2 > quantiles[views] or worst > gate2):
        good = _robust(
            pixels,
            rays,
            weights,
            seen,
            use,
            best,
            lenses,
            rotations,
            translations,
            tolerance,
            gate2,
            x,
            normal,
        )
    if not good or use.sum() < 2:
        return
    squares = 0.0
    inside = True
    for c in range(cameras):
        if use[c]:
            du, dv = _residual(c, pixels, lenses, rotations, translations, x)
            squares += du * du + dv * dv
            inside = inside and weights[c] * (du * du + dv * dv) <= gate2
    result[9] = use.sum()
    result[10] = np.sqrt(squares / use.sum())
    if inside:  # else the views contradict each other and none can be told to be wrong
        _write(x[0], x[1], x[2], normal, result)


@njit(cache=True, error_model="numpy")
def _write(x0, x1, x2, normal, result):  # type: ignore[no-untyped-def]
    h0, h1, h2, h3, h4, h5 = normal[0], normal[1], normal[2], normal[3], normal[4], normal[5]
    result[0], result[1], result[2] = x0, x1, x2
    _, result[3], result[4], result[5] = _solve3(h0, h1, h2, h3, h4, h5, 1.0, 0.0, 0.0)
    _, _, result[6], result[7] = _solve3(h0, h1, h2, h3, h4, h5, 0.0, 1.0, 0.0)
    _, _, _, result[8] = _solve3(h0, h1, h2, h3, h4, h5, 0.0, 0.0, 1.0)


@njit(cache=True, error_model="numpy")
def triangulate_block(points, lenses, rotations, translations, noise, least, gate2, quantiles, out):  # type: ignore[no-untyped-def]
    """Points (T, C, K, 3) float64 to out (T, K, 11) float64, columns as `POSE3D_COLUMNS`.

    noise (K,) px; least: smallest confidence used; gate2: squared gate in sigmas;
    quantiles (C + 1,): largest chi-square that n views may have without a search for outliers.
    """
    sets, cameras, keypoints = points.shape[:3]
    if np.any(lenses[:, 9:] != 0):
        for t in range(sets):
            for k in range(keypoints):
                _single(
                    points[t, :, k, 0], points[t, :, k, 1], points[t, :, k, 2], noise[k], lenses, rotations,
                    translations, NEXT_STEP_WIDE_MM, least, gate2, quantiles, out[t, k],
                )  # fmt: skip
        return
    total = sets * keypoints
    lanes = min(LANES, 8 * ((total + 7) // 8))  # whole vectors; a lane too many repeats the last point
    u, v, weights = np.zeros((cameras, lanes)), np.zeros((cameras, lanes)), np.zeros((cameras, lanes))
    x, covariance = np.zeros((3, lanes)), np.empty((6, lanes))
    chi2, worst, squares = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    views, bad = np.zeros(lanes, np.int64), np.zeros(lanes, np.bool_)
    precision = 1 / (noise * noise)
    for first in range(0, total, max(lanes, 1)):
        here = min(lanes, total - first)
        for i in range(lanes):
            t, k = divmod(first + min(i, here - 1), keypoints)
            views[i] = 0
            for c in range(cameras):
                pu, pv, confidence = points[t, c, k, 0], points[t, c, k, 1], points[t, c, k, 2]
                seen = confidence >= least and np.isfinite(pu) and np.isfinite(pv)
                u[c, i] = pu if seen else lenses[c, 2]
                v[c, i] = pv if seen else lenses[c, 3]
                weights[c, i] = confidence * precision[k] if seen else 0.0
                views[i] += seen
        fit_lanes(
            u,
            v,
            weights,
            lenses,
            rotations,
            translations,
            NEXT_STEP_MM,
            x,
            covariance,
            chi2,
            worst,
            squares,
            bad,
        )
        for i in range(here):
            t, k = divmod(first + i, keypoints)
            result = out[t, k]
            if views[i] < 2 or bad[i] or not (chi2[i] <= quantiles[views[i]] and worst[i] <= gate2):
                _single(
                    points[t, :, k, 0], points[t, :, k, 1], points[t, :, k, 2], noise[k], lenses, rotations,
                    translations, NEXT_STEP_MM, least, gate2, quantiles, result,
                )  # fmt: skip
                continue
            result[9] = views[i]
            result[10] = np.sqrt(squares[i] / views[i])
            for axis in range(3):
                result[axis] = x[axis, i]
            for entry in range(6):
                result[3 + entry] = covariance[entry, i]
