"""Who may pause and resume the recording at the page, and what the page says of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from deploy.page.app import page_app
from deploy.page.asked import Asked
from deploy.page.listening import Listening
from deploy.page.pictures import Pictures
from deploy.page.plan import PageAddress, PagePlan

CONTROL = {"X-Rigpose-Control": "may"}


class Page:
    """The page's routes, without a server and what stands before it."""

    def __init__(self, *, session: str | None = "/data/day1", control: str = "may", **recorder: Any) -> None:
        self.asked = Asked()
        plan = PagePlan("", (), "", None, PageAddress(), None, "/", session, "token", control)
        told = {"recorder": recorder}
        self._app = page_app(plan, Pictures(()), Listening(), lambda: told, self.asked, threading.Event())

    def request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        said: list[dict[str, Any]] = []
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        asyncio.run(self._app(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in said[1:])
        return said[0]["status"], body

    @property
    def recording(self) -> dict[str, Any] | None:
        status, body = self.request("GET", "/state", {})
        assert status == 200
        found: dict[str, Any] | None = json.loads(body)["recording"]
        return found


def test_whoever_has_the_control_address_switches_the_recording():
    page, begun_ns = Page(), time.monotonic_ns()
    assert page.asked.record == {}
    for on in (True, False):
        status, body = page.request("POST", f"/record?on={json.dumps(on)}", CONTROL)
        assert (status, json.loads(body)) == (200, {"asked": "record", "on": on})
        assert page.asked.record["on"] is on
        assert begun_ns <= page.asked.record["asked_ns"] <= time.monotonic_ns()
        begun_ns = page.asked.record["asked_ns"]
    assert not page.asked.stop.is_set()


@pytest.mark.parametrize(
    ("made", "method", "path", "headers", "status"),
    [
        ({}, "POST", "/record?on=true", {}, 403),
        ({}, "POST", "/record?on=true", {"X-Rigpose-Control": "guess"}, 403),
        ({"control": ""}, "POST", "/record?on=true", {"X-Rigpose-Control": ""}, 403),
        ({}, "GET", "/record?on=true", CONTROL, 405),
        ({}, "POST", "/record", CONTROL, 400),
        ({}, "POST", "/record?on=maybe", CONTROL, 400),
        ({"session": None}, "POST", "/record?on=true", CONTROL, 409),
        ({"ended": "disk: full"}, "POST", "/record?on=true", CONTROL, 409),
    ],
)
def test_others_do_not_and_what_cannot_be_is_refused(made, method, path, headers, status):
    page = Page(**made)
    assert page.request(method, path, headers)[0] == status
    assert page.asked.record == {}


def test_the_state_says_how_the_recording_is():
    assert Page(session=None).recording is None
    before = Page().recording
    assert before is not None and before["on"] is None and before["since_s"] is None and before["frames"] == 0
    switch = {"on": True, "since_ns": time.monotonic_ns() - 90 * 10**9, "refused": ""}
    cameras = {"a": {"frames": 30}, "b": {"frames": 29}}
    now = Page(recording=switch, cameras=cameras, disk_left_s=3600.0, ended="").recording
    assert now is not None and 90 <= now.pop("since_s") < 150
    assert now == {
        "session": "/data/day1", "on": True, "refused": "", "ended": "", "disk_left_s": 3600.0, "frames": 59,
    }  # fmt: skip
    switch["since_ns"] = time.monotonic_ns() + 10**9  # from the next pulse on
    ahead = Page(recording=switch).recording
    assert ahead is not None and ahead["since_s"] == 0
