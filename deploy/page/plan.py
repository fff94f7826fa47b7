"""Where the page is served, and what it shows: plain values, carried to its process."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.stream.keys import ClientKeys

USUAL_PORT = 8612


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where the page is served.

    Attributes
    ----------
    host, port:
        Of this machine only; None: the usual port, or a free one.
    control:
        Whether a second address is given out that may end the run and switch its recording.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    control: bool = False


@dataclass(frozen=True, slots=True)
class PagePlan:
    """What to show, and where.

    Attributes
    ----------
    runtime, cameras:
        Of the rig that runs.
    endpoint, keys:
        Of its stream.
    address:
        Of the page.
    calibration:
        Whose cameras are drawn in the 3D view; None: no 3D.
    disk:
        The folder whose disk is watched.
    session:
        The folder of its recording; None: there is none.
    token, control:
        What an address must carry to look, and to end the run or switch its recording ("": nobody may). Those
        of the whole run: a page that was restarted is found again.
    """

    runtime: str
    cameras: tuple[str, ...]
    endpoint: str
    keys: ClientKeys | None
    address: PageAddress
    calibration: str | None
    disk: str
    session: str | None
    token: str
    control: str
