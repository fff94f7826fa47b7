"""One course of training: what is learned from, and what comes of it. In float, then with int8's rounding."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from acquisition.errors import RigposeError
from training.files import read_json, write_json
from training.learning.batches import Mixture
from training.learning.checkpoint import CHECKPOINT_FILE, read_checkpoint
from training.learning.early_stopping import BEST_FILE, EarlyStopping
from training.learning.learner import Budget, Learner, Recipe, Watched
from training.learning.quantization_aware import (
    Ranges,
    save_ranges,
    seen_ranges,
    with_rounding,
    without_rounding,
)
from training.learning.team import ALONE, Team
from training.networks.table import PoseNetwork
from training.projects.splits import Split
from training.run import WEIGHTS_FILE, RunSettings, load_network, save_run

# A run that learns to round keeps the run in float that it began from in this folder.
FLOAT_FOLDER = "float"
# What it was begun with and how long it took, for a course that is gone on with after a kill.
DONE_FILE = "course.json"
# Of the budget, for learning to round: the weights are nearly right, their steps are to be found.
ROUNDING_SHARE = 0.2
ROUNDING_RATE = 0.1
# Then every so many steps are of whole images: in a crop nothing far away competes with the animal, and
# rounding may lift a spot at the far wall over a keypoint by the one level that decides.
WHOLE_EVERY = 3
RANGED_BATCHES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a course ends in.

    Attributes
    ----------
    network:
        Its weights are what a run stores.
    used:
        The network as it predicts in float.
    rounded:
        The network as its int8 artifacts will predict; None where it did not learn to round.
    settings, split:
        Of the run.
    ranges:
        Of the int8 graph's tensors, where they were learned.
    measured:
        Seconds, steps, learning curve.
    """

    network: PoseNetwork
    used: PoseNetwork
    rounded: PoseNetwork | None
    settings: RunSettings
    split: Split
    ranges: Ranges | None
    measured: dict[str, Any]

    def save(self, output: Path) -> None:
        """Write the run. Its weights come last: they say that it is finished."""
        self.split.save(output / "split.json")
        if self.ranges is not None:
            save_ranges(output, self.ranges)
        save_run(output, self.settings, self.network)
        for begun in (CHECKPOINT_FILE, BEST_FILE):
            (output / begun).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What a network learns from, and how.

    Attributes
    ----------
    samples, watched:
        What trains it, and what shows how far it has come.
    recipe:
        How.
    recorded:
        What an interrupted course must agree with to be gone on with, besides the run's settings.
    split, device:
        Of the run.
    pretrained:
        Whether the trunk begins with trained weights as they were trained.
    team:
        Processes that train together.
    inner:
        Images kept aside to say when to stop; None: the budget is spent.
    """

    samples: Mixture
    watched: Watched
    recipe: Recipe
    recorded: dict[str, Any]
    split: Split
    device: torch.device
    pretrained: bool = False
    team: Team = ALONE
    inner: Watched | None = None

    def recorded_with(self, settings: RunSettings, budget: Budget) -> dict[str, Any]:
        """What must be the same for an interrupted course to be gone on with, JSON-able."""
        images = json.dumps([self.split.train, self.split.test]).encode()
        return {
            "settings": settings.model_dump(mode="json"), "recipe": asdict(self.recipe),
            "budget": asdict(budget), "split_sha256": hashlib.sha256(images).hexdigest(), **self.recorded,
        }  # fmt: skip

    def learn(self, network: PoseNetwork, settings: RunSettings, budget: Budget, output: Path) -> Learned:
        """Spend the budget on `network`, going on from the checkpoint in `output` if there is one."""
        recorded = self.recorded_with(settings, budget)
        resumed = read_checkpoint(output, recorded)
        output.mkdir(parents=True, exist_ok=True)
        if self.team.leads:
            self.split.save(output / "split.json")
        learner = Learner(
            network, self.recipe, budget, self.device, pretrained=self.pretrained, team=self.team
        )
        stopping = None if self.inner is None else EarlyStopping(self.inner, output)
        measured = learner.run(self.samples, self.watched, output, recorded, resumed, stopping)
        return Learned(
            learner.average, learner.averaged_network(), None, settings, self.split, None, measured
        )


def learn_to_round(
    course: Course, network: PoseNetwork, settings: RunSettings, budget: Budget, output: Path
) -> Learned:
    """Spend most of the budget in float, the rest with the rounding of int8 inside the network.

    Raises
    ------
    RigposeError
        If `output` holds a run in float with other settings.
    """
    first, part = output / FLOAT_FOLDER, budget.part(1 - ROUNDING_SHARE)
    recorded = json.loads(json.dumps(course.recorded_with(settings, part)))
    if (first / WEIGHTS_FILE).is_file():
        done = read_json(first / DONE_FILE) if (first / DONE_FILE).is_file() else {}
        if done.get("recorded") != recorded:
            raise RigposeError(
                first, expected="the run in float of the same options", found="a run of others",
                remedy="Give the options of that training to go on, or another output to begin anew",
            )  # fmt: skip
    else:
        in_float = course.learn(network, settings, part, first)
        done = {"recorded": recorded, **{key: in_float.measured[key] for key in ("seconds", "steps")}}
        if course.team.leads:
            write_json(first / DONE_FILE, done)
            in_float.save(first)
        course.team.wait()
    plain, _ = load_network(first)
    plain = plain.to(course.device)
    samples = course.samples.with_whole_images(WHOLE_EVERY)
    ranges = seen_ranges(plain, (samples.batch(step).images for step in range(RANGED_BATCHES)))
    gently = replace(
        course.recipe, learning_rate=ROUNDING_RATE * course.recipe.learning_rate,
        trunk_learning_rate=ROUNDING_RATE * course.recipe.trunk_learning_rate,
    )  # fmt: skip
    folded = settings.model_copy(update={"folded": True})
    course = replace(course, samples=samples, recipe=gently)
    learned = course.learn(with_rounding(plain, ranges), folded, budget.part(ROUNDING_SHARE), output)
    plain, ranges = without_rounding(learned.network)
    measured = learned.measured | {"float_seconds": done["seconds"], "float_steps": done["steps"]}
    return Learned(plain, plain, learned.used, folded, course.split, ranges, measured)
