"""`rigpose train`: from labelled frames to a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from acquisition.errors import RigposeError
from rigpose.commands.error_table import print_errors
from rigpose.commands.options import (
    Device,
    Epochs,
    Init,
    Measured,
    Minutes,
    Network,
    Output,
    Seed,
    SplitFile,
    input_size_of,
)

if TYPE_CHECKING:
    from training.projects.splits import Split


def train(
    project: Path, /, *, output: Output, network: Network = "mobilenetv2-0.35", init: Init = "none",
    minutes: Minutes = None, epochs: Epochs = None, input_size: str | None = None, stride: Literal[4, 8] = 4,
    split: SplitFile = None, shuffle: int | None = None, fold: str | None = None,
    hold_out: list[str] | None = None,
    missing: Literal["ignore", "absent"] = "ignore", teacher: list[Path] | None = None, qat: bool = False,
    early_stopping: bool = False, seed: Seed = 0, device: Device = "auto",
) -> Measured:  # fmt: skip
    """Train a network on a project's labels.

    An interrupted training goes on where it was when the same command is given again. With several GPUs:
    torchrun --nproc-per-node N -m rigpose train ...

    Parameters
    ----------
    project:
        The folder with config.yaml.
    input_size:
        Of the network, WIDTHxHEIGHT, multiples of 32. By default chosen from the animals' size.
    stride:
        Network pixels per cell of the output; 4 is finer, 8 is faster.
    split:
        A stored split, for instance another run's split.json.
    shuffle:
        One of DeepLabCut's shuffles, by its number.
    fold:
        K/N: hold out the K-th of N parts, counted from 0. 0/5 by default. The parts do not depend on --seed.
    hold_out:
        Folders of labeled-data (videos) to hold out.
    missing:
        What a keypoint without a label means: nothing is known (ignore), or it is not to be seen (absent).
    teacher:
        A larger network's run, or files of predictions of the project's videos: it labels frames that
        nobody has labelled, none of them near a held-out one, and this network learns from both.
    qat:
        Learn, in the last fifth of the budget, with the rounding that int8 will do. The run in float from
        which that begins is kept in the folder `float` of the run.
    early_stopping:
        Keep a tenth of the training images aside, and stop when their error no longer falls.

    Returns
    -------
    dict
        What training.json in the run holds: `held_out` errors in px, `seconds`, `steps`, `learning_curve`.

    Raises
    ------
    RigposeError
        If project, labels, an image or an option cannot be used; nothing is written then.

    Examples
    --------
    rigpose train openfield-Pranav-2018-10-30 -o run --minutes 10 --init mobilenet_v2_1.0_224_quant.tflite
    rigpose train openfield-Pranav-2018-10-30 -o small --teacher run --qat
    """
    from training.learning.trainer import train as train_run

    chosen = _chosen_split(project, split, shuffle, fold, hold_out)
    measured = train_run(
        project, output, network=network, init=None if init == "none" else init, minutes=minutes,
        epochs=epochs, input_size=input_size_of(input_size), stride=stride, split=chosen, missing=missing,
        seed=seed, device=device, teacher=teacher or (), qat=qat, early_stopping=early_stopping,
        say=print,
    )  # fmt: skip
    if "follows" in measured:
        raise SystemExit(0)  # of several processes the first one reports
    steps, seconds, images = measured["steps"], measured["seconds"], measured["images"]
    print(f"{steps} steps of {network} in {seconds:.0f} s on {images} images")
    if outside := measured["labels_outside_their_image"]:
        print(f"{outside} labels just outside their images were left out: rigpose check-labels shows them")
    if passed_over := measured["videos_passed_over"]:
        print(f"not taught, no videos of the project: {', '.join(passed_over)} (rigpose add-videos)")
    if seen := measured["held_out_seen_by_init"]:
        print(f"{seen} held-out images trained {init}: what is held out looks better than it is")
    if "held_out" in measured:
        rows = {"held out": measured["held_out"]}
        if "held_out_rounded" in measured:
            rows["held out, rounded as int8"] = measured["held_out_rounded"]
        print_errors(measured["split"], rows)
    print(f"Next: rigpose evaluate {output}, or rigpose export {output} -o NAME.bundle")
    return measured


def _chosen_split(
    project: Path,
    split: Path | None,
    shuffle: int | None,
    fold: str | None,
    hold_out: list[str] | None,
) -> Path | Split | None:
    if sum(choice is not None for choice in (split, shuffle, fold, hold_out)) > 1:
        raise RigposeError(
            "--split, --shuffle, --fold and --hold-out", expected="one way to hold images out",
            found="more than one", remedy="Leave the others out",
        )  # fmt: skip
    if split is not None:
        return split
    if shuffle is None and fold is None and hold_out is None:
        return None
    from training.projects.labels import read_labels
    from training.projects.project import Project
    from training.projects.shuffles import find_shuffle
    from training.projects.splits import hold_out_folders, k_fold

    opened = Project.open(project)
    if shuffle is not None:
        return find_shuffle(opened, shuffle)
    labels = read_labels(opened)
    if hold_out is not None:
        return hold_out_folders(labels, hold_out, opened)
    numbers = re.fullmatch(r"(\d+)/(\d+)", fold or "")
    if numbers is None:
        raise RigposeError(
            "--fold", expected="K/N, for instance 0/5", found=str(fold), remedy="Give both numbers"
        )
    return k_fold(opened, labels, fold=int(numbers[1]), folds=int(numbers[2]))
