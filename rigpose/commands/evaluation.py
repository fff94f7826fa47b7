"""`rigpose evaluate`, `compare`: how good a trained network is, and which of several is better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from acquisition.errors import RigposeError
from rigpose.commands.error_table import print_errors
from rigpose.commands.options import (
    Device,
    Epochs,
    Init,
    Measured,
    Minutes,
    Output,
    Seed,
    SplitFile,
    input_size_of,
)


def evaluate(
    run: Path, /, *, project: Path | None = None, split: SplitFile = None,
    part: Literal["both", "test", "train"] = "both", cutoff: float = 0.5, within_px: float = 5.0,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="A new folder for the whole report.")
    ] = None,
    pictures: Path | None = None, comparison: Path | None = None,
) -> Measured:  # fmt: skip
    """Measure a trained network on labelled images, keypoint by keypoint.

    Errors are in pixels of the full image. `mean` is the mean Euclidean error (DeepLabCut prints it as
    RMSE), `RMSE` the root of the mean squared one, `bias` the mean signed error along an axis. Points
    that were placed from other cameras' views are left out and reported apart.

    The report holds every prediction beside its label, the share of points within t px (PCK), what the
    confidence is worth, the learning curve, the worst images, score maps, and DeepLabCut's results CSV.

    Parameters
    ----------
    run:
        The folder that `rigpose train` wrote.
    project:
        Where the run's project lies now, if it was moved; or another project to measure on, all of it unless
        a split is given.
    part:
        Which part of the split: the held-out one, the trained one, or the first beside the second.
    cutoff:
        Least confidence of the points counted as confident.
    within_px:
        How near a point must be to be right, where confidence is judged.
    pictures:
        A folder for pictures of the images with the largest errors, and nothing else.
    comparison:
        A leave-one-video-out comparison to quote; by default one that lies near the run.

    Returns
    -------
    dict
        `all`, `confident` and `keypoints`: mean, RMSE, median, 95th percentile and bias in px; `pck`,
        `reliability`, `parts`, `videos`, `leave_one_video_out`.

    Raises
    ------
    RigposeError
        If the run, the project, its labels or an image is missing or damaged, if nothing is held out, if the
        run was trained on what a split holds out, or if the folder for the report exists.

    Examples
    --------
    rigpose evaluate run -o run-report
    """
    from training.evaluation import evaluate as evaluate_run

    report = evaluate_run(
        run, project=project, split=split, part=part, cutoff=cutoff, within_px=within_px,
        pictures=pictures, output=output, comparison=comparison,
    )  # fmt: skip
    rows = {name: both["all"] for name, both in report["keypoints"].items()}
    rows |= {"all": report["all"], f"confidence >= {cutoff:g}": report["confident"]}
    others = {name: part for name, part in report["parts"].items() if name != report["part"]}
    rows |= {f"{name} part": part["all"] for name, part in others.items()}
    if report["reprojected"]["points"]:
        rows["reprojected, not counted"] = report["reprojected"]
    print_errors(f"{report['images']} images, {report['part']} part of {report['split']}", rows)
    if report["part"] != "train" and report["seen_in_training"]:
        print(
            f"NOT HELD OUT: the run was trained on {report['seen_in_training']} of these {report['images']} "
            "images, or on others of these names. "
            f"--split {run / 'split.json'} leaves out what it was trained on"
        )
    for line in [*_shares(report), *_videos(report)]:
        print(line)
    if report["mirrored"]:
        print(
            f"Left and right seem exchanged in {len(report['mirrored'])} images (by the network, or by a "
            f"slip in the labels): {', '.join(report['mirrored'][:3])}"
        )
    if output is not None:
        print(f"Report: {output}")
    if pictures is not None:
        print(f"Pictures of the largest errors: {pictures}")
    return report


def compare(
    project: Path, /, *, output: Output, networks: str = "mobilenetv2-0.35", folds: int = 5,
    leave_one_video_out: bool = False,
    runs: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None, split: SplitFile = None,
    export: bool = False, init: Init = "none", minutes: Minutes = None, epochs: Epochs = None,
    input_size: str | None = None, stride: Literal[4, 8] = 4, missing: Literal["ignore", "absent"] = "ignore",
    teacher: list[Path] | None = None, qat: bool = False, seed: Seed = 0, device: Device = "auto",
) -> Measured:  # fmt: skip
    """Compare networks: on folds, one video left out at a time, or runs on one split.

    Each network is trained once a fold and measured on what it had not seen there. The same command goes
    on where an earlier one ended: a finished fold is not trained again, a half-trained one goes on from its
    checkpoint, and networks may be added. Every fold is an ordinary run.

    Parameters
    ----------
    project:
        The folder with config.yaml.
    networks:
        Names, separated by commas.
    folds:
        How many parts the labelled images are dealt into, neighbouring instants together.
    leave_one_video_out:
        Hold out one video (one recording, with all its cameras) at a time, in place of folds.
    runs:
        Runs that are trained already: they are measured on one split, and nothing is trained.
    split:
        The split to measure runs on; by default the first run's own.
    export:
        Make a bundle of every fold too, and measure its int8 artifact on the same images.
    init:
        As for train; {fold} stands for the fold's name, as in other/mobilenetv2-1.0/{fold}.
    minutes:
        Of each training.
    input_size:
        Of the networks, WIDTHxHEIGHT, multiples of 32. By default chosen from the animals' size.
    stride:
        Network pixels per cell of the output; 4 is finer, 8 is faster.
    missing:
        What a keypoint without a label means: nothing is known (ignore), or it is not to be seen (absent).
    teacher:
        As for train; {fold} stands for the fold's name, since a teacher may not have seen what is held out.
    qat:
        As for train: learn with the rounding that int8 will do.

    Returns
    -------
    dict
        `rows`, one a network (and its int8): errors in px of all folds' points together, their spread
        between folds, seconds, parameters, input; `folds`: a row a fold, with its bundle's hash.

    Raises
    ------
    RigposeError
        If project, labels, a network or an option cannot be used, or the output holds another comparison.

    Examples
    --------
    rigpose compare openfield-Pranav-2018-10-30 -o compared --networks mobilenetv2-0.35,mobilenetv2-1.0
    """
    from training.comparison.compare import compare as compare_networks
    from training.comparison.compare import compare_runs

    if runs:
        content = compare_runs(project, output, runs, split=split)
    else:
        if split is not None:
            raise RigposeError(
                "--split", expected="it together with --runs only", found="--split without runs",
                remedy="Networks are trained on --folds, or with --leave-one-video-out",
            )  # fmt: skip
        options: dict[str, Any] = {"teacher": teacher} if teacher else {}
        options |= {"qat": True} if qat else {}
        content = compare_networks(
            project, output, networks=[name.strip() for name in networks.split(",") if name.strip()],
            folds=None if leave_one_video_out else folds, export=export, seed=seed,
            init=None if init == "none" else init, minutes=minutes, epochs=epochs,
            input_size=input_size_of(input_size), stride=stride, missing=missing, device=device, say=print,
            **options,
        )  # fmt: skip
    rows = {f"{row['network']} {row['precision']}".removesuffix(" fp32"): row for row in content["rows"]}
    images = content["rows"][0]["images"]
    print_errors(f"{images} held-out images" if runs else f"{images} images, each held out once", rows)
    for name, row in rows.items():
        if row["between_folds_px"] is not None:
            print(
                f"{name}: {row['mean_of_folds_px']:.2f} +- {row['between_folds_px']:.2f} px over "
                f"{row['folds']} {'videos' if leave_one_video_out else 'folds'}"
            )
    print(f"Tables: {content['table']}\nPictures: {', '.join(content['pictures'])}")
    return content


def _shares(report: dict[str, Any]) -> list[str]:
    """PCK and reliability in a line each."""
    lines = []
    share, of_animal = report["pck"]["share"], report["pck"]["of_animal"]
    if share is not None:
        pairs = zip(report["pck"]["within_px"], share, strict=True)
        lines.append("Within " + ", ".join(f"{t:g} px {s:.0%}" for t, s in pairs if t in (2, 5, 10, 20)))
    if of_animal["share"] is not None:
        pairs = zip(of_animal["within"], of_animal["share"], strict=True)
        within = ", ".join(f"{t:.0%} {s:.0%}" for t, s in pairs if t in (0.02, 0.05, 0.1, 0.2))
        lines.append(f"Within a share of the animal's size ({of_animal['animal_px']:.0f} px): {within}")
    worth = report["reliability"]
    if worth["points"]:
        sure = worth["sure"]
        right = f"{worth['share_within']:.0%} of all"
        if sure["points"]:
            right += f", {sure['share_within']:.0%} of the {sure['points']} with {sure['from']:g} or more"
        error = worth["expected_calibration_error"]
        lines.append(
            f"Mean confidence {worth['confidence']:.2f}: {right} lie within {worth['within_px']:g} px; "
            f"expected calibration error {error:.3f}"
        )
    return lines


def _videos(report: dict[str, Any]) -> list[str]:
    """Video by video, and the figure of networks that had seen nothing of the video, or how to get it."""
    videos, quoted = report["videos"], report["leave_one_video_out"]
    if videos is None:
        return []
    rows = {}
    for name, row in videos.items():
        others = f", {row['training_images']} others trained on" if row["training_images"] else ""
        rows[f"{name}, {row['images']} images{others}"] = row
    print_errors("video by video", rows)
    seen = [name for name, row in videos.items() if row["training_images"]]
    lines = []
    if seen:
        lines.append(
            f"The split is not by video: frames of {len(seen)} of these {len(videos)} videos were trained "
            "on, so a new video may be harder."
        )
    if quoted is not None:
        lines.append(
            f"Leave-one-video-out: {quoted['mean_px']:.2f} px over {quoted['videos']} videos "
            f"(+- {quoted['between_videos_px']:.2f} between them), from {quoted['comparison']}"
        )
    else:
        lines.append(
            "Leave-one-video-out: not measured. rigpose compare PROJECT -o DIR --leave-one-video-out trains "
            "once per video"
        )
    return lines
