"""Charts of a file of poses: where each keypoint went, when, how sure, and how far from frame to frame.

Folders and names are DeepLabCut's (`plot-poses/<file>/trajectory`, `plot`, `plot-likelihood`, `hist`).
Points below the cutoff are left out of all but the likelihoods.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.progress import track
from deploy.figures import INK, colours_of, new_figure, picture
from deploy.offline.tracks import Tracks, load_tracks, stem_and_ending
from deploy.poses_io.poses import not_poses
from deploy.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "plot-poses"
WIDTH_IN = 9.0
MANY = 50_000  # points, above which a chart in SVG or PDF holds them as a picture
Floats = npt.NDArray[np.float64]


def plot_files(
    paths: Sequence[Path], *, kind: Literal["png", "svg", "pdf"] = "png", cutoff: float = 0.6,
    keypoints: Sequence[str] = (), output: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Draw the charts of files of poses into `<output>/<file>/`, by default `plot-poses` beside each.

    Charts that are there are replaced.

    Returns
    -------
    dict
        `files`: of each its charts, and per keypoint how many rows are sure, and its steps' median and
        99th percentile.

    Raises
    ------
    RigposeError
        A file that is missing, of another layout or without rows; a keypoint that it does not have; two
        files that would have one folder. Nothing is written then.
    """
    if not paths:
        raise RigposeError("poses", expected="files of poses", found="none", remedy="Name at least one")
    folders: dict[Path, Path] = {}
    loaded = []
    for path in paths:
        folder = (path.parent / FOLDER if output is None else output) / stem_and_ending(path)[0]
        other = folders.setdefault(folder.resolve(), path)
        if other is not path:
            raise RigposeError(
                path, expected="files of different names", found=f"the name of {other}, too",
                remedy=f"Both would be drawn into {folder.name}: give one, or another -o for one",
            )  # fmt: skip
        loaded.append((path, folder, _chosen(path, load_tracks(path), keypoints)))
    files = []
    for path, folder, tracks in track(loaded, "plot"):
        charts = []
        for name, draw in CHARTS.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of axes on which there is nothing to see
                figure = draw(tracks, cutoff)
                if figure is None:
                    continue
                content = picture(figure, kind)
            with whole_file(folder / f"{name}.{kind}") as temporary:
                temporary.write_bytes(content)
            charts.append(str(folder / f"{name}.{kind}"))
        files.append(
            {"poses": str(path), "charts": charts, "rows": len(tracks.index), **_said(tracks, cutoff)}
        )
    return {"cutoff": cutoff, "files": files}


def trajectory(tracks: Tracks, cutoff: float) -> Figure:
    """Where every keypoint was: in the image, or in space and from above."""
    points = _of_sure(tracks, cutoff)
    if tracks.dimensions == 2:
        figure = new_figure(WIDTH_IN, 6.4)
        axis = figure.subplots()
        _paths(axis, tracks, points)
        axis.invert_yaxis()
        axis.set_aspect("equal", "datalim")
        _label(axis, "x px", "y px")
        _legend(figure, tracks)
        return figure
    figure = new_figure(WIDTH_IN, 4.6)
    space: Any = figure.add_subplot(1, 2, 1, projection="3d")
    _paths(space, tracks, points)
    _label(space, "x mm", "y mm")
    space.set_zlabel("z mm")
    spans = [np.ptp(part[np.isfinite(part)]) if np.isfinite(part).any() else 1.0 for part in _axes(points)]
    space.set_box_aspect(np.maximum(spans, max(max(spans) / 20, 1e-3)), zoom=0.85)  # room for the labels
    space.locator_params(nbins=4)
    above = figure.add_subplot(1, 2, 2)
    _paths(above, tracks, points[..., :2])
    above.set_aspect("equal", "datalim")
    _label(above, "x mm", "y mm")
    above.set_title("from above", loc="left", fontsize=9)
    _legend(figure, tracks)
    return figure


def over_time(tracks: Tracks, cutoff: float) -> Figure:
    """Every coordinate over time, a panel each."""
    points = _of_sure(tracks, cutoff)
    figure = new_figure(WIDTH_IN, 0.6 + 1.9 * tracks.dimensions)
    axes = figure.subplots(tracks.dimensions, 1, sharex=True)
    for axis, name, values in zip(axes, "xyz", _axes(points), strict=False):
        _lines(axis, tracks, values)
        axis.set_ylabel(f"{name} {tracks.unit}")
    axes[-1].set_xlabel("frame")
    _legend(figure, tracks)
    return figure


def likelihood(tracks: Tracks, cutoff: float) -> Figure | None:
    """How sure the network was; None where the file does not say."""
    if not np.isfinite(tracks.confidence).any():
        return None
    figure = new_figure(WIDTH_IN, 2.6)
    axis = figure.subplots()
    _lines(axis, tracks, tracks.confidence)
    axis.axhline(cutoff, color=INK, linewidth=0.8, linestyle="--")
    axis.set_ylim(-0.02, 1.02)
    _label(axis, "frame", "likelihood")
    _legend(figure, tracks)
    return figure


def steps(tracks: Tracks, cutoff: float) -> Figure:
    """How often a keypoint moved how far from one frame to the next."""
    moved = _steps(tracks, cutoff)
    figure = new_figure(WIDTH_IN, 3.2)
    axis = figure.subplots()
    there = moved[np.isfinite(moved)]
    top = float(np.quantile(there, 0.999)) if there.size else 1.0
    bins = np.linspace(0, max(top * 1.1, 1e-6), 80).tolist()
    for values, colour in zip(moved.T, colours_of(len(tracks.keypoints)), strict=True):
        # the last bin holds what is further: a few jumps would squeeze everything else together
        axis.hist(np.minimum(values[np.isfinite(values)], bins[-1]), bins, histtype="step", color=colour)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(bottom=0)
    _label(axis, f"{tracks.unit} from one frame to the next (the last bin: and more)", "count")
    _legend(figure, tracks)
    return figure


CHARTS: dict[str, Callable[[Tracks, float], Figure | None]] = {
    "trajectory": trajectory, "plot": over_time, "plot-likelihood": likelihood, "hist": steps,
}  # fmt: skip


def _chosen(path: Path, tracks: Tracks, keypoints: Sequence[str]) -> Tracks:
    if not len(tracks.index):
        raise not_poses(path, "no rows")
    if strange := [name for name in keypoints if name not in tracks.keypoints]:
        raise RigposeError(
            path, expected=f"keypoints of {', '.join(tracks.keypoints)}", found=f"'{strange[0]}'",
            remedy="Give names of the file",
        )  # fmt: skip
    if not keypoints:
        return tracks
    rows = [tracks.keypoints.index(name) for name in keypoints]
    points, confidence = tracks.points[:, rows], tracks.confidence[:, rows]
    return Tracks(tuple(keypoints), tracks.index, points, confidence, None, tracks.source)


def _of_sure(tracks: Tracks, cutoff: float) -> Floats:
    points: Floats = tracks.points.copy()
    points[~tracks.sure(cutoff)] = np.nan
    return points


def _steps(tracks: Tracks, cutoff: float) -> Floats:
    """(T - 1, K): distance to the next frame, NaN where one of the two is missing."""
    moved: Floats = np.linalg.norm(np.diff(_of_sure(tracks, cutoff), axis=0), axis=2)
    moved[np.diff(tracks.index) != 1] = np.nan
    return moved


def _said(tracks: Tracks, cutoff: float) -> dict[str, Any]:
    sure, moved = tracks.sure(cutoff), _steps(tracks, cutoff)
    said = {}
    for number, name in enumerate(tracks.keypoints):
        there = moved[:, number][np.isfinite(moved[:, number])]
        said[name] = {
            "sure": int(sure[:, number].sum()),
            f"step_median_{tracks.unit}": float(np.median(there)) if there.size else None,
            f"step_p99_{tracks.unit}": float(np.quantile(there, 0.99)) if there.size else None,
        }
    return {"keypoints": said}


def _axes(points: Floats) -> Floats:
    """(D, T, K)."""
    turned: Floats = np.moveaxis(points, 2, 0)
    return turned


def _paths(axis: Any, tracks: Tracks, points: Floats) -> None:
    """Thin lines along each keypoint's way, dots where it was."""
    drawn = points.shape[0] * points.shape[1] > MANY
    for keypoint, colour in enumerate(colours_of(len(tracks.keypoints))):
        axis.plot(
            *points[:, keypoint].T, color=colour, linewidth=0.5, marker=".", markersize=1.6, alpha=0.6,
            markeredgewidth=0, rasterized=drawn,
        )  # fmt: skip


def _lines(axis: Any, tracks: Tracks, values: Floats) -> None:
    drawn = values.size > MANY
    # a frame set that no file has breaks the line
    breaks = np.flatnonzero(np.diff(tracks.index) > 1) + 1
    times = np.insert(tracks.index.astype(np.float64), breaks, np.nan)
    for keypoint, colour in enumerate(colours_of(len(tracks.keypoints))):
        axis.plot(
            times, np.insert(values[:, keypoint], breaks, np.nan), color=colour, linewidth=0.7, alpha=0.85,
            rasterized=drawn,
        )  # fmt: skip


def _label(axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)


def _legend(figure: Figure, tracks: Tracks) -> None:
    """The keypoints in their colours, beside the chart: over it they would hide something."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colour, linewidth=2, label=name)
        for name, colour in zip(tracks.keypoints, colours_of(len(tracks.keypoints)), strict=True)
    ]
    columns = 1 + (len(lines) - 1) // 20
    figure.legend(handles=lines, loc="outside right upper", ncols=columns)
