"""The server's addresses. Everything is JSON but the page itself and the pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from acquisition.errors import RigposeError
from training.labelling.edits import Edit
from training.labelling.image_files import MEDIA_TYPES, image_bytes, image_size
from training.labelling.label_files import LabelFiles
from training.labelling.points import AUTHOR_AT_MOST
from training.labelling.presence import Presence
from training.labelling.proposals import Proposer
from training.labelling.store import LabelStore
from training.labelling.videos import Videos, instant_number
from training.labelling.views import View, Views
from training.projects.project import LABELED_DATA

STATIC = Path(__file__).parent / "static"
BODY_AT_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the page works with.

    Attributes
    ----------
    store, files:
        The points, in memory and on disk.
    views:
        Which frames belong together.
    proposer:
        The network, or None.
    videos:
        Of the project.
    author:
        Whose name a page begins with.
    """

    store: LabelStore
    files: LabelFiles
    views: Views
    proposer: Proposer | None
    videos: Videos
    author: str


def make_app(desk: Desk) -> Starlette:
    """The application, unguarded: `access.Access` goes around it."""
    store, presence = desk.store, Presence()
    project = store.project

    def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-store"})

    def described(request: Request) -> dict[str, Any]:
        desk.files.refresh()
        for folder in store.overview():
            for image, *_ in folder["images"]:
                desk.views.add_image(folder["name"], image)
        return {
            "name": project.task, "root": str(project.root), "scorer": project.scorer,
            "author": desk.author, "keypoints": list(project.keypoints),
            "skeleton": [list(bone) for bone in project.skeleton],
            "symmetric_pairs": [list(pair) for pair in project.symmetric_pairs],
            "folders": store.overview(), "version": store.version, "replayed": store.replayed,
            "bundle": desk.proposer.name if desk.proposer else None,
            "cameras": desk.views.cameras, "videos": desk.videos.names(),
        }  # fmt: skip

    def frame(request: Request) -> dict[str, Any]:
        folder, image = _known(store, request)
        width, height = image_size(_path(store, folder, image))
        return {
            "folder": folder, "image": image, "width": width, "height": height, "version": store.version,
            "points": [point.as_json() for point in store.points(folder, image)],
            "views": [
                {"folder": view.folder, "image": view.image, "camera": view.camera}
                for view in desk.views.together(folder, image)
            ],
        }  # fmt: skip

    def picture(request: Request) -> Response:
        folder, image = _known(store, request)
        path = _path(store, folder, image)
        return Response(
            image_bytes(path), media_type=MEDIA_TYPES[path.suffix.lower()],
            headers={"Cache-Control": "private, max-age=60"},
        )  # fmt: skip

    def changes(request: Request) -> dict[str, Any]:
        ask = request.query_params
        others = presence.here(
            ask.get("client", "")[:80], ask.get("author", "")[:AUTHOR_AT_MOST],
            ask.get("folder", ""), ask.get("image", ""),
        )  # fmt: skip
        version, changed = store.changes(int(ask.get("since", 0)))
        return {
            "version": version,
            "changes": None if changed is None else [
                [*target, point.as_json()] for target, point in changed
            ],
            "counts": store.counts({target[:2] for target, _ in changed or ()}),
            "others": [[person.author, person.folder, person.image] for person in others],
            "unsaved": store.unsaved, "trouble": list(desk.files.trouble.values()),
        }  # fmt: skip

    def geometry(request: Request) -> dict[str, Any]:
        folder, image = _known(store, request)
        here = View(folder, image, desk.views.cameras.get(folder, ""))
        others = [
            (view, store.points(view.folder, view.image))
            for view in desk.views.together(folder, image)
            if view.folder != folder
        ]
        return desk.views.geometry(here, others, project.keypoints)

    def proposals(request: Request) -> dict[str, Any]:
        if desk.proposer is None:
            raise HTTPException(404, "there is no network: start 'rigpose label' with --bundle")
        return desk.proposer.propose(_path(store, *_known(store, request)))

    async def edits(request: Request) -> Response:
        asked = await _body(request)
        return await run_in_threadpool(_answered, _apply, store, asked)

    async def grab(request: Request) -> Response:
        asked = await _body(request)
        return await run_in_threadpool(_answered, _grab, desk, asked)

    def video(request: Request) -> dict[str, Any]:
        return desk.videos.describe(request.path_params["name"])

    def video_frame(request: Request) -> Response:
        number = instant_number(request.query_params.get("instant"))
        content = desk.videos.picture(request.path_params["name"], number)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/project", _route(described)),
            Route("/api/frame/{folder}/{image}", _route(frame)),
            Route("/api/image/{folder}/{image}", _route(picture)),
            Route("/api/geometry/{folder}/{image}", _route(geometry)),
            Route("/api/proposals/{folder}/{image}", _route(proposals)),
            Route("/api/changes", _route(changes)),
            Route("/api/edits", edits, methods=["POST"]),
            Route("/api/video/{name}", _route(video)),
            Route("/api/video/{name}/frame", _route(video_frame)),
            Route("/api/grab", grab, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={HTTPException: _refused},
    )


def _route(function: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """A plain function as an address; Starlette runs it in a thread."""

    def answer(request: Request) -> Response:
        return _answered(function, request)

    return answer


def _answered(function: Callable[..., Any], *arguments: Any) -> Response:
    """What the function returns, or what went wrong, as a response."""
    try:
        found = function(*arguments)
    except HTTPException:
        raise
    except KeyError as error:
        return _error(404, f"there is no {error}")
    except (ValueError, TypeError, IndexError) as error:
        return _error(400, str(error))
    except RigposeError as error:
        return _error(422, str(error))
    except OSError as error:
        return _error(507, f"{error.strerror or error}: nothing was changed")
    return found if isinstance(found, Response) else JSONResponse(found)


def _apply(store: LabelStore, asked: dict[str, Any]) -> dict[str, Any]:
    answers = store.apply([Edit.from_json(one) for one in asked["edits"]], str(asked["client"]))
    return {"answers": answers, "version": store.version}


def _grab(desk: Desk, asked: dict[str, Any]) -> list[dict[str, str]]:
    grabbed = desk.videos.grab(str(asked["video"]), instant_number(str(asked["instant"])))
    for one in grabbed:
        desk.store.add_image(one.folder, one.image)
        desk.views.add_image(one.folder, one.image)
    return [{"folder": one.folder, "image": one.image} for one in grabbed]


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was posted; raises `HTTPException`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "only JSON is taken")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > BODY_AT_MOST_BYTES:
            raise HTTPException(413, "too many edits in one request")
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "no JSON object")
    return found


def _known(store: LabelStore, request: Request) -> tuple[str, str]:
    """Folder and image of an address, which the store has; raises `KeyError`."""
    folder, image = request.path_params["folder"], request.path_params["image"]
    store.points(folder, image)
    return folder, image


def _path(store: LabelStore, folder: str, image: str) -> Path:
    return store.project.root / LABELED_DATA / folder / image


def _error(code: int, text: str) -> Response:
    return JSONResponse({"error": text}, code)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)
