"""`check-sync` on a rig: a short recording of all cameras, and what the LED says in it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.proof.led import Region
from acquisition.proof.optical import WINDOW_SETS, check_session
from acquisition.record import record
from acquisition.rig import RigSettings

_SPARE_S = 0.5
_LEAST_S = 2.0


def check_rig(
    rig: RigSettings, regions: dict[str, Region] | None = None, keep: Path | None = None
) -> dict[str, Any]:
    """Record for as long as four words of the LED take, and read them.

    Parameters
    ----------
    rig:
        A triggered rig, whose cameras all see the trigger's LED.
    regions:
        As in `optical.check_session`.
    keep:
        Where the recording stays; otherwise it is thrown away.

    Returns
    -------
    dict
        As `optical.check_session`.

    Raises
    ------
    RigposeError
        As `record` and `check_session`; before any work starts where the rig has no trigger.
    """
    if rig.trigger is None:
        raise RigposeError(
            "check-sync", expected="a rig with a trigger", found="cameras that run freely",
            remedy="The LED counts the trigger's pulses: add a 'trigger' section to the rig file",
        )  # fmt: skip
    seconds = max(_LEAST_S, WINDOW_SETS / rig.trigger.rate_hz + _SPARE_S)
    with tempfile.TemporaryDirectory(prefix="rigpose-check-sync-") as scratch:
        folder = keep or Path(scratch) / "check-sync"
        record(rig, folder, seconds, notes="rigpose check-sync")
        return check_session(folder, regions)
