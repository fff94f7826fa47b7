"""The simulated animal: about 80 mm from nose to tail base, made of ellipsoids on a bending spine.

Body coordinates: x forward, y to the animal's left, z up, millimetres; the origin lies on the floor
below the middle of the body. A keypoint is a fixed point of the body. No part is marked: fur is one
random texture in body coordinates, of one brightness, alike on the left and on the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.simulation.lens import Floats
from acquisition.simulation.motion import Walk, Wander

KEYPOINT_NAMES = (
    "nose", "left_ear", "right_ear", "neck", "mid_back",
    "left_hip", "right_hip", "tail_base", "tail_mid", "tail_tip",
)  # fmt: skip
SKELETON = (
    ("nose", "left_ear"), ("nose", "right_ear"), ("left_ear", "neck"), ("right_ear", "neck"),
    ("neck", "mid_back"), ("mid_back", "left_hip"), ("mid_back", "right_hip"),
    ("left_hip", "tail_base"), ("right_hip", "tail_base"), ("tail_base", "tail_mid"),
    ("tail_mid", "tail_tip"),
)  # fmt: skip
SYMMETRIC_PAIRS = (("left_ear", "right_ear"), ("left_hip", "right_hip"))

_TAIL_LINKS = 12
_TAIL_LINK_MM = 5.6
_HEAD_AT = 19.0  # where along the spine the head turns
_STRIDE_MM = 45.0


@dataclass(frozen=True, slots=True)
class _Part:
    """An ellipsoid: what carries it, where its centre is there, its half axes, its turn about z and y."""

    name: str
    carrier: str  # spine, head, or the paw whose step it takes
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0


def _pair(name: str, carrier: str, centre: tuple[float, float, float], radii: tuple[float, float, float],
          yaw: float = 0.0, pitch: float = 0.0) -> tuple[_Part, _Part]:  # fmt: skip
    x, y, z = centre
    return (
        _Part(f"left_{name}", carrier.format("left"), (x, y, z), radii, yaw, pitch),
        _Part(f"right_{name}", carrier.format("right"), (x, -y, z), radii, -yaw, pitch),
    )


_PARTS = (
    _Part("rump", "spine", (-18.0, 0.0, 14.0), (19.0, 13.0, 13.0)),
    _Part("back", "spine", (-1.0, 0.0, 13.5), (19.0, 12.3, 12.3)),
    _Part("shoulders", "spine", (13.5, 0.0, 12.8), (14.5, 10.0, 10.6)),
    _Part("skull", "head", (6.5, 0.0, 1.0), (10.5, 7.6, 7.2)),
    _Part("snout", "head", (14.5, 0.0, -0.9), (7.6, 4.6, 4.2)),
    _Part("muzzle", "head", (19.2, 0.0, -1.7), (3.6, 2.3, 2.1)),
    *_pair("ear", "head", (2.0, 8.2, 8.6), (1.3, 5.8, 6.2), yaw=0.65, pitch=0.15),
    *_pair("haunch", "spine", (-19.0, 8.3, 9.6), (11.0, 6.6, 9.4)),
    *_pair("hind_foot", "hind_{}", (-12.0, 12.2, 2.0), (7.5, 2.8, 2.0), yaw=0.15),
    *_pair("arm", "spine", (15.0, 6.8, 6.5), (4.5, 3.2, 6.0)),
    *_pair("fore_foot", "fore_{}", (18.0, 6.8, 2.0), (4.2, 2.3, 2.0), yaw=0.1),
)
_STEP_PHASE = {"hind_left": 0.0, "fore_right": 0.2, "hind_right": 0.5, "fore_left": 0.7}


@dataclass(frozen=True, slots=True)
class _Keypoint:
    """A point in a part's unit sphere, the parts it may be seen on, and how far off a hit may be."""

    part: str
    at: tuple[float, float, float]
    seen_on: tuple[str, ...]
    tolerance_mm: float


_KEYPOINTS = {
    "nose": _Keypoint("muzzle", (1.0, 0.0, 0.0), ("muzzle", "snout"), 3.0),
    "left_ear": _Keypoint("left_ear", (0.0, 0.0, 0.0), ("left_ear",), 6.5),
    "right_ear": _Keypoint("right_ear", (0.0, 0.0, 0.0), ("right_ear",), 6.5),
    "neck": _Keypoint("shoulders", (0.28, 0.0, 0.96), ("shoulders", "skull"), 3.0),
    "mid_back": _Keypoint("back", (0.0, 0.0, 1.0), ("back", "rump", "shoulders"), 3.0),
    "left_hip": _Keypoint("left_haunch", (0.0, 0.819, 0.574), ("left_haunch", "rump"), 3.0),
    "right_hip": _Keypoint("right_haunch", (0.0, -0.819, 0.574), ("right_haunch", "rump"), 3.0),
    "tail_base": _Keypoint("tail_0", (0.4, 0.0, 0.0), ("tail_0", "tail_1", "rump"), 4.0),
    "tail_mid": _Keypoint("tail_5", (0.65, 0.0, 0.0), ("tail_4", "tail_5", "tail_6"), 3.0),
    "tail_tip": _Keypoint("tail_11", (1.0, 0.0, 0.0), ("tail_10", "tail_11"), 3.0),
}
PART_NAMES = (*(part.name for part in _PARTS), *(f"tail_{link}" for link in range(_TAIL_LINKS)))


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """Ellipsoids at T times. `frames` columns are the half axes, so surface = centre + frame @ unit vector.

    Attributes
    ----------
    centres, frames:
        float64 (T, P, 3) mm and (T, P, 3, 3) mm, world.
    keypoints:
        float64 (T, K, 3) mm, world.
    """

    centres: Floats
    frames: Floats
    keypoints: Floats


class Animal:
    """An individual (its proportions and fur) on one random closed walk.

    Parameters
    ----------
    individual:
        Seed of proportions and fur: equal for recordings of the same animal.
    seed:
        Seed of the motion.
    loop_s:
        After this time every movement is back at its start.
    """

    def __init__(self, individual: int, seed: int, loop_s: float) -> None:
        shape = np.random.default_rng([individual, 11])
        stretch = 1 + shape.uniform(-0.04, 0.04, 3)
        self._stretch: Floats = stretch
        self.loop_s = loop_s
        random = np.random.default_rng([seed, 12])
        reach_mm = 128.0
        while True:
            self._walk = Walk.draw(random, loop_s, reach_mm)
            self._draw_habits(random)
            seconds = np.linspace(0, loop_s, 400, endpoint=False)
            posed = self.pose(seconds)
            if np.abs(posed.keypoints[..., :2]).max() < 168.0:
                break
            reach_mm *= 0.94

    def _draw_habits(self, random: np.random.Generator) -> None:
        def wander(amplitude: float, slowest_hz: float, fastest_hz: float) -> Wander:
            return Wander.draw(random, self.loop_s, amplitude, slowest_hz, fastest_hz)

        self._bend = wander(0.0035, 0.1, 0.7)
        self._head_yaw = wander(0.28, 0.15, 1.0)
        self._head_pitch = wander(0.20, 0.1, 0.8)
        self._breath = wander(0.012, 2.2, 3.2)
        self._tail_curl = wander(0.35, 0.1, 0.6)
        self._tail_wag = wander(0.22, 0.3, 1.2)
        self._tail_lift = wander(0.5, 0.1, 0.5)
        seconds, walked = self._walk.distance_table()
        strides = max(1, round(walked[-1] / _STRIDE_MM))
        self._step_seconds, self._steps = seconds, walked / max(walked[-1], 1e-9) * strides

    @property
    def rest(self) -> tuple[Floats, Floats]:
        """Centres (P, 3) and frames (P, 3, 3) of the straight, standing body: fur coordinates."""
        still = np.zeros(1)
        centres, frames = self._assemble(
            np.zeros((1, 2)), still, still, still, still, still, still, np.zeros((1, _TAIL_LINKS)), still,
            dict.fromkeys(_STEP_PHASE, (still, still)),
        )  # fmt: skip
        return centres[0], frames[0]

    def pose(self, seconds: Floats) -> Posed:
        """The body at times (T,) in seconds of the loop."""
        seconds = np.mod(np.asarray(seconds, dtype=np.float64), self.loop_s)
        bend = np.clip(self._bend(seconds) + 0.0028 * self._walk.turn_rate(seconds), -0.011, 0.011)
        yaw = 0.75 * np.tanh((self._head_yaw(seconds) + 8 * bend) / 0.75)
        pitch = 0.12 + 0.5 * np.tanh(self._head_pitch(seconds) / 0.5)
        share = np.arange(_TAIL_LINKS) / _TAIL_LINKS
        delays = (seconds[:, None] - 0.35 * share).ravel()
        wag = self._tail_wag(delays).reshape(len(seconds), _TAIL_LINKS)
        turns = self._tail_curl(seconds)[:, None] * share * 1.6 + wag * (0.3 + share) * 1.5
        steps = np.interp(seconds, self._step_seconds, self._steps)
        paws = {paw: _step(steps + phase) for paw, phase in _STEP_PHASE.items()}
        centres, frames = self._assemble(
            self._walk.position(seconds), self._walk.heading(seconds), bend, yaw, pitch,
            self._breath(seconds), 0.5 * np.cos(4 * np.pi * steps), turns, self._tail_lift(seconds), paws,
        )  # fmt: skip
        points = []
        for keypoint in _KEYPOINTS.values():
            part = PART_NAMES.index(keypoint.part)
            points.append(centres[:, part] + frames[:, part] @ np.array(keypoint.at))
        return Posed(centres, frames, np.stack(points, axis=1))

    def _assemble(
        self, position: Floats, heading: Floats, bend: Floats, head_yaw: Floats, head_pitch: Floats,
        breath: Floats, bob: Floats, tail_turns: Floats, tail_lift: Floats,
        paws: dict[str, tuple[Floats, Floats]],
    ) -> tuple[Floats, Floats]:  # fmt: skip
        def spine(along: Floats, sideways: float, height: Floats) -> tuple[Floats, Floats]:
            """World position (T, 3) and yaw (T,) of a point beside the spine, an arc of curvature `bend`."""
            angle = bend * along
            x = along * np.sinc(angle / np.pi)
            y = along * np.sin(angle / 2) * np.sinc(angle / (2 * np.pi))
            x, y = x - sideways * np.sin(angle), y + sideways * np.cos(angle)
            c, s = np.cos(heading), np.sin(heading)
            world = np.stack(
                [position[:, 0] + c * x - s * y, position[:, 1] + s * x + c * y, height], axis=-1
            )
            return world, heading + angle

        count = len(heading)
        one = np.ones(count)
        long, _, high = self._stretch
        head_at, neck_yaw = spine(_HEAD_AT * long * one, 0.0, (13.8 + bob) * high)
        head = _turn(neck_yaw + head_yaw, head_pitch)
        centres, frames = [], []
        for part in _PARTS:
            offset = np.array(part.centre) * self._stretch
            swell = (1 + breath) if part.name in ("rump", "back", "shoulders") else one
            radii = np.array(part.radii) * self._stretch * np.stack([one, swell, swell], axis=-1)
            if part.carrier == "head":
                centres.append(head_at + head @ offset)
                turned = head @ _turn(np.array([part.yaw]), np.array([part.pitch]))
            else:
                forward, up = paws.get(part.carrier, (0.0 * one, bob))
                where, yaw = spine(offset[0] + forward, offset[1], offset[2] + up)
                centres.append(where)
                turned = _turn(yaw + part.yaw, part.pitch * one)
            frames.append(turned * radii[:, None, :])
        at, yaw = spine(-33.5 * long * one, 0.0, (13.0 + bob) * high)
        for link in range(_TAIL_LINKS):
            thickness = 2.3 - 1.5 * (link + 1) / _TAIL_LINKS
            floor = thickness + 0.3
            drop = np.where(at[:, 2] > floor + 2.2, 0.55, np.maximum(0.0, (at[:, 2] - floor) / _TAIL_LINK_MM))
            rise = np.maximum(0.0, np.tanh(tail_lift)) * 0.16 * link / _TAIL_LINKS * 4
            pitch = np.minimum(rise, 0.5) - drop
            frame = _turn(yaw + tail_turns[:, link], pitch)
            step = -frame[:, :, 0] * _TAIL_LINK_MM
            step[:, 2] = np.sin(pitch) * _TAIL_LINK_MM
            middle = at + step / 2
            axis = step / _TAIL_LINK_MM
            side = frame[:, :, 1]
            frame = np.stack([axis, side, np.cross(axis, side)], axis=-1)
            centres.append(middle)
            frames.append(frame * np.array([_TAIL_LINK_MM * 0.72, thickness, thickness]))
            at = at + step
        return np.stack(centres, axis=1), np.stack(frames, axis=1)


def _turn(yaw: Floats, pitch: Floats) -> Floats:
    """Rotation matrices (T, 3, 3): first up by `pitch` about y, then left by `yaw` about z."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(c)
    rows = [[c * cp, -s, -c * sp], [s * cp, c, -s * sp], [sp, zero, cp]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _step(phase: Floats) -> tuple[Floats, Floats]:
    """How far forward and up (mm) a paw is at a phase of the stride (1 = a whole stride)."""
    angle = 2 * np.pi * phase
    return 6.0 * np.cos(angle), 2.0 * np.maximum(0.0, -np.sin(angle))


def keypoint_parts() -> tuple[npt.NDArray[np.bool_], Floats]:
    """Per keypoint the parts it may be seen on, bool (K, P), and the tolerance of a hit in mm, (K,)."""
    seen_on = np.array(
        [[name in keypoint.seen_on for name in PART_NAMES] for keypoint in _KEYPOINTS.values()]
    )
    return seen_on, np.array([keypoint.tolerance_mm for keypoint in _KEYPOINTS.values()])
