"""How far predicted keypoints lie from labelled ones. One measure for every network, artifact and file.

DeepLabCut prints the mean Euclidean error under the name RMSE; here both stand under their own names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from acquisition.frame import Image
from acquisition.progress import track
from calibration.image_transform import ImageTransform
from deploy.decode import decode
from deploy.preprocess import to_network
from training.files import write_bytes
from training.images import read_image
from training.labels import Labels, read_labels
from training.networks.table import PoseNetwork
from training.project import Project
from training.run import RunSettings, load_network
from training.splits import Split

# Images in, keypoints (N, K, 3) out: x, y in px of each image, confidence.
Predict = Callable[[Sequence[Image]], npt.NDArray[np.float32]]

CUTOFF = 0.5
PREDICTED_AT_ONCE = 8


def measure(
    predicted: npt.ArrayLike, points: npt.ArrayLike, keypoints: Sequence[str], cutoff: float = CUTOFF
) -> dict[str, Any]:
    """Errors in px over all labelled keypoints, and of each keypoint.

    Parameters
    ----------
    predicted:
        (N, K, 3) px of the full image and confidence; NaN where nothing was predicted.
    points:
        (N, K, 2) labels, px of the full image; NaN where there is none (such a point counts nowhere).
    cutoff:
        Least confidence of a prediction that counts in `confident`.

    Returns
    -------
    dict
        `all` and `confident` (above the cutoff), each with `points`, `mean_px` (mean Euclidean
        error), `rmse_px` (root of the mean squared Euclidean error), `median_px`, `p95_px`,
        `bias_x_px`, `bias_y_px` (mean signed error, predicted minus labelled); None where no point
        counts. `confident` also says which `share` of the labelled points it holds. `keypoints`: the
        same by name.
    """
    found = np.asarray(predicted, dtype=np.float64)
    difference = found[..., :2] - np.asarray(points, dtype=np.float64)
    there = np.isfinite(difference).all(axis=-1)
    sure = there & (found[..., 2] >= cutoff)

    def summary(of: npt.NDArray[np.bool_]) -> dict[str, Any]:
        miss = difference[of]
        if not len(miss):
            names = ("mean_px", "rmse_px", "median_px", "p95_px", "bias_x_px", "bias_y_px")
            return {"points": 0, **dict.fromkeys(names)}
        distance = np.hypot(miss[:, 0], miss[:, 1])
        return {
            "points": len(miss),
            "mean_px": float(distance.mean()),
            "rmse_px": float(np.sqrt((distance**2).mean())),
            "median_px": float(np.median(distance)),
            "p95_px": float(np.quantile(distance, 0.95)),
            "bias_x_px": float(miss[:, 0].mean()),
            "bias_y_px": float(miss[:, 1].mean()),
        }

    def both(of: npt.NDArray[np.bool_]) -> dict[str, Any]:
        confident = summary(sure & of)
        confident["share"] = confident["points"] / max(1, int((there & of).sum()))
        return {"all": summary(there & of), "confident": confident, "cutoff": cutoff}

    report = both(np.ones_like(there))
    one = np.eye(len(keypoints), dtype=bool)
    report["keypoints"] = {name: both(one[k][None, :]) for k, name in enumerate(keypoints)}
    return report


def network_predictor(network: PoseNetwork, settings: RunSettings) -> Predict:
    """The trained network as a predictor on whole images, with the resampling that live uses."""
    device = next(network.parameters()).device

    def predict(images: Sequence[Image]) -> npt.NDArray[np.float32]:
        transforms = [ImageTransform.fit((i.shape[1], i.shape[0]), settings.input_size_px) for i in images]
        inputs = [to_network(i, t, settings.input_size_px) for i, t in zip(images, transforms, strict=True)]
        with torch.inference_mode():
            heatmap, offset = network(torch.from_numpy(np.stack(inputs)).to(device))
        keypoints = decode(heatmap.cpu().numpy(), offset.cpu().numpy(), settings.stride)
        for found, transform in zip(keypoints, transforms, strict=True):
            found[:, :2] = transform.inverse().apply(found[:, :2])
        return keypoints

    return predict


def predict_images(
    predict: Predict, images: Sequence[Image] | Sequence[Path], label: str = "images"
) -> npt.NDArray[np.float32]:
    """Predictions (N, K, 3) of images, or of image files read one after another."""
    parts = []
    for first in track(range(0, len(images), PREDICTED_AT_ONCE), label):
        some = images[first : first + PREDICTED_AT_ONCE]
        parts.append(predict([read_image(i) if isinstance(i, Path) else i for i in some]))
    return np.concatenate(parts)


def evaluate(
    run_dir: Path, *, project: Path | None = None, split: Path | None = None, part: str = "test",
    cutoff: float = CUTOFF, pictures: Path | None = None, predict: Predict | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Error of a run on labelled images.

    Parameters
    ----------
    run_dir:
        A trained run.
    project:
        Another project to measure on, all of its images unless `split` is given; default: the run's own.
    split:
        A split file; default: the run's own.
    part:
        "test" or "train".
    pictures:
        Folder for pictures of the images with the largest errors; None: none are made.
    predict:
        Another predictor to measure, for instance of an int8 artifact; default: the run's network.

    Returns
    -------
    dict
        As `measure`, with `images`, `split` and `part`.

    Raises
    ------
    RigposeError
        If run, project, labels or an image is missing or damaged, or if the part holds no image.
    """
    network, settings = load_network(run_dir)
    opened = Project.open(project if project is not None else Path(settings.project))
    labels = read_labels(opened).in_order(settings.keypoints, opened.root)
    if split is None and project is not None:
        chosen, name = labels, "all images"
    else:
        file = split if split is not None else Path(run_dir) / "split.json"
        stored = Split.load(file)
        stored.check(labels, file, part)
        chosen, name = labels.select(stored.test if part == "test" else stored.train), stored.name
    paths = [opened.root / image for image in chosen.images]
    predicted = predict_images(predict or network_predictor(network, settings), paths, "evaluating")
    report = measure(predicted, chosen.points, settings.keypoints, cutoff)
    if pictures is not None:
        draw_worst(pictures, opened.root, chosen, predicted, settings.skeleton)
    return {"images": len(chosen), "split": name, "part": part, **report}


def draw_worst(
    folder: Path, root: Path, labels: Labels, predicted: npt.NDArray[np.float32],
    skeleton: Sequence[tuple[str, str]], count: int = 12,
) -> list[Path]:  # fmt: skip
    """Write pictures of the images with the largest errors; returns their paths.

    Labels are crosses, predictions rings, with the error in the file's name.
    """
    distance = np.linalg.norm(predicted[..., :2] - labels.points, axis=-1)
    worst = np.nanmax(np.where(np.isfinite(distance), distance, 0.0), axis=1)
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for rank, row in enumerate(np.argsort(-worst)[:count]):
        image = read_image(root / labels.images[row])
        picture = draw(image, labels.points[row], predicted[row], labels.keypoints, skeleton)
        done, content = cv2.imencode(".png", picture[..., ::-1])
        assert done
        _, of, file = labels.images[row].split("/")
        written.append(Path(folder) / f"{rank:02d}_{worst[row]:.1f}px_{of}_{Path(file).stem}.png")
        write_bytes(written[-1], content.tobytes())
    return written


def draw(
    image: Image, points: npt.ArrayLike, predicted: npt.ArrayLike, keypoints: Sequence[str],
    skeleton: Sequence[tuple[str, str]] = (),
) -> Image:  # fmt: skip
    """The image, twice as large, with labels as crosses and predictions as rings: uint8 (2H, 2W, 3) RGB."""
    colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    picture = cv2.resize(colour, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    twice = ImageTransform.resize(2.0)
    label, found = (twice.apply(np.asarray(p, dtype=np.float64)[..., :2]) for p in (points, predicted))

    def at(point: npt.NDArray[np.float64]) -> tuple[int, int]:
        return round(float(point[0])), round(float(point[1]))

    for a, b in skeleton:
        ends = found[keypoints.index(a)], found[keypoints.index(b)]
        if np.isfinite(ends).all():
            cv2.line(picture, at(ends[0]), at(ends[1]), (170, 170, 170), 1, cv2.LINE_AA)
    for k in range(len(keypoints)):
        hue = np.array([[[round(180 * k / len(keypoints)), 200, 255]]], np.uint8)
        red, green, blue = (int(level) for level in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
        if np.isfinite(found[k]).all():
            cv2.circle(picture, at(found[k]), 5, (red, green, blue), 1, cv2.LINE_AA)
        if np.isfinite(label[k]).all():
            cv2.drawMarker(picture, at(label[k]), (red, green, blue), cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)
