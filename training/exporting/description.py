"""What a bundle says of itself before it is measured: its contract, its provenance, the animal's size."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import spread
from deploy.bundles.bundle import CHECK_IMAGES_AT_MOST, Check
from deploy.bundles.manifest import AnimalSize, Manifest, Provenance, TensorContract
from training.exporting.conversion import NORMALISATION
from training.exporting.labelled_frames import LabelledFrames, network_px_per_px
from training.run import RunSettings

MADE_WITH = (
    "torch",
    "onnx",
    "onnxscript",
    "litert-torch",
    "ai-edge-quantizer",
    "onnxruntime",
    "ai-edge-litert",
)


def describe(settings: RunSettings, training: LabelledFrames, run_sha256: str, output: Path) -> Manifest:
    """A manifest without artifacts; the bundle's name is that of `output`."""
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


def check_of(
    held_out: LabelledFrames, reference: npt.NDArray[np.float32], input_wh: tuple[int, int]
) -> Check:
    """Held-out frames for the bundle to carry, evenly spread.

    `reference` is what the trained network finds on them, (N, K, 3) px of the images and confidence.
    """
    rows = spread(len(held_out.images), CHECK_IMAGES_AT_MOST)
    images = tuple(held_out.images[row] for row in rows)
    return Check(
        images,
        tuple(ImageTransform.fit(image.shape[1::-1], input_wh) for image in images),
        held_out.labels[rows],
        reference[rows],
    )


def _animal_size(frames: LabelledFrames, input_wh: tuple[int, int]) -> AnimalSize | None:
    diagonals = []
    for image, label in zip(frames.images, frames.labels, strict=True):
        seen = label[np.isfinite(label).all(axis=1)]
        if len(seen) >= 2:
            diagonal = float(np.linalg.norm(np.ptp(seen, axis=0)))
            diagonals.append(diagonal * network_px_per_px(image, input_wh))
    if not diagonals:
        return None
    p5, median, p95 = (float(value) for value in np.quantile(diagonals, [0.05, 0.5, 0.95]))
    return AnimalSize(p5_px=p5, median_px=median, p95_px=p95, frames=len(diagonals))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
