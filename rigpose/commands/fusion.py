"""`rigpose fuse`: several hosts, one 3D rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured, time_of


def fuse(
    file: Annotated[Path, Parameter(help="fuse.yaml: hosts, calibration, where to publish.")],
    /,
    *,
    seconds: Annotated[float | None, Parameter(help="How long; without it until Ctrl-C.")] = None,
    wait: Annotated[float, Parameter(help="Seconds all hosts have, at the start, to be there.")] = 60.0,
) -> Measured:
    """Join the 2D poses of several hosts into one 3D rig, and publish it as one stream.

    Each host runs `rigpose live` with the same bundle; the first in the file has the trigger. Poses are
    joined by pulse: the number and the time of the exposure must agree, so no host's count can shift the
    others. A host that is lost is left out and taken in again when it is back.

    Parameters
    ----------
    file:
        Names the hosts, their keys, the calibration of all cameras, tolerance and delay.
    seconds:
        Of joining.
    wait:
        Hosts that are not there by then are named.

    Returns
    -------
    dict
        Sets, complete ones, the delay added after the slowest host, counters of every host.

    Raises
    ------
    RigposeError
        Hosts that are not there or disagree on network, keypoints or calibration; an endpoint in use.

    Examples
    --------
    rigpose fuse fuse.yaml
    """
    import rigpose
    from deploy.fusion.fuse import FuseOptions
    from deploy.fusion.fuse import fuse as fuse_hosts
    from deploy.fusion.settings import load_fuse

    seconds = time_of("--seconds", None, seconds)
    time_of("--wait", None, wait)
    measured = fuse_hosts(load_fuse(file), FuseOptions(seconds, wait, rigpose.__version__))
    added_ms = measured.get("added_delay_ms", {}).get("p50")
    delay = "" if added_ms is None else f", {added_ms:.1f} ms after the slowest host"
    print(
        f"{measured.get('complete', 0)} of {measured['sets']} frame sets complete{delay}; {measured['ended']}"
    )
    return measured
