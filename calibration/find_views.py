"""From board images to observations: which images are looked at, what is found in them, how it moved.

Of a long recording evenly spaced frame sets are searched, so that the time it takes has a bound.
Cameras work in parallel (OpenCV and the decoder let go of Python's lock).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from calibration.boards import BoardSettings
from calibration.detection import Corners, Detector, Pattern, recognise
from calibration.inputs import BoardInput
from calibration.observations import Observations, View

MOST_SETS = 130  # searched: more add hardly any knowledge, but time
SAMPLE = 4  # images per camera by which the pattern is recognised
TIMED = 4  # every fourth frame set is searched with its neighbour: how fast the board moves there
REACH_S = 0.25  # images further away in time say nothing about a corner's velocity
SPREAD_SHARE = 0.25  # of the frame interval: further apart, free-running images do not share a pose


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Observations and what was searched.

    Attributes
    ----------
    observations:
        All views of the board.
    pattern:
        The print's pattern as recognised.
    searched:
        Images searched, per camera.
    apart:
        Views of free-running cameras that were too far from the others to share their board pose.
    pictures:
        For each camera the image that shows most of the board, None where none does; may be empty.
    """

    observations: Observations
    pattern: Pattern
    searched: tuple[int, ...]
    apart: int
    pictures: tuple[Image | None, ...] = ()


def find_views(source: BoardInput, board: BoardSettings, *, max_spread_ms: float | None = None) -> Found:
    """Search the board in `source`.

    Parameters
    ----------
    max_spread_ms:
        Free-running cameras: images further than this from the set's median do not share its board
        pose. Default: a quarter of the frame interval.

    Raises
    ------
    RigposeError
        If nothing shows the board (says what was seen), or a camera's images differ in size.
    """
    chosen = _chosen_sets(source)
    wanted = [
        sorted({int(row) for row in source.rows[chosen, c] if row >= 0}) for c in range(len(source.cameras))
    ]
    stills = any(isinstance(item, tuple) for item in source.sources)
    pattern = recognise(board, _sample(source, wanted), "board")
    detector = Detector(board, pattern)
    found: list[dict[int, Corners]] = []
    sizes: list[tuple[int, int]] = []
    pictures: list[Image | None] = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # one thread per image does more than several per image
    try:
        with Progress("board", sum(len(rows) for rows in wanted)) as bar:

            def search(camera: int) -> tuple[dict[int, Corners], set[tuple[int, int]], Image | None]:
                corners, seen, shown, most = {}, set(), None, 0
                for row, image in source.images(camera, wanted[camera]):
                    seen.add((image.shape[1], image.shape[0]))
                    hit = detector.find(image, thorough=stills)
                    if hit is not None:
                        corners[row] = hit
                        if len(hit.ids) > most:
                            shown, most = image, len(hit.ids)
                    bar.advance()
                return corners, seen, shown

            with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                searched = pool.map(search, range(len(source.cameras)))
                for camera, (corners, seen, shown) in enumerate(searched):
                    found.append(corners)
                    pictures.append(shown)
                    sizes.append(_one_size(source, camera, seen))
    finally:
        cv2.setNumThreads(threads)
    assembled = _assemble(
        source, chosen, found, sizes, pattern, [len(rows) for rows in wanted], max_spread_ms
    )
    return replace(assembled, pictures=tuple(pictures))


def _chosen_sets(source: BoardInput) -> npt.NDArray[np.int64]:
    """Rows of the table to search: some with a neighbour, for the velocity; of free-running cameras all."""
    count = len(source.sets)
    if count <= MOST_SETS:
        return np.arange(count)
    if not source.free_running:
        spread = np.linspace(0, count - 1, MOST_SETS).astype(np.int64)
        timed = spread[:0] if source.times_s is None else spread[:-1:TIMED] + 1
        return np.unique(np.concatenate([spread, timed]))
    centres = np.linspace(1, count - 2, MOST_SETS // 3).astype(np.int64)
    return np.unique(np.concatenate([centres - 1, centres, centres + 1]))


def _sample(source: BoardInput, wanted: list[list[int]]) -> list[npt.NDArray[np.uint8]]:
    """Some images of every camera, from all of the recording."""
    images = []
    for camera, rows in enumerate(wanted):
        some = sorted({rows[k] for k in np.linspace(0, len(rows) - 1, SAMPLE).astype(int)}) if rows else []
        images += [image for _, image in source.images(camera, some)]
    if not images:
        raise RigposeError(
            source.path, expected="pictures", found="none that decode", remedy="Record the board again"
        )
    return images


def _one_size(source: BoardInput, camera: int, seen: set[tuple[int, int]]) -> tuple[int, int]:
    if len(seen) > 1:
        listed = " and ".join(f"{w} x {h}" for w, h in sorted(seen))
        raise RigposeError(
            f"camera '{source.cameras[camera]}'", expected="images of one size", found=listed,
            remedy="Calibrate with images as the camera gives them; remove the others",
        )  # fmt: skip
    return seen.pop() if seen else (0, 0)


def _assemble(
    source: BoardInput, chosen: npt.NDArray[np.int64], found: list[dict[int, Corners]],
    sizes: list[tuple[int, int]], pattern: Pattern, searched: list[int], max_spread_ms: float | None,
) -> Found:  # fmt: skip
    times, spread = source.times_s, np.inf
    if times is not None and source.free_running and len(times) > 1:
        interval = float(np.nanmedian(np.diff(times, axis=0)))
        spread = SPREAD_SHARE * interval if max_spread_ms is None else max_spread_ms * 1e-3
    time_of = []
    if times is not None:
        for c in range(len(found)):
            there = source.rows[:, c] >= 0
            time_of.append(dict(zip(source.rows[there, c].tolist(), times[there, c].tolist(), strict=True)))
    views, apart = [], 0
    alone = int(source.sets.max()) + 1  # instants of views that share no pose
    for k in chosen:
        present = [c for c in range(len(found)) if int(source.rows[k, c]) in found[c]]
        middle = float(np.median(times[k, present])) if times is not None and present else 0.0
        for c in present:
            corners = found[c][int(source.rows[k, c])]
            instant, velocity, px = int(source.sets[k]), None, corners.px
            if times is not None:
                velocity = _velocity(found[c], int(source.rows[k, c]), time_of[c])
                late = float(times[k, c]) - middle
                if abs(late) > spread:
                    instant, alone, apart = alone, alone + 1, apart + 1
                else:
                    px = px - velocity * late  # to the set's middle, as far as the stamps tell
            number = int(source.sets[k])
            views.append(View(c, number, instant, corners.ids, px, corners.sharpness, velocity))
    observations = Observations(source.cameras, tuple(sizes), tuple(views), source.free_running)
    return Found(observations, pattern, tuple(searched), apart)


def _velocity(found: dict[int, Corners], row: int, time_of: dict[int, float]) -> npt.NDArray[np.float64]:
    """px/s of every corner of an image, from the images searched before and after; zero if unknown."""
    here = found[row]
    near = [
        found_row
        for found_row in (
            max((r for r in found if r < row), default=row),
            row,
            min((r for r in found if r > row), default=row),
        )
        if abs(time_of[found_row] - time_of[row]) <= REACH_S
    ]
    velocity = np.full(here.px.shape, np.nan)
    elapsed = time_of[near[-1]] - time_of[near[0]]
    if elapsed > 0:
        first, last = found[near[0]], found[near[-1]]
        common, a, b = np.intersect1d(first.ids, last.ids, return_indices=True)
        _, of_here, of_common = np.intersect1d(here.ids, common, return_indices=True)
        moved, turned = last.px[b] - first.px[a], last.px[b][::-1] - first.px[a]
        if np.linalg.norm(turned, axis=1).mean() < 0.5 * np.linalg.norm(moved, axis=1).mean():
            moved = turned  # a board that looks alike turned by 180 degrees was numbered the other way
        velocity[of_here] = moved[of_common] / elapsed
    known = np.isfinite(velocity).all(1)
    # the board is one piece: a corner that was not seen twice moved about as the others did
    velocity[~known] = velocity[known].mean(axis=0) if known.any() else 0.0
    return velocity
