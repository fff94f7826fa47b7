"""The preview's page: all views, each with its figures. It shows, and can change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from acquisition.pages.access import Access, new_token
from acquisition.pages.look import statics
from acquisition.pages.serving import bound_socket, running, shown_host
from acquisition.preview.reader import Gallery

STATIC = Path(__file__).parent / "static"
USUAL_PORT = 8611


@contextlib.contextmanager
def page_served(gallery: Gallery, host: str, port: int | None) -> Iterator[str]:
    """Serve the page inside the block; its address, token included. A port that is taken: `RigposeError`."""
    with contextlib.closing(bound_socket(host, port, USUAL_PORT)) as bound:
        number, token = int(bound.getsockname()[1]), new_token()
        app = Access(_app(gallery), command="preview", token=token, port=number, host=host)
        with running(app, bound):
            yield f"http://{shown_host(host)}:{number}/?token={token}"


def _app(gallery: Gallery) -> Starlette:
    def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def state(request: Request) -> Response:
        return JSONResponse(gallery.figures())

    def picture(request: Request) -> Response:
        view = gallery.views.get(request.path_params["camera"])
        if view is None or not view.jpeg:
            raise HTTPException(404)
        return Response(view.jpeg, media_type="image/jpeg")

    return Starlette(routes=[
        Route("/", index), Route("/state", state), Route("/picture/{camera}", picture),
        statics(STATIC),
    ])  # fmt: skip
