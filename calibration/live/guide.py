"""The verb: run a rig, watch the board before it, and keep what `calibrate` needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.pages.packages import require_page_packages
from acquisition.progress import Progress
from acquisition.recordings.session import check_output
from acquisition.rig import RigSettings
from acquisition.rig_run import RigRun
from acquisition.supervise import Process, runtime_folder
from calibration.boards import BoardSettings
from calibration.live.plan import WatchPlan
from calibration.live.process import watch_board

_NAME = "board"
_TELL_NS = 400_000_000


def guide(
    rig: RigSettings,
    board: BoardSettings,
    output: Path,
    *,
    told: Callable[[str, str], None] | None = None,
) -> dict[str, Any]:
    """Watch a board that somebody holds before the cameras of `rig`; keep the frame sets worth it.

    Runs until SIGINT or SIGTERM, or until somebody at the page ends it.

    Parameters
    ----------
    output:
        New folder for the frame sets that were kept: stills, as `calibration.inputs` takes them.
    told:
        Called, once the rig runs, with the address of the page and with that which may end the run.

    Returns
    -------
    dict
        `seconds`, `ended`, `output`, `kept` (frame sets), `looks`, `passed` (frame sets not looked at),
        `enough`, `sentence` (where to hold the board next), `cameras` (of each views, tilted, coverage;
        `lost` and `ring_full` as capture counts them), `pairs` (two cameras and their shared views).

    Raises
    ------
    RigposeError
        An output that exists, a camera that is not there, a package that is not installed, a full disk, or a
        board that nobody saw.
    """
    require_page_packages("rigpose calibrate --live")
    from acquisition.pages.access import new_token  # wants starlette

    check_output(Path(output))
    with runtime_folder() as runtime:
        plan = WatchPlan(
            str(runtime), tuple(rig.cameras), rig.sync, board, str(Path(output).resolve()), new_token(),
            new_token(),
        )  # fmt: skip
        run = RigRun(rig, runtime, [Process(_NAME, watch_board, (plan,))], command="calibrate")
        with run:
            how = "interrupted"
            if run.start():
                news = run.supervisor.counters[_NAME]
                if told is not None:
                    told(str(news["address"]), str(news["control"]))
                with Progress("watching") as bar:
                    how = _watch(run, bar)
            seconds, counters = run.elapsed_s, run.cameras()
            run.stop()
    news = run.supervisor.counters.get(_NAME, {})
    found: dict[str, Any] = news.get("summary", {})
    if not found.get("kept"):
        nothing = "no view to keep" if found.get("looks") else "no picture of any camera"
        raise RigposeError(
            "the board", expected=f"{board} held still before a camera",
            found=found.get("hint") or nothing,
            remedy="See that the board file is of this print, that there is light, and hold it still",
        )  # fmt: skip
    del found["hint"]
    for name, facts in found["cameras"].items():
        facts.update({key: counters.get(name, {}).get(key, 0) for key in ("lost", "ring_full")})
    return {
        "seconds": round(seconds, 2), "ended": how, "output": str(output), **found,
        "passed": news.get("passed", 0),
    }  # fmt: skip


def _watch(run: RigRun, bar: Progress) -> str:
    """Tell the page what capture counts, until somebody ends it."""
    told_ns, shown_s = 0, 0.0

    def each() -> bool:
        nonlocal told_ns, shown_s
        now_ns = time.monotonic_ns()
        news = run.supervisor.counters.get(_NAME, {})
        if now_ns - told_ns > _TELL_NS:
            told_ns = now_ns
            states = {name: {"state": counts.get("state", "")} for name, counts in run.cameras().items()}
            run.supervisor.tell(_NAME, cameras=states)
        bar.advance(run.elapsed_s - shown_s, str(news.get("summary", {}).get("sentence", "")))
        shown_s = run.elapsed_s
        return bool(news.get("asked") != "stop")

    return run.run(None, each)
