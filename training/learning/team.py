"""Training in several processes, one a GPU, as `torchrun` starts them: their gradients are averaged.

Each process learns from batches of its own, so that a step of N processes is a batch N times as large.
The first process keeps the time, the record and the files; the others follow it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

import torch
import torch.distributed as distributed
from torch import nn

from acquisition.errors import RigposeError


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of this training.

    Attributes
    ----------
    rank, size:
        Which one this is, from 0, and how many there are; alone, 0 and 1.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that keeps time, record and files."""
        return self.rank == 0

    def __enter__(self) -> Team:
        if self.size > 1:
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    def begin_alike(self, network: nn.Module) -> None:
        """Give every process the first one's weights and statistics."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace every gradient by its mean over the processes: one exchange for all of them."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        begin = 0
        for gradient in gradients:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()

    def agreed(self, value: float, device: torch.device) -> float:
        """The first process's value, in every process."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(shared, src=0)
        return float(shared)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


ALONE = Team()


def team_of_environment() -> Team:
    """The team that `torchrun` describes in the environment; alone where it does not.

    Raises
    ------
    RigposeError
        If the description is not complete.
    """
    try:
        return Team(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError as error:
        raise RigposeError(
            "RANK and WORLD_SIZE", expected="the numbers that torchrun sets", found=str(error),
            remedy="Start with torchrun --nproc-per-node N -m rigpose train ..., or unset them",
        ) from None  # fmt: skip


def device_of_process(device: torch.device) -> torch.device:
    """Each process its own GPU, where the device is `cuda` without a number."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
