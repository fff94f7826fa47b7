"""PASS, WARN or FAIL: whether a session's frame sets can be trusted, and what to change on the rig.

The bounds are coarse on purpose. FAIL is a session in which frames of different instants may stand in
one set, or most of a camera is missing; WARN is a rig that could do better. Frames that are absent with
their cause known shift nothing.
"""

from __future__ import annotations

from acquisition.findings import Finding
from acquisition.frame import Absence
from acquisition.proof.figures import CameraSynchrony, Synchrony

WARN_ABSENT, FAIL_ABSENT = 0.001, 0.2  # of a camera's sets, for one cause
FAIL_UNCERTAIN = 0.01  # of all sets
WARN_OFFSET = 0.5  # of the tolerance
WARN_DRIFT_PPM, WARN_DRIFT_SPAN_PPM = 200.0, 20.0
WARN_UNCERTAINTY = 0.5  # of a period
WARN_PTP_US = 1000.0

_REMEDIES = {
    Absence.LOST: "Look at cable, switch, packet size and socket buffers (rigpose configs copy, network/)",
    Absence.IGNORED: "It was busy when the pulse came: lower trigger.rate_hz, or its exposure or image size",
    Absence.RING_FULL: "Disk or encoder is too slow: another recording.codec, fewer or smaller images",
    Absence.UNMATCHED: "It exposes by itself: set its trigger mode and input line",
    Absence.NOT_STARTED: "It began late: see that it is armed before the pulses begin",
    Absence.ENDED: "It stopped: look at its cable and power supply",
}
_FREE_RUNNING = "It runs freely and drifts past the others: wire a trigger, or allow more sync.tolerance_ms"


def judge(measured: Synchrony) -> list[Finding]:
    """What is wrong with a session's synchrony, or could be better."""
    findings: list[Finding] = []
    if not measured.frame_sets and measured.paused_s and not measured.stretches:
        remedy = "The rig may be well all the same; the live page switches it on, at its control address"
        return [Finding("WARN", "session", "its recording was never switched on", remedy)]
    if not measured.frame_sets:
        return [Finding("FAIL", "session", "no frame set", "See that the trigger runs and cameras deliver")]
    if measured.ended is None:
        findings.append(
            Finding("WARN", "session", "it was cut off", "What is there is measured; run rigpose recover")
        )
    for name, camera in measured.cameras.items():
        findings += _of_camera(f"camera '{name}'", camera, measured)
    if measured.uncertain:
        share = measured.uncertain / measured.frame_sets
        findings.append(
            Finding(
                "FAIL" if share > FAIL_UNCERTAIN else "WARN", "frame sets",
                f"{measured.uncertain} of {measured.frame_sets} are uncertain: a frame may belong to the "
                "pulse before or after",
                "Use cameras with a clock of their own, a lower rate, or less load; rigpose check-sync shows "
                "whether they are right",
            )
        )  # fmt: skip
    steps = measured.clock_steps_ms
    if steps:
        findings.append(
            Finding(
                "WARN", "calendar's clock",
                f"set {len(steps)} times while recording, by up to {max(steps, key=abs):+.1f} ms",
                "Frame sets are not touched by it; let NTP slew instead of step if other machines' files are "
                "joined by wall time",
            )
        )  # fmt: skip
    return findings + _of_ptp(measured)


def _of_ptp(measured: Synchrony) -> list[Finding]:
    ptp = measured.ptp
    if ptp is None:
        return []
    findings = []
    if ptp["lost"]:
        findings.append(
            Finding(
                "WARN", "PTP", f"the grandmaster was lost {ptp['lost']} times",
                "Look at the network and at the machine that gives the time",
            )
        )  # fmt: skip
    if len(ptp["grandmasters"]) > 1:
        findings.append(
            Finding(
                "WARN", "PTP", f"{len(ptp['grandmasters'])} grandmasters gave the time in turn",
                "Give one of them the better priority1",
            )
        )  # fmt: skip
    offset_us = ptp["offset_us_median"] or 0.0
    if offset_us > WARN_PTP_US:
        findings.append(
            Finding(
                "WARN", "PTP", f"this host's clock is {offset_us:.0f} us from the master's in the middle",
                "Use a network card with hardware time stamps, or a quieter network",
            )
        )  # fmt: skip
    return findings


def _of_camera(whose: str, camera: CameraSynchrony, measured: Synchrony) -> list[Finding]:
    if not camera.frames:
        return [Finding("FAIL", whose, "no frame at all", "Look at its cable, its trigger line and its mode")]
    findings = []
    for cause in Absence:
        absent = camera.absent.get(cause.value, 0)
        share = absent / measured.frame_sets
        drifting = cause is Absence.UNMATCHED and not measured.triggered
        remedy = _REMEDIES.get(cause, "Look at what the session's events say about it")
        if share > WARN_ABSENT and absent > 1:  # one is a frame still on its way when all was stopped
            findings.append(
                Finding(
                    "FAIL" if share > FAIL_ABSENT and not drifting else "WARN", whose,
                    f"absent from {absent} of {measured.frame_sets} sets ({share:.1%}): {cause.value}",
                    _FREE_RUNNING if drifting else remedy,
                )
            )  # fmt: skip

    def warn(when: bool, found: str, remedy: str) -> None:
        if when:
            findings.append(Finding("WARN", whose, found, remedy))

    warn(
        camera.restarts > 0,
        f"it came back {camera.restarts} times with a new count",
        "Look at its cable and power supply; rigpose check-sync shows whether it came back in step",
    )
    warn(
        camera.repeated_stamps > 0,
        f"{camera.repeated_stamps} stamps are not later than the one before",
        "They are kept as they came; look for a firmware update of the camera",
    )
    offset_ms = camera.offset_ms or 0.0
    warn(
        measured.triggered and abs(offset_ms) > WARN_OFFSET * measured.tolerance_ms,
        f"exposed {abs(offset_ms):.2f} ms {'after' if offset_ms > 0 else 'before'} the others",
        "Give all cameras one trigger delay and one exposure time",
    )
    drift_ppm = camera.drift_ppm or 0.0
    warn(
        abs(drift_ppm) - (camera.drift_uncertainty_ppm or 0.0) > WARN_DRIFT_PPM,
        f"its clock is off by {drift_ppm:+.0f} ppm",
        "A crystal is within 100 ppm: see that the unit of its stamps is what its driver takes it for",
    )
    warn(
        (camera.drift_span_ppm or 0.0) > WARN_DRIFT_SPAN_PPM,
        f"the rate of its clock changed by {camera.drift_span_ppm or 0.0:.0f} ppm",
        "Let it warm up before recording; see that nothing sets its clock",
    )
    if measured.triggered and measured.period_ms and camera.uncertainty_ms is not None:
        warn(
            camera.uncertainty_ms > WARN_UNCERTAINTY * measured.period_ms,
            f"its exposures are known to {camera.uncertainty_ms:.2f} ms only, of a period of "
            f"{measured.period_ms:.2f} ms",
            "Prove its step with rigpose check-sync",
        )
    return findings
