"""PASS, WARN or FAIL: what is wrong with a calibration and what to record again.

The bounds are deliberately coarse: FAIL is what no one should measure with, WARN what a second
recording would make better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acquisition.findings import Finding, Level
from calibration.anchor import Anchored
from calibration.cross_checks import Timing
from calibration.ground import Grounded
from calibration.known_length import MeasuredLength
from calibration.quality import CameraQuality, HeldOut
from calibration.view_graph import spanning_tree

FAIL_RMS_PX, WARN_RMS_PX = 2.0, 0.8
FAIL_FOCAL, WARN_FOCAL = 0.02, 0.005  # standard deviation as a share
FAIL_DISTANCE, WARN_DISTANCE = 0.05, 0.02  # RMS of board distances as a share of a square
FAIL_SCALE, WARN_SCALE = 0.01, 0.002
WARN_VIEWS, FAIL_SHARED, WARN_SHARED = 10, 2, 8
WARN_COVERAGE = 0.4
WARN_DELAY_MS = 5.0
WARN_LATE_MS, LATE_SIGMAS = 2.0, 5.0  # of cameras that are triggered
FAIL_LENGTH, WARN_LENGTH = 0.01, 0.003  # of a known length
FAIL_GROUND, WARN_GROUND = 0.05, 0.01  # marks' distance from a plane as a share of their extent


def judge(
    cameras: tuple[CameraQuality, ...], shared: npt.NDArray[np.int64], held_out: HeldOut | None,
    free_running: bool, square_mm: float,
) -> list[Finding]:  # fmt: skip
    """What is wrong with the recording and the fit; `shared` (C, C): views that two cameras share."""
    findings: list[Finding] = []

    def bound(value: float, warn: float, fail: float, whose: str, text: str, remedy: str) -> None:
        if value > warn or value != value:
            level: Level = "WARN" if value <= fail else "FAIL"
            findings.append(Finding(level, whose, text, remedy))

    for camera in cameras:
        name = f"camera '{camera.name}'"
        bound(
            camera.rms_px,
            WARN_RMS_PX,
            FAIL_RMS_PX,
            name,
            f"reprojection error {camera.rms_px:.2f} px RMS",
            "Hold the board still (or shorten the exposure), focus the lens, and see that the board is flat",
        )
        bound(
            camera.focal_sd,
            WARN_FOCAL,
            FAIL_FOCAL,
            name,
            f"focal length known to {camera.focal_sd:.1%} only",
            f"Record more views before '{camera.name}' with the board tilted by 30 to 45 degrees",
        )
        bound(
            -camera.views,
            -WARN_VIEWS,
            -2,
            name,
            f"{camera.views} views of the board",
            f"Record more views before '{camera.name}'",
        )
        bound(
            -camera.coverage,
            -WARN_COVERAGE,
            1,
            name,
            f"board seen in {camera.coverage:.0%} of the image",
            f"Carry the board into every corner of the image of '{camera.name}'",
        )
        if free_running and abs(camera.delay_ms) > WARN_DELAY_MS:
            findings.append(
                Finding(
                    "WARN", name, f"pictures {abs(camera.delay_ms):.0f} ms "
                    f"{'later' if camera.delay_ms > 0 else 'earlier'} than its stamps say",
                    "Trigger the cameras by hardware; poses of moving animals suffer as the board's did",
                )
            )  # fmt: skip
    names = tuple(camera.name for camera in cameras)
    for one, other in spanning_tree(names, shared):  # the best that there is, and what the rig hangs by
        bound(
            -int(shared[one, other]),
            -WARN_SHARED,
            -FAIL_SHARED,
            f"cameras '{names[one]}' and '{names[other]}'",
            f"joined by {shared[one, other]} frame sets in which both see the board",
            f"Hold the board where '{names[one]}' and '{names[other]}' see it, or a third camera and each",
        )
    if held_out is None:
        findings.append(
            Finding(
                "WARN", "recording", "too few frame sets to hold any out", "Record at least 20 board poses"
            )
        )
    elif held_out.distances is not None:
        distances = held_out.distances
        bound(
            distances.rms_mm / square_mm,
            WARN_DISTANCE,
            FAIL_DISTANCE,
            "board distances, held out",
            f"{distances.rms_mm:.2f} mm RMS over {distances.pairs} pairs",
            "Record more board poses throughout the volume, held still, on a flat board",
        )
        bound(
            abs(distances.scale_bias),
            WARN_SCALE,
            FAIL_SCALE,
            "board distances, held out",
            f"lengths {distances.scale_bias:+.2%}",
            "Record more board poses throughout the volume",
        )
    return findings


def judge_timing(timing: Timing | None, free_running: bool) -> list[Finding]:
    """Cameras that are triggered and late all the same."""
    findings = []
    for camera in timing.cameras if timing is not None and not free_running else ():
        if camera.delay_ms is None or camera.delay_sd_ms is None:
            continue
        late = abs(camera.delay_ms)
        if late > WARN_LATE_MS and late > LATE_SIGMAS * camera.delay_sd_ms:
            findings.append(
                Finding(
                    "WARN", f"camera '{camera.name}'",
                    f"pictures {late:.1f} ms {'later' if camera.delay_ms > 0 else 'earlier'} than the first "
                    "camera's, by boards in motion, though they count as one instant",
                    "Test the trigger with rigpose check-sync; the calibration itself need not be wrong",
                )
            )  # fmt: skip
    return findings


def judge_world(
    anchored: Anchored | None, checked: MeasuredLength | None, scale: float | None,
    grounded: Grounded | None = None,
) -> list[Finding]:  # fmt: skip
    """Findings about the world's place and size: cameras that moved, a ground that is none, wrong lengths."""
    findings: list[Finding] = []
    if grounded is not None and grounded.rms_mm > WARN_GROUND * grounded.extent_mm:
        far = grounded.rms_mm > FAIL_GROUND * grounded.extent_mm
        findings.append(
            Finding(
                "FAIL" if far else "WARN", "ground",
                f"its {grounded.marks} marks lie {grounded.rms_mm:.1f} mm RMS from a plane, over "
                f"{grounded.extent_mm:.0f} mm",
                "Mark points on the ground itself, not on what stands there, in pictures of one instant",
            )
        )  # fmt: skip
    if anchored is not None and anchored.scale is not None:
        findings.append(
            Finding(
                "WARN", "scale",
                f"lengths differ by {1 / anchored.scale - 1:+.2%} from the old calibration's",
                "Measure the board's squares: one of the two sizes is wrong, and --check-length tells which"
                + (" (or the cameras were moved apart)" if len(anchored.cameras) == 2 else ""),
            )
        )  # fmt: skip
    for change in anchored.cameras if anchored is not None else ():
        if not change.stayed:
            findings.append(
                Finding(
                    "WARN", f"camera '{change.name}'",
                    f"moved since the old calibration: {change.shift_px:.1f} px in its image, "
                    f"{change.moved_mm:.1f} mm, {change.turned_deg:.2f} degrees",
                    "Recordings since it was bumped need this calibration; fasten it",
                )
            )  # fmt: skip
    if checked is not None and abs(checked.error) > WARN_LENGTH:
        level: Level = "FAIL" if abs(checked.error) > FAIL_LENGTH else "WARN"
        findings.append(
            Finding(
                level, "known length",
                f"{checked.measured_mm:.2f} mm instead of {checked.length_mm:g} ({checked.error:+.2%})",
                "Measure the board's squares over its whole width and correct square_mm",
            )
        )  # fmt: skip
    if scale is not None and abs(scale - 1) > FAIL_LENGTH:
        findings.append(
            Finding(
                "WARN", "board",
                f"its squares are {scale:.2%} of what the board file says, by the known length",
                "Measure the print and correct square_mm",
            )
        )  # fmt: skip
    return findings
