"""Stopping when nothing is gained any more, by images that neither train nor measure.

A tenth of the training part is kept aside, dealt out in blocks as folds are (`training.projects.splits`). The
held-out part is not looked at: an error that chose when to stop would flatter itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from training.files import write_bytes
from training.learning.learner import Learner, Watched

BEST_FILE = "best.safetensors"
# A look that is not better by this share is no gain; so many without a gain in a row end the training.
LEAST_GAIN = 0.01
PATIENCE_LOOKS = 3


class EarlyStopping:
    """Watches the error on the inner images, and keeps the best weights in the run.

    Parameters
    ----------
    inner:
        The images kept aside.
    output:
        The run; the best weights lie there until it is finished.
    """

    def __init__(self, inner: Watched, output: Path) -> None:
        self._inner = inner
        self._path = output / BEST_FILE

    def look(self, learner: Learner) -> dict[str, Any]:
        """The error now, for the learning curve."""
        return {"inner_mean_px": self._inner.look(learner)["held_out_mean_px"]}

    def judge(self, learner: Learner, curve: list[dict[str, Any]]) -> bool:
        """Whether to stop after the last row of the curve; keeps the weights if they are the best so far."""
        best, since = self._best(curve)
        if since == 0 and best is not None:
            state = {name: tensor.cpu().contiguous() for name, tensor in learner.average.state_dict().items()}
            write_bytes(self._path, save(state))
        return since >= PATIENCE_LOOKS

    def finish(self, learner: Learner, curve: list[dict[str, Any]]) -> None:
        """Give the learner's average the best weights, where they are not its own."""
        _, since = self._best(curve)
        if since and self._path.is_file():
            state = load_file(self._path)
            with torch.no_grad():
                for name, tensor in learner.average.state_dict().items():
                    tensor.copy_(state[name])

    @staticmethod
    def _best(curve: list[dict[str, Any]]) -> tuple[float | None, int]:
        """The least error, and the looks since then: from the curve, which survives a kill."""
        best, since = None, 0
        for row in curve:
            error = row["inner_mean_px"]
            if error is not None and (best is None or error < best * (1 - LEAST_GAIN)):
                best, since = error, 0
            else:
                since += 1
        return best, since
