"""The page's process: pictures from the rings, poses from the stream, a server around them.

It looks at frames only while somebody looks at the page, gives way to everything else, and drops pictures
first: a browser that is slow gets fewer, and the tracker notices nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from acquisition.child import ChildLink
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased
from deploy.page.asked import Asked
from deploy.page.listening import Listening
from deploy.page.pictures import Pictures
from deploy.page.plan import PagePlan
from deploy.stream.messages import TOPICS
from deploy.stream.subscriber import PoseSubscriber

_NICE = 10


def page(link: ChildLink, plan: PagePlan) -> None:
    """Serve until told to stop."""
    from deploy.page.app import served  # starlette and uvicorn, on use

    os.nice(_NICE)
    pictures, listening = Pictures(plan.cameras), Listening()
    asked = Asked()
    ears = threading.Thread(target=_listen, args=(link, plan, listening), name="stream", daemon=True)
    with contextlib.ExitStack() as ending:
        rings = RingReaders(Path(plan.runtime), plan.cameras, "page")
        ending.callback(rings.close)
        address = ending.enter_context(served(plan, pictures, listening, lambda: link.told, asked))
        ears.start()
        while not link.stopping:
            _look(rings, pictures)
            link.report(
                watchers=pictures.watchers, pictures=pictures.taken, record=asked.record,
                asked="stop" if asked.stop.is_set() else "", address=address["address"],
                control=address["control"],
            )  # fmt: skip
            if rings.connected:
                link.report(state="ready")
    ears.join(1.0)


def _look(rings: RingReaders, pictures: Pictures) -> None:
    """Every frame is given back; of those that somebody wants the newest of each camera is kept."""
    newest: dict[str, Leased] = {}
    for leased in rings.receive(0.05):
        before = newest.pop(leased.stamp.camera, None)
        if before is not None:
            before.release()
        newest[leased.stamp.camera] = leased
    for leased in newest.values():
        if pictures.wants(leased):
            pictures.take(leased)
        else:
            leased.release()
    rings.gone()


def _listen(link: ChildLink, plan: PagePlan, listening: Listening) -> None:
    with PoseSubscriber(plan.endpoint, TOPICS, plan.keys) as stream:
        while not link.stopping:
            message = stream.receive(timeout_ms=100)
            if message is not None:
                listening.heard(message)
