"""A run directory: what was trained, from what, and the weights. No pickle: JSON and safetensors.

`settings.json` (this module), `weights.safetensors`, `split.json` (`training.projects.splits`),
`learning_curve.csv` and `training.json` (`training.learning.trainer`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from acquisition.errors import RigposeError
from acquisition.settings import Settings, parse_settings
from training.files import read_json, write_bytes, write_json
from training.networks.table import PoseNetwork, build_network, fold_batch_norm
from training.projects.project import CONFIG_FILE, Project

SETTINGS_FILE = "settings.json"
WEIGHTS_FILE = "weights.safetensors"
SCHEMA = 1


class RunSettings(Settings):
    """What a trained network is and what it came from.

    Attributes
    ----------
    network, stride, head_channels, batch_norm:
        What `training.networks.table.build_network` needs to build it again.
    input_size_px:
        Network input (width, height); the whole image is fitted into it (`ImageTransform.fit`).
    keypoints, skeleton, symmetric_pairs:
        Names in the order of the network's channels; bones and left-right pairs by name.
    project, dataset_sha256, split:
        Folder of the project, hash of its labels and images, name of the split (`split.json` holds it).
    seed, initialisation:
        Of the random numbers; file the weights began from, or "none".
    teacher:
        What labelled further frames: a run or files of predictions; empty: nothing did.
    folded:
        Whether the stored weights have their batch norms folded into the convolutions.
    """

    schema_version: int = SCHEMA
    network: str
    stride: int
    head_channels: int
    batch_norm: bool
    input_size_px: tuple[int, int]
    keypoints: tuple[str, ...] = Field(min_length=1)
    skeleton: tuple[tuple[str, str], ...] = ()
    symmetric_pairs: tuple[tuple[str, str], ...] = ()
    project: str = ""
    dataset_sha256: str = ""
    split: str = ""
    seed: int = 0
    initialisation: str = "none"
    teacher: tuple[str, ...] = ()
    folded: bool = False


def network_of(settings: RunSettings) -> PoseNetwork:
    """The network of these settings with random weights."""
    network = build_network(
        settings.network,
        len(settings.keypoints),
        stride=settings.stride,
        head_channels=settings.head_channels,
        batch_norm=settings.batch_norm,
    )
    return fold_batch_norm(network) if settings.folded else network


def save_run(run_dir: Path, settings: RunSettings, network: PoseNetwork) -> None:
    """Write settings and weights, each to a temporary name first."""
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_json(Path(run_dir) / SETTINGS_FILE, settings.model_dump(mode="json"))
    write_bytes(Path(run_dir) / WEIGHTS_FILE, save(tensors))  # last: they say that the run is finished


def load_settings(run_dir: Path) -> RunSettings:
    """The settings of a run. Raises `RigposeError` where there is no run or it is damaged."""
    path = Path(run_dir) / SETTINGS_FILE
    if not path.is_file():
        raise RigposeError(
            run_dir,
            expected=f"a run directory with {SETTINGS_FILE}",
            found="none there",
            remedy="Train one: rigpose train PROJECT -o RUN",
        )
    return parse_settings(RunSettings, read_json(path), path)


def project_of(settings: RunSettings, given: Path | None = None) -> Project:
    """The project in the folder `given`, by default the one a run was trained on, where it was then.

    Raises
    ------
    RigposeError
        If it is not there.
    """
    if given is None and not (Path(settings.project) / CONFIG_FILE).is_file():
        raise RigposeError(
            settings.project or "the run", expected="the project that the run was trained on",
            found=f"no {CONFIG_FILE} there", remedy="Say where it lies now: --project FOLDER",
        )  # fmt: skip
    return Project.open(given if given is not None else Path(settings.project))


def load_network(run_dir: Path, *, folded: bool = True) -> tuple[PoseNetwork, RunSettings]:
    """The trained network of a run, in evaluation mode, and its settings.

    Parameters
    ----------
    folded:
        Whether batch norms are folded into their convolutions (the same function, fewer operations).

    Raises
    ------
    RigposeError
        If the run is missing, unfinished or damaged.
    """
    settings = load_settings(run_dir)
    network = network_of(settings)
    network.load_state_dict(_read_weights(Path(run_dir) / WEIGHTS_FILE, network))
    network.eval()
    return (fold_batch_norm(network) if folded else network), settings


def _read_weights(path: Path, network: PoseNetwork) -> dict[str, torch.Tensor]:
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise RigposeError(
            path,
            expected="the weights of a finished run",
            found="no such file",
            remedy="Let the training finish: run the same rigpose train command again",
        ) from None
    except (SafetensorError, OSError) as error:
        raise RigposeError(path, expected="safetensors", found=str(error), remedy="Train again") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise RigposeError(
            path,
            expected="the weights of the network in settings.json",
            found=f"other tensors ({', '.join(odd[:3])}, {len(odd)} in all)",
            remedy="Train again",
        )
    return tensors
