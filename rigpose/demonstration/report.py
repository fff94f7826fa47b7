"""`report.html`: the demo's figures and pictures, gathered for the page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.recordings.recording import Recording
from acquisition.simulation.truth import Truth
from deploy.bundles.predictor import Predictor
from rigpose.demonstration import pictures
from rigpose.demonstration.bounds import Judged
from rigpose.demonstration.judge import Floats
from rigpose.demonstration.page import number, write_page

CUTOFF = 0.5

# The stages that follow one another from the light to the subscriber, as `live` names them.
STAGES = (
    "exposure_to_arrival",
    "arrival_to_inference",
    "preprocess",
    "network",
    "decode",
    "triangulate",
    "publish",
    "publish_to_subscriber_pose3d",
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the page shows beside the figures.

    Attributes
    ----------
    errors_px:
        Of the held-out recording, full frames: (points, 2) signed.
    errors_mm:
        Of the live run: (sets, K).
    points_mm:
        Live keypoints (sets, K, 3) in the simulator's world.
    live, held_out:
        The truth of the two scenes.
    indices:
        Frame sets of `points_mm`.
    """

    errors_px: Floats
    errors_mm: Floats
    points_mm: Floats
    indices: Sequence[int]
    live: Truth
    held_out: Truth


def write_report(
    output: Path,
    figures: dict[str, Any],
    judged: Sequence[Judged],
    steps: Sequence[tuple[str, str, float]],
    found: Findings,
) -> None:
    """Write `report.html` into `output`."""
    names = found.live.keypoint_names
    bones = [(names.index(a), names.index(b)) for a, b in found.live.skeleton]
    missed = sum(not row.held for row in judged)
    page = write_page(
        title="rigpose demo",
        lead=f"Simulated rig, seed {figures['seed']}, {figures['seconds']['all'] / 60:.1f} minutes: "
        + (f"{missed} of {len(judged)} bounds missed." if missed else f"all {len(judged)} bounds held."),
        judged=judged,
        sections=[
            *_held_out(output, found.held_out, bones),
            (
                "The rig and the animal's path",
                "Cameras and their axes, and the path of the animal's back: as the subscriber in another "
                "process received it, and as it was.",
                _rig(found, bones),
            ),
            (
                "Errors",
                "Against the simulator's ground truth: held-out frames, every point that can be seen; live "
                "3D, every point that was sent. The last bin holds the rest.",
                pictures.error_histograms(
                    [
                        (
                            "2D, int8 network, full frame",
                            np.linalg.norm(found.errors_px, axis=1),
                            1.5,
                            "px",
                        ),
                        ("3D, live", found.errors_mm.ravel(), 1.8, "mm"),
                    ]
                ),
            ),
            (
                "Latency",
                "From the middle of the exposure to a subscriber in another process. The simulated cameras "
                "take their time to expose and transfer, as real ones do.",
                _latency(figures["live"]),
            ),
            ("Learning", "Error on the labelled frames kept back from training.", _learning(output)),
        ],
        facts=_facts(figures),
        steps=steps,
    )
    temporary = output / ".report.part"
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(output / "report.html")


def _held_out(output: Path, truth: Truth, bones: list[tuple[int, int]]) -> list[tuple[str, str, bytes]]:
    with Recording.open(output / "held-out") as recording:
        complete = [each for each in recording.frame_sets() if each.complete]
        chosen = complete[len(complete) // 2]
        images = [
            recording.image(camera, row)
            for camera, row in zip(recording.cameras, chosen.payloads, strict=True)
        ]
        cameras = recording.cameras
    poses = Predictor(output / "mouse.bundle", cameras=len(cameras)).predict(images)
    points = np.array([truth.points_2d(camera, chosen.index) for camera in cameras])
    views = pictures.labelled_views(images, poses.astype(float), points, bones, cameras, CUTOFF)
    return [
        (
            "What the cameras see",
            "One frame set of the held-out recording. No keypoint carries a mark; left and right look alike.",
            pictures.whole_views(images, cameras),
        ),
        (
            "What the network finds",
            f"The same frame set. Orange: the int8 network, confidence at least {CUTOFF}; blue circles: "
            "ground truth, also of points that the body hides.",
            views,
        ),
    ]


def _rig(found: Findings, bones: list[tuple[int, int]]) -> bytes:
    cameras = found.live.cameras
    rotations = np.array([camera["rotation"] for camera in cameras.values()])
    centres = np.array([-camera["rotation"].T @ camera["translation_mm"] for camera in cameras.values()])
    true = np.array([found.live.points_3d(int(index)) for index in found.indices])
    middle = found.live.keypoint_names.index("mid_back")
    return pictures.rig_and_path(
        centres, rotations[:, 2], list(cameras), found.points_mm[:, middle], true[:, middle], true[-1], bones
    )


def _latency(live: dict[str, Any]) -> bytes:
    every = {**live["stages"], **live["subscriber"]["latency"]}

    def percentiles(stage: str) -> dict[str, float]:
        return {p: every[stage][f"{p}_ms"] for p in ("p50", "p95", "p99")}

    stages = {name.removesuffix("_pose3d").replace("_", " "): percentiles(name) for name in STAGES}
    return pictures.latency_breakdown(stages, percentiles("exposure_to_subscriber_pose3d"))


def _learning(output: Path) -> bytes:
    with (output / "run" / "learning_curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    minutes = np.array([float(row["seconds"]) / 60 for row in rows])
    error_px = np.array([float(row["held_out_mean_px"] or "nan") for row in rows])
    return pictures.learning_curve(minutes, error_px)


def _facts(figures: dict[str, Any]) -> list[tuple[str, str]]:
    live, losses, three = figures["live"], figures["losses"], figures["live_3d"]
    whole = live["subscriber"]["latency"]["exposure_to_subscriber_pose3d"]
    held = figures["held_out"]["full"]
    return [
        ("int8, full frame: mean and 95th percentile", f"{held['mean_px']:.2f} px, {held['p95_px']:.2f} px"),
        ("live 3D: mean error", f"{three['mean_mm']:.2f} mm over {three['points']} points"),
        ("live 3D: given, of points two cameras can see", f"{100 * three['given_of_seen_share']:.1f} %"),
        (
            "exposure to subscriber, p50 / p95 / p99",
            f"{number(whole['p50_ms'])} / {number(whole['p95_ms'])} / {number(whole['p99_ms'])} ms",
        ),
        ("network of a frame set, p50", f"{number(live['stages']['network']['p50_ms'])} ms"),
        ("frame losses injected and reported", f"{losses['injected']}: {losses['by_cause']}"),
        ("measured on", figures["machine"]),
    ]
