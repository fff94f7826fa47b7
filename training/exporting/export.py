"""From a run to a bundle: make every artifact, measure each, ship only what passes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import deviates, judge, parity, pixel_error, spread
from deploy.bundles.bundle import BundleWriter, refuse_existing
from deploy.bundles.decode import decode
from deploy.bundles.manifest import Artifact, Manifest, Parity, PixelError
from deploy.bundles.preprocess import to_network
from training.exporting.artifacts import ARTIFACTS, ArtifactRow, Timed, make_artifacts
from training.exporting.description import check_of, describe
from training.exporting.labelled_frames import LabelledFrames, keypoints_on, network_px_per_px
from training.images import ImageStore
from training.learning.quantization_aware import Ranges, load_ranges
from training.networks.table import PoseNetwork
from training.projects.labels import dataset_hash, read_labels
from training.projects.splits import Split
from training.run import SETTINGS_FILE, WEIGHTS_FILE, RunSettings, load_network, project_of

CALIBRATION_IMAGES_AT_MOST = 64
HELD_OUT_IMAGES_AT_MOST = 100


def export(run_dir: Path, output: Path, *, project: Path | None = None) -> dict[str, Any]:
    """Make the bundle `output` of the run in `run_dir`.

    Parameters
    ----------
    project:
        Where the run's project lies now; None: where it was trained.

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
    opened = project_of(settings, project)
    split = Split.load(run_dir / "split.json")
    labels = read_labels(opened)
    if settings.dataset_sha256 and dataset_hash(opened, labels) != settings.dataset_sha256:
        raise RigposeError(
            opened.root, expected="the labels and images that the run was trained on",
            found="others: they were changed since", remedy="Train again, or restore them",
        )  # fmt: skip
    labels = labels.in_order(settings.keypoints, opened.root)
    split.check(labels, run_dir / "split.json", "train")
    parts = []
    for names, at_most in ((split.train, CALIBRATION_IMAGES_AT_MOST), (split.test, HELD_OUT_IMAGES_AT_MOST)):
        chosen = labels.select(names[row] for row in spread(len(names), at_most))
        store = ImageStore(opened.root, chosen.images)
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
    timed = Timed()
    input_wh = settings.input_size_px
    frames = held_out if len(held_out.images) else training

    def trained(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            heatmap, offset = network(torch.from_numpy(images))
        return decode(heatmap.numpy(), offset.numpy(), settings.stride)

    with BundleWriter(output) as writer, Progress("export", total=5) as bar:
        with timed.part("reference"):
            reference = keypoints_on(trained, frames, input_wh)
        manifest = describe(settings, training, run_sha256, Path(output))
        if len(held_out.images):
            manifest = manifest.model_copy(update={"trained": pixel_error(reference, held_out.labels)})
        inputs = [
            to_network(image, ImageTransform.fit(image.shape[1::-1], input_wh), input_wh)
            for image in training.images
        ]
        make_artifacts(network, settings.stride, input_wh, inputs, ranges, writer.folder, timed, bar)
        bar.advance(note="measuring")
        artifacts, refused = [], []
        for row in ARTIFACTS:
            with timed.part(f"measure {row.file}"):
                build = row.measured_by(writer.folder / row.file, manifest, batch=1, threads=1)
                found = keypoints_on(build.infer, frames, input_wh)
                measured = parity(found, reference)
                scale = float(np.median([network_px_per_px(image, input_wh) for image in frames.images]))
                if why := deviates(measured, row.precision, scale):
                    refused.append(f"{row.file}: {why}")
                    continue
                error = pixel_error(found, held_out.labels) if len(held_out.images) else None
                artifacts.append(_artifact(row, measured, error, manifest))
        if not artifacts:
            raise RigposeError(
                output,
                expected="an artifact that does what the trained network does",
                found="; ".join(refused),
                remedy="Train longer: the network finds too little to compare",
            )
        if len(held_out.images):
            writer.write_check(check_of(held_out, reference, input_wh))
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
        "seconds": {part: round(value, 2) for part, value in timed.seconds.items()},
    }


def _artifact(row: ArtifactRow, measured: Parity, error: PixelError | None, manifest: Manifest) -> Artifact:
    within, verdict = judge(row.precision, error, manifest.trained)
    return Artifact(
        file=row.file,
        sha256="",
        runtime=row.runtime,
        also=row.also,
        precision=row.precision,
        parity=measured,
        held_out=error,
        within_tolerance=within,
        verdict=verdict,
    )


def _dumped(error: PixelError | None) -> dict[str, Any] | None:
    return None if error is None else error.model_dump(mode="json")
