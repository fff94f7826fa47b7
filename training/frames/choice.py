"""Which frames to label: evenly drawn, different to look at, or full of motion.

Every function takes N candidates (their small pictures, or how much each moves) and returns `count` places
among them, distinct and ascending. The same seed chooses the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

ROUNDS_AT_MOST = 50
SETTLED = 0.001  # of the pictures change their cluster
DRAWS = 4
STILL_PERCENTILE = 10  # a tenth of the frames or more shows what the camera's noise alone changes


def uniform(candidates: int, count: int, seed: int = 0) -> Places:
    """One place drawn at random from each of `count` equal stretches: even in time, not periodic."""
    _check(candidates, count)
    rng = np.random.default_rng(seed)
    edges = np.arange(count + 1) * candidates // count
    return rng.integers(edges[:-1], edges[1:]).astype(np.int64)


def different(pictures: npt.NDArray[np.uint8], count: int, seed: int = 0) -> Places:
    """K-means over small pictures, and of every cluster the picture nearest to its centre.

    Lloyd's algorithm, begun with greedy k-means++ (Arthur and Vassilvitskii 2007). A cluster that runs empty
    (fewer distinct pictures than clusters) gives way to the picture least like all chosen ones.

    Parameters
    ----------
    pictures:
        uint8 (N, ...).
    """
    _check(len(pictures), count)
    features = pictures.reshape(len(pictures), -1).astype(np.float32)
    features -= features.mean(axis=0)
    squares = np.einsum("ij,ij->i", features, features)
    rng = np.random.default_rng(seed)
    centres = features[_far_apart(features, squares, count, rng)]
    nearest = np.full(len(features), -1)
    for _ in range(ROUNDS_AT_MOST):
        distances = _squared_distances(features, squares, centres)
        before, nearest = nearest, distances.argmin(axis=1)
        if (before != nearest).sum() <= SETTLED * len(features):
            break
        belongs = (nearest == np.arange(count)[:, None]).astype(np.float32)
        sizes = belongs.sum(axis=1, keepdims=True)
        centres = np.where(sizes > 0, (belongs @ features) / np.maximum(sizes, 1), centres)
    own = distances[np.arange(len(features)), nearest]
    members = (np.flatnonzero(nearest == cluster) for cluster in np.unique(nearest))
    chosen = [int(those[own[those].argmin()]) for those in members]
    while len(chosen) < count:
        distance = _squared_distances(features, squares, features[chosen]).min(axis=1)
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return np.sort(np.array(chosen, np.int64))


def moving(changes: npt.ArrayLike, count: int, seed: int = 0) -> Places:
    """Places where something moves: drawn along time, each as likely as the picture changes there.

    Systematic sampling with unequal probabilities (Madow 1949): equal amounts of motion lie between
    two frames drawn, so that they are spread over all of it. What changes no more than the stillest
    tenth does not count as motion; if too little moves for `count`, the rest is drawn evenly.

    Parameters
    ----------
    changes:
        (N,) how much each picture differs from the one before, any unit.
    """
    amounts = np.asarray(changes, np.float64)
    _check(len(amounts), count)
    weights = np.maximum(amounts - np.percentile(amounts, STILL_PERCENTILE), 0.0)
    rng = np.random.default_rng(seed)
    moves = np.flatnonzero(weights)
    if len(moves) <= count:
        still = np.setdiff1d(np.arange(len(weights)), moves)
        rest = still[uniform(len(still), count - len(moves), seed)] if count > len(moves) else still[:0]
        return np.sort(np.concatenate([moves, rest])).astype(np.int64)
    steps = np.cumsum(_shares(weights[moves], count))
    marks = (rng.uniform() + np.arange(count)) * (steps[-1] / count)
    picked = np.unique(moves[np.searchsorted(steps, marks, side="right").clip(max=len(moves) - 1)])
    if len(picked) < count:  # two marks met in one frame by rounding
        others = np.setdiff1d(moves, picked)
        picked = np.append(picked, others[np.argsort(-weights[others], kind="stable")[: count - len(picked)]])
    return np.sort(picked).astype(np.int64)


def thinned(candidates: int, at_most: int) -> Places:
    """At most `at_most` places, evenly spaced, the first among them."""
    step = max(1, -(-candidates // at_most))
    return np.arange(0, candidates, step, dtype=np.int64)


def _check(candidates: int, count: int) -> None:
    if not 0 < count <= candidates:
        raise ValueError(f"{count} of {candidates} candidates")


def _far_apart(features: Features, squares: Features, count: int, rng: np.random.Generator) -> Places:
    """Greedy k-means++: of a few pictures drawn in proportion to their squared distance, the best."""
    chosen = [int(rng.integers(len(features)))]
    distance = _squared_distances(features, squares, features[chosen])[:, 0]
    while len(chosen) < count:
        sums = np.cumsum(distance, dtype=np.float64)
        draws = np.searchsorted(sums, rng.uniform(size=DRAWS) * sums[-1]).clip(max=len(features) - 1)
        left = np.minimum(distance[:, None], _squared_distances(features, squares, features[draws]))
        best = int(left.sum(axis=0).argmin())
        chosen.append(int(draws[best]))
        distance = left[:, best]
    return np.array(chosen, np.int64)


def _squared_distances(features: Features, squares: Features, centres: Features) -> Features:
    """float32 (N, C), never negative; `squares` (N,) are the features' own."""
    distances: Features = features @ (-2 * centres.T)
    distances += squares[:, None]
    distances += np.einsum("ij,ij->i", centres, centres)
    return np.maximum(distances, 0, out=distances)


def _shares(weights: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """In proportion to the weights, none above 1, `count` in all. More weights than `count`, all positive."""
    whole = np.zeros(len(weights), np.bool_)
    while True:
        rest = weights[~whole]
        shares = np.ones(len(weights))
        shares[~whole] = rest * ((count - whole.sum()) / rest.sum())
        if not (shares > 1).any():
            return shares
        whole |= shares >= 1
