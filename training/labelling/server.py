"""Serving one project's page until Ctrl-C, and ending with every label written."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from acquisition.errors import RigposeError
from acquisition.pages.access import Access, new_token
from acquisition.pages.serving import bound_socket, is_loopback, running, shown_host
from training.labelling.app import Desk, make_app
from training.labelling.folder import folders_with_images
from training.labelling.image_files import image_size
from training.labelling.journal import JOURNAL_FILE, Journal
from training.labelling.label_files import LabelFiles
from training.labelling.lock import ProjectLock
from training.labelling.proposals import Proposer
from training.labelling.saver import QUIET_S, Saver
from training.labelling.store import LabelStore
from training.labelling.videos import Videos
from training.labelling.views import Views
from training.projects.project import LABELED_DATA, Project

USUAL_PORT = 8610


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs.

    Attributes
    ----------
    address:
        Of the page, token included.
    store:
        The points.
    loopback:
        Whether only this machine can reach it.
    """

    address: str
    store: LabelStore
    loopback: bool


@contextlib.contextmanager
def serving(
    project: Path,
    *,
    bundle: Path | None = None,
    calibration: Path | None = None,
    author: str = "",
    host: str = "127.0.0.1",
    port: int | None = None,
    quiet_s: float = QUIET_S,
) -> Iterator[Serving]:
    """Serve a project's page inside the block, in threads of their own.

    Parameters
    ----------
    bundle:
        A network that proposes points.
    calibration:
        Anipose TOML of the rig whose cameras the folders are named after.
    author:
        Name that a page begins with.
    port:
        None: `USUAL_PORT`, or any free one where that is taken. 0: any free one.
    quiet_s:
        How long after the last edit the label files are written.

    Raises
    ------
    RigposeError
        If the project, bundle or calibration cannot be used, the port is taken, or another server has the
        project; at the end, if the last labels could not be written (they are in the journal then).
    """
    opened = Project.open(project)
    videos = Videos(opened)
    if not folders_with_images(opened) and not videos.names():
        raise RigposeError(
            opened.root / LABELED_DATA, expected="folders with frames to label", found="no image",
            remedy=f"Choose frames first: rigpose frames {project}",
        )  # fmt: skip
    proposer = Proposer(bundle, opened) if bundle is not None else None
    with contextlib.ExitStack() as ending:
        lock = ending.enter_context(ProjectLock(opened.root))
        journal = Journal(opened.root / JOURNAL_FILE)
        ending.callback(journal.close)
        store = LabelStore(opened, journal)
        views = _views(store, calibration)
        bound = ending.enter_context(contextlib.closing(bound_socket(host, port, USUAL_PORT)))
        number = int(bound.getsockname()[1])
        token = new_token()
        shown = shown_host(host)
        lock.describe(f"http://{shown}:{number}/")
        files = LabelFiles(store)
        desk = Desk(store, files, views, proposer, videos, author)
        app = Access(
            make_app(desk), command="label", token=token, port=number, host=host, loopback=is_loopback(host)
        )
        saver = Saver(store, files, quiet_s)
        saver.start()
        ending.callback(_save_the_rest, saver, store)
        ending.enter_context(running(app, bound))
        yield Serving(f"http://{shown}:{number}/?token={token}", store, is_loopback(host))


def serve(
    project: Path, *, browser: bool = True, told: Callable[[Serving], None], **options: Any
) -> dict[str, Any]:
    """Serve until Ctrl-C or SIGTERM; returns what was done.

    Parameters
    ----------
    browser:
        Open the page in a browser, where there is a screen.
    told:
        Called once the page can be opened.
    options:
        As `serving` takes them.
    """
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serving(project, **options) as page:
            start_ns = time.monotonic_ns()
            told(page)
            if browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
                threading.Thread(target=webbrowser.open, args=(page.address,), daemon=True).start()
            ended.wait()
            seconds = (time.monotonic_ns() - start_ns) / 1e9
        return summary(page.store) | {"seconds": round(seconds, 1)}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary(store: LabelStore) -> dict[str, Any]:
    """Figures of a project: frames, frames with every keypoint done, points by origin, edits."""
    points = [point for folder in store.folders.values() for row in folder.points.values() for point in row]
    frames = [
        folder.counts(image)[0] == len(store.project.keypoints)
        for folder in store.folders.values()
        for image in folder.points
    ]
    origins = Counter(point.origin.value for point in points if point.xy is not None)
    return {
        "project": str(store.project.root), "frames": len(frames), "frames_done": sum(frames),
        "points": dict(sorted(origins.items())), "edits": store.edits, "replayed": store.replayed,
    }  # fmt: skip


def _views(store: LabelStore, calibration: Path | None) -> Views:
    images = {name: list(folder.points) for name, folder in store.folders.items()}
    if calibration is None:
        return Views(images, store.project.recordings, None)
    from calibration.formats.anipose import load_calibration

    views = Views(images, store.project.recordings, load_calibration(calibration))
    sizes = {
        name: image_size(store.project.root / LABELED_DATA / name / files[0])
        for name, files in images.items()
        if files
    }
    views.require_rig(calibration, sizes)
    return views


def _save_the_rest(saver: Saver, store: LabelStore) -> None:
    try:
        saver.stop()
    except OSError as error:
        raise RigposeError(
            store.project.root, expected="room for the label files", found=error.strerror or str(error),
            remedy=f"{store.unsaved} points wait in {JOURNAL_FILE}: free some space, run rigpose label again",
        ) from None  # fmt: skip
