"""Whether the frames of a recording add up, from its tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from acquisition.frame_stamp import NEW_COUNT
from acquisition.recordings.recording import Recording

_TOLD = ("t_arrival_ns", "seq", "lost_before", "t_device_ns")


@dataclass(frozen=True)
class Accounts:
    """One camera's.

    Attributes
    ----------
    counted:
        Frames the device counted from the first recorded to the last, each run of its count by itself.
    recorded, lost, ring_full:
        Rows; holes that rows and events state; frames that capture itself counted as dropped: to a reader
        that stands still it does not announce each.
    runs:
        How often the device began to count.
    pictures:
        Frames that the video decodes to.
    periods:
        That passed on the device's own clock meanwhile, one a run more: it cannot have counted more frames.
    """

    counted: int
    recorded: int
    lost: int
    ring_full: int
    runs: int
    pictures: int
    periods: int

    @property
    def balance(self) -> int:
        """0 where every frame was recorded, or is stated lost."""
        return self.counted - self.recorded - self.lost - self.ring_full


def accounts(session: Path) -> dict[str, Accounts]:
    """Of every camera of a recorded session."""
    with Recording.open(session) as recording:
        full = [event for event in recording.events() if event["kind"] == "ring full"]
        result = {}
        for camera in recording.cameras:
            table = recording.frame_table(camera)
            recorded = [tuple(int(row[name]) for name in _TOLD) for row in table]
            dropped = [tuple(event[name] for name in _TOLD) for event in full if event["camera"] == camera]
            told = sorted(recorded + dropped)
            begins = [n for n, row in enumerate(told) if row[2] == NEW_COUNT or n == 0]
            runs = [told[a:b] for a, b in pairwise([*begins, len(told)])]
            period_ns = 1e9 / recording.session["cameras"][camera]["rate_hz"]
            result[camera] = Accounts(
                counted=sum(run[-1][1] - run[0][1] + 1 for run in runs),
                recorded=len(table),
                lost=sum(row[2] for run in runs for row in run[1:]),
                ring_full=recording.session["ended"]["cameras"][camera]["ring_full"],
                runs=len(runs),
                pictures=sum(image is not None for image in recording.images(camera)),
                periods=sum(round((run[-1][3] - run[0][3]) / period_ns) + 1 for run in runs),
            )
        return result
