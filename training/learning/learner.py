"""The training loop: one network, its running average, the budget, and the record of learning."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from training.evaluation import measure, network_predictor
from training.files import write_bytes
from training.images import ImageStore
from training.learning.batches import Mixture, batches
from training.learning.checkpoint import Checkpoint, write_checkpoint
from training.learning.dataset import Batch
from training.learning.losses import LossSettings
from training.learning.replicas import Replicas
from training.learning.team import ALONE, Team
from training.networks.table import PoseNetwork, fold_batch_norm
from training.projects.labels import Labels
from training.run import RunSettings

CHECKPOINT_EVERY_S = 30.0
# Held-out images looked at while training, and how often: a picture for people, not a stopping rule.
WATCHED_IMAGES = 48
WATCHES = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained. The defaults hold for any data; none is tuned to one set.

    Attributes
    ----------
    learning_rate, trunk_learning_rate:
        Of random weights, and of a trunk that begins with trained ones.
    warmup:
        Share of the budget in which the learning rate rises.
    ema:
        The kept weights are an average over about this share of the steps done.
    """

    batch: int = 8
    learning_rate: float = 4e-3
    trunk_learning_rate: float = 4e-4
    weight_decay: float = 1e-2
    clip_norm: float = 5.0
    warmup: float = 0.04
    ema: float = 0.03
    loss: LossSettings = field(default_factory=LossSettings)


@dataclass(frozen=True, slots=True)
class Budget:
    """Steps or seconds, whichever is set."""

    steps: int | None
    seconds: float | None

    def spent(self, steps: int, seconds: float) -> float:
        """Share of the budget, 1 when it is used up."""
        if self.steps is not None:
            return steps / self.steps
        assert self.seconds is not None
        return seconds / self.seconds

    def part(self, share: float) -> Budget:
        """This share of the budget."""
        return Budget(
            None if self.steps is None else max(1, round(share * self.steps)),
            None if self.seconds is None else share * self.seconds,
        )


class Stopping(Protocol):
    """What may end a training before its budget (`training.learning.early_stopping`)."""

    def look(self, learner: Learner) -> dict[str, Any]:
        """Further columns of the learning curve."""

    def judge(self, learner: Learner, curve: list[dict[str, Any]]) -> bool:
        """Whether that is enough."""

    def finish(self, learner: Learner, curve: list[dict[str, Any]]) -> None:
        """Choose the weights to keep."""


class Learner:
    """The optimiser's loop: one network, its average, and the record of its learning."""

    def __init__(
        self, network: PoseNetwork, recipe: Recipe, budget: Budget, device: torch.device, *, pretrained: bool,
        team: Team = ALONE,
    ) -> None:  # fmt: skip
        self.device = device
        self._team = team
        self._recipe = recipe
        self._budget = budget
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        team.begin_alike(self._network)
        self.average = copy.deepcopy(self._network).requires_grad_(False).eval()
        trunk_rate = recipe.trunk_learning_rate if pretrained else recipe.learning_rate
        groups = []
        for part, rate in ((network.trunk, trunk_rate), (network.head, recipe.learning_rate)):
            kernels = [p for p in part.parameters() if p.ndim > 1]
            others = [p for p in part.parameters() if p.ndim <= 1]  # norms and biases do not decay
            groups.append({"params": kernels, "peak": rate, "weight_decay": recipe.weight_decay})
            groups.append({"params": others, "peak": rate, "weight_decay": 0.0})
        self._optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._pair_up()

    def averaged_network(self) -> PoseNetwork:
        """The averaged network as it will be used."""
        return fold_batch_norm(self.average)

    def run(
        self, samples: Mixture, watched: Watched, output: Path, recorded: dict[str, Any],
        resumed: Checkpoint | None, stopping: Stopping | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Spend the budget, or less where `stopping` says so; returns what was measured on the way."""
        done = (
            resumed.restore(self._network, self.average, self._optimiser) if resumed else Checkpoint.fresh()
        )
        step, before_s, waited_s, curve = done.step, done.seconds, done.waited_s, list(done.curve)
        started = saved = time.monotonic()
        watched_s = 0.0
        stream = batches(samples, step)
        losses: list[float] = []
        enough = False
        replicas = Replicas(self._network, self._recipe.batch, self._recipe.loss)
        with replicas, Progress("training", total=1.0) as bar:
            bar.advance(self._budget.spent(step, before_s))
            try:
                while (spent := self._spent(step, before_s + time.monotonic() - started, enough)) < 1.0:
                    asked = time.monotonic()
                    batch = next(stream)
                    waited_s += time.monotonic() - asked
                    losses.append(self._step(replicas, batch, spent, step))
                    step += 1
                    now_s = before_s + time.monotonic() - started
                    if not self._team.leads:
                        continue
                    if spent * WATCHES >= len(curve) + 1:
                        began = time.monotonic()
                        row = {"step": step, "seconds": round(now_s, 1), "loss": float(np.mean(losses))}
                        rate = self._optimiser.param_groups[-1]["lr"]
                        curve.append(row | {"learning_rate": rate} | watched.look(self))
                        if stopping is not None:
                            curve[-1] |= stopping.look(self)
                            enough = stopping.judge(self, curve)
                        losses.clear()
                        _write_curve(output, curve)
                        watched_s += time.monotonic() - began
                    bar.advance(self._budget.spent(step, now_s) - spent, note=watched.note(curve, losses))
                    if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                        saved = time.monotonic()
                        record = Checkpoint(step, now_s, waited_s, tuple(curve))
                        write_checkpoint(
                            output, record, self._network, self.average, self._optimiser, recorded
                        )
            finally:
                stream.close()
        if stopping is not None and self._team.leads:
            stopping.finish(self, curve)
        seconds = before_s + time.monotonic() - started
        return {
            "seconds": round(seconds, 2), "steps": step, "samples": step * self._recipe.batch,
            "watching_s": round(watched_s, 2),
            "waiting_for_samples_share": round(waited_s / max(seconds, 1e-9), 4),
            "stopped_early": enough, "learning_curve": curve,
        }  # fmt: skip

    def _spent(self, steps: int, seconds: float, enough: bool) -> float:
        return self._team.agreed(1.0 if enough else self._budget.spent(steps, seconds), self.device)

    def _step(self, replicas: Replicas, batch: Batch, spent: float, step: int) -> float:
        recipe = self._recipe
        rising = min(1.0, (spent + 1e-3) / recipe.warmup)
        falling = 0.5 * (
            1 + math.cos(math.pi * min(1.0, max(0.0, spent - recipe.warmup) / (1 - recipe.warmup)))
        )
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * rising * (0.01 + 0.99 * falling)
        loss = replicas.backward(batch)
        if not math.isfinite(loss):
            raise RigposeError(
                f"step {step} of the training", expected="a finite loss", found=str(loss),
                remedy="Train again with another --seed; the labels may hold a gross error",
            )  # fmt: skip
        self._team.average_gradients(self._network)
        nn.utils.clip_grad_norm_(self._network.parameters(), recipe.clip_norm)
        self._optimiser.step()
        keep = 1 - 1 / (1 + recipe.ema * step)
        with torch.no_grad():
            averages, currents = zip(*self._pairs, strict=True)
            torch._foreach_lerp_(averages, currents, 1 - keep)
        return loss

    def _pair_up(self) -> None:
        """Tensors to average, and their averages: weights and the norms' statistics."""
        average, current = self.average.state_dict(), self._network.state_dict()
        self._pairs = [
            (average[name], current[name]) for name in current if current[name].is_floating_point()
        ]


class Watched:
    """A few held-out images, to show a person how far the training has come."""

    def __init__(self, held_out: Labels, store: ImageStore, settings: RunSettings) -> None:
        chosen = np.linspace(0, len(held_out) - 1, min(len(held_out), WATCHED_IMAGES)).astype(int)
        self._labels = held_out.select([held_out.images[i] for i in chosen]) if len(held_out) else None
        self._store = store
        self._settings = settings

    def look(self, learner: Learner) -> dict[str, float | None]:
        """Mean and median error of the averaged network, full-resolution px; None without images."""
        if self._labels is None:
            return {"held_out_mean_px": None, "held_out_median_px": None}
        predict = network_predictor(learner.averaged_network(), self._settings)
        images = [self._store[name] for name in self._labels.images]
        parts = [predict(images[first : first + 8]) for first in range(0, len(images), 8)]
        error = measure(np.concatenate(parts), self._labels.seen, self._labels.keypoints)["all"]
        return {"held_out_mean_px": error["mean_px"], "held_out_median_px": error["median_px"]}

    def note(self, curve: list[dict[str, Any]], losses: list[float]) -> str:
        """What stands behind the progress bar."""
        if curve and curve[-1]["held_out_mean_px"] is not None:
            return f"held out {curve[-1]['held_out_mean_px']:.2f} px"
        return f"loss {losses[-1]:.3f}" if losses else ""


def _write_curve(output: Path, curve: list[dict[str, Any]]) -> None:
    lines = [",".join(curve[0])]
    lines += [",".join("" if value is None else f"{value:.6g}" for value in row.values()) for row in curve]
    write_bytes(output / "learning_curve.csv", ("\n".join(lines) + "\n").encode())


@contextmanager
def few_threads() -> Iterator[None]:
    """OpenCV's own threads would only get in the way of the network's: a crop is small."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
