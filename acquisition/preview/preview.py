"""A rig run whose only reader looks: for so many seconds, or on a page until somebody ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from acquisition.errors import RigposeError
from acquisition.pages.packages import require_page_packages
from acquisition.preview.measures import camera_figures
from acquisition.preview.reader import PreviewPlan, preview_reader
from acquisition.progress import Progress
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder

_TELL_NS = 400_000_000


def preview(
    rig: RigSettings,
    *,
    seconds: float | None = None,
    page: tuple[str, int | None] | None = ("127.0.0.1", None),
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run the rig and look at every camera.

    Parameters
    ----------
    seconds:
        How long; None: until SIGINT or SIGTERM.
    page:
        (host, port; None: the usual one or a free one); None: no page.
    told:
        Called with the page's address once the rig runs.

    Returns
    -------
    dict
        `seconds`, `ended`, and `cameras`: of each the figures of `camera_figures` and of `View.figures`.

    Raises
    ------
    RigposeError
        A camera that is not there, an address that others could reach, a package that is not installed.
    """
    if page is not None:
        _check_page(page[0])
    with runtime_folder() as runtime:
        plan = PreviewPlan(str(runtime), tuple(rig.cameras), page)
        readers = [Process("preview", preview_reader, (plan,))]
        run = RigRun(rig, runtime, readers, command="preview")
        with run:
            how = "interrupted"
            if run.start():
                address = str(run.supervisor.counters["preview"].get("address", ""))
                if told is not None and address:
                    told(address)
                with Progress("looking", total=seconds) as bar:
                    how = _look(run, seconds, bar)
            looked_s = run.elapsed_s
            counters = run.cameras()
            run.stop()
    views = run.supervisor.counters.get("preview", {}).get("views", {})
    figures = {
        name: {**camera_figures(counters.get(name, {})), **views.get(name, {})} for name in rig.cameras
    }
    return {"seconds": round(looked_s, 2), "ended": how, "cameras": figures}


def _look(run: RigRun, seconds: float | None, bar: Progress) -> str:
    """Tell the reader what capture counts, until the time is over."""
    told_ns, shown_s = 0, 0.0

    def each() -> bool:
        nonlocal told_ns, shown_s
        now_ns = time.monotonic_ns()
        if now_ns - told_ns > _TELL_NS:
            told_ns = now_ns
            run.supervisor.tell("preview", cameras=run.cameras())
        bar.advance(run.elapsed_s - shown_s)
        shown_s = run.elapsed_s
        return True

    return run.run(seconds, each)


def _check_page(host: str) -> None:
    """What would stop the page is said before the cameras are opened, not after."""
    require_page_packages("rigpose preview")
    from acquisition.pages.serving import is_loopback

    if not is_loopback(host):
        # it has no encryption, and a camera sees what it sees
        raise RigposeError(
            f"--host {host}", expected="an address of this machine alone, such as 127.0.0.1", found=host,
            remedy="From another machine: ssh -L 8611:127.0.0.1:8611 THIS_MACHINE",
        )  # fmt: skip
