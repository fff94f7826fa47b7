"""Requests to a running page, without a browser."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Page:
    """What a page of its own would ask; its address is the one with the token."""

    def __init__(self, address: str, client: str = "page") -> None:
        parts = urlsplit(address)
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.token = parse_qs(parts.query)["token"][0]
        self.client = client
        self.sent = 0

    def ask(
        self, path: str, content: Any = None, headers: dict[str, str] | None = None, token: str | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, JSON or bytes, headers); `token` "" sends none."""
        given = self.token if token is None else token
        sent = {"X-Rigpose-Token": given} if given else {}
        body = None
        if content is not None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, body, {**sent, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _read(answer), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error), dict(error.headers)

    def put(
        self, keypoint: str, point: Any, image: str = "img0000.png", folder: str = "clip", seen: int = 0
    ) -> Any:
        """One edit; its answer."""
        self.sent += 1
        edit = {
            "id": f"{self.client} {self.sent}", "folder": folder, "image": image, "keypoint": keypoint,
            "version": seen, "point": point,
        }  # fmt: skip
        status, said, _ = self.ask("/api/edits", {"client": self.client, "edits": [edit]})
        assert status == 200, said
        return said["answers"][0]


def _read(answer: Any) -> Any:
    content = answer.read()
    return json.loads(content) if "json" in answer.headers.get("Content-Type", "") else content
