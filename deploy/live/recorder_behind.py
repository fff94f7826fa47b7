"""The recorder as a process beside a tracker: a module of its own, that loads nothing of the tracker's."""

from __future__ import annotations

import os
from typing import Any

from acquisition.child import ChildLink
from acquisition.recordings.recorder import recorder

NICE = 10


def record_behind(link: ChildLink, *args: Any) -> None:
    """The recorder, giving way to capture and tracker: its queues bridge a wait, their poses do not."""
    os.nice(NICE)
    recorder(link, *args)
