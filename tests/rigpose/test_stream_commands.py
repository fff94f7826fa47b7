"""`rigpose keys` as a person runs it, and `rigpose watch` of a stream that has keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stream.keys import read_secret
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from tests.rigpose.calling import run


def _session() -> Session:
    clock = StreamClock("another host", "rig", time.monotonic_ns(), 0, 0)
    return Session("arena", (CameraView("top", 64, 48),), ("nose",), clock)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def endpoint(folder: Path) -> Iterator[str]:
    """A stream with keys, of a publisher whose clock is not known to be ours."""
    assert run("keys", "new", "server") == 0
    over = threading.Event()
    bound: list[str] = []

    def publish() -> None:
        settings = StreamSettings(keys=folder / "keys", endpoint="tcp://127.0.0.1:*")
        with Publisher(settings, _session) as publisher:
            bound.append(publisher.endpoint)
            while not over.wait(0.01):
                publisher.service()

    thread = threading.Thread(target=publish)
    thread.start()
    while not bound:
        time.sleep(0.01)
    yield bound[0]
    over.set()
    thread.join()


def test_keys_are_made_allowed_listed_and_revoked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keys", "list") == 0
    assert "rigpose keys new server" in capsys.readouterr().out
    assert run("keys", "new", "server", "--json", "made.json") == 0
    assert run("keys", "new", "ada", "--keys", "ada") == 0
    assert run("keys", "allow", "ada/ada.pub") == 0
    assert run("keys", "list", "--json", "listed.json") == 0
    shown = capsys.readouterr().out
    secrets = [read_secret(folder / name).secret for name in ("keys/server.secret", "ada/ada.secret")]
    for file in (folder / "made.json", folder / "listed.json"):
        assert not any(secret in file.read_text() for secret in secrets)
    assert not any(secret in shown for secret in secrets)
    listed = json.loads((folder / "listed.json").read_text())
    assert listed == {
        "server": read_secret(folder / "keys/server.secret").public,
        "allowed": {"ada": read_secret(folder / "ada/ada.secret").public},
    }
    assert run("keys", "revoke", "ada") == 0
    assert run("keys", "revoke", "ada") == 2
    assert "a client 'ada' that is allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("keys", "new", "../x"), "letters, digits"),
        (("keys", "allow", "nobody.pub"), "No such file"),
        (("replay", "nowhere"), "expected a recorded session"),
        (("replay", "nowhere", "--speed", "0"), "a number above 0"),
        (("replay", "nowhere", "--endpoint", "tcp://*:5555"), "no keys"),
        (("watch", "--key", "x"), "--server-key and --key, or neither"),
        (("watch", "--key", "x", "--server-key", "y"), "No such file"),
    ],
)
def test_what_cannot_work_is_one_line(
    folder: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert line in error and len(error.splitlines()) == 1
    assert list(folder.iterdir()) == []


def test_watch_with_keys_and_what_it_says_without(
    folder: Path, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keys", "new", "ada", "--keys", "ada") == 0
    mine = ("--server-key", "keys/server.pub", "--key", "ada/ada.secret")
    assert run("watch", endpoint, "--seconds", 0.6) == 0
    assert "nothing yet, refused: " in capsys.readouterr().out
    assert run("watch", endpoint, "--seconds", 0.6, *mine) == 0
    assert "nothing yet, refused: the publisher does not allow this key" in capsys.readouterr().out
    assert run("keys", "allow", "ada/ada.pub") == 0
    assert run("watch", endpoint, "--seconds", 0.6, *mine, "--json", "seen.json") == 0
    assert "arena: " in capsys.readouterr().out
    seen = json.loads((folder / "seen.json").read_text())
    assert seen["received"]["session"] >= 1 and seen["sessions"] == 1 and seen["refused"] == ""
