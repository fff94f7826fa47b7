"""Videos of another program become a session: Matroska files, frame tables, session.json.

The originals are only read. Their names and hashes, where the times came from and what was done to each video
stand under `adopted` in session.json. The session's clock is that of the stamps; when it was on the calendar
is stated by the caller, else by the containers, else by the files' age, and which of them is written down.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acquisition.camera import CameraInfo
from acquisition.errors import RigposeError
from acquisition.frame_stamp import FrameStamp
from acquisition.progress import Progress
from acquisition.recordings.adopted_files import cameras_of, stamps_beside
from acquisition.recordings.adopted_times import AdoptedTimes, CameraTimes, Times, adopted_times
from acquisition.recordings.frame_table import SUFFIX, FrameTableWriter
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import Session, check_output
from acquisition.recordings.stamp_file import StampFile, Unit
from acquisition.rig import RigSettings
from acquisition.settings import parse_settings
from acquisition.videos.into_matroska import VideoScan, into_matroska, scan_video

HOW = "adopted"
_TOLERANCE = 0.45  # of a period; more than half of one could not tell neighbours apart
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """How videos are to be understood.

    Attributes
    ----------
    times, rate_hz, assume_aligned:
        See `adopted_times`.
    unit, column:
        Of the time stamps, where the CSV does not state it or several columns could be it.
    tolerance_ms:
        Largest distance of a frame from its set; None: 0.45 of the interval between frames.
    started:
        Calendar time of the first frame, ISO 8601; None: the containers', else the oldest file's age.
    subject, notes:
        Kept in session.json.
    """

    times: Times = "auto"
    rate_hz: float | None = None
    assume_aligned: bool = False
    unit: Unit | None = None
    column: str | None = None
    tolerance_ms: float | None = None
    started: str | None = None
    subject: str = ""
    notes: str = ""


def adopt(
    videos: Sequence[Path], output: Path, camera_regex: str, options: AdoptOptions | None = None
) -> dict[str, Any]:
    """Make the new session `output` of synchronised videos, one a camera; the first named is the reference.

    Returns
    -------
    dict
        `session`; `times`: source, rate, how far frames lie off a common grid, the notes; `cameras`: of each
        the file, what was done to it, frames, missing ones, repeated stamps, absences by cause, frames in no
        set; `frame_sets`, `complete_sets`, `uncertain_sets` (frames that may belong to the next pulse),
        `synchronised_by`.

    Raises
    ------
    RigposeError
        Names that tell no camera or two, no video, times that do not fit (`adopted_times`), an output that
        exists. Nothing is left behind then.
    """
    options = options or AdoptOptions()
    cameras = cameras_of([Path(video) for video in videos], camera_regex)
    output = Path(output)
    check_output(output)
    started_ns = None if options.started is None else _calendar_ns(options.started)
    stamps = (
        {}
        if options.times in ("container", "number")
        else stamps_beside(cameras, options.unit, options.column)
    )
    scans = {name: scan_video(path) for name, path in cameras.items()}
    times = adopted_times(
        scans, stamps, times=options.times, rate_hz=options.rate_hz, assume_aligned=options.assume_aligned
    )
    rig = _rig(output, cameras, times, options.tolerance_ms)
    session = Session.create(output, rig, subject=options.subject, notes=options.notes)
    try:
        done = {name: _take_in(session, name, scan, times) for name, scan in scans.items()}
        _describe(session, scans, stamps, times, done, camera_regex, options, started_ns)
    except BaseException:
        session.remove()
        raise
    return _report(session, times)


def _rig(
    output: Path, cameras: Mapping[str, Path], times: AdoptedTimes, tolerance_ms: float | None
) -> RigSettings:
    half_ms = times.period_ns * 0.5e-6
    if tolerance_ms is not None and not 0 < tolerance_ms < half_ms:
        raise RigposeError(
            "--tolerance-ms", expected=f"less than half a period, {half_ms:g} ms", found=f"{tolerance_ms:g}",
            remedy="Leave it out, or give a smaller one",
        )  # fmt: skip
    sections = {
        "name": re.sub(r"[^\w.-]", "-", output.resolve().name) or "adopted",
        "cameras": {name: {"uri": f"file://{path.resolve()}"} for name, path in cameras.items()},
        "sync": {"tolerance_ms": tolerance_ms or round(2 * half_ms * _TOLERANCE, 6)},
    }
    return parse_settings(RigSettings, sections, "rigpose adopt")


def _take_in(session: Session, name: str, scan: VideoScan, times: AdoptedTimes) -> str:
    """Video and frame table of one camera; how the video was moved."""
    own = times.cameras[name]
    stem = f"{session.folder.name}_{name}"
    origin_ns = min(int(each.t_ns[0]) for each in times.cameras.values())
    shown: list[int] = []
    for t_ns in own.t_ns.tolist():
        # Matroska counts milliseconds, and a reader that seeks wants times that grow
        shown.append(max(round((t_ns - origin_ns) / 1e6), shown[-1] + 1 if shown else 0))
    how = into_matroska(scan, session.folder / f"{stem}.mkv", shown, 1e9 / times.period_ns)
    table = FrameTableWriter(session.folder / f"{stem}{SUFFIX}", name)
    try:
        for stamp in _frame_stamps(name, own, times.period_ns):
            table.append(stamp)
        table.sync()
    finally:
        table.close()
    return how


def _frame_stamps(name: str, own: CameraTimes, period_ns: int) -> Iterable[FrameStamp]:
    """Where in its exposure a stamp lies nobody has said: half an interval either way."""
    rows = zip(own.seq.tolist(), own.t_ns.tolist(), own.lost_before.tolist(), strict=True)
    for seq, t_ns, lost in rows:
        # an arrival of 0 means a row that was never written
        yield FrameStamp(name, seq, t_ns, t_ns, period_ns // 2, t_ns or 1, lost)


def _describe(
    session: Session, scans: Mapping[str, VideoScan], stamps: Mapping[str, StampFile], times: AdoptedTimes,
    done: Mapping[str, str], camera_regex: str, options: AdoptOptions, started_ns: int | None,
) -> None:  # fmt: skip
    """Everything that session.json says."""
    infos, files = {}, {}
    for name, scan in scans.items():
        info, own = scan.info, times.cameras[name]
        digest = _sha256(info.path)
        files[name] = {
            "file": str(info.path.resolve()), "bytes": info.path.stat().st_size, "sha256": digest,
            "container": scan.container, "codec": scan.codec, "how": done[name], "frames": scan.frames,
            "missing": int(own.lost_before[own.lost_before > 0].sum()), "gap": scan.gap,
            "repeated_stamps": list(own.repeated),
        }  # fmt: skip
        if times.source == "csv":
            stamp = stamps[name]
            files[name]["stamps"] = {
                "file": str(stamp.path.resolve()), "sha256": _sha256(stamp.path), "column": stamp.column,
                "unit": stamp.unit, "counted": stamp.counts is not None,
            }  # fmt: skip
        infos[name] = asdict(CameraInfo(
            uri=f"file://{info.path.resolve()}", model=f"adopted video ({scan.codec})",
            serial=f"sha256:{digest[:16]}", width_px=info.width_px, height_px=info.height_px,
            channels=info.channels, rate_hz=1e9 / times.period_ns, exposure_us=0.0, id_modulus=None,
            id_first=0, has_device_clock=True, stamp_to_middle_ns=0,
            stamp_uncertainty_ns=times.period_ns // 2,
            stamp_meaning=f"time of the frame by {_SOURCES[times.source]}", pixel_format=scan.codec,
        ))  # fmt: skip
    first_ns = min(int(each.t_ns[0]) for each in times.cameras.values())
    known_from, realtime_ns = _beginning(scans, started_ns)
    session.facts["started"] = {
        "boot_id": f"adopted {session.folder.name}", "t_ns": first_ns, "realtime_ns": realtime_ns,
        "uncertainty_ns": 10**9,
    }  # fmt: skip
    session.facts["adopted"] = {
        "camera_regex": camera_regex, "times": times.source, "started_from": known_from,
        "assume_aligned": options.assume_aligned, "notes": times.notes, "videos": files,
    }  # fmt: skip
    period_ns = None if times.first_pulse_ns is None else times.period_ns
    session.began(infos, {"period_ns": period_ns, "first_exposure_ns": times.first_pulse_ns})
    session.end(HOW, cameras={name: {"recorded": scan.frames} for name, scan in scans.items()})


_SOURCES = {
    "csv": "a CSV beside the video", "container": "the container",
    "number": "its number; the n-th frames of all cameras are taken for one instant",
}  # fmt: skip


def _report(session: Session, times: AdoptedTimes) -> dict[str, Any]:
    with Recording.open(session.folder) as recording:
        sets = recording.frame_sets()
        cameras = {}
        for place, name in enumerate(recording.cameras):
            causes = Counter(absence.value for one in sets if (absence := one.absences[place]) is not None)
            about = session.facts["adopted"]["videos"][name]
            used = sum(one.stamps[place] is not None for one in sets)
            cameras[name] = {
                **about, "absent": dict(sorted(causes.items())), "in_no_set": about["frames"] - used,
            }  # fmt: skip
    spreads_ns = [one.spread_ns for one in sets if one.complete]
    return {
        "session": str(session.folder),
        "times": {
            "source": times.source, "rate_hz": 1e9 / times.period_ns, "off_grid_ms": times.off_grid_ns * 1e-6,
            "notes": times.notes,
        },
        "cameras": cameras,
        "synchronised_by": "nearest exposure" if times.first_pulse_ns is None else "common grid",
        "frame_sets": len(sets), "complete_sets": len(spreads_ns),
        "uncertain_sets": sum(bool(one.uncertain) for one in sets),
        "spread_ms_max": max(spreads_ns) * 1e-6 if spreads_ns else None,
        "started_from": session.facts["adopted"]["started_from"],
    }  # fmt: skip


def _beginning(scans: Mapping[str, VideoScan], started_ns: int | None) -> tuple[str, int]:
    """(who says so, nanoseconds since 1970) of the first frame."""
    if started_ns is not None:
        return "stated", started_ns
    created = [scan.created for scan in scans.values() if scan.created]
    if created:
        return "creation_time of the containers", min(_calendar_ns(text) for text in created)
    oldest_ns = min(scan.info.path.stat().st_mtime_ns for scan in scans.values())
    return "age of the oldest file", oldest_ns


def _calendar_ns(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise RigposeError(
            "--started", expected="date and time, for instance 2024-05-01T10:30:00+02:00", found=f"'{text}'",
            remedy="Write it like that",
        ) from None  # fmt: skip
    return round(moment.timestamp() * 1_000) * 1_000_000


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream, Progress(f"hashing {path.name}", total=path.stat().st_size) as bar:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            bar.advance(len(chunk))
    return digest.hexdigest()
