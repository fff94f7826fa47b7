"""Triangulation of many points side by side, for the ordinary case in which all views agree.

Lenses are pinholes with k1 k2 p1 p2 k3, the first nine numbers of a lens row. Every loop over points is plain
arithmetic on a few contiguous arrays, which the compiler turns into vector instructions (one array more in
`_add_newton` and it no longer does), a product and its sum being one of them ("contract"; nothing else of
fastmath): several times the speed of one point after the other (`calibration.kernels`). A lane's result does
not depend on its neighbours. What is not ordinary (an outlier, a lens without an inverse, rays that are
parallel, a point behind a camera) is marked and left to the kernel of single points; both minimise the same
error.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Of Newton's method for the rays. They are only where Gauss-Newton begins, which goes through the lens.
RAY_STEPS = 2
RAY_ROUGHLY = 1e-3  # residual of a ray that is on its way to the inverse, in focal lengths
STEPS_AT_MOST = 6
FLAT = 1e-13  # determinant of the normal matrix over its mean eigenvalue cubed: rays are parallel
_compiled = njit(cache=True, error_model="numpy", fastmath={"contract"})


@_compiled
def _rays(lens, u, v, a, b, bad, used):  # type: ignore[no-untyped-def]
    """Undistorted normalised points (a, b) of pixels (u, v) of one camera; marks lanes in `bad`."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    near_x, near_y = 1 / fx, 1 / fy
    for step in range(RAY_STEPS + 1):
        last = step == RAY_STEPS
        for i in range(len(u)):
            ta, tb = (u[i] - cx) * near_x, (v[i] - cy) * near_y
            ai = ta if step == 0 else a[i]
            bi = tb if step == 0 else b[i]
            r2 = ai * ai + bi * bi
            g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
            slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
            ea = ai * g + 2 * p1 * ai * bi + p2 * (r2 + 2 * ai * ai) - ta
            eb = bi * g + p1 * (r2 + 2 * bi * bi) + 2 * p2 * ai * bi - tb
            jaa = g + slope * ai * ai + 2 * p1 * bi + 6 * p2 * ai
            jbb = g + slope * bi * bi + 6 * p1 * bi + 2 * p2 * ai
            jab = slope * ai * bi + 2 * p1 * ai + 2 * p2 * bi
            determinant = jaa * jbb - jab * jab
            fine = (determinant > 0) & (jaa + jbb > 0) & (abs(ea) + abs(eb) <= RAY_ROUGHLY)
            bad[i] |= used[i] & last & (not fine)
            share = 1 / determinant
            a[i] = ai - (jbb * ea - jab * eb) * share
            b[i] = bi - (jaa * eb - jab * ea) * share


@_compiled
def _solve(h, g, x, bad):  # type: ignore[no-untyped-def]
    """x = h^-1 g in every lane, h = (xx xy xz yy yz zz); marks lanes without an inverse."""
    for i in range(x.shape[1]):
        h0, h1, h2, h3, h4, h5 = h[0, i], h[1, i], h[2, i], h[3, i], h[4, i], h[5, i]
        g0, g1, g2 = g[0, i], g[1, i], g[2, i]
        cxx, cxy, cxz = h3 * h5 - h4 * h4, h2 * h4 - h1 * h5, h1 * h4 - h2 * h3
        cyy, cyz, czz = h0 * h5 - h2 * h2, h1 * h2 - h0 * h4, h0 * h3 - h1 * h1
        determinant = h0 * cxx + h1 * cxy + h2 * cxz
        mean = (h0 + h3 + h5) / 3
        bad[i] |= not (determinant > FLAT * mean * mean * mean)
        share = 1 / determinant
        x[0, i] = (cxx * g0 + cxy * g1 + cxz * g2) * share
        x[1, i] = (cxy * g0 + cyy * g1 + cyz * g2) * share
        x[2, i] = (cxz * g0 + cyz * g1 + czz * g2) * share


@_compiled
def _invert(h):  # type: ignore[no-untyped-def]
    """h^-1 in its place in every lane, both (xx xy xz yy yz zz)."""
    for i in range(h.shape[1]):
        h0, h1, h2, h3, h4, h5 = h[0, i], h[1, i], h[2, i], h[3, i], h[4, i], h[5, i]
        cxx, cxy, cxz = h3 * h5 - h4 * h4, h2 * h4 - h1 * h5, h1 * h4 - h2 * h3
        share = 1 / (h0 * cxx + h1 * cxy + h2 * cxz)
        h[0, i], h[1, i], h[2, i] = cxx * share, cxy * share, cxz * share
        h[3, i], h[4, i], h[5, i] = (
            (h0 * h5 - h2 * h2) * share,
            (h1 * h2 - h0 * h4) * share,
            (h0 * h3 - h1 * h1) * share,
        )


@_compiled
def _add_linear(a, b, weights, rotation, translation, x, deep, h, g, bad):  # type: ignore[no-untyped-def]
    """One camera's part of the linear normal equations; weighed by the depth of x if `deep`."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    t0, t1, t2 = translation
    for i in range(len(a)):
        depth = r20 * x[0, i] + r21 * x[1, i] + r22 * x[2, i] + t2 if deep else 1.0
        w = weights[i]
        bad[i] |= (w > 0) & (depth <= 0)
        w = w / (depth * depth) if deep else w
        a0, a1, a2 = a[i] * r20 - r00, a[i] * r21 - r01, a[i] * r22 - r02
        b0, b1, b2 = b[i] * r20 - r10, b[i] * r21 - r11, b[i] * r22 - r12
        ea, eb = t0 - a[i] * t2, t1 - b[i] * t2
        h[0, i] += w * (a0 * a0 + b0 * b0)
        h[1, i] += w * (a0 * a1 + b0 * b1)
        h[2, i] += w * (a0 * a2 + b0 * b2)
        h[3, i] += w * (a1 * a1 + b1 * b1)
        h[4, i] += w * (a1 * a2 + b1 * b2)
        h[5, i] += w * (a2 * a2 + b2 * b2)
        g[0, i] += w * (a0 * ea + b0 * eb)
        g[1, i] += w * (a1 * ea + b1 * eb)
        g[2, i] += w * (a2 * ea + b2 * eb)


@_compiled
def _add_newton(u, v, weights, lens, rotation, translation, x, h, g, bad):  # type: ignore[no-untyped-def]
    """One camera's part of the Gauss-Newton normal equations at x, through the lens."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    t0, t1, t2 = translation
    for i in range(len(u)):
        x0, x1, x2, w = x[0, i], x[1, i], x[2, i], weights[i]
        pz = r20 * x0 + r21 * x1 + r22 * x2 + t2
        bad[i] |= (w > 0) & (not (pz > 0))
        near = 1 / pz
        a = (r00 * x0 + r01 * x1 + r02 * x2 + t0) * near
        b = (r10 * x0 + r11 * x1 + r12 * x2 + t1) * near
        r2 = a * a + b * b
        bend = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        ru = fx * (a * bend + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + cx - u[i]
        rv = fy * (b * bend + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + cy - v[i]
        jaa = (bend + slope * a * a + 2 * p1 * b + 6 * p2 * a) * near
        jbb = (bend + slope * b * b + 6 * p1 * b + 2 * p2 * a) * near
        jab = (slope * a * b + 2 * p1 * a + 2 * p2 * b) * near
        a0, a1, a2 = r00 - a * r20, r01 - a * r21, r02 - a * r22
        b0, b1, b2 = r10 - b * r20, r11 - b * r21, r12 - b * r22
        u0, u1, u2 = fx * (jaa * a0 + jab * b0), fx * (jaa * a1 + jab * b1), fx * (jaa * a2 + jab * b2)
        v0, v1, v2 = fy * (jab * a0 + jbb * b0), fy * (jab * a1 + jbb * b1), fy * (jab * a2 + jbb * b2)
        h[0, i] += w * (u0 * u0 + v0 * v0)
        h[1, i] += w * (u0 * u1 + v0 * v1)
        h[2, i] += w * (u0 * u2 + v0 * v2)
        h[3, i] += w * (u1 * u1 + v1 * v1)
        h[4, i] += w * (u1 * u2 + v1 * v2)
        h[5, i] += w * (u2 * u2 + v2 * v2)
        g[0, i] -= w * (u0 * ru + v0 * rv)
        g[1, i] -= w * (u1 * ru + v1 * rv)
        g[2, i] -= w * (u2 * ru + v2 * rv)


@_compiled
def _add_errors(u, v, weights, lens, rotation, translation, x, chi2, worst, squares):  # type: ignore[no-untyped-def]
    """One camera's squared residuals at x: weighted, the worst so far, and in px^2."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    t0, t1, t2 = translation
    for i in range(len(u)):
        x0, x1, x2, w = x[0, i], x[1, i], x[2, i], weights[i]
        near = 1 / (r20 * x0 + r21 * x1 + r22 * x2 + t2)
        a = (r00 * x0 + r01 * x1 + r02 * x2 + t0) * near
        b = (r10 * x0 + r11 * x1 + r12 * x2 + t1) * near
        r2 = a * a + b * b
        bend = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        du = fx * (a * bend + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + cx - u[i]
        dv = fy * (b * bend + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + cy - v[i]
        e2 = du * du + dv * dv
        weighted = w * e2
        chi2[i] += weighted
        worst[i] = weighted if weighted > worst[i] else worst[i]
        squares[i] += e2 if w > 0 else 0.0


@_compiled
def fit_lanes(  # type: ignore[no-untyped-def]
    u, v, weights, lenses, rotations, translations, tolerance, x, covariance, chi2, worst, squares, bad
):
    """Linear, then Gauss-Newton, for every lane; ends where the next step would be below `tolerance`.

    u, v, weights (C, B): px, and 1 / px^2, 0 where a view is not used (u and v are then any numbers).
    x (3, B), its covariance (6, B), chi2, worst, squares (B,) are written; `bad` (B,) is set for lanes to be
    left to the kernel of single points.
    """
    cameras, lanes = u.shape
    h, g, step = np.empty((6, lanes)), np.empty((3, lanes)), np.empty((3, lanes))
    done, before = np.empty(lanes, np.bool_), np.empty(lanes)
    a, b = np.empty((cameras, lanes)), np.empty((cameras, lanes))
    bad[:] = False
    for c in range(cameras):
        lens = _nine(lenses[c])
        _rays(lens, u[c], v[c], a[c], b[c], bad, weights[c] > 0)
    for attempt in range(2):  # the second weighs each ray by the depth that the first found
        h[:] = 0
        g[:] = 0
        for c in range(cameras):
            rotation, translation = _nine(rotations[c].ravel()), _three(translations[c])
            _add_linear(a[c], b[c], weights[c], rotation, translation, x, attempt > 0, h, g, bad)
        _solve(h, g, x, bad)
    done[:] = False
    before[:] = 0
    for _ in range(STEPS_AT_MOST):
        h[:] = 0
        g[:] = 0
        for c in range(cameras):
            rotation, translation = _nine(rotations[c].ravel()), _three(translations[c])
            _add_newton(u[c], v[c], weights[c], _nine(lenses[c]), rotation, translation, x, h, g, bad)
        _solve(h, g, step, bad)
        moving = False
        for i in range(lanes):
            size = abs(step[0, i]) + abs(step[1, i]) + abs(step[2, i])
            part = 0.0 if done[i] else 1.0  # a lane that is done stays, whatever its neighbours need
            for entry in range(6):
                covariance[entry, i] = covariance[entry, i] if done[i] else h[entry, i]
            x[0, i] += part * step[0, i]
            x[1, i] += part * step[1, i]
            x[2, i] += part * step[2, i]
            # each step is about the same part of the one before
            done[i] |= (size < tolerance) | ((size < before[i]) & (size * size < tolerance * before[i]))
            before[i] = size
            moving |= (not done[i]) & (not bad[i])
        if not moving:
            break
    for i in range(lanes):
        bad[i] |= not done[i]
    _invert(covariance)
    chi2[:] = 0
    worst[:] = 0
    squares[:] = 0
    for c in range(cameras):
        rotation, translation = _nine(rotations[c].ravel()), _three(translations[c])
        _add_errors(u[c], v[c], weights[c], _nine(lenses[c]), rotation, translation, x, chi2, worst, squares)


@_compiled
def _nine(m):  # type: ignore[no-untyped-def]
    return m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8]


@_compiled
def _three(m):  # type: ignore[no-untyped-def]
    return m[0], m[1], m[2]
