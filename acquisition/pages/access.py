"""Who may use the page: whoever has the token, through an address that is really this server's.

The token comes in the address that the command prints and is kept in a cookie from then on. Checking
the Host header keeps other web sites out that point a name of theirs at this machine (DNS rebinding);
checking Origin keeps out pages that would post to it from a browser that has the cookie.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-rigpose-token"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def control_route(path: str, control: str, act: Callable[[Request], Response]) -> Route:
    """POST `path`: `act` for whoever sends `control` in X-Rigpose-Control; nobody may if it is ""."""

    def guarded(request: Request) -> Response:
        given = request.headers.get("x-rigpose-control", "")
        if not control or not hmac.compare_digest(given.encode(), control.encode()):
            raise HTTPException(403, "This address may look, and change nothing.")
        return act(request)

    return Route(path, guarded, methods=["POST"])


def stop_route(control: str, asked: threading.Event) -> Route:
    """POST /stop: sets `asked`, as `control_route` allows."""

    def stop(request: Request) -> Response:
        asked.set()
        return JSONResponse({"asked": "stop"})

    return control_route("/stop", control, stop)


class Access:
    """ASGI middleware in front of everything.

    Parameters
    ----------
    app:
        What is guarded.
    command:
        Whose page it is: "label" of `rigpose label`.
    token:
        What a request has to carry: `?token=`, the cookie, or the header `X-Rigpose-Token`.
    port:
        Of the server; part of the cookie's name, since cookies do not tell ports apart.
    host:
        What the server was told to bind to; a name given there is accepted in the Host header.
    loopback:
        Whether only this machine can reach it.
    """

    def __init__(
        self, app: ASGIApp, *, command: str, token: str, port: int, host: str, loopback: bool = True
    ) -> None:
        self._app = app
        self._command = command
        self._token = token.encode()
        self.cookie = f"rigpose_{command}_{port}"
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        if not loopback:
            self._names.add(socket.getfqdn().lower())  # may ask the network, and take its time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out["Content-Security-Policy"] = CONTENT_POLICY
                out["X-Content-Type-Options"] = "nosniff"
                out["Referrer-Policy"] = "no-referrer"
                out.setdefault("Cache-Control", "no-store")
                if self._right(given):
                    out.append("Set-Cookie", f"{self.cookie}={given}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if not self._is_here(host):
            return PlainTextResponse(f"This server is not called '{host[:80]}'.\n", 421)
        query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        # not http.cookies, which drops all of them for one that another server of this machine wrote oddly
        kept = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        # Each is compared, so that the time taken says nothing.
        if not any([self._right(given) for given in (query, kept, headers.get(TOKEN_HEADER, ""))]):
            return PlainTextResponse(
                f"This page needs its token: open the address that 'rigpose {self._command}' printed.\n", 403
            )
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin is not None and _netloc(origin) != host:
            return PlainTextResponse("Another site's page may not write here.\n", 403)
        return None

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def _is_here(self, host: str) -> bool:
        """Whether a Host header names this machine: one of its names, or an address."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
