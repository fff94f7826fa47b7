"""`rigpose evaluate`: how good a trained network is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from rigpose.commands.error_table import print_errors
from rigpose.commands.options import Measured, SplitFile


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
        Another project to measure on; all of it, unless a split is given.
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
        If the run, the project, its labels or an image is missing or damaged, if nothing is held out,
        or if the folder for the report exists.

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
    rows = {
        f"{name}: {row['images']} images, {row['training_images']} more trained on": row
        for name, row in videos.items()
    }
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
