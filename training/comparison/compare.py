"""Networks trained and measured on the same splits; every finished fold is kept, a broken off one goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from training.comparison.measured import FoldResult, pooled_rows
from training.comparison.plan import Plan, is_finished
from training.comparison.show import comparison_chart, learning_curves_chart, markdown
from training.evaluation.predicting import network_predictor, predict_images
from training.evaluation.videos import COMPARISON_FILE
from training.files import read_json, write_bytes, write_json
from training.learning.course import FLOAT_FOLDER
from training.learning.trainer import train
from training.networks.table import DEFAULT_NETWORK
from training.projects.labels import Labels, dataset_hash, read_labels
from training.projects.project import Project
from training.projects.splits import Split
from training.run import load_network, load_settings

TABLE_FILE = "table.md"
PICTURE_FILE = "comparison.png"
CURVES_FILE = "learning_curves.png"
PRECISIONS = ("fp32", "int8", "fp32 before rounding")
BY_SPLIT = "split"

Say = Callable[[str], None]


def compare(
    project: Path, output: Path, *, networks: Sequence[str] = (DEFAULT_NETWORK,), folds: int | None = 5,
    export: bool = False, seed: int = 0, say: Say = lambda line: None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train networks on every fold and measure each on what it had not seen.

    The same call goes on where an earlier one ended: finished folds are not trained again, a half-trained
    one goes on from its checkpoint. Further networks may be added.

    Parameters
    ----------
    output:
        The comparison's folder: `<network>/<fold>` is an ordinary run directory, `<network>/<fold>.bundle`
        its bundle.
    folds:
        Number of folds, or None: one video is left out at a time.
    export:
        Whether a bundle is made of every run, and its int8 artifact measured as well.
    seed:
        Of the folds and of every training.
    say:
        Is told, in a line each, what is done.
    options:
        What `training.learning.trainer.train` takes besides. In a text "{fold}" stands for the fold's
        name, so that each fold may begin with, or be taught by, the run of the same fold.

    Returns
    -------
    dict
        As `comparison.json` holds it: `rows` (`measured.pooled_rows`), `folds` (a row each), `held_out_by`,
        `project`, `dataset_sha256`, `options`, `table`, `pictures`.

    Raises
    ------
    RigposeError
        If project, labels, a network or an option cannot be used, or `output` holds something else.
        Nothing is written then.
    """
    opened = Project.open(project)
    labels = read_labels(opened)
    plan = Plan.make(opened, labels, folds=folds, options=options, seed=seed)
    plan.check_networks(networks, len(labels.keypoints))
    output = Path(output)
    is_new = plan.enter(output)
    results = []
    for fold, split in plan.splits.items():
        for network in networks:
            run = output / network / fold
            if is_finished(run):
                say(f"{network}, {fold}: was trained before")
            else:
                say(f"{network}, {fold}: training")
                try:
                    run.parent.mkdir(exist_ok=True)
                    train(opened.root, run, network=network, split=split, **plan.options_of(fold))
                except RigposeError:
                    _take_back(output, run, everything=is_new)
                    raise
            is_new = False
            trained = _of_network(run, opened, labels.select(split.test), network, fold)
            error = trained.row(labels.keypoints)["mean_px"]
            say(f"{network}, {fold}: " + ("nothing labelled" if error is None else f"{error:.2f} px"))
            results.append(trained)
            if is_finished(run / FLOAT_FOLDER):
                before = _of_network(run / FLOAT_FOLDER, opened, labels.select(split.test), network, fold)
                results.append(replace(before, precision=PRECISIONS[2]))
            if export:
                bundle = run.parent / f"{fold}.bundle"
                if not bundle.exists():
                    say(f"{network}, {fold}: exporting")
                    _export(run, bundle)
                results += _of_int8(bundle, trained, opened, say)
    order = {network: place for place, network in enumerate(networks)}
    results.sort(key=lambda result: (order[result.network], PRECISIONS.index(result.precision)))
    content = {key: value for key, value in plan.record().items() if key != "splits"}
    return _write(output, content, results, labels.keypoints)


def compare_runs(
    project: Path, output: Path, runs: Sequence[Path], *, split: Path | None = None
) -> dict[str, Any]:
    """Measure trained runs on one split that none of them has seen the held-out part of.

    Parameters
    ----------
    split:
        None: the first run's own.

    Returns
    -------
    dict
        As `compare`.

    Raises
    ------
    RigposeError
        If a run is missing, was trained on an image of the held-out part, or knows other keypoints; if
        the split holds nothing out; or if `output` exists. Nothing is written then.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise RigposeError(
            output, expected="a new folder", found="something there", remedy="Name another --output"
        )
    opened = Project.open(project)
    first = load_settings(runs[0])
    labels = read_labels(opened).in_order(first.keypoints, opened.root)
    file = split if split is not None else Path(runs[0]) / "split.json"
    stored = Split.load(file)
    stored.check(labels, file, "test")
    names = _names(runs)
    for run in runs:
        _refuse_seen(Path(run), opened, stored)
    held_out = labels.select(stored.test)
    results = [
        _of_network(Path(run), opened, held_out, name, stored.name)
        for run, name in zip(runs, names, strict=True)
    ]
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "project": str(opened.root), "dataset_sha256": dataset_hash(opened, labels),
        "held_out_by": BY_SPLIT, "split": stored.name, "options": {},
    }  # fmt: skip
    return _write(output, content, results, labels.keypoints)


def _of_network(run: Path, project: Project, held_out: Labels, name: str, fold: str) -> FoldResult:
    network, settings = load_network(run)
    ordered = held_out.in_order(settings.keypoints, run)
    paths = [project.root / image for image in ordered.images]
    predicted = predict_images(network_predictor(network, settings), paths, f"{name}, {fold}")
    file = run / "training.json"
    trained = read_json(file) if file.is_file() else {}
    spent = [trained.get(key) or 0.0 for key in ("teaching_s", "float_seconds", "seconds")]
    facts = {
        "seconds": round(sum(spent), 2) if trained else None, "parameters": trained.get("parameters"),
        "input_size_px": list(settings.input_size_px), "stride": settings.stride,
    }  # fmt: skip
    return FoldResult(name, "fp32", fold, run, ordered.images, predicted, ordered.seen, facts)


def _of_int8(path: Path, trained: FoldResult, project: Project, say: Say) -> list[FoldResult]:
    """The int8 artifact of a run's bundle on the images that the run was measured on, if there is one."""
    bundle = Bundle.load(path)
    trained.facts.update({"bundle": str(path), "bundle_sha256": bundle.sha256})
    if all(artifact.precision != "int8" for artifact in bundle.manifest.artifacts):
        say(f"{trained.network}, {trained.fold}: its int8 deviates from the network and was refused")
        return []
    predictor = Predictor(bundle, precision="int8")

    def predict(images: Sequence[Image]) -> npt.NDArray[np.float32]:
        return np.concatenate([predictor.predict([image]) for image in images])

    paths = [project.root / image for image in trained.images]
    predicted = predict_images(predict, paths, f"{trained.network} int8, {trained.fold}")
    return [replace(trained, precision="int8", predicted=predicted, facts=dict(trained.facts))]


def _export(run: Path, bundle: Path) -> None:
    from training.exporting.export import export  # the converters take seconds to import

    export(run, bundle)


def _write(
    output: Path, content: dict[str, Any], results: Sequence[FoldResult], keypoints: Sequence[str]
) -> dict[str, Any]:
    rows = pooled_rows(results, keypoints)
    folds = [result.row(keypoints) for result in results]
    write_bytes(output / TABLE_FILE, markdown(rows, folds).encode())
    write_bytes(output / PICTURE_FILE, comparison_chart(rows, folds, results))
    write_bytes(output / CURVES_FILE, learning_curves_chart(results))
    content = {
        **content, "rows": rows, "folds": folds, "table": str(output / TABLE_FILE),
        "pictures": [str(output / PICTURE_FILE), str(output / CURVES_FILE)],
    }  # fmt: skip
    write_json(output / COMPARISON_FILE, content)  # last: it says that the comparison is finished
    return content


def _take_back(output: Path, run: Path, *, everything: bool) -> None:
    """After a refusal: leave no folder behind that nothing was put into."""
    if everything and not run.exists():
        run.parent.rmdir()
        (output / "plan.json").unlink()
        output.rmdir()


def _refuse_seen(run: Path, project: Project, split: Split) -> None:
    file = run / "split.json"
    if not file.is_file():
        return
    seen = sorted(set(Split.load(file).train) & set(split.test))
    if seen:
        raise RigposeError(
            run, expected=f"a run that was not trained on the held-out images of {split.name}",
            found=f"{len(seen)} of them in its training part, for instance {seen[0]}",
            remedy="Compare runs of one split, or train again: rigpose train --split FILE",
        )  # fmt: skip


def _names(runs: Sequence[Path]) -> list[str]:
    """What tells the runs apart in a table: their folders' names, or their paths where those are equal."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]
