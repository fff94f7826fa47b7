"""Training: from a project to a run directory, within a budget of time or of epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from acquisition.errors import RigposeError
from training.evaluation import measure, network_predictor, predict_images
from training.files import write_json
from training.learning.augmentation import Augmentation, rotation_found_in
from training.learning.batches import Mixture
from training.learning.course import Course, learn_to_round
from training.learning.dataset import TrainingSet, mirror_indices
from training.learning.distillation import Taught, teach
from training.learning.initialisation import NONE, carries_batch_norm, initialise, seen_by
from training.learning.input_size import check_input_size
from training.learning.learner import Budget, Recipe, Watched, few_threads
from training.learning.material import Material, gather
from training.learning.team import Team, device_of_process, team_of_environment
from training.networks.table import DEFAULT_NETWORK, build_network
from training.projects.project import SIDECAR_FILE, Project
from training.projects.splits import Split
from training.run import WEIGHTS_FILE, RunSettings

DEFAULT_MINUTES = 10.0
# Of every batch, what a teacher labelled. The rest is of people's labels.
TAUGHT_SHARE = 0.5


def train(
    project: Path, output: Path, *, network: str = DEFAULT_NETWORK, init: str | None = None,
    minutes: float | None = None, epochs: int | None = None, input_size: tuple[int, int] | None = None,
    stride: int = 4, split: Split | Path | None = None, missing: str = "ignore", seed: int = 0,
    device: str = "auto", crop: int | None = None, augmentation: Augmentation | None = None,
    recipe: Recipe | None = None, teacher: Sequence[Path] = (), qat: bool = False,
    early_stopping: bool = False, say: Callable[[str], None] = lambda line: None,
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
        Weights to begin with (`training.learning.initialisation.initialise`); None: random.
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
    teacher:
        A run, or files of predictions, that label the project's unlabelled video frames
        (`training.learning.distillation`); half of every batch is theirs.
    qat:
        Learn with int8's rounding in the last part of the budget (`training.learning.quantization_aware`).
        The run in float from which that began is kept in the folder `float`.
    early_stopping:
        Keep a tenth of the training part aside, and stop when its error no longer falls
        (`training.learning.early_stopping`); the weights with the least error are kept.
    say:
        Is told, before the training, which keypoints a mirrored sample exchanges, or why none is mirrored.

    Returns
    -------
    dict
        What `training.json` holds: seconds, steps, images, held-out error, ... In a process that follows
        another (`training.learning.team`), only `follows` and `rank`: the first one measures and writes.

    Raises
    ------
    RigposeError
        If project, labels, an image, the split or an option cannot be used, or `output` holds a
        finished run. Nothing is written then.
    """
    recipe = recipe or Recipe()
    output = Path(output)
    _check_options(output, minutes, epochs, missing, input_size, crop, seed)
    team = team_of_environment()
    where = device_of_process(_device(device))
    material = gather(project, split, input_size=input_size, crop=crop, aside=early_stopping, seed=seed)
    training, held_out, keypoints = material.training, material.held_out, material.training.keypoints
    if augmentation is None:
        augmentation = Augmentation(rotation_deg=rotation_found_in(training.points))

    torch.manual_seed(seed)
    batch_norm = carries_batch_norm(init, network)
    built = build_network(network, len(keypoints), stride=stride, batch_norm=batch_norm)
    pretrained = initialise(built, init, network)
    opened = material.project
    if team.leads and (line := _said_of_mirroring(opened)):
        say(line)
    settings = RunSettings(
        network=network, stride=stride, head_channels=built.head.channels, batch_norm=batch_norm,
        input_size_px=material.input_wh, keypoints=keypoints, skeleton=opened.skeleton,
        symmetric_pairs=opened.symmetric_pairs, project=str(opened.root),
        dataset_sha256=material.dataset_sha256, split=material.split.name, seed=seed,
        initialisation=init or NONE, teacher=tuple(str(path) for path in teacher),
    )  # fmt: skip
    began = time.monotonic()
    taught = None
    if teacher:
        taught = teach(
            opened, material.labels, material.split, teacher, material.store.sizes_px, material.input_wh
        )
    teaching_s = time.monotonic() - began
    taught_images = 0 if taught is None else len(taught.labels)
    samples = _samples(material, taught, recipe, augmentation, missing, seed, team)
    budget = Budget(
        steps=None if epochs is None else epochs * samples.steps_per_epoch,
        seconds=None if epochs is not None else 60 * (minutes or DEFAULT_MINUTES),
    )
    recorded = {
        "recipe": asdict(recipe), "crop_px": material.crop_px, "augmentation": asdict(augmentation),
        "missing": missing, "taught_images": taught_images, "inner_images": len(material.inner),
    }  # fmt: skip
    course = Course(
        samples, Watched(held_out, material.store, settings), recipe, recorded, material.split, where,
        pretrained, team, Watched(material.inner, material.store, settings) if early_stopping else None,
    )  # fmt: skip
    with few_threads(), team:
        learned = (learn_to_round if qat else Course.learn)(course, built, settings, budget, output)
    if not team.leads:
        return {"follows": 0, "rank": team.rank}
    result = {
        **learned.measured,
        "network": network, "parameters": sum(p.numel() for p in learned.network.parameters()),
        "images": len(training), "inner_images": len(material.inner),
        "held_out_images": len(held_out), "taught_images": taught_images,
        "held_out_seen_by_init": len(seen_by(init, material.split)),
        "videos_passed_over": [] if taught is None else list(taught.passed_over),
        "teaching_s": round(teaching_s, 1),
        "labels_outside_their_image": material.outside, "split": material.split.name,
        "input_size_px": list(material.input_wh), "stride": stride, "crop_px": material.crop_px,
        "rotation_deg": round(augmentation.rotation_deg, 1), "seed": seed, "initialisation": init or NONE,
        "mirrored_pairs": [list(pair) for pair in opened.mirrored_pairs],
        "missing": missing, "teacher": list(settings.teacher), "qat": qat,
        "dataset_sha256": settings.dataset_sha256,
        "torch": torch.__version__, "threads": torch.get_num_threads(), "device": str(where),
        "processes": team.size,
        "run": str(output),
    }  # fmt: skip
    for name, predicts in (("held_out", learned.used), ("held_out_rounded", learned.rounded)):
        if predicts is not None and len(held_out):
            images = [opened.root / image for image in held_out.images]
            found = predict_images(network_predictor(predicts, settings), images, "evaluating")
            result[name] = measure(found, held_out.seen, keypoints)["all"]
    write_json(output / "training.json", result)
    learned.save(output)
    return result


def _samples(
    material: Material, taught: Taught | None, recipe: Recipe, augmentation: Augmentation, missing: str,
    seed: int, team: Team,
) -> Mixture:  # fmt: skip
    """What people labelled, and beside it what a teacher did."""
    common: dict[str, Any] = {
        "input_wh": material.input_wh, "crop_px": material.crop_px, "augmentation": augmentation,
        "mirror": mirror_indices(material.training.keypoints, material.project.mirrored_pairs),
        "seed": seed,
    }  # fmt: skip
    batch_taught = 0 if taught is None else round(TAUGHT_SHARE * recipe.batch)
    labelled = TrainingSet(
        material.training, material.store, batch=recipe.batch - batch_taught,
        missing_is_absent=missing == "absent", **common,
    )  # fmt: skip
    if taught is None:
        return Mixture(labelled, team=team)
    further = TrainingSet(
        taught.labels, taught.frames, batch=batch_taught, missing_is_absent=False, weight=taught.weight,
        **common,
    )  # fmt: skip
    return Mixture(labelled, further, team=team)


def _said_of_mirroring(project: Project) -> str:
    if project.one_sided:
        return (
            f"No sample is mirrored: {', '.join(project.one_sided)} seem to be of one side, and have no "
            f"partner by name. To have samples mirrored, list all symmetric_pairs in {SIDECAR_FILE}"
        )
    pairs = ", ".join(f"{left} with {right}" for left, right in project.symmetric_pairs)
    return f"Samples are mirrored, too: {pairs} change places" if pairs else ""


def _check_options(
    output: Path, minutes: float | None, epochs: int | None, missing: str,
    input_size: tuple[int, int] | None, crop: int | None, seed: int,
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
    if seed < 0:
        raise RigposeError("--seed", expected="0 or more", found=str(seed), remedy="Give a larger one")
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
