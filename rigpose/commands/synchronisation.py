"""`rigpose check-sync` and `rigpose sync-report`: proof that cameras are in step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rigpose.commands.options import Measured, numbers_of

if TYPE_CHECKING:
    from acquisition.proof.led import Region

Regions = Annotated[
    tuple[str, ...],
    Parameter(name="--region", help="CAMERA=X,Y,WIDTH,HEIGHT: where the LED is; repeated for each camera."),
]


def check_sync(
    target: Path,
    /,
    *,
    region: Regions = (),
    calibration: Annotated[Path | None, Parameter(help="Calibration TOML: finds exchanged cameras.")] = None,
    keep: Annotated[Path | None, Parameter(help="Keep the recording that is made, in this folder.")] = None,
) -> Measured:
    """Prove with the trigger's LED that no camera is off by a pulse: on a rig, or in a session.

    Counters can all agree while one camera is off by one from the start. The trigger blinks its pulse count
    (pin D4); it is looked for in every camera's pictures, read, and compared with the frame sets' numbers. On
    a rig some seconds are recorded for it; of a session its start, its end, and every place where a camera
    came back are read. The exit code is 1 where a camera is out of step or does not see the LED.

    Two cameras whose names were exchanged show the same LED; with a calibration its places in the pictures
    tell them apart. Better still, write their serial numbers into the rig file (`serial`).

    Parameters
    ----------
    target:
        The rig file, rig.yaml, or a recorded session's folder.
    region:
        Where the LED is in a camera's picture, px. Otherwise it is found.
    calibration:
        The rig's calibration, made before; by default the one that the rig file names, if it is there.
    keep:
        Where the recording stays, with its report; a new folder. Only for a rig.

    Returns
    -------
    dict
        `verdict`, `findings`; per camera: words read, `off_by` pulses, the LED's `region`, `likeness` to the
        code, `step` from off to on in grey levels, `saturated`, `unread` places; `windows` that were read.

    Raises
    ------
    RigposeError
        No trigger, a session that is too short, a region outside of the picture.

    Examples
    --------
    rigpose check-sync rig.yaml
    rigpose check-sync recordings/mouse-7 --region top=310,20,12,12
    """
    from acquisition.errors import RigposeError
    from rigpose.commands.outcome import CommandFailed

    regions = regions_of(region)
    if target.is_dir():
        from acquisition.proof.optical import check_session
        from acquisition.proof.report import write_report

        if keep is not None:
            raise RigposeError(
                "--keep", expected="a rig file beside it", found="a session", remedy="Leave --keep out"
            )
        found = _with_views(check_session(target, regions), calibration, target)
        write_report(target)
    else:
        from acquisition.check_sync import check_rig
        from rigpose.rig_file import load_rig

        file = load_rig(target)
        named = file.calibration if file.calibration is not None and file.calibration.exists() else None
        found = _with_views(check_rig(file.acquisition, regions, keep), calibration or named, keep)
    show_proof(found)
    if found["verdict"] == "FAIL":
        raise CommandFailed(out_of_step(found), found)
    return found


def _with_views(found: Measured, calibration: Path | None, session: Path | None) -> Measured:
    """The proof, and whether the LED's places fit the calibration under the cameras' names."""
    from acquisition.findings import Finding
    from acquisition.proof.optical import store_proof, with_findings
    from calibration.exchanged_views import judge_views
    from calibration.formats.anipose import load_calibration

    if calibration is None:
        return found
    places = {}
    for name, camera in found["cameras"].items():
        if camera["words"]:
            x, y, width, height = camera["region"]
            places[name] = (x + (width - 1) / 2, y + (height - 1) / 2)
    further = judge_views(load_calibration(calibration), places)
    judged = with_findings(found, [*(Finding(**one) for one in found["findings"]), *further])
    if session is not None:
        store_proof(session, judged)
    return judged


def sync_report(
    sessions: Annotated[list[Path], Parameter(help="Folders of recorded sessions.")],
    /,
) -> Measured:
    """Make a session's synchronisation report (again): counts, gaps, clocks, a verdict.

    `rigpose record` makes it at the end; here it is made of a session that was cut off, or recorded by an
    earlier version. Written into the session's folder: synchronisation.html, .json and .svg. The exit code
    is 1 where a verdict is FAIL.

    Parameters
    ----------
    sessions:
        Folders that `rigpose record` or `rigpose live --record` has written.

    Returns
    -------
    dict
        `sessions`: each one's report, as in its synchronisation.json, and the `files` written.

    Raises
    ------
    RigposeError
        No session, or one that cannot be written to.

    Examples
    --------
    rigpose sync-report recordings/mouse-7
    """
    from acquisition.errors import RigposeError
    from acquisition.progress import Progress
    from acquisition.proof.report import write_report
    from rigpose.commands.outcome import CommandFailed

    if not sessions:
        raise RigposeError(
            "rigpose sync-report", expected="at least one session", found="none", remedy="Name its folder"
        )
    reports = []
    with Progress("reports", total=len(sessions)) as bar:
        for session in sessions:
            reports.append(write_report(session))
            bar.advance()
    for report in reports:
        show_verdict(report["verdict"], report["findings"], f"synchronisation of {report['session']}")
        print(report["files"][1])
    failed = [report["session"] for report in reports if report["verdict"] == "FAIL"]
    if failed:
        raise CommandFailed(f"synchronisation: FAIL for {', '.join(failed)}", {"sessions": reports})
    return {"sessions": reports}


def regions_of(texts: tuple[str, ...]) -> dict[str, Region]:
    """CAMERA=X,Y,WIDTH,HEIGHT as a mapping. Raises `RigposeError`."""
    from acquisition.errors import RigposeError

    regions: dict[str, Region] = {}
    for text in texts:
        camera, separator, numbers = text.partition("=")
        if not separator:
            raise RigposeError(
                "--region", expected="CAMERA=X,Y,WIDTH,HEIGHT", found=f"'{text}'", remedy="Name the camera"
            )
        x, y, width, height = numbers_of(numbers, "--region", 4)
        regions[camera] = (x, y, width, height)
    return regions


def out_of_step(found: dict[str, Any]) -> str:
    """The failed findings of an optical proof, in one line."""
    failed = [f"{f['whose']}: {f['found']}" for f in found["findings"] if f["level"] == "FAIL"]
    return "out of step, or not proved: " + "; ".join(failed)


def show_proof(found: dict[str, Any]) -> None:
    """Print an optical proof."""
    from rich.console import Console
    from rich.table import Table

    from acquisition.progress import is_quiet

    table = Table(box=None, pad_edge=False)
    for heading in ("camera", "words read", "pulses off", "LED at px", "off to on"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for name, camera in found["cameras"].items():
        region = camera["region"]
        place = "" if region is None else f"{region[0]},{region[1]} {region[2]}x{region[3]}"
        off_by = ", ".join(f"{off:+d}" if off else "0" for off in camera["off_by"])
        table.add_row(name, str(camera["words"]), off_by, place, f"{camera['step']:.0f}")
    Console(quiet=is_quiet()).print(table)
    show_verdict(found["verdict"], found["findings"], "optical proof")


def show_verdict(verdict: str, findings: list[dict[str, str]], what: str) -> None:
    """Print a verdict and its findings, a line each."""
    from rich.console import Console

    from acquisition.progress import is_quiet

    console = Console(quiet=is_quiet(), highlight=False)
    console.print(f"{what}: {verdict}", markup=False, soft_wrap=True)
    for finding in findings:
        console.print(
            f"{finding['level']} {finding['whose']}: {finding['found']}. {finding['remedy']}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
