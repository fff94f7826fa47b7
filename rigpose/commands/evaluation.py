"""`rigpose evaluate`: how good a trained network is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rigpose.commands.error_table import print_errors
from rigpose.commands.options import Measured, SplitFile


def evaluate(
    run: Path, /, *, project: Path | None = None, split: SplitFile = None,
    part: Literal["test", "train"] = "test", cutoff: float = 0.5, pictures: Path | None = None,
) -> Measured:  # fmt: skip
    """Measure a trained network on labelled images, keypoint by keypoint.

    Errors are in pixels of the full image. `mean` is the mean Euclidean error (DeepLabCut prints it as
    RMSE), `RMSE` the root of the mean squared one.

    Parameters
    ----------
    run:
        The folder that `rigpose train` wrote.
    project:
        Another project to measure on; all of it, unless a split is given.
    part:
        Which part of the split.
    cutoff:
        Least confidence of the points counted as confident.
    pictures:
        A folder for pictures of the images with the largest errors.

    Returns
    -------
    dict
        `all`, `confident` and `keypoints`: mean, RMSE, median, 95th percentile and bias in px.

    Raises
    ------
    RigposeError
        If the run, the project, its labels or an image is missing or damaged.

    Examples
    --------
    rigpose evaluate run --pictures worst
    """
    from training.evaluation import evaluate as evaluate_run

    report = evaluate_run(run, project=project, split=split, part=part, cutoff=cutoff, pictures=pictures)
    rows = {name: both["all"] for name, both in report["keypoints"].items()}
    rows |= {"all": report["all"], f"confidence >= {cutoff:g}": report["confident"]}
    print_errors(f"{report['images']} images, {report['part']} part of {report['split']}", rows)
    if pictures is not None:
        print(f"Pictures of the largest errors: {pictures}")
    return report
