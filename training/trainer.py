"""Training: from a project to a run directory, within a budget of time or of epochs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acquisition.errors import RigposeError
from training.augmentation import Augmentation, rotation_found_in
from training.checkpoint import CHECKPOINT_FILE, read_checkpoint
from training.dataset import TrainingSet, mirror_indices
from training.evaluation import measure, network_predictor, predict_images
from training.files import write_json
from training.images import ImageStore
from training.initialisation import NONE, carries_batch_norm, initialise
from training.input_size import check_input_size, choose_crop, choose_input_size
from training.labels import Labels, dataset_hash, read_labels
from training.learner import Budget, Learner, Recipe, Watched, few_threads
from training.networks.table import DEFAULT_NETWORK, build_network
from training.project import Project
from training.run import WEIGHTS_FILE, RunSettings, save_run
from training.splits import Split, k_fold

DEFAULT_MINUTES = 10.0
DEFAULT_FOLDS = 5


def train(
    project: Path, output: Path, *, network: str = DEFAULT_NETWORK, init: str | None = None,
    minutes: float | None = None, epochs: int | None = None, input_size: tuple[int, int] | None = None,
    stride: int = 4, split: Split | Path | None = None, missing: str = "ignore", seed: int = 0,
    device: str = "auto", crop: int | None = None, augmentation: Augmentation | None = None,
    recipe: Recipe | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train a network on a project's labels and write a run directory.

    The same call on an interrupted run goes on where its last checkpoint was.

    Parameters
    ----------
    project:
        Folder of the project.
    output:
        The run directory to make.
    network:
        As `training.networks.table.build_network` takes it.
    init:
        Weights to begin with (`training.initialisation.initialise`); None: random.
    minutes, epochs:
        The budget: minutes of training (10 by default), or passes over the training images. With
        epochs the result depends on the seed alone (on one machine, with equal numbers of threads).
    input_size:
        Network input (width, height), multiples of 32; None: from the size of the labelled animals.
    stride:
        Output stride, 4 or 8.
    split:
        A split or its file; None: a fifth is held out in blocks of neighbouring instants.
    missing:
        What a keypoint without a label means: "ignore" (nothing is known) or "absent" (not to be seen).
    seed:
        Of the weights and of the augmentation.
    device:
        "cpu", "cuda", "cuda:1", or "auto".
    crop:
        Side of the square training crops, network px, a multiple of 32; None: by the animals' size.
    augmentation, recipe:
        None: the defaults, with rotation as far as the labelled animals are turned.

    Returns
    -------
    dict
        What `training.json` holds: seconds, steps, images, held-out error, ...

    Raises
    ------
    RigposeError
        If project, labels, an image, the split or an option cannot be used, or `output` holds a
        finished run. Nothing is written then.
    """
    recipe = recipe or Recipe()
    output = Path(output)
    _check_options(output, minutes, epochs, missing, input_size, crop)
    opened = Project.open(project)
    labels = read_labels(opened)
    divided = _split(opened, labels, split)
    store = ImageStore(opened.root, labels.images)
    _check_points(labels, store)
    training, held_out = labels.select(divided.train), labels.select(divided.test)
    sizes = [store.sizes_px[name] for name in training.images]
    input_wh = input_size or choose_input_size(list(training.points), sizes)
    crop_px = crop or choose_crop(list(training.points), sizes, input_wh)
    if augmentation is None:
        augmentation = Augmentation(rotation_deg=rotation_found_in(training.points))

    torch.manual_seed(seed)
    batch_norm = carries_batch_norm(init)
    built = build_network(network, len(labels.keypoints), stride=stride, batch_norm=batch_norm)
    initialise(built, init)
    settings = RunSettings(
        network=network, stride=stride, head_channels=built.head.channels, batch_norm=batch_norm,
        input_size_px=input_wh, keypoints=labels.keypoints, skeleton=opened.skeleton,
        symmetric_pairs=opened.symmetric_pairs, project=str(opened.root),
        dataset_sha256=dataset_hash(opened, labels), split=divided.name, seed=seed,
        initialisation=init or NONE,
    )  # fmt: skip
    samples = TrainingSet(
        training, store, input_wh=input_wh, crop_px=crop_px, batch=recipe.batch, augmentation=augmentation,
        mirror=mirror_indices(labels.keypoints, opened.symmetric_pairs),
        missing_is_absent=missing == "absent", seed=seed,
    )  # fmt: skip
    budget = Budget(
        steps=None if epochs is None else epochs * samples.steps_per_epoch,
        seconds=None if epochs is not None else 60 * (minutes or DEFAULT_MINUTES),
    )
    recorded = {
        "settings": settings.model_dump(mode="json"), "recipe": asdict(recipe), "crop_px": crop_px,
        "augmentation": asdict(augmentation), "missing": missing, "budget": asdict(budget),
    }  # fmt: skip
    where = _device(device)
    resumed = read_checkpoint(output, recorded)
    output.mkdir(parents=True, exist_ok=True)
    divided.save(output / "split.json")
    learner = Learner(built, recipe, budget, where, pretrained=settings.initialisation != NONE)
    watched = Watched(held_out, store, settings)
    with few_threads():
        learned = learner.run(samples, watched, output, recorded, resumed)
    result = {
        **learned,
        "network": network, "parameters": sum(p.numel() for p in built.parameters()),
        "images": len(training), "held_out_images": len(held_out), "split": divided.name,
        "input_size_px": list(input_wh), "stride": stride, "crop_px": crop_px,
        "rotation_deg": round(augmentation.rotation_deg, 1), "seed": seed, "initialisation": init or NONE,
        "missing": missing, "dataset_sha256": settings.dataset_sha256,
        "torch": torch.__version__, "threads": torch.get_num_threads(), "device": str(learner.device),
        "run": str(output),
    }  # fmt: skip
    if len(held_out):
        predict = network_predictor(learner.averaged_network(), settings)
        images = [opened.root / name for name in held_out.images]
        error = measure(predict_images(predict, images, "evaluating"), held_out.points, labels.keypoints)
        result["held_out"] = error["all"]
    write_json(output / "training.json", result)
    save_run(output, settings, learner.average)
    (output / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result


def _split(project: Project, labels: Labels, split: Split | Path | None) -> Split:
    if split is None:
        return k_fold(project, labels, folds=DEFAULT_FOLDS, fold=0)
    divided = split if isinstance(split, Split) else Split.load(split)
    divided.check(labels, "the split" if isinstance(split, Split) else split, "train")
    return divided


def _check_options(
    output: Path, minutes: float | None, epochs: int | None, missing: str,
    input_size: tuple[int, int] | None, crop: int | None,
) -> None:  # fmt: skip
    if (output / WEIGHTS_FILE).exists():
        raise RigposeError(
            output, expected="a new run directory", found="a finished run",
            remedy="Name another output, or remove that one",
        )  # fmt: skip
    if output.exists() and not output.is_dir():
        raise RigposeError(output, expected="a directory", found="a file", remedy="Name another output")
    if minutes is not None and epochs is not None:
        raise RigposeError(
            "--minutes and --epochs", expected="one budget", found="two", remedy="Leave one of them out"
        )
    for name, value in (("--minutes", minutes), ("--epochs", epochs)):
        if value is not None and not value > 0:
            raise RigposeError(name, expected="more than 0", found=str(value), remedy="Give a larger budget")
    if missing not in ("ignore", "absent"):
        raise RigposeError(
            "--missing", expected="ignore or absent", found=missing, remedy="Choose one of them"
        )
    if input_size is not None:
        check_input_size(input_size)
    if crop is not None:
        check_input_size((crop, crop))


def _check_points(labels: Labels, store: ImageStore) -> None:
    """A label outside its image is a slip of the hand, or belongs to another image's size."""
    for name, points in zip(labels.images, labels.points, strict=True):
        width, height = store.sizes_px[name]
        outside = (points < -0.5).any(axis=1) | (points[:, 0] > width - 0.5) | (points[:, 1] > height - 0.5)
        if outside.any():
            k = int(np.flatnonzero(outside)[0])
            raise RigposeError(
                name, expected=f"labels within its {width}x{height} px",
                found=f"{labels.keypoints[k]} at ({points[k, 0]:.1f}, {points[k, 1]:.1f})",
                remedy="Mend the label, or put back the image it was made on",
            )  # fmt: skip


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RigposeError(
            f"--device {name}", expected="a device of this machine", found=str(error).splitlines()[0],
            remedy="Give --device cpu",
        ) from None  # fmt: skip
    return device
