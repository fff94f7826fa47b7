"""What loading and augmenting the samples costs a step of training, beside the same step on ready batches.

    python -m benchmarks.training_step [PROJECT] [--network N] [--input-size WxH] [--steps 40] [--rounds 10]

Two states take turns in one process, so that a busy machine slows both: `as trained` draws, resamples and
augments every sample as `rigpose train` does, in its thread beside the network; `ready` is handed a few such
batches again and again. The difference is what the data cost on this machine's cores. Without PROJECT it is
DeepLabCut's openfield example, from $RIGPOSE_DATA. Exit code 1 if the bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from acquisition.progress import quieted
from benchmarks.paired_rounds import interval
from training.learning.augmentation import Augmentation
from training.learning.batches import Mixture
from training.learning.dataset import Batch, TrainingSet, mirror_indices
from training.learning.learner import Budget, Learner, Recipe, Watched, few_threads
from training.learning.material import Material, gather
from training.networks.table import build_network
from training.run import RunSettings

CHECKOUT = Path(__file__).resolve().parents[1]
BOUND = 0.25
READY_BATCHES = 4
WARM_UP_STEPS = 10


class Ready:
    """A few batches of `samples`, made beforehand, again and again."""

    def __init__(self, samples: Mixture) -> None:
        self._batches = [samples.batch(step) for step in range(READY_BATCHES)]

    def batch(self, step: int) -> Batch:
        return self._batches[step % READY_BATCHES]


def openfield() -> Path:
    data = Path(os.environ.get("RIGPOSE_DATA") or CHECKOUT.parent / "shared" / "data")
    project = data / "openfield-Pranav-2018-10-30"
    if not project.is_dir():
        sys.exit(f"no openfield project in {data}: set RIGPOSE_DATA, or name a PROJECT")
    return project


def samples_of(material: Material, recipe: Recipe) -> Mixture:
    labelled = TrainingSet(
        material.training, material.store, batch=recipe.batch, missing_is_absent=False,
        input_wh=material.input_wh, crop_px=material.crop_px, augmentation=Augmentation(),
        mirror=mirror_indices(material.training.keypoints, material.project.mirrored_pairs), seed=0,
    )  # fmt: skip
    return Mixture(labelled)


def step_ms(material: Material, network: str, samples: Mixture | Ready, steps: int) -> float:
    """Mean duration of a step of a network that begins anew, ms."""
    keypoints = material.training.keypoints
    torch.manual_seed(0)
    built = build_network(network, len(keypoints), stride=4, batch_norm=True)
    settings = RunSettings(
        network=network, stride=4, head_channels=built.head.channels, batch_norm=True,
        input_size_px=material.input_wh, keypoints=keypoints,
    )  # fmt: skip
    unwatched = Watched(material.held_out.select([]), material.store, settings)
    learner = Learner(built, Recipe(), Budget(steps, None), torch.device("cpu"), pretrained=False)
    with tempfile.TemporaryDirectory() as folder:
        measured = learner.run(samples, unwatched, Path(folder), {}, None)  # type: ignore[arg-type]
    return 1e3 * (measured["seconds"] - measured["watching_s"]) / measured["steps"]


def share(ready_ms: np.ndarray, trained_ms: np.ndarray) -> float:
    """Of a step as trained, what the data cost."""
    return float(1 - np.median(ready_ms) / np.median(trained_ms))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument("--network", default="mobilenetv2-0.35")
    parser.add_argument("--input-size", metavar="WxH")
    parser.add_argument("--steps", type=int, default=40, help="of each turn")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    size = None
    if arguments.input_size:
        width, height = (int(part) for part in arguments.input_size.split("x"))
        size = width, height
    material = gather(
        arguments.project or openfield(), None, input_size=size, crop=None, aside=False, seed=0
    )  # fmt: skip
    samples = samples_of(material, Recipe())
    turns = {"ready": Ready(samples), "as trained": samples}
    times: dict[str, list[float]] = {name: [] for name in turns}
    with quieted(True), few_threads():
        for fed in turns.values():
            step_ms(material, arguments.network, fed, WARM_UP_STEPS)
        for _ in range(arguments.rounds):
            for name, fed in turns.items():
                times[name].append(step_ms(material, arguments.network, fed, arguments.steps))
    ready_ms, trained_ms = (np.array(times[name]) for name in ("ready", "as trained"))
    cost, low, high = interval(share, ready_ms, trained_ms)
    for name, values in times.items():
        print(f"{name:<11} {np.median(values):7.1f} ms a step   [{min(values):.1f}, {max(values):.1f}]")
    said = "kept" if cost <= BOUND else "MISSED"
    width, height = material.input_wh
    print(
        f"{arguments.network}, {width}x{height}, {torch.get_num_threads()} threads: "
        f"the data cost {100 * cost:.1f} % of a step [{100 * low:.1f}, {100 * high:.1f}], "
        f"bound {100 * BOUND:.0f} %: {said}"
    )
    if arguments.json:
        figures = {"network": arguments.network, "input_wh": material.input_wh, "steps": arguments.steps}
        arguments.json.write_text(
            json.dumps({**figures, "ms": times, "share": cost, "low": low, "high": high}, indent=1) + "\n"
        )
    return 0 if cost <= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
