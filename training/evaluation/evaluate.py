"""A run measured on labelled images, and the folder that shows it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from training.evaluation.charts import error_curves, learning_curve_chart, reliability_chart
from training.evaluation.measures import (
    CUTOFF,
    WITHIN_PX,
    animal_sizes,
    distances,
    measure,
    mirrored,
    pck,
    reliability,
)
from training.evaluation.pictures import draw_score_maps, draw_worst
from training.evaluation.predicting import (
    Predict,
    network_predictor,
    network_score_maps,
    predict_images,
)
from training.evaluation.tables import read_learning_curve, write_deeplabcut, write_predictions
from training.evaluation.videos import by_video, leave_one_video_out_of
from training.files import read_json, write_bytes, write_json
from training.networks.table import PoseNetwork
from training.projects.labels import Labels, dataset_hash, read_labels
from training.projects.project import Project
from training.projects.splits import Split, videos
from training.run import RunSettings, load_network, project_of

Floats = npt.NDArray[np.float64]
REPORT_FILE = "evaluation.json"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A part of the labelled images with what was predicted there.

    Attributes
    ----------
    labels:
        Of the part, N images.
    predicted:
        float32 (N, K, 3): x, y px of each image, confidence.
    points:
        float64 (N, K, 2): the labels that count; those of reprojected points are NaN.
    animal_px:
        float64 (N,): the animal's size.
    """

    labels: Labels
    predicted: npt.NDArray[np.float32]
    points: Floats
    animal_px: Floats

    def report(self, cutoff: float, within_px: float) -> dict[str, Any]:
        """All figures of the part."""
        keypoints = self.labels.keypoints
        distance = distances(self.predicted, self.points)
        only_reprojected = np.where(self.labels.reprojected[..., None], self.labels.points, np.nan)
        unlabelled = ~np.isfinite(self.labels.points).all(axis=2)
        return {
            "images": len(self.labels),
            **measure(self.predicted, self.points, keypoints, cutoff),
            "pck": pck(distance, self.animal_px, keypoints),
            "reliability": reliability(self.predicted[..., 2], distance, within_px),
            "reprojected": measure(self.predicted, only_reprojected, keypoints)["all"],
            "unlabelled": {
                "points": int(unlabelled.sum()),
                "confident": int((unlabelled & (self.predicted[..., 2] >= cutoff)).sum()),
            },
        }


def evaluate(
    run_dir: Path, *, project: Path | None = None, split: Path | None = None, part: str = "both",
    cutoff: float = CUTOFF, within_px: float = WITHIN_PX, pictures: Path | None = None,
    output: Path | None = None, comparison: Path | None = None, predict: Predict | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Error of a run on labelled images.

    Parameters
    ----------
    run_dir:
        A trained run.
    project:
        Where the run's own project lies now, with its labels and images as they were; or another one to
        measure on, all of its images unless `split` is given. Default: the run's own, where it was.
    split:
        A split file; default: the run's own. Its test part may hold nothing that the run was trained on.
    part:
        "test", "train", or "both": the test part, and the train part beside it.
    cutoff:
        Least confidence of a prediction that counts in `confident`.
    within_px:
        How near a prediction must be to be right, where confidence is judged.
    pictures:
        Folder for pictures of the images with the largest errors; None: none are made.
    output:
        New folder for the whole report: these figures, every prediction, charts, pictures, score maps,
        DeepLabCut's results; None: none is made.
    comparison:
        Folder of a leave-one-video-out comparison to quote; None: one near the run, if there is one.
    predict:
        Another predictor to measure, for instance of an int8 artifact; default: the run's network.

    Returns
    -------
    dict
        As `measures.measure` of the first part, with `images`, `split`, `part`, `seen_in_training` (how many
        of its images the run was trained on; in another project, by their names), and as `Measured.report`:
        `pck`, `reliability`, `reprojected` (errors of reprojected points, which count nowhere else),
        `unlabelled`. `parts`: the same of every part that was measured. `mirrored`: images in which left
        and right are exchanged, in the label or in the prediction. `videos` and `leave_one_video_out`
        (`training.evaluation.videos`): None where there is one video only.

    Raises
    ------
    RigposeError
        If run, project, labels or an image is missing or damaged, if the part holds no image, if `split`
        holds out what the run was trained on, or if `output` exists. Nothing is written then.
    """
    if output is not None:
        _refuse_existing(Path(output))
    network, settings = load_network(run_dir)
    opened = project_of(settings, project)
    found = read_labels(opened)
    ours = _is_of(opened, found, settings)
    labels = found.in_order(settings.keypoints, opened.root)
    trained_on = _trained_on(Path(run_dir), labels, ours)
    chosen, name = _parts(Path(run_dir), labels, ours, split, part)
    if ours and "test" in chosen:
        _refuse_seen(chosen["test"], trained_on, split or run_dir)
    sizes = dict(zip(labels.images, animal_sizes(labels), strict=True))
    measured = {}
    for part_name, of_part in chosen.items():
        paths = [opened.root / image for image in of_part.images]
        points = predict_images(predict or network_predictor(network, settings), paths, f"{part_name} part")
        size = np.array([sizes[image] for image in of_part.images])
        measured[part_name] = Measured(of_part, points, of_part.seen, size)
    parts = {key: value.report(cutoff, within_px) for key, value in measured.items()}
    first = next(iter(parts))
    report = {
        "split": name, "part": first, "seen_in_training": len(trained_on & set(chosen[first].images)),
        **parts[first], "parts": parts,
        "mirrored": [
            image for value in measured.values()
            for image in mirrored(value.labels, value.predicted, settings.symmetric_pairs)
        ],
        **_by_video(
            Path(run_dir), opened, settings, labels, measured, trained_on,
            comparison, quote=comparison is not None or (ours and split is None),
        ),
    }  # fmt: skip
    if output is not None:
        with _whole_folder(Path(output)) as folder:
            _write_report(folder, Path(run_dir), opened, network, settings, measured, report)
    if pictures is not None:
        value = measured[first]
        draw_worst(pictures, opened.root, value.labels, value.predicted, settings.skeleton)
    return report


def _is_of(project: Project, labels: Labels, settings: RunSettings) -> bool:
    """Whether a run is this project's: it was trained in that folder, or on these labels and images."""
    if project.root == Path(settings.project):
        return True
    try:
        return dataset_hash(project, labels) == settings.dataset_sha256
    except OSError:  # an image is gone, which is told when it is read
        return False


def _trained_on(run_dir: Path, labels: Labels, ours: bool) -> set[str]:
    """Images that the run was trained on; of another project those of the same names: they may be copies."""
    own = run_dir / "split.json"
    names = set(Split.load(own).train) if own.is_file() else set()
    return names if ours else names & set(labels.images)


def _refuse_seen(held_out: Labels, trained_on: set[str], whose: object) -> None:
    if seen := sorted(trained_on & set(held_out.images)):
        raise RigposeError(
            whose, expected="held-out images that the run was not trained on",
            found=f"{len(seen)} of them in its training part, for instance {seen[0]}",
            remedy="Leave --split out, or train again: rigpose train --split FILE",
        )  # fmt: skip


def _parts(
    run_dir: Path, labels: Labels, ours: bool, split: Path | None, part: str
) -> tuple[dict[str, Labels], str]:
    """The parts to measure, the one that is asked for first, and the split's name."""
    if split is None and not ours:
        return {"all": labels}, "all images"
    file = split if split is not None else run_dir / "split.json"
    stored = Split.load(file)
    if part != "train" and not stored.test:
        raise RigposeError(
            file, expected="held-out images to measure on", found=f"none ({stored.name})",
            remedy="Give --part train, or a --split that holds images out",
        )  # fmt: skip
    wanted = {"test": stored.test, "train": stored.train}
    if part != "both":
        wanted = {part: wanted[part]}
    for name in wanted:
        if wanted[name] or part != "both":
            stored.check(labels, file, name)
    return {name: labels.select(images) for name, images in wanted.items() if images}, stored.name


def _by_video(
    run_dir: Path, project: Project, settings: RunSettings, labels: Labels, measured: dict[str, Measured],
    trained_on: set[str], comparison: Path | None, *, quote: bool,
) -> dict[str, Any]:  # fmt: skip
    """`videos` and `leave_one_video_out` of the report, None where all labels are of one video."""
    if comparison is None and len(set(videos(project, labels.images))) < 2:
        return {"videos": None, "leave_one_video_out": None}
    first = next(iter(measured.values()))
    rows = by_video(
        first.predicted,
        first.points,
        first.labels.keypoints,
        videos(project, first.labels.images),
        videos(project, sorted(trained_on)),
    )
    quoted = None
    if quote:
        quoted = leave_one_video_out_of(run_dir, settings.network, settings.dataset_sha256, comparison)
    return {"videos": rows, "leave_one_video_out": quoted}


def _write_report(
    folder: Path, run_dir: Path, project: Project, network: PoseNetwork, settings: RunSettings,
    measured: dict[str, Measured], report: dict[str, Any],
) -> None:  # fmt: skip
    first = next(iter(measured.values()))
    write_json(folder / REPORT_FILE, report)
    every = {part: (value.labels, value.predicted) for part, value in measured.items()}
    images = [image for value in measured.values() for image in value.labels.images]
    write_predictions(
        folder / "predictions.csv", every, dict(zip(images, videos(project, images), strict=True))
    )
    distance = {part: distances(value.predicted, value.points) for part, value in measured.items()}
    sizes = {part: value.animal_px for part, value in measured.items()}
    write_bytes(folder / "pck.png", error_curves(distance, sizes, settings.keypoints))
    write_bytes(folder / "reliability.png", reliability_chart(report["reliability"]))
    curve_file = run_dir / "learning_curve.csv"
    if curve_file.is_file() and (curve := read_learning_curve(curve_file)):
        write_bytes(folder / "learning_curve.png", learning_curve_chart(curve))
    draw_worst(folder / "worst", project.root, first.labels, first.predicted, settings.skeleton)
    see = network_score_maps(network, settings)
    draw_score_maps(folder / "score_maps", project.root, first.labels, first.predicted, see)
    if set(measured) == {"test", "train"}:
        (folder / "deeplabcut").mkdir()
        both = {part: (value.points, value.predicted) for part, value in measured.items()}
        cutoff = report["cutoff"]
        write_deeplabcut(folder / "deeplabcut", project, settings, _epochs(run_dir), both, cutoff)


def _epochs(run_dir: Path) -> int:
    """Passes over the training images, 0 where it is not known."""
    file = run_dir / "training.json"
    trained = read_json(file) if file.is_file() else {}
    return round(int(trained.get("samples", 0)) / max(1, int(trained.get("images", 1))))


def _refuse_existing(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise RigposeError(
            output, expected="a new folder for the report", found="something there",
            remedy="Name another --output, or remove that one",
        )  # fmt: skip


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """A folder to write into that becomes `output` at the end, or leaves nothing behind."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.replace(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
