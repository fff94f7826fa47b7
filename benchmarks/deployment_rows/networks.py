"""Bundles for timing: networks of random weights, whose speed is that of trained ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deploy.bundles.bundle import Bundle, BundleWriter
from deploy.bundles.manifest import Artifact, Manifest, Parity, Provenance, TensorContract

KEYPOINTS = tuple("abcdefgh")
NOT_MEASURED = Parity(mean_px=0, max_px=0, points=0, mean_all_px=0, max_all_px=0, frames=0)


def random_bundle(network: str, input_wh: tuple[int, int], folder: Path) -> tuple[Path, Path]:
    """A bundle of LiteRT int8 and its run; made once, found again. Its keypoints mean nothing."""
    name = f"{network}-{input_wh[0]}x{input_wh[1]}"
    path, run = folder / f"{name}.bundle", folder / f"{name}-run"
    if not path.exists():
        _make(network, input_wh, path, run)
    return path, run


def _make(network: str, input_wh: tuple[int, int], path: Path, run: Path) -> None:
    import torch

    from training.exporting.conversion import NORMALISATION, to_litert
    from training.exporting.quantization import quantize_litert
    from training.networks.table import build_network, fold_batch_norm
    from training.run import RunSettings, save_run

    width, height = input_wh
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    settings = RunSettings(
        network=network, stride=4, head_channels=32, batch_norm=True, input_size_px=input_wh,
        keypoints=KEYPOINTS,
    )  # fmt: skip
    torch.manual_seed(0)
    made = build_network(network, len(KEYPOINTS), stride=4, head_channels=32)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # statistics of one batch, so that activations keep their size
    with torch.no_grad():
        made.train()(torch.from_numpy(images))
    save_run(run, settings, made)
    folded = fold_batch_norm(made.eval())
    with BundleWriter(path) as writer:
        to_litert(folded, input_wh, writer.folder / "fp32.tflite")
        quantize_litert(writer.folder / "fp32.tflite", list(images), writer.folder / "int8.tflite")
        (writer.folder / "fp32.tflite").unlink()
        artifact = Artifact(
            file="int8.tflite", sha256="", runtime="litert", precision="int8", parity=NOT_MEASURED,
            verdict="random weights: for timing only",
        )  # fmt: skip
        writer.finish(Manifest(
            name=f"{network}-random", keypoints=KEYPOINTS, stride_px=4, artifacts=(artifact,),
            input=TensorContract(width_px=width, height_px=height, normalisation=NORMALISATION),
            provenance=Provenance(network=network, initialisation="random"),
        ))  # fmt: skip


def about(bundle: Bundle, precision: str = "int8") -> dict[str, object]:
    """What stands in every row: which network, of which size, how far from the labels."""
    artifact = bundle.artifact("litert", precision)
    error = None if artifact is None else artifact.held_out
    return {
        "network": bundle.manifest.provenance.network, "bundle": bundle.name,
        "bundle_sha256": bundle.sha256, "input_wh": list(bundle.input_wh),
        "held_out_px": None if error is None else round(error.mean_px, 3),
    }  # fmt: skip
