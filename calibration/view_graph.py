"""Where the bundle adjustment starts: each camera by itself, then the cameras linked by what they share.

A camera's lens is fitted to its own views (`calibration.single_camera`); then the relative pose of two
cameras is the one, of all that their common views propose, that most of them agree with; and the cameras
are joined along the tree of the pairs that share most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.boards import Permutation
from calibration.bundle import Bundle
from calibration.lens import LensModel
from calibration.lens_choice import BY_SIMPLICITY, ChosenLens, choose_lens, keep_lens
from calibration.observations import Observations, View
from calibration.rotation import compose, invert
from calibration.single_camera import Motion, board_error

Array = npt.NDArray[np.float64]

LEAST_VIEWS = 3  # of a camera: two views leave lens and distance open
PROPOSALS = 15  # common views that propose a relative pose


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """An initial solution.

    Attributes
    ----------
    observations:
        As given, with the corners of symmetric boards renumbered alike in all cameras.
    bundle:
        Cameras in the order of the observations, one board pose per instant.
    instants:
        Which instant each board pose belongs to, ascending.
    shared:
        (C, C): instants that two cameras share.
    lenses:
        Each camera's model, as chosen or as asked for.
    """

    observations: Observations
    bundle: Bundle
    instants: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]
    lenses: tuple[ChosenLens, ...]


def initialise(observations: Observations, points_mm: Array, symmetries: tuple[Permutation, ...], *,
               lens: LensModel | None = None, known: Array | None = None) -> Start:  # fmt: skip
    """Lenses, camera poses (the first camera's is the world) and board poses to start from.

    `lens`: the model of all cameras; None: each camera's own, by its held-out error. `known` (C, 13): lens
    rows that stay as they are.

    Raises
    ------
    RigposeError
        If a camera has too few views (names it), or cameras are not linked (names them).
    """
    _check_views(observations)
    shared = _shared(observations)
    tree = spanning_tree(observations.cameras, shared)
    models = BY_SIMPLICITY if lens is None else (lens,)
    chosen = tuple(
        choose_lens(observations, c, points_mm, models)
        if known is None
        else keep_lens(observations, c, points_mm, known[c])
        for c in range(len(observations.cameras))
    )
    alone = [each.fit for each in chosen]
    lenses = np.stack([single.bundle.lenses[0] for single in alone])
    poses = {  # board to camera, of every view
        (view.camera, view.instant): (single.bundle.board_rotations[k], single.bundle.board_translations[k])
        for c, single in enumerate(alone)
        for k, view in enumerate(observations.of_camera(c))
    }
    views = {(view.camera, view.instant): view for view in observations.views}

    placed: dict[int, Motion] = {0: (np.eye(3), np.zeros(3))}
    for parent, child in tree:
        relative = _relative(parent, child, views, poses, lenses, points_mm, symmetries)
        placed[child] = compose(*relative, *placed[parent])
    rotations = np.stack([placed[c][0] for c in range(len(lenses))])
    translations = np.stack([placed[c][1] for c in range(len(lenses))])

    instants = np.array(sorted({view.instant for view in observations.views}))
    boards = [np.zeros((len(instants), 3, 3)), np.zeros((len(instants), 3))]
    still = np.zeros(len(lenses)), np.zeros(len(observations.views))
    cameras = Bundle(lenses, rotations, translations, boards[0], boards[1], *still)
    changed = dict(views)
    for row, instant in enumerate(instants):
        mine = [(c, instant) for c in range(len(lenses)) if (c, instant) in views]
        pose, numbering = _board_pose(mine, views, poses, cameras, points_mm, symmetries)
        boards[0][row], boards[1][row] = pose
        for key, which in numbering.items():
            if which:
                changed[key] = _renumber(views[key], symmetries[which])
    ordered = tuple(changed[(view.camera, view.instant)] for view in observations.views)
    return Start(replace(observations, views=ordered), cameras, instants, shared, chosen)


def _check_views(observations: Observations) -> None:
    for c, name in enumerate(observations.cameras):
        found = len(observations.of_camera(c))
        if found < LEAST_VIEWS:
            raise RigposeError(
                f"camera '{name}'", expected=f"at least {LEAST_VIEWS} views of the board, better 20",
                found=str(found),
                remedy=f"Record again and hold the board before '{name}', tilted, in every corner",
            )  # fmt: skip


def _shared(observations: Observations) -> npt.NDArray[np.int64]:
    instants = sorted({view.instant for view in observations.views})
    row = {instant: k for k, instant in enumerate(instants)}
    seen = np.zeros((len(observations.cameras), len(instants)), dtype=np.int64)
    for view in observations.views:
        seen[view.camera, row[view.instant]] = 1
    shared: npt.NDArray[np.int64] = seen @ seen.T
    return shared


def spanning_tree(names: tuple[str, ...], shared: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs (parent, child) of the maximum spanning tree of `shared` (C, C), grown from camera 0 (Prim).

    Raises
    ------
    RigposeError
        If cameras are not linked (names them).
    """
    placed, tree = [0], []
    while len(placed) < len(names):
        rest = [c for c in range(len(names)) if c not in placed]
        parent, child = max(
            ((p, c) for p in placed for c in rest), key=lambda pair: (shared[pair], -pair[1], -pair[0])
        )
        if shared[parent, child] == 0:
            one, other = ", ".join(names[c] for c in placed), ", ".join(names[c] for c in rest)
            raise RigposeError(
                f"cameras {one} and {other}",
                expected="frame sets in which a camera of both groups sees the board", found="none",
                remedy=f"Record again and hold the board where '{names[placed[-1]]}' and '{names[rest[0]]}' "
                "both see it (or where a third camera links them)",
            )  # fmt: skip
        placed.append(child)
        tree.append((parent, child))
    return tree


def _relative(
    parent: int, child: int, views: dict[tuple[int, int], View], poses: dict[tuple[int, int], Motion],
    lenses: Array, points_mm: Array, symmetries: tuple[Permutation, ...],
) -> Motion:  # fmt: skip
    """Parent's frame to child's: the proposal of one common view that most common views agree with."""
    common = sorted(i for c, i in views if c == parent and (child, i) in views)
    tried = [common[k] for k in np.unique(np.linspace(0, len(common) - 1, PROPOSALS).astype(int))]
    best: tuple[float, Motion] | None = None
    for instant in tried:
        for symmetry in symmetries:
            board = _turned_board(poses[(parent, instant)], symmetry, points_mm)
            proposal = compose(*poses[(child, instant)], *invert(*board))
            errors = []
            for other in common:
                options = [
                    compose(*proposal, *_turned_board(poses[(parent, other)], s, points_mm))
                    for s in symmetries
                ]
                view = views[(child, other)]
                errors.append(min(board_error(view, lenses[child], option, points_mm) for option in options))
            cost = float(np.median(errors))
            if best is None or cost < best[0]:
                best = cost, proposal
    assert best is not None
    return best[1]


def _turned_board(pose: Motion, symmetry: Permutation, points_mm: Array) -> Motion:
    """The board's pose if its corners are numbered by `symmetry`: corner k lies where symmetry[k] did."""
    if np.array_equal(symmetry, np.arange(len(symmetry))):
        return pose
    # the in-plane motion that carries corner k to corner symmetry[k], from three corners
    target, source = points_mm[symmetry], points_mm
    x = target[1] - target[0]
    x = x / np.linalg.norm(x)
    turn = np.array([[x[0], -x[1], 0.0], [x[1], x[0], 0.0], [0.0, 0.0, 1.0]])
    return compose(*pose, turn, target[0] - turn @ source[0])


def _board_pose(
    keys: list[tuple[int, int]], views: dict[tuple[int, int], View], poses: dict[tuple[int, int], Motion],
    cameras: Bundle, points_mm: Array, symmetries: tuple[Permutation, ...],
) -> tuple[Motion, dict[tuple[int, int], int]]:  # fmt: skip
    """Board to world at one instant, by the camera whose view suits all others best, and numberings."""
    best: tuple[float, Motion, dict[tuple[int, int], int]] | None = None
    for key in keys:
        camera = key[0]
        back = invert(cameras.rotations[camera], cameras.translations[camera])
        board = compose(*back, *poses[key])
        total, numbering = 0.0, {}
        for other in keys:
            seen = compose(cameras.rotations[other[0]], cameras.translations[other[0]], *board)
            errors = [
                board_error(_renumber(views[other], s), cameras.lenses[other[0]], seen, points_mm)
                for s in symmetries
            ]
            numbering[other] = int(np.argmin(errors))
            total += min(errors)
        if best is None or total < best[0]:
            best = total, board, numbering
    assert best is not None
    return best[1], best[2]


def _renumber(view: View, symmetry: Permutation) -> View:
    """The view with its corners numbered by a symmetry of the board."""
    ids = symmetry[view.ids]
    order = np.argsort(ids)
    velocity = None if view.velocity is None else view.velocity[order]
    return replace(view, ids=ids[order], px=view.px[order], velocity=velocity)
