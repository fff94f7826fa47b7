"""What to watch, where to keep it, where to show it: plain values, carried to the process that watches."""

from __future__ import annotations

from dataclasses import dataclass

from acquisition.rig import SyncSettings
from calibration.boards import BoardSettings

USUAL_PORT = 8613
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """A board before a running rig.

    Attributes
    ----------
    runtime, cameras, sync:
        Of the rig that runs.
    board:
        What is held.
    output:
        Folder for the frame sets worth keeping.
    token, control:
        What an address must carry to look, and to end the run.
    """

    runtime: str
    cameras: tuple[str, ...]
    sync: SyncSettings
    board: BoardSettings
    output: str
    token: str
    control: str
