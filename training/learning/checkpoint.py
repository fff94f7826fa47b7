"""A checkpoint: one safetensors file that holds all of a training's state, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from acquisition.errors import RigposeError
from training.files import write_bytes
from training.networks.table import PoseNetwork

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a training has come.

    Attributes
    ----------
    step, seconds, waited_s:
        Steps done, time spent, and time of it spent waiting for samples.
    curve:
        Rows of the learning curve.
    tensors:
        Weights, averages and the optimiser's moments, by name.
    """

    step: int
    seconds: float
    waited_s: float
    curve: tuple[dict[str, Any], ...]
    tensors: dict[str, Tensor] | None = None

    @classmethod
    def fresh(cls) -> Checkpoint:
        """Nothing done yet."""
        return cls(0, 0.0, 0.0, ())

    def restore(
        self, network: PoseNetwork, average: PoseNetwork, optimiser: torch.optim.Optimizer
    ) -> Checkpoint:
        """Put the state back; returns itself."""
        assert self.tensors is not None
        for prefix, module in (("network.", network), ("average.", average)):
            state = module.state_dict()
            with torch.no_grad():
                for name, tensor in state.items():
                    tensor.copy_(self.tensors[prefix + name])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            if name.startswith("optimiser."):
                _, index, what = name.split(".")
                moments.setdefault(int(index), {})[what] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": moments, "param_groups": groups})
        return self


def write_checkpoint(
    output: Path, done: Checkpoint, network: PoseNetwork, average: PoseNetwork,
    optimiser: torch.optim.Optimizer, recorded: dict[str, Any],
) -> None:  # fmt: skip
    """Replace the checkpoint in `output`. `recorded` says what training it belongs to.

    Raises
    ------
    RigposeError
        If the disk is full; the checkpoint before stays.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{what}": tensor for what, tensor in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {"step": done.step, "seconds": done.seconds, "waited_s": done.waited_s, "curve": done.curve}
    texts = {"done": json.dumps(about), "recorded": json.dumps(recorded)}
    content = save(tensors, metadata=texts)
    try:
        write_bytes(output / CHECKPOINT_FILE, content)
    except OSError as error:
        raise RigposeError(
            output, expected=f"room for a checkpoint of {len(content) / 1e6:.0f} MB",
            found=error.strerror or str(error),
            remedy="Free some space and give the same command again: it goes on from the checkpoint before",
        ) from None  # fmt: skip


def read_checkpoint(output: Path, recorded: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint in `output`, None where there is none.

    Raises
    ------
    RigposeError
        If it is damaged, or belongs to a training with other data or options than `recorded`.
    """
    path = output / CHECKPOINT_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        done, found = json.loads(texts["done"]), json.loads(texts["recorded"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RigposeError(
            path, expected="the checkpoint of an interrupted training", found=str(error),
            remedy="Remove it to begin anew",
        ) from None  # fmt: skip
    wanted = json.loads(json.dumps(recorded))
    if found != wanted:
        odd = sorted(_difference(found, wanted))
        raise RigposeError(
            output, expected="the interrupted training of the same data and options",
            found=f"another {', '.join(odd[:4])}",
            remedy="Give the options of that training to go on, or another output to begin anew",
        )  # fmt: skip
    return Checkpoint(done["step"], done["seconds"], done["waited_s"], tuple(done["curve"]), tensors)


def _difference(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    """Names of the values that differ, sections stepped into."""
    odd: set[str] = set()
    for key in a.keys() | b.keys():
        mine, other = a.get(key), b.get(key)
        if isinstance(mine, dict) and isinstance(other, dict):
            odd |= _difference(mine, other)
        elif mine != other:
            odd.add(key)
    return odd
