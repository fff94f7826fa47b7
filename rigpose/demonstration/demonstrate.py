"""The whole loop on the simulated rig, from boards to live 3D, judged against ground truth."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from acquisition.simulation.scene import write_scene
from acquisition.simulation.truth import Truth
from calibration.formats.anipose import load_calibration
from rigpose.demonstration import judge
from rigpose.demonstration.annotator import label_recording, labelled_frames
from rigpose.demonstration.bounds import Judged, bounds
from rigpose.demonstration.bounds import judge as judge_bounds
from rigpose.demonstration.page import number
from rigpose.demonstration.report import Findings, write_report
from rigpose.demonstration.steps import Steps
from training.projects.project import Project

RATE_HZ = 30.0
LIVE_RATE_HZ = 33.0
BOUND_HZ = 30.0
TASK, SCORER = "mouse", "annotator"
MARK = "demo.txt"
WRITTEN = (
    MARK, "scenes", "boards", "training", "held-out", "calibration.toml", "calibration.json",
    "calibration.html", "run", "worst", "mouse.bundle", "poses", "held-out-3d.csv", "held-out-3d.csv.json",
    "stream.npz", "live.json", "figures", "figures.json", "report.html",
)  # fmt: skip
LOSS_RATE, IGNORED_RATE = 0.01, 0.005
# A complete set leaves at once; one that lacks a frame waits until the cause is known, also where the
# machine has other things to do.
MAX_DELAY_MS = 200.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the parts of the demo are.

    Attributes
    ----------
    boards_s, training_s, held_out_s, live_s:
        Seconds of the recordings and of the live run.
    labelled_sets, judged_sets:
        Frame sets labelled for training; frame sets of the held-out recording that are judged.
    epochs, minutes:
        Budget of the training: passes over the labelled images, which teach the same on every machine; or
        minutes, where they are given.
    judge_accuracy:
        Whether the accuracy has to hold; not so in the short demo, whose network has learned little.
    """

    boards_s: float = 17.0
    training_s: float = 18.0
    held_out_s: float = 6.0
    live_s: float = 21.0
    labelled_sets: int = 180
    judged_sets: int = 60
    epochs: int = 25
    minutes: float | None = None
    judge_accuracy: bool = True

    @property
    def budget(self) -> tuple[str, str]:
        """As `rigpose train` takes it."""
        if self.minutes is not None:
            return ("--minutes", f"{self.minutes:g}")
        return ("--epochs", str(self.epochs))


SHORT = Plan(
    boards_s=8, training_s=4, held_out_s=3, live_s=5, labelled_sets=40, judged_sets=15, epochs=30,
    judge_accuracy=False,
)  # fmt: skip


def demonstrate(output: Path, seed: int, plan: Plan, console: Console) -> tuple[dict[str, Any], list[Judged]]:
    """Run the demo in `output`; returns its figures and what became of each bound.

    Raises
    ------
    RigposeError
        If `output` exists and is no earlier demo, or if a step fails.
    """
    output = _fresh(output)
    steps = Steps(output, console)
    scenes = _scenes(output, seed, plan)
    steps.run("record boards", "record", "scenes/boards/rig.yaml", "-o", "boards",
              "--seconds", f"{plan.boards_s:g}")  # fmt: skip
    figures: dict[str, Any] = {"seed": seed, "machine": f"{platform.machine()}, simulated rig"}
    figures["calibration"] = steps.run(
        "calibrate", "calibrate", "boards", "--board", "scenes/boards/board.yaml", "-o", "calibration.toml"
    )
    for name, seconds in (("training", plan.training_s), ("held-out", plan.held_out_s)):
        rig_file = f"scenes/{name}/rig.yaml"
        steps.run(f"record {name}", "record", rig_file, "-o", name, "--seconds", f"{seconds:g}")
    project = _labelled_project(output, steps, scenes, plan)
    figures["training"] = steps.run(
        "train", "train", project.root.name, "-o", "run", "--network", "residual-16",
        "--input-size", "416x320",
        "--missing", "absent", "--fold", "0/10", *plan.budget, "--seed", str(seed),
    )  # fmt: skip
    figures["evaluation"] = steps.run("evaluate", "evaluate", "run", "--pictures", "worst")
    figures["export"] = steps.run("export", "export", "run", "-o", "mouse.bundle")
    steps.run("analyze", "analyze", "mouse.bundle", "held-out", "-o", "poses")
    poses = sorted(path.relative_to(output) for path in (output / "poses").glob("*.csv"))
    figures["offline"] = steps.run(
        "triangulate", "triangulate", "calibration.toml", *poses, "-o", "held-out-3d.csv"
    )
    live = steps.run(
        "live", "live", "scenes/live/rig.yaml", "--model", "mouse.bundle",
        "--calibration", "calibration.toml", "--seconds", f"{plan.live_s:g}", "--poses", "stream.npz",
        "--threads", "2",
    )  # fmt: skip
    (output / "live.json").write_text(json.dumps(live) + "\n")

    with steps.timed("judge", "against the simulator's ground truth"):
        errors_2d = _judge_held_out(output, scenes["held-out"], plan)
        figures["held_out"] = {view: judge.summary_2d(errors) for view, errors in errors_2d.items()}
        stream = dict(np.load(output / "stream.npz"))
        truth = Truth.load(scenes["live"])
        rig = load_calibration(output / "calibration.toml")
        world = judge.world_of_truth(rig, truth)
        points = judge.in_truth_world(stream["pose3d"][..., :3], world)
        errors_3d = judge.errors_3d(stream["pose3d_index"], points, truth)
        seen = judge.seen_twice(stream["pose3d_index"], truth)
        figures["live_3d"] = judge.summary_3d(errors_3d, seen)
        figures["live"] = _live_figures(live, stream)
        figures["losses"] = judge.losses(live["absences"], truth, int(stream["pose2d_index"].max()))
    figures["seconds"] = {what: seconds for what, _, seconds in steps.done}
    figures["seconds"]["all"] = sum(seconds for *_, seconds in steps.done)

    table = bounds(live_seconds=plan.live_s - 1, rate_hz=BOUND_HZ, accuracy=plan.judge_accuracy)
    judged = judge_bounds(figures, table)
    figures["bounds"] = [
        {"figure": row.bound.label, "value": row.value, "limit": row.bound.limit, "held": row.held}
        for row in judged
    ]
    found = Findings(
        errors_px=errors_2d["full"], errors_mm=errors_3d, points_mm=points,
        indices=stream["pose3d_index"].tolist(), live=truth, held_out=Truth.load(scenes["held-out"]),
    )  # fmt: skip
    write_report(output, figures, judged, steps.done, found)
    return figures, judged


def print_table(judged: list[Judged], console: Console) -> None:
    """The short table at the end."""
    table = Table("figure", "measured", "bound", "", box=None)
    for row in judged:
        limit = f"{row.bound.sense} {number(row.bound.limit)} {row.bound.unit}"
        held = "[green]held[/]" if row.held else "[bold red]MISSED[/]"
        table.add_row(row.bound.label, f"{number(row.value)} {row.bound.unit}", limit, held)
    console.print(table)


def why_slow(figures: dict[str, Any]) -> str | None:
    """One line where this machine's network, not `live`, kept the rate from its bound; else None."""
    network_ms, period_ms = figures["live"]["stages"]["network"]["p50_ms"], 1e3 / LIVE_RATE_HZ
    if figures["live"]["rate_hz"] >= BOUND_HZ or network_ms < period_ms / 2:
        return None
    return (
        f"This machine needs {network_ms:.0f} ms for the network of a frame set, and one came every "
        f"{period_ms:.0f} ms: the oldest were skipped, and counted. A rig here wants a smaller --input-size, "
        "fewer frames a second, or a faster machine."
    )


def _fresh(output: Path) -> Path:
    """The output folder, emptied if an earlier demo left it."""
    output = output.resolve()
    if output.exists() and any(output.iterdir()):
        theirs = sorted(path.name for path in output.iterdir() if not _of_the_demo(path.name))
        if theirs or not (output / MARK).is_file():
            raise RigposeError(
                output, expected="an empty folder, or nothing but an earlier demo",
                found=f"'{(theirs or sorted(path.name for path in output.iterdir()))[0]}'",
                remedy="Move it away, or give another folder with -o",
            )  # fmt: skip
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / MARK).write_text("rigpose demo writes here, and clears this folder when it runs again.\n")
    return output


def _of_the_demo(name: str) -> bool:
    return name in WRITTEN or name.startswith(f"{TASK}-{SCORER}-")


def _scenes(output: Path, seed: int, plan: Plan) -> dict[str, Path]:
    """Four scenes around one rig: each its own seed, the same animal; returns their world folders."""
    common: dict[str, Any] = {"camera_seed": seed + 1, "loss_rate": LOSS_RATE, "ignored_rate": IGNORED_RATE}
    for place, (name, seconds, rate_hz) in enumerate((
        ("boards", plan.boards_s, RATE_HZ), ("training", plan.training_s, RATE_HZ),
        ("held-out", plan.held_out_s, RATE_HZ), ("live", plan.live_s, LIVE_RATE_HZ),
    )):  # fmt: skip
        write_scene(
            output / "scenes" / name, kind="charuco" if name == "boards" else "animal",
            seed=4 * seed + place, rate_hz=rate_hz, frame_sets=round(seconds * rate_hz),
            individual=seed + 1,
            rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": MAX_DELAY_MS}}, **common,
        )  # fmt: skip
    return {name: output / "scenes" / name / "world" for name in ("boards", "training", "held-out", "live")}


def _labelled_project(output: Path, steps: Steps, scenes: dict[str, Path], plan: Plan) -> Project:
    truth = Truth.load(scenes["training"])
    with steps.timed("label", f"{plan.labelled_sets} frame sets of 'training', the visible points"):
        project = Project.create(
            output, task=TASK, scorer=SCORER, keypoints=truth.keypoint_names, skeleton=truth.skeleton,
            symmetric_pairs=truth.symmetric_pairs,
        )  # fmt: skip
        label_recording(project, output / "training", truth, plan.labelled_sets)
    return project


def _judge_held_out(output: Path, world: Path, plan: Plan) -> dict[str, judge.Floats]:
    truth = Truth.load(world)
    images, labels = [], []
    with Recording.open(output / "held-out") as recording:
        for camera in recording.cameras:
            for _, image, points in labelled_frames(recording, truth, camera, plan.judged_sets):
                images.append(image)
                labels.append(points)
    # what has learned little may have no int8 that follows it: the short demo takes what would run
    precision = "int8" if plan.judge_accuracy else "auto"
    return judge.errors_2d(output / "mouse.bundle", images, np.array(labels), precision)


def _live_figures(live: dict[str, Any], stream: dict[str, Any]) -> dict[str, Any]:
    """What the stream's subscriber in another process got, and whether the tracker's accounts add up."""
    indices = stream["pose3d_index"]
    seconds = float(np.ptp(stream["pose3d_t_exposure_ns"])) / 1e9
    incomplete = {index for index, *_ in live["absences"]}
    return {
        "seconds": seconds,
        "rate_hz": (len(indices) - 1) / seconds,
        "received_share": len(set(indices.tolist()) - incomplete) / live["complete_in"],
        "unaccounted": abs(live["sets_in"] - live["published"] - live["skipped"] - live["empty"]),
        **{name: live[name] for name in ("sets_in", "published", "skipped", "empty", "complete_in", "lost")},
        "stages": live["stages"],
        "subscriber": live["subscriber"],
    }
