"""The optical proof: the pulse count that the LED shows in each camera against the frame set's index.

Counters can all agree while one camera is off by one from the start. The LED cannot be fooled: in set n
it shows pulse n, or the camera is out of step.
"""

from __future__ import annotations

import contextlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.findings import Finding, verdict_of
from acquisition.frame import Absence, Image
from acquisition.progress import Progress
from acquisition.proof.led import LEAST_FRAMES, LedSeen, Region, find_led
from acquisition.proof.report import OPTICAL
from acquisition.recordings.recording import Recording
from acquisition.synchronisation.pulse_code import CYCLE_SLOTS, Word, words
from acquisition.synchronisation.synchronise import StampSet

WINDOW_SETS = 4 * 32
"""Sets that are read at each place: three whole words at least."""


@dataclass(frozen=True, slots=True)
class CameraProof:
    """What one camera's LED said.

    Attributes
    ----------
    words:
        Words read; each carries the count.
    off_by:
        By how many pulses its pictures are later than their sets, every value that was seen, the first
        seen first: [0] is in step.
    region:
        x, y, width, height px of the LED; None where it was not found.
    likeness, step:
        As in `LedSeen`, of the first window in which it was read.
    saturated:
        Whether it is at the sensor's limit.
    unread:
        Windows in which nothing could be read.
    """

    words: int
    off_by: tuple[int, ...]
    region: Region | None
    likeness: float
    step: float
    saturated: bool
    unread: int


def check_session(folder: Path, regions: dict[str, Region] | None = None) -> dict[str, Any]:
    """Read the LED in a session: at its start and its end, and wherever a camera came back.

    Parameters
    ----------
    folder:
        The session.
    regions:
        Where the LED is in a camera, x, y, width, height px; elsewhere it is looked for.

    Returns
    -------
    dict
        `verdict`, `findings`; per camera what `CameraProof` has; `windows`: first and last set of each;
        `short_stretches`: how many stretches, between pauses or starts of the trigger, hold no whole word.
        The same is in the session's optical_proof.json.

    Raises
    ------
    RigposeError
        If `folder` is no session of a triggered rig, or too short, or a region is none.
    """
    regions = regions or {}
    with Recording.open(folder) as recording:
        if recording.rig.trigger is None:
            raise RigposeError(
                folder, expected="a session of a triggered rig", found="one whose cameras run freely",
                remedy="The LED counts the trigger's pulses; without a trigger there is none",
            )  # fmt: skip
        for camera in regions:
            recording.frame_table(camera)  # refuses a camera that is none
        sets = recording.frame_sets()
        windows = _windows(recording, sets)
        lengths = [end - begin for begin, end in zip(*_stretches(recording, sets), strict=True)]
        short = [length for length in lengths if length < LEAST_FRAMES]
        places = [sets[a:b] for a, b in windows]
        with Progress("places of the LED", total=len(places) * len(recording.cameras)) as bar:
            cameras = {
                camera: _camera(recording, column, places, regions.get(camera), bar)
                for column, camera in enumerate(recording.cameras)
            }
        folder = recording.folder
    report = {
        "cameras": {camera: asdict(proof) for camera, proof in cameras.items()},
        "windows": [[sets[a].index, sets[b - 1].index] for a, b in windows],
        "short_stretches": len(short),
    }
    judged = with_findings(report, [*judge(cameras), *_judge_short(short)])
    store_proof(folder, judged)
    return judged


def with_findings(report: dict[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """The report with these findings and their verdict."""
    verdict, ordered = verdict_of(findings)
    return {**report, "verdict": verdict, "findings": [asdict(finding) for finding in ordered]}


def store_proof(folder: Path, report: dict[str, Any]) -> None:
    """Write a session's optical_proof.json; a session on a read-only medium goes without."""
    temporary = folder / f".{OPTICAL}.part"
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(report, indent=1), encoding="utf-8")
        temporary.replace(folder / OPTICAL)


def judge(cameras: dict[str, CameraProof]) -> list[Finding]:
    """What the LED says against the counters."""
    findings = []
    for name, camera in cameras.items():
        whose = f"camera '{name}'"
        if not camera.words:
            findings.append(
                Finding(
                    "FAIL", whose,
                    "the LED was not found" if camera.region is None else "the LED's count could not be read",
                    "Put it where this camera sees it, small and not saturated, or name its place with "
                    f"--region {name}=X,Y,WIDTH,HEIGHT",
                )
            )  # fmt: skip
            continue
        wrong = [off for off in camera.off_by if off]
        if wrong:
            findings.append(
                Finding(
                    "FAIL", whose, f"its pictures are {_pulses(wrong)} than every counter says",
                    "Start cameras before the trigger; empty their buffers when they are armed; do not use "
                    "this session for 3D",
                )
            )  # fmt: skip
        if camera.unread:
            findings.append(
                Finding(
                    "WARN", whose, f"the LED could not be read at {camera.unread} of the places looked at",
                    "Keep it in view all the time: what was not read is not proved",
                )
            )  # fmt: skip
        if camera.saturated:
            findings.append(
                Finding(
                    "WARN", whose, "the LED saturates the sensor", "Dim it: a larger resistor, or diffuse it"
                )
            )  # fmt: skip
    offs = {camera.off_by for camera in cameras.values() if camera.words}
    if len(cameras) > 1 and len(offs) == 1 and any(next(iter(offs))):
        findings.append(
            Finding(
                "FAIL", "frame sets", "all cameras are off by the same: sets are right, their numbers not",
                "What is joined by pulse number (edges of the TTL input, ephys) is off by that",
            )
        )  # fmt: skip
    return findings


def _judge_short(stretches: list[int]) -> list[Finding]:
    if not stretches:
        return []
    return [
        Finding(
            "WARN", "frame sets",
            f"{len(stretches)} stretches between pauses hold no word of the LED ({sum(stretches)} sets)",
            f"Record for {LEAST_FRAMES} sets and more at a time: nothing is proved of shorter stretches",
        )
    ]  # fmt: skip


def _pulses(off_by: list[int]) -> str:
    return " and ".join(
        f"{abs(off)} pulse{'s' if abs(off) > 1 else ''} {'later' if off > 0 else 'earlier'}" for off in off_by
    )


def _windows(recording: Recording, sets: list[StampSet]) -> list[tuple[int, int]]:
    """Places in the list of sets to look at: the start, the end, and after each camera's return."""
    if len(sets) < LEAST_FRAMES:
        raise RigposeError(
            recording.folder, expected=f"{LEAST_FRAMES} frame sets, to hold a whole word of the LED",
            found=str(len(sets)), remedy="Record for longer",
        )  # fmt: skip
    begins, ends = _stretches(recording, sets)
    rows = {*begins, len(sets) - 1}
    for column in range(len(recording.cameras)):
        back = False
        for row, one in enumerate(sets):
            absence = one.absences[column]
            if absence is None and back:
                rows.add(row)
            back = absence is not None and (back or absence in (Absence.ENDED, Absence.NOT_RECORDED))
    windows = set()
    for row in rows:
        stretch = bisect_right(begins, row) - 1
        start = max(begins[stretch], min(row, ends[stretch] - WINDOW_SETS))
        windows.add((start, min(start + WINDOW_SETS, ends[stretch])))
    return [window for window in sorted(windows) if window[1] - window[0] >= LEAST_FRAMES] or sorted(windows)


def _stretches(recording: Recording, sets: list[StampSet]) -> tuple[list[int], list[int]]:
    """Where stretches of the list of sets begin and end: no word goes across.

    The trigger began anew between them, or pulses are missing (the recording was off).
    """
    trains = _train_begins(recording)
    begins = [0] + [
        row for row in range(1, len(sets))
        if sets[row].index in trains or sets[row].index > sets[row - 1].index + 1
    ]  # fmt: skip
    return begins, [*begins[1:], len(sets)]


def _train_begins(recording: Recording) -> list[int]:
    """Indices of the sets at which the trigger began to count anew; the LED then begins anew as well."""
    trains = recording.session.get("trains") or [{}]
    return sorted(int(train.get("first_index", 0)) for train in trains)


def _camera(
    recording: Recording, column: int, windows: list[list[StampSet]], region: Region | None, bar: Progress
) -> CameraProof:
    camera = recording.cameras[column]
    begins = _train_begins(recording)
    best: LedSeen | None = None
    offs: Counter[int] = Counter()
    read = unread = 0
    for sets in windows:
        pictures = [_picture(recording, camera, one.payloads[column]) for one in sets]
        base = max((begin for begin in begins if begin <= sets[0].index), default=0)
        slots = [one.index - base for one in sets]
        if region is not None:
            _check_region(camera, region, pictures)
        seen, found = _likeliest(find_led(pictures, slots, region))
        best = best or seen
        unread += not found
        read += len(found)
        offs.update(_distance(word.slot - slots[word.index]) for word in found)
        bar.advance()
    return CameraProof(
        words=read,
        off_by=tuple(offs),
        region=None if best is None else best.region,
        likeness=0.0 if best is None else round(best.likeness, 3),
        step=0.0 if best is None else round(best.step, 1),
        saturated=best is not None and best.saturated,
        unread=unread if read else 0,
    )


def _likeliest(candidates: list[LedSeen]) -> tuple[LedSeen | None, list[Word]]:
    """The first candidate in which words are read; else the likeliest, without any."""
    for seen in candidates:
        found = words(seen.states)
        if found:
            return seen, found
    return (candidates[0] if candidates else None), []


def _distance(slots: int) -> int:
    """The nearer way around the code's cycle."""
    return (slots + CYCLE_SLOTS // 2) % CYCLE_SLOTS - CYCLE_SLOTS // 2


def _picture(recording: Recording, camera: str, row: int | None) -> Image | None:
    try:
        return None if row is None else recording.image(camera, row)
    except RigposeError:  # damaged since: as one that the camera lost
        return None


def _check_region(camera: str, region: Region, pictures: list[Image | None]) -> None:
    x, y, width, height = region
    for picture in pictures:
        if picture is not None and (
            width < 1 or height < 1 or x + width > picture.shape[1] or y + height > picture.shape[0]
        ):
            raise RigposeError(
                f"--region {camera}", expected=f"a part of {picture.shape[1]} x {picture.shape[0]} px",
                found=f"{x},{y},{width},{height}", remedy="Give x, y, width, height inside the picture",
            )  # fmt: skip
