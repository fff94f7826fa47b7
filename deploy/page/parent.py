"""The page from the parent's side: its process, what it is told, what it asks for."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.rig_run import RigRun
from acquisition.supervise import Process
from deploy.page.plan import USUAL_PORT, PageAddress, PagePlan
from deploy.page.process import page
from deploy.stream.keys import ClientKeys

NAME = "page"
_RECORDER = "recorder"
_RESTARTS = 3


def page_process(
    address: PageAddress, runtime: Path, cameras: tuple[str, ...], endpoint: str, keys: ClientKeys | None,
    calibration: str | None, session: Path | None,
) -> Process:  # fmt: skip
    """The page's process; the rig goes on without it. See `PagePlan`.

    Raises
    ------
    RigposeError
        An address that others could reach (the page has no encryption), or a port that is taken.
    """
    from acquisition.pages.access import new_token  # wants starlette
    from acquisition.pages.serving import bound_socket, is_loopback

    if not is_loopback(address.host):
        raise RigposeError(
            "the page", expected="an address of this machine alone, such as 127.0.0.1", found=address.host,
            remedy=f"From another machine: ssh -L {USUAL_PORT}:127.0.0.1:{USUAL_PORT} THIS_MACHINE",
        )  # fmt: skip
    # The port is settled here: a page that was restarted is at the same place.
    with contextlib.closing(bound_socket(address.host, address.port, USUAL_PORT)) as bound:
        settled = replace(address, port=int(bound.getsockname()[1]))
    disk = session.resolve().parent if session is not None else Path.cwd()
    plan = PagePlan(
        str(runtime), cameras, endpoint, keys, settled, calibration, str(disk),
        None if session is None else str(session), new_token(), new_token() if address.control else "",
    )  # fmt: skip
    return Process(NAME, page, (plan,), restarts=_RESTARTS, essential=False)


def say_where(run: RigRun) -> None:
    """Print the addresses, where there is a page."""
    told = run.supervisor.counters.get(NAME, {})
    if told.get("address"):
        print(f"page: {told['address']}", flush=True)
    if told.get("control"):
        recorded = any(process.name == _RECORDER for process in run.supervisor.processes)
        may = "may end the run and switch its recording" if recorded else "may end the run"
        print(f"page that {may}: {told['control']}", flush=True)


def tell_page(run: RigRun) -> None:
    """What only the parent knows: counters of capture and recorder, the processes. Call it in the loop."""
    if NAME in run.supervisor.counters:
        run.supervisor.tell(
            NAME,
            cameras=run.cameras(),
            processes=run.supervisor.health(),
            elapsed_s=run.elapsed_s,
            recorder=_recorder(run),
        )


def asked_to_stop(run: RigRun) -> bool:
    """Whether somebody at the page that may do so has ended the run."""
    return run.supervisor.counters.get(NAME, {}).get("asked") == "stop"


def tell_recorder(run: RigRun) -> None:
    """What somebody at the page that may do so wishes of the recorder. Call it in the loop."""
    wish = run.supervisor.counters.get(NAME, {}).get("record")
    if wish:  # again and again: a recorder that stood still may have missed it
        run.supervisor.tell(_RECORDER, record={**wish, "by": NAME})


def _recorder(run: RigRun) -> dict[str, Any]:
    """What the recorder says; `ended` also where it is not there any more."""
    said = run.supervisor.counters.get(_RECORDER, {})
    died = run.supervisor.dead.get(_RECORDER)
    return {**said, "ended": f"the recorder died: {died}"} if died else said
