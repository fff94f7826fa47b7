"""Whether the frames of a recording add up, from its tables alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.frame_stamp import NEW_COUNT
from acquisition.recordings.recording import Recording


@dataclass(frozen=True)
class Accounts:
    """One camera's.

    Attributes
    ----------
    counted:
        Frames the device counted from the first recorded to the last, each run of its count by itself.
    recorded, lost, ring_full:
        Rows; holes that the rows state; frames the session's events state.
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
        full = Counter(event["camera"] for event in recording.events() if event["kind"] == "ring full")
        result = {}
        for camera in recording.cameras:
            table = recording.frame_table(camera)
            fresh = np.flatnonzero(table["lost_before"] == NEW_COUNT)
            runs = np.split(table, fresh[fresh > 0]) if len(table) else []
            period_ns = 1e9 / recording.session["cameras"][camera]["rate_hz"]
            spans = [(run["t_device_ns"][-1] - run["t_device_ns"][0]) / period_ns for run in runs]
            result[camera] = Accounts(
                counted=sum(int(run["seq"][-1] - run["seq"][0]) + 1 for run in runs),
                recorded=len(table),
                lost=sum(int(run["lost_before"][1:].sum()) for run in runs),
                ring_full=full[camera],
                runs=len(runs),
                pictures=sum(1 for _ in recording.images(camera)),
                periods=sum(round(span) + 1 for span in spans),
            )
        return result
