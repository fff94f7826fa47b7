"""From a run to a bundle: convert, quantize, measure every artifact, ship only what passes.

Two gates. **Parity**: each artifact is run on real frames against the trained network; one that
deviates by more than its precision explains is a conversion gone wrong, and is not shipped. **int8
guard**: int8 is shipped but marked beyond tolerance, and not chosen by itself, where its error on the
held-out labels exceeds that of the trained network by more than 5 % and by more than 0.15 px.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from calibration.image_transform import ImageTransform
from deploy.accuracy import pixel_error, predict_each
from deploy.bundle import CHECK_IMAGES_AT_MOST, BundleWriter, Check, refuse_existing
from deploy.decode import decode
from deploy.manifest import (
    AnimalSize,
    Artifact,
    Manifest,
    Parity,
    PixelError,
    Precision,
    Provenance,
    TensorContract,
)
from deploy.preprocess import to_network
from deploy.runtimes.litert import LiteRTRuntime
from deploy.runtimes.onnx import OnnxRuntime
from deploy.runtimes.table import RuntimeClass
from training.exporting.conversion import NORMALISATION, to_litert, to_onnx
from training.exporting.quantization import quantize_litert
from training.images import ImageStore
from training.learning.quantization_aware import Ranges, load_ranges
from training.networks.table import PoseNetwork
from training.projects.labels import dataset_hash, read_labels
from training.projects.project import Project
from training.projects.splits import Split
from training.run import SETTINGS_FILE, WEIGHTS_FILE, RunSettings, load_network

CALIBRATION_IMAGES_AT_MOST = 64
PARITY_IMAGES_AT_MOST = 32
HELD_OUT_IMAGES_AT_MOST = 100

# Mean deviation from the trained network that a precision explains, in network-input px.
PARITY_BOUND_PX = {"fp32": 0.05, "int8": 1.0}
TOLERANCE_SHARE = 0.05
TOLERANCE_PX = 0.15
CONFIDENT = 0.5

# File, runtime, precision, and what runs it: in the order they are measured.
ARTIFACTS: tuple[tuple[str, str, Precision, RuntimeClass], ...] = (
    ("fp32.onnx", "onnx", "fp32", OnnxRuntime),
    ("fp32.tflite", "litert", "fp32", LiteRTRuntime),
    ("int8.tflite", "litert", "int8", LiteRTRuntime),
)

MADE_WITH = (
    "torch",
    "onnx",
    "onnxscript",
    "litert-torch",
    "ai-edge-quantizer",
    "onnxruntime",
    "ai-edge-litert",
)


@dataclass(frozen=True, slots=True)
class LabelledFrames:
    """Images, uint8 (H, W) or (H, W, 3) RGB, and labels, float64 (N, K, 2) px, NaN where there is none."""

    images: Sequence[Image]
    labels: npt.NDArray[np.float64]


def export(run_dir: Path, output: Path) -> dict[str, Any]:
    """Make the bundle `output` of the run in `run_dir`.

    Returns
    -------
    dict
        As `export_network` returns it.

    Raises
    ------
    RigposeError
        If the run, its project or its images are not there, if `output` exists, or if no artifact
        passes the parity gate. Nothing is left behind then.
    """
    run_dir = Path(run_dir)
    refuse_existing(Path(output))
    network, settings = load_network(run_dir)
    project = Project.open(Path(settings.project))
    split = Split.load(run_dir / "split.json")
    labels = read_labels(project)
    if settings.dataset_sha256 and dataset_hash(project, labels) != settings.dataset_sha256:
        raise RigposeError(
            project.root, expected="the labels and images that the run was trained on",
            found="others: they were changed since", remedy="Train again, or restore them",
        )  # fmt: skip
    labels = labels.in_order(settings.keypoints, project.root)
    split.check(labels, run_dir / "split.json", "train")
    parts = []
    for names, at_most in ((split.train, CALIBRATION_IMAGES_AT_MOST), (split.test, HELD_OUT_IMAGES_AT_MOST)):
        chosen = labels.select(names[row] for row in _spread(len(names), at_most))
        store = ImageStore(project.root, chosen.images)
        parts.append(LabelledFrames([store[name] for name in chosen.images], chosen.seen))
    digest = hashlib.sha256((run_dir / SETTINGS_FILE).read_bytes())
    digest.update((run_dir / WEIGHTS_FILE).read_bytes())
    ranges = load_ranges(run_dir, network)
    return export_network(
        network, settings, parts[0], parts[1], output, run_sha256=digest.hexdigest(), ranges=ranges
    )


def export_network(
    network: PoseNetwork,
    settings: RunSettings,
    training: LabelledFrames,
    held_out: LabelledFrames,
    output: Path,
    *,
    run_sha256: str = "",
    ranges: Ranges | None = None,
) -> dict[str, Any]:
    """Make a bundle of a network in memory.

    Parameters
    ----------
    network:
        In evaluation mode, batch norms folded; its attributes `trunk` and `head` are what the LiteRT
        form is made of.
    training:
        Frames of the training part: they calibrate int8.
    held_out:
        Frames that were not trained on: they measure. May be empty; int8 then proves nothing, and
        is not chosen by itself.
    ranges:
        Learned ranges of the int8 graph's tensors; None: they are calibrated on `training`.

    Returns
    -------
    dict
        `bundle`, `bundle_sha256`, `trained` (error of the network itself), `artifacts` (file, runtime,
        precision, bytes, parity, error, verdict), `refused`, `seconds` by part.

    Raises
    ------
    RigposeError
        If `output` exists, a converter fails, or no artifact passes the parity gate.
    """
    seconds: dict[str, float] = {}
    input_wh = settings.input_size_px
    frames = held_out if len(held_out.images) else training
    measured = _spread(len(frames.images), PARITY_IMAGES_AT_MOST)

    def trained(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            heatmap, offset = network(torch.from_numpy(images))
        return decode(heatmap.numpy(), offset.numpy(), settings.stride)

    with BundleWriter(output) as writer, Progress("export", total=5) as bar:
        with _timed(seconds, "reference"):
            reference = _keypoints(trained, frames, input_wh)
        manifest = _manifest(settings, training, run_sha256, Path(output))
        if len(held_out.images):
            manifest = manifest.model_copy(update={"trained": pixel_error(reference, held_out.labels)})
        bar.advance(note="ONNX")
        with _timed(seconds, "onnx"):
            to_onnx(network, settings.stride, input_wh, writer.folder / "fp32.onnx")
        bar.advance(note="LiteRT")
        with _timed(seconds, "litert"):
            to_litert(network, input_wh, writer.folder / "fp32.tflite")
        bar.advance(note="int8")
        with _timed(seconds, "int8"):
            inputs = [
                to_network(image, ImageTransform.fit(image.shape[1::-1], input_wh), input_wh)
                for image in training.images
            ]
            quantize_litert(
                writer.folder / "fp32.tflite", inputs, writer.folder / "int8.tflite", network, ranges
            )
        bar.advance(note="measuring")
        artifacts, refused = [], []
        for file, runtime, precision, build in ARTIFACTS:
            with _timed(seconds, f"measure {file}"):
                path = writer.folder / file
                found = _keypoints(build(path, manifest, batch=1, threads=1).infer, frames, input_wh)
                parity = _parity(found[measured], reference[measured])
                bound = PARITY_BOUND_PX[precision] / _scale(frames.images[0], input_wh)
                if not parity.mean_px <= bound:
                    refused.append(
                        f"{file}: {parity.mean_px:.3f} px from the trained network, at most {bound:.3f}"
                    )
                    continue
                error = pixel_error(found, held_out.labels) if len(held_out.images) else None
                within, verdict = judge(precision, error, manifest.trained)
                artifacts.append(
                    Artifact(
                        file=file,
                        sha256="",
                        runtime=runtime,
                        precision=precision,
                        parity=parity,
                        held_out=error,
                        within_tolerance=within,
                        verdict=verdict,
                    )
                )
        if not artifacts:
            raise RigposeError(
                output,
                expected="an artifact that does what the trained network does",
                found="; ".join(refused),
                remedy="Train longer: the network finds too little to compare",
            )
        if len(held_out.images):
            writer.write_check(_check(held_out, reference, input_wh))
        bundle = writer.finish(manifest.model_copy(update={"artifacts": tuple(artifacts)}))
        bar.advance(note="")
    return {
        "bundle": str(bundle.path),
        "bundle_sha256": bundle.sha256,
        "trained": _dumped(manifest.trained),
        "artifacts": [
            {**artifact.model_dump(mode="json"), "bytes": (bundle.path / artifact.file).stat().st_size}
            for artifact in bundle.manifest.artifacts
        ],
        "refused": refused,
        "seconds": {part: round(value, 2) for part, value in seconds.items()},
    }


def judge(precision: Precision, error: PixelError | None, trained: PixelError | None) -> tuple[bool, str]:
    """Whether `auto` may choose an artifact of this error, and why in words."""
    if precision != "int8":
        return True, "follows the trained network"
    if error is None or trained is None:
        return False, "could not be measured: there are no held-out labels"
    allowed = trained.mean_px + max(TOLERANCE_SHARE * trained.mean_px, TOLERANCE_PX)
    within = error.mean_px <= allowed
    words = f"has {error.mean_px:.3f} px on the held-out labels, {allowed:.3f} px allowed"
    return within, words


def _parity(found: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Parity:
    """Deviation where the network sees the keypoint; elsewhere the argmax of noise may flip freely."""
    distance = np.linalg.norm((found - reference)[..., :2].astype(np.float64), axis=-1)
    confident = distance[reference[..., 2] >= CONFIDENT]
    judged = confident if confident.size else distance
    return Parity(
        mean_px=float(judged.mean()),
        max_px=float(judged.max()),
        frames=len(found),
        points=int(judged.size),
        mean_all_px=float(distance.mean()),
        max_all_px=float(distance.max()),
    )


def _keypoints(
    infer: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    frames: LabelledFrames,
    input_wh: tuple[int, int],
) -> npt.NDArray[np.float32]:
    def predict(image: Image, to_input: ImageTransform) -> npt.NDArray[np.float32]:
        keypoints: npt.NDArray[np.float32] = infer(to_network(image, to_input, input_wh)[None])[0]
        keypoints[:, :2] = to_input.inverse().apply(keypoints[:, :2])
        return keypoints

    return predict_each(predict, frames.images, frames.labels, input_wh)


def _manifest(settings: RunSettings, training: LabelledFrames, run_sha256: str, output: Path) -> Manifest:
    return Manifest(
        name=output.name.removesuffix(".bundle"),
        keypoints=settings.keypoints,
        skeleton=settings.skeleton,
        symmetric_pairs=settings.symmetric_pairs,
        stride_px=settings.stride,
        input=TensorContract(
            width_px=settings.input_size_px[0],
            height_px=settings.input_size_px[1],
            normalisation=NORMALISATION,
        ),
        animal_size=_animal_size(training, settings.input_size_px),
        provenance=Provenance(
            network=settings.network,
            project=settings.project,
            dataset_sha256=settings.dataset_sha256,
            split=settings.split,
            seed=settings.seed,
            initialisation=settings.initialisation,
            run_sha256=run_sha256,
            code_version=_version("rigpose"),
            made_with={name: _version(name) for name in MADE_WITH},
        ),
        artifacts=(),
    )


def _animal_size(frames: LabelledFrames, input_wh: tuple[int, int]) -> AnimalSize | None:
    diagonals = []
    for image, label in zip(frames.images, frames.labels, strict=True):
        seen = label[np.isfinite(label).all(axis=1)]
        if len(seen) >= 2:
            diagonals.append(float(np.linalg.norm(np.ptp(seen, axis=0))) * _scale(image, input_wh))
    if not diagonals:
        return None
    p5, median, p95 = (float(value) for value in np.quantile(diagonals, [0.05, 0.5, 0.95]))
    return AnimalSize(p5_px=p5, median_px=median, p95_px=p95, frames=len(diagonals))


def _check(held_out: LabelledFrames, reference: npt.NDArray[np.float32], input_wh: tuple[int, int]) -> Check:
    rows = _spread(len(held_out.images), CHECK_IMAGES_AT_MOST)
    images = tuple(held_out.images[row] for row in rows)
    return Check(
        images,
        tuple(ImageTransform.fit(image.shape[1::-1], input_wh) for image in images),
        held_out.labels[rows],
        reference[rows],
    )


def _scale(image: Image, input_wh: tuple[int, int]) -> float:
    """Network-input px per px of the image, whole frame."""
    return ImageTransform.fit((image.shape[1], image.shape[0]), input_wh).scale


def _spread(count: int, at_most: int) -> list[int]:
    """At most so many row numbers, evenly spread."""
    return [int(row) for row in np.linspace(0, count - 1, min(count, at_most)).round()]


@contextlib.contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[part] = time.monotonic() - start


def _dumped(error: PixelError | None) -> dict[str, Any] | None:
    return None if error is None else error.model_dump(mode="json")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
