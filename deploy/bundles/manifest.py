"""The manifest of a model bundle: its schema, version by version.

A later version adds fields with defaults, so that older manifests still open; one that changes a
meaning raises `SCHEMA_VERSION`, and rigpose refuses what is newer than itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from acquisition.settings import Settings

SCHEMA_VERSION = 1

Precision = Literal["fp32", "fp16", "int8"]


class TensorContract(Settings):
    """What every artifact is fed through its runtime: uint8 (N, height, width, 3).

    Attributes
    ----------
    width_px, height_px:
        Size of the network's input.
    normalisation:
        real = uint8 * scale + shift; inside the graph.
    """

    width_px: int
    height_px: int
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    dtype: Literal["uint8"] = "uint8"
    normalisation: tuple[float, float]


class AnimalSize(Settings):
    """Diagonal of the box around the labelled keypoints, in network-input px, over the training part."""

    p5_px: float
    median_px: float
    p95_px: float
    frames: int


class Parity(Settings):
    """Deviation from the trained network on real frames, in px of the original image.

    Mean and maximum are over the keypoints the network sees (confidence >= 0.5; over all where it sees
    none); `*_all_px` are over all, and large wherever the argmax of mere noise flips.
    """

    mean_px: float
    max_px: float
    points: int
    mean_all_px: float
    max_all_px: float
    frames: int


class PixelError(Settings):
    """Error against labels, in px of the original image. Bias: found minus labelled, mean by axis."""

    mean_px: float
    median_px: float
    p95_px: float
    bias_x_px: float
    bias_y_px: float
    points: int


class Artifact(Settings):
    """One file that a runtime can run.

    Attributes
    ----------
    runtime, also:
        Names in `deploy.bundles.runtimes.table.RUNTIMES`: the one it is made for, and others that run it.
    held_out:
        Its error on the held-out labels; None where there are none.
    within_tolerance:
        Whether `auto` may choose it; `verdict` says why in words.
    """

    file: str
    sha256: str
    runtime: str
    also: tuple[str, ...] = ()
    precision: Precision
    parity: Parity
    held_out: PixelError | None = None
    within_tolerance: bool = True
    verdict: str = ""


class Provenance(Settings):
    """The chain the network came from."""

    network: str
    project: str = ""
    dataset_sha256: str = ""
    split: str = ""
    seed: int = 0
    initialisation: str = "none"
    run_sha256: str = ""
    code_version: str = ""
    made_with: dict[str, str] = Field(default_factory=dict)


class Manifest(Settings):
    """Everything a runtime and a reader need to know.

    Attributes
    ----------
    keypoints, skeleton, symmetric_pairs:
        Names in the order of every array of keypoints; bones and left-right pairs by name.
    stride_px:
        Network-input px per heatmap cell; decoding is `deploy.bundles.decode`.
    trained:
        Error of the trained network itself on the held-out labels.
    check_files:
        SHA-256 by name of the files in check/.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    keypoints: tuple[str, ...] = Field(min_length=1)
    skeleton: tuple[tuple[str, str], ...] = ()
    symmetric_pairs: tuple[tuple[str, str], ...] = ()
    input: TensorContract
    stride_px: int
    animal_size: AnimalSize | None = None
    provenance: Provenance
    trained: PixelError | None = None
    artifacts: tuple[Artifact, ...]
    check_files: dict[str, str] = Field(default_factory=dict)
