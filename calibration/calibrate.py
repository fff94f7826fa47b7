"""The verb: board images in, calibrated rig and report out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.findings import Finding, Level, verdict_of
from acquisition.settings import read_settings
from calibration.anchor import Anchored, anchor, common_cameras
from calibration.boards import BoardSettings
from calibration.bundle import LENS, Array
from calibration.camera_identity import require_same_devices
from calibration.camera_model import CalibratedRig
from calibration.choose_sets import choose_sets
from calibration.cross_checks import CrossChecks, cross_check
from calibration.find_views import Found, find_views
from calibration.formats.anipose import (
    calibration_hash,
    check_toml_name,
    details_path,
    load_calibration,
    save_toml,
)
from calibration.ground import Grounded, read_ground
from calibration.inputs import BoardInput, open_input
from calibration.known_length import MeasuredLength, measure_length, read_length
from calibration.lens import LensModel, free_parameters, parameter_names
from calibration.observations import Observations
from calibration.parameter_covariance import covariance_details
from calibration.placing import AS_SOLVED, World, board_places, board_row, place, placed_covariance
from calibration.quality import CameraQuality, HeldOut, camera_qualities, held_out
from calibration.report import write_report
from calibration.solve import Solution, solve
from calibration.verdict import judge, judge_timing, judge_world


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A calibration with all that is known about it.

    Attributes
    ----------
    rig:
        In the world that was asked for.
    covariance:
        (C, 18, C, 18): of its lenses, rotations (left, rad) and translations (mm), in that world.
    grounded, anchored, scale, checked:
        How the rig stands on the marked points; the cameras since the old calibration; the factor by which a
        known length changed the board's scale; what a known length measures. None where nothing was asked.
    verdict, findings:
        What to think of it.
    source:
        Where the images came from: which devices the cameras were, what frame sets are called.
    """

    rig: CalibratedRig
    covariance: Array
    board: BoardSettings
    found: Found
    solution: Solution
    cameras: tuple[CameraQuality, ...]
    held_out: HeldOut | None
    checks: CrossChecks
    grounded: Grounded | None
    anchored: Anchored | None
    scale: float | None
    checked: MeasuredLength | None
    verdict: Level
    findings: tuple[Finding, ...]
    source: BoardInput

    def figures(self) -> dict[str, Any]:
        """JSON-able summary: verdict, errors in px and mm, per camera and held out."""
        error = np.linalg.norm(self.solution.adjusted.residuals, axis=-1)
        error = error[np.isfinite(error)]
        return {
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "rms_px": float(np.sqrt(np.mean(error**2))),
            "median_px": float(np.median(error)),
            "p95_px": float(np.percentile(error, 95)),
            "max_px": float(error.max()),
            "frame_sets": len(self.solution.observations.frame_sets),
            "frame_set_names": {str(number): name for number, name in self.source.names.items()},
            "views": len(self.solution.observations.views),
            "pattern": str(self.found.pattern),
            "images_searched": list(self.found.searched),
            "free_running": self.solution.observations.free_running,
            "jitter_ms": self.solution.adjusted.jitter_s * 1e3,
            "views_apart": self.found.apart,
            "lenses": {
                name: {"model": chosen.model, "tried": [asdict(trial) for trial in chosen.trials]}
                for name, chosen in zip(self.rig.names, self.solution.lenses, strict=True)
            },
            "shared_views": self.solution.shared.tolist(),
            "cameras": {camera.name: asdict(camera) for camera in self.cameras},
            "parameters": self.parameters(),
            "cross_checks": asdict(self.checks),
            "held_out": None if self.held_out is None else asdict(self.held_out),
            "since_anchor": None if self.anchored is None else [asdict(c) for c in self.anchored.cameras],
            "anchor_rms_mm": None if self.anchored is None else self.anchored.rms_mm,
            "anchor_scale": None if self.anchored is None else self.anchored.scale,
            "ground_rms_mm": None if self.grounded is None else self.grounded.rms_mm,
            "ground_marks": None if self.grounded is None else self.grounded.marks,
            "scale_factor": self.scale,
            "known_length": None if self.checked is None else asdict(self.checked),
        }

    def parameters(self) -> dict[str, dict[str, tuple[float, float]]]:
        """By camera and name of a lens parameter: its value and standard deviation."""
        adjusted, found = self.solution.adjusted, {}
        for c, (name, chosen) in enumerate(zip(self.rig.names, self.solution.lenses, strict=True)):
            free = free_parameters(chosen.model)
            sd = np.sqrt(np.maximum(np.diag(adjusted.camera_covariance[c])[:LENS][free], 0))
            values = adjusted.bundle.lenses[c, :LENS][free].tolist()
            pairs = zip(values, sd.tolist(), strict=True)
            found[name] = dict(zip(parameter_names(chosen.model), pairs, strict=True))
        return found


def calibrate(
    path: Path, board_file: Path, *, lens: LensModel | None = None, lenses: Path | None = None,
    world: World = AS_SOLVED, max_spread_ms: float | None = None,
) -> Calibrated:  # fmt: skip
    """Calibrate from board images; writes nothing.

    Parameters
    ----------
    path:
        A recording, videos or stills (see `inputs.open_input`).
    board_file:
        board.yaml.
    lens:
        The model of all lenses; None: each camera's by its held-out error (`calibration.lens_choice`).
    lenses:
        An older calibration whose lenses stay as they are; only the cameras' places are found.
    world:
        Where its frame and its scale come from.
    max_spread_ms:
        Free-running cameras: images further apart share no board pose.

    Raises
    ------
    RigposeError
        If the input is none, the board is another, views are too few, cameras are not linked, or the world
        cannot be had from what it is to be taken from.
    """
    board = read_settings(BoardSettings, board_file)
    source = open_input(path)
    # before minutes of detection, not after
    lengths = [read_length(each, source.cameras) for each in (world.length, world.check_length) if each]
    if len(lengths) == 2 and lengths[0] == lengths[1]:
        raise RigposeError(
            "--check-length", expected="another length than --length's, which the scale was not set by",
            found="the same one", remedy="Measure a second distance, or leave out one of them",
        )  # fmt: skip
    if world.ground is not None:
        read_ground(world.ground, source.cameras)
    known = None if lenses is None else load_calibration(lenses).subset(source.cameras)
    if lenses is not None:
        require_same_devices(lenses, source.devices)
    old = None if world.anchor is None else load_calibration(world.anchor)
    if old is not None:
        common_cameras(source.cameras, old, world.anchor)
    found = find_views(source, board, max_spread_ms=max_spread_ms)
    chosen = choose_sets(found.observations, keep=world.frame_set)
    rows = None if known is None else _known_lenses(known, chosen, lenses)
    solution = solve(chosen, board, lens=lens, known=rows)
    qualities = camera_qualities(solution)
    spared = held_out(solution, board)
    checks = cross_check(solution, board)
    row = None if world.frame_set is None else board_row(solution, world.frame_set, path, source.names)
    covariance = placed_covariance(solution, board, world, old, row)
    pose = None if row is None else solution.board_pose(row)
    placed = place(solution.rig, world, old, board_places(solution, board), pose)
    solution = solution if placed.scale is None else solution.scaled(placed.scale)
    checked = None if world.check_length is None else measure_length(placed.rig, world.check_length)
    findings = judge(qualities, solution.shared, spared, source.free_running, board.square_mm)
    findings += judge_timing(checks.timing, source.free_running)
    findings += judge_world(placed.anchored, checked, placed.scale, placed.grounded)
    verdict, ordered = verdict_of(findings)
    return Calibrated(
        placed.rig,
        covariance,
        board,
        found,
        solution,
        qualities,
        spared,
        checks,
        placed.grounded,
        placed.anchored,
        placed.scale,
        checked,
        verdict,
        ordered,
        source,
    )


def calibrate_to(
    path: Path, board_file: Path, output: Path, *, accept: bool = False, report: Path | None = None,
    lens: LensModel | None = None, lenses: Path | None = None, world: World = AS_SOLVED,
    max_spread_ms: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Calibrate and write the TOML, its JSON and the report page (`<output>.html`).

    Returns the figures. A calibration that FAILs is not written unless `accept`; its report is.

    Raises
    ------
    RigposeError
        As `calibrate`; if the output's folder is none, or the verdict is FAIL without `accept`.
    """
    output = Path(output)
    check_toml_name(output)
    result = calibrate(path, board_file, lens=lens, lenses=lenses, world=world, max_spread_ms=max_spread_ms)
    figures = {**result.figures(), **_since(output, result)}
    page = report or output.with_suffix(".html")
    write_report(result.rig, result.solution, result.board, figures, page, result.found.pictures)
    if result.verdict == "FAIL" and not accept:
        worst = result.findings[0]
        raise RigposeError(
            worst.whose, expected="a calibration to measure with", found=worst.found,
            remedy=f"{worst.remedy}. See {page}; --accept writes it all the same",
        )  # fmt: skip
    save_toml(result.rig, output, _details(result, figures))
    return {
        **figures, "calibration": str(output), "details": str(details_path(output)), "report": str(page),
        "sha256": calibration_hash(output),
    }  # fmt: skip


def _since(previous: Path, result: Calibrated) -> dict[str, Any]:
    """What moved since the calibration that is about to be replaced, or why that cannot be said.

    Both None where there is none to compare.
    """
    if result.anchored is not None or not previous.exists():
        return {"since_previous": None, "not_compared": None}
    try:
        old, places = load_calibration(previous), board_places(result.solution, result.board)
        changes = anchor(result.solution.rig, old, places, previous).cameras
    except RigposeError as error:  # another rig's, or a damaged one: it is replaced either way
        why = f"{error.whose}: expected {error.expected}, found {error.found}"
        return {"since_previous": None, "not_compared": why.replace("\n", " ")}
    return {"since_previous": [asdict(change) for change in changes], "not_compared": None}


def _known_lenses(known: CalibratedRig, observations: Observations, whose: object) -> np.ndarray[Any, Any]:
    """Lens rows of the observations' cameras from an older calibration; raises `RigposeError`."""
    rows = []
    for name, size in zip(observations.cameras, observations.sizes_px, strict=True):
        camera = known.camera(name)
        if camera.size_px != size:
            raise RigposeError(
                whose, expected=f"lenses of '{name}' for images of {size[0]} x {size[1]}",
                found=f"{camera.size_px[0]} x {camera.size_px[1]}", remedy="Calibrate its lens again",
            )  # fmt: skip
        rows.append(camera.lens)
    return np.stack(rows)


def _details(result: Calibrated, figures: dict[str, Any]) -> dict[str, Any]:
    """What calibration.json holds beside the TOML's hash."""
    adjusted = result.solution.adjusted
    cameras = {}
    for c, camera in enumerate(result.rig.cameras):
        sd = np.sqrt(np.maximum(np.diag(result.covariance[c, :, c]), 0))
        parameters = figures["parameters"][camera.name]
        cameras[camera.name] = {
            "size_px": list(camera.size_px),
            **result.source.devices.get(camera.name, {}),
            "lens_model": result.solution.lenses[c].model,
            "lens": {name: value for name, (value, _) in parameters.items()},
            "delay_ms": float(adjusted.bundle.delays[c] * 1e3),
            "lens_sd": {name: sd for name, (_, sd) in parameters.items()},
            "rotation_sd_rad": sd[LENS : LENS + 3].tolist(),
            "translation_sd_mm": sd[LENS + 3 : LENS + 6].tolist(),
        }
    summary: Sequence[str] = ("verdict", "rms_px", "median_px", "p95_px", "max_px", "held_out", "frame_sets")
    return {
        "cameras": cameras,
        "covariance": covariance_details(result.rig.names, result.covariance),
        "board": result.board.model_dump(mode="json", exclude_none=True),
        "report": {key: figures[key] for key in summary},
    }
