"""One rig on this machine: what its file asks for, and whether it is there. Nothing is opened or pulsed."""

from __future__ import annotations

import os
from pathlib import Path

from acquisition.capture_plan import capture_plans
from acquisition.errors import RigposeError
from acquisition.rig import RigSettings
from acquisition.videos.encoder import check_codec
from rigpose.machine.finding import Finding, ok
from rigpose.rig_file import RigFile, load_rig


def trigger_ports() -> Finding:
    """Without a rig file: serial ports that could be a trigger's."""
    ports = sorted(
        str(port) for name in ("rigpose-trigger", "ttyACM*", "ttyUSB*") for port in Path("/dev").glob(name)
    )
    if not ports:
        return Finding("trigger", "note", "no serial port", "Plug the board in; then: rigpose trigger test")
    return ok("trigger", f"ports {', '.join(ports)}")


def rig(path: Path) -> tuple[RigFile | None, list[Finding]]:
    """The rig file, where it can be read, and what is to be said of it."""
    try:
        file = load_rig(path)
    except RigposeError as error:
        return None, [_of(f"rig file {path}", error)]
    settings = file.acquisition
    cameras = f"{len(settings.cameras)} cameras, codec {settings.recording.codec}"
    findings = [ok(f"rig {settings.name}", cameras)]
    for what, check in (("cameras", lambda: capture_plans(settings)), ("codec", lambda: _codec(settings))):
        try:
            check()
        except RigposeError as error:
            findings.append(_of(what, error))
    if settings.trigger is not None and settings.trigger.port.startswith("/"):
        findings.append(_port(settings.trigger.port))
    if file.calibration is not None and not file.calibration.exists():
        remedy = f"Run: rigpose calibrate RECORDING --board BOARD.yaml -o {file.calibration}"
        findings.append(Finding("calibration", "note", f"{file.calibration} is not there yet", remedy))
    return file, findings


def _codec(settings: RigSettings) -> None:
    check_codec(settings.recording.codec)


def _port(port: str) -> Finding:
    if not Path(port).exists():
        return Finding("trigger", "broken", f"{port} is not there", "Plug the board in, or mend trigger.port")
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding(
            "trigger", "broken", f"{port} may not be opened", "Run: sudo usermod -aG dialout $USER"
        )
    return ok("trigger", f"{port}; to see it pulse: rigpose trigger test {port}")


def _of(what: str, error: RigposeError) -> Finding:
    return Finding(
        what, "broken", f"{error.whose}: expected {error.expected}, found {error.found}", error.remedy
    )
