"""The page of a calibration being recorded: what was seen, and where to hold the board next."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from acquisition.pages.access import Access, stop_route
from acquisition.pages.look import statics
from acquisition.pages.serving import bound_socket, running
from calibration.live.gallery import Gallery
from calibration.live.plan import HOST, USUAL_PORT, WatchPlan

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of the page, tokens included: to look, and to end the run as well."""

    look: str
    control: str


@contextlib.contextmanager
def served(
    plan: WatchPlan, gallery: Gallery, told: Callable[[], dict[str, Any]], asked: threading.Event
) -> Iterator[Addresses]:
    """Serve inside the block."""
    with contextlib.closing(bound_socket(HOST, None, USUAL_PORT)) as bound:
        number = int(bound.getsockname()[1])
        app = Access(
            _app(plan, gallery, told, asked), command="calibrate", token=plan.token, port=number, host=HOST
        )
        with running(app, bound):
            where = f"http://{HOST}:{number}/?token={plan.token}"
            yield Addresses(where, f"{where}&control={plan.control}")


def _app(
    plan: WatchPlan, gallery: Gallery, told: Callable[[], dict[str, Any]], asked: threading.Event
) -> Starlette:
    """The routes. `told`: what the parent said last; `asked` is set when somebody who may ends the run."""

    def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def state(request: Request) -> Response:
        states = {name: facts.get("state", "") for name, facts in told().get("cameras", {}).items()}
        return JSONResponse({**gallery.figures(), "states": states, "ending": asked.is_set()})

    def picture(request: Request) -> Response:
        jpeg = gallery.picture(request.path_params["camera"], request.path_params["number"])
        if jpeg is None:
            raise HTTPException(404)
        return Response(jpeg, media_type="image/jpeg")

    return Starlette(routes=[
        Route("/", index), Route("/state", state), Route("/picture/{camera}/{number:int}", picture),
        stop_route(plan.control, asked), statics(STATIC),
    ])  # fmt: skip
