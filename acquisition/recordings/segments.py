"""A camera's recording in pieces: one video and one frame table a segment.

A segment ends on the hour (`recording.segment_minutes`), where a recorder died and another took over, and
where the trigger began to count anew. Segment 0 is `<session>_<camera>.mkv`, segment 3 of the same camera
`<session>_<camera>.0003.mkv`: a camera's name holds no dot, so that no two cameras can mean one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.recordings.frame_table import SUFFIX
from acquisition.recordings.session import CLEAN_ENDS

VIDEO_SUFFIX = ".mkv"
ENDED = "segment ended"
"""Kind of the event that says that a segment is whole: `camera`, `segment`, `rows`."""
JOINED = "segments joined"
"""Kind of the event of segments made one: `camera`, `spans`: number, first and last exposure of each."""
RECORDER_BACK = "recorder back"
"""Kind of the event of a recorder that takes over from one that died: `segment`, its first."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of one camera's recording; either file may be missing after a crash."""

    camera: str
    number: int
    video: Path
    table: Path


def segment_of(folder: Path, camera: str, number: int, name: str | None = None) -> Segment:
    """The files of segment `number` in session folder `folder` (`name`: the session's, if it was renamed)."""
    stem = f"{name or folder.name}_{camera}" + (f".{number:04d}" if number else "")
    return Segment(camera, number, folder / (stem + VIDEO_SUFFIX), folder / (stem + SUFFIX))


def segments_of(folder: Path, camera: str, name: str | None = None) -> list[Segment]:
    """The segments of which a file is there, in order."""
    stem = re.escape(f"{name or folder.name}_{camera}")
    form = re.compile(rf"{stem}(?:\.(\d{{4,}}))?(?:{re.escape(VIDEO_SUFFIX)}|{re.escape(SUFFIX)})")
    matches = (form.fullmatch(file.name) for file in folder.iterdir())
    numbers = {int(match[1] or 0) for match in matches if match is not None}
    return [segment_of(folder, camera, number, name) for number in sorted(numbers)]


def whole_rows(
    session: dict[str, Any], events: Iterable[dict[str, Any]], segments: Sequence[Segment]
) -> dict[int, int]:
    """With how many rows the segments of one camera were ended well, by number; none for one cut off.

    The events say so; for a session of one segment its end does, where nothing went wrong.
    """
    if not segments:
        return {}
    camera, whole = segments[0].camera, {}
    ended = session["ended"] or {}
    counted = ended.get("cameras", {}).get(camera, {}).get("recorded")
    if len(segments) == 1 and ended.get("how") in CLEAN_ENDS and counted is not None:
        whole[segments[0].number] = int(counted)
    for event in events:
        if event["kind"] == ENDED and event["camera"] == camera:
            whole[int(event["segment"])] = int(event["rows"])
    return whole


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """Which segment a frame belongs to: the same for all cameras, by the time of its exposure alone.

    Attributes
    ----------
    first:
        Number of the recorder's first segment.
    start_ns:
        Exposure of its first frame, rig clock.
    length_ns:
        Length of a segment; 0: without end.
    """

    first: int
    start_ns: int
    length_ns: int

    def number(self, t_exposure_ns: int, counts_anew_ns: Iterable[int] = ()) -> int:
        """The segment of a frame; `counts_anew_ns`: when the trigger began a new count."""
        elapsed_ns = max(0, t_exposure_ns - self.start_ns)
        by_time = elapsed_ns // self.length_ns if self.length_ns else 0
        return self.first + by_time + sum(self.start_ns < cut <= t_exposure_ns for cut in counts_anew_ns)


def counts_from_ns(train: dict[str, Any]) -> int:
    """From which exposure on frames belong to a count of the trigger's: half a period before its first."""
    return int(train["first_exposure_ns"]) - int(train["period_ns"]) // 2
