"""What a comparison trains and measures: networks, splits, options; stored, so that it can go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from training.evaluation.videos import BY_VIDEO
from training.files import read_json, write_json
from training.learning.initialisation import carries_batch_norm, initialise, seen_by
from training.networks.table import build_network
from training.projects.labels import Labels, dataset_hash
from training.projects.project import Project
from training.projects.splits import Split, k_fold, leave_one_video_out
from training.run import WEIGHTS_FILE

PLAN_FILE = "plan.json"
BY_FOLD = "fold"
FOLD = "{fold}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which splits, and how each network is trained on them.

    Attributes
    ----------
    project, dataset_sha256:
        The labels.
    held_out_by:
        "fold" or "video".
    splits:
        By the fold's name, which is a folder's name too.
    options:
        What `training.learning.trainer.train` is given besides project, output, network and split. In a
        text, or in a list of texts, "{fold}" stands for the fold's name.
    """

    project: Path
    dataset_sha256: str
    held_out_by: str
    splits: dict[str, Split]
    options: dict[str, Any]

    @classmethod
    def make(
        cls, project: Project, labels: Labels, *, folds: int | None, options: dict[str, Any], seed: int
    ) -> Plan:
        """The plan of `folds` folds, or, for None, of one video left out at a time.

        Raises
        ------
        RigposeError
            If there are too few instants or videos.
        """
        if folds is None:
            by_video = leave_one_video_out(project, labels)
            splits = dict(zip(_folder_names(list(by_video)), by_video.values(), strict=True))
        else:
            splits = {
                f"fold-{fold}": k_fold(project, labels, folds=folds, fold=fold, seed=seed)
                for fold in range(folds)
            }
        digest = dataset_hash(project, labels)
        by = BY_VIDEO if folds is None else BY_FOLD
        return cls(project.root, digest, by, splits, {"seed": seed, **options})

    def options_of(self, fold: str) -> dict[str, Any]:
        """The options of one fold."""
        return {name: _of_fold(value, fold) for name, value in self.options.items()}

    def record(self) -> dict[str, Any]:
        """As JSON: two comparisons whose records are equal may share a folder."""
        return {
            "project": str(self.project),
            "dataset_sha256": self.dataset_sha256,
            "held_out_by": self.held_out_by,
            "options": {
                name: _plain(value) for name, value in sorted(self.options.items()) if value is not None
            },
            "splits": {
                fold: {"name": split.name, "train": list(split.train), "test": list(split.test)}
                for fold, split in self.splits.items()
            },
        }

    def check_networks(self, networks: Sequence[str], keypoints: int) -> None:
        """Refuse, with `RigposeError`, what no fold could be trained with, before the first one is."""
        if not networks or len(set(networks)) != len(networks):
            raise RigposeError(
                "--networks", expected="names of networks, each once", found=", ".join(networks) or "none",
                remedy="Give for instance --networks mobilenetv2-0.35,mobilenetv2-1.0",
            )  # fmt: skip
        stride = self.options.get("stride", 4)
        for fold in self.splits:
            options = self.options_of(fold)
            for path in options.get("teacher") or ():
                if not Path(path).exists():
                    raise RigposeError(
                        f"--teacher {path}", expected="a run or a file of predictions", found="nothing there",
                        remedy=f"Check the path; {FOLD} stands for {', '.join(self.splits)}",
                    )  # fmt: skip
            init = options.get("init")
            if seen := seen_by(init, self.splits[fold]):
                raise RigposeError(
                    f"--init {init}", expected=f"weights that never saw what is held out in {fold}",
                    found=f"{len(seen)} of its images in the run's training part, for instance {seen[0]}",
                    remedy=f"Give runs of the same folds, with {FOLD} in their path, or a classifier",
                )  # fmt: skip
            if fold != next(iter(self.splits)) and FOLD not in str(self.options.get("init")):
                continue  # it begins as the first fold does
            for network in networks:
                batch_norm = carries_batch_norm(init, network)
                built = build_network(network, keypoints, stride=stride, batch_norm=batch_norm)
                initialise(built, init, network)

    def enter(self, output: Path) -> bool:
        """Write the plan into `output`; returns whether it was not there before.

        Raises
        ------
        RigposeError
            If `output` holds another comparison, or something else.
        """
        file = output / PLAN_FILE
        if file.is_file():
            self._refuse_other(read_json(file), output)
            return False
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise RigposeError(
                output, expected="a new folder, or one of an earlier comparison", found="something else",
                remedy="Name another --output",
            )  # fmt: skip
        output.mkdir(parents=True, exist_ok=True)
        write_json(file, self.record())
        return True

    def _refuse_other(self, stored: dict[str, Any], output: Path) -> None:
        mine = self.record()
        if stored == mine:
            return
        odd = next((key for key in mine if stored.get(key) != mine[key]), "its keys")
        found = f"another {odd.replace('_', ' ')}"
        if odd == "options":
            before, now = stored.get("options") or {}, mine["options"]
            name = next(key for key in sorted({*before, *now}) if before.get(key) != now.get(key))
            found = f"another {name} ({before.get(name)}, now {now.get(name)})"
        raise RigposeError(
            output, expected="a comparison of the same labels with the same options", found=found,
            remedy="Give the options it began with, or name another --output",
        )  # fmt: skip


def is_finished(run: Path) -> bool:
    """Whether a run directory holds a trained network."""
    return (run / WEIGHTS_FILE).exists()


def _of_fold(value: Any, fold: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_of_fold(item, fold) for item in value)
    if isinstance(value, Path):
        return Path(str(value).replace(FOLD, fold))
    return value.replace(FOLD, fold) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _folder_names(videos: Sequence[str]) -> list[str]:
    """A folder's name for each video, letters that a path cannot hold replaced, each name once."""
    names: list[str] = []
    for video in videos:
        name = f"without-{re.sub(r'[^A-Za-z0-9._-]', '_', video)}"
        names.append(name if name not in names else f"{name}-{len(names)}")
    return names
