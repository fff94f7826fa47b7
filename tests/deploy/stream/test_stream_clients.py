"""The example clients in C++ and JavaScript, against the golden vectors and a real publisher."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from calibration.poses import PoseSet
from deploy.stream.keys import ClientKeys, new_pair
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from tests.deploy.streaming import STAMPS, client, describe

EXAMPLES = Path(__file__).parents[3] / "examples"
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stream_v1.json").read_text())
ALL = [*GOLDEN["messages"], *GOLDEN["malformed"]]
# The examples decode; they do not judge what a kind or a topic may be called, nor what a session must hold.
LENIENT = {"unknown kind", "unknown topic", "a session that is no map"}
pytestmark = [pytest.mark.long, pytest.mark.equipment]


@pytest.fixture(scope="module")
def cpp(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if shutil.which("g++") is None or not Path("/usr/include/zmq.h").exists():
        pytest.skip("no g++ with ZeroMQ: apt-get install g++ libzmq3-dev")
    program = tmp_path_factory.mktemp("cpp") / "stream_client"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    source = EXAMPLES / "stream_client.cpp"
    subprocess.run(["g++", "-std=c++17", *warnings, source, "-lzmq", "-o", program], check=True)
    return [str(program)]


@pytest.fixture(scope="module")
def javascript() -> list[str]:
    if shutil.which("node") is None:
        pytest.skip("no node: apt-get install nodejs")
    return ["node", str(EXAMPLES / "stream_client.js")]


@pytest.fixture(scope="module")
def zeromq_js(javascript: list[str]) -> list[str]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    modules = Path(os.environ.get("RIGPOSE_NODE_MODULES", cache / "rigpose" / "node" / "node_modules"))
    if not (modules / "zeromq").is_dir():
        pytest.skip("no zeromq for node: run tests/peers/node_zeromq.sh, or set RIGPOSE_NODE_MODULES")
    return ["env", f"NODE_PATH={modules}", *javascript]


@contextlib.contextmanager
def _running(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _lines(words: Sequence[str], count: int, publish: Callable[[], None]) -> list[str]:
    """The first `count` lines a client prints while something is published for it."""
    lines: list[str] = []
    with _running(words) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        until = time.monotonic() + 30
        text = ""
        while len(lines) < count:
            assert time.monotonic() < until and process.poll() is None, lines
            publish()
            with contextlib.suppress(TypeError):  # nothing there
                text += process.stdout.read()
            *whole, text = text.split("\n")
            lines += whole
            time.sleep(0.02)
    return lines[:count]


def _check(lines: list[str], vectors: list[dict[str, Any]]) -> None:
    for line, vector in zip(lines, vectors, strict=True):
        if "reason" in vector:
            assert line.startswith("refused: ") or vector["name"] in LENIENT, (vector["name"], line)
            continue
        message = json.loads(line)
        assert message["topic"] == vector["topic"]
        assert _plain(message["header"]) == _plain(vector["header"])
        if vector["topic"] in ("pose2d", "pose3d"):
            expected = np.array(vector["payload"], np.float64).astype(np.float32).ravel()
            np.testing.assert_array_equal(np.array(message["payload"], np.float64), expected)
        else:
            assert _plain(message["payload"]) == _plain(vector["payload"])


def _plain(value: Any) -> Any:
    """Whole numbers beyond 2^53 as text: JavaScript's JSON has no others."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > 2**53 - 1 else value


@pytest.mark.parametrize("name", ["stream_client.cpp", "stream_client.js"])
def test_an_example_has_less_than_a_hundred_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 100


def test_javascript_decodes_the_golden_vectors_without_any_package(javascript: list[str]) -> None:
    lines = "".join(" ".join(vector["frames"]) + "\n" for vector in ALL)
    ran = subprocess.run([*javascript, "-"], input=lines, capture_output=True, text=True, check=True)
    _check(ran.stdout.splitlines(), ALL)


@pytest.mark.parametrize("program", ["cpp", "zeromq_js"])
def test_the_golden_vectors_over_a_real_socket(
    program: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    words = request.getfixturevalue(program)
    endpoint = f"ipc://{tmp_path}/stream"
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.set(zmq.LINGER, 0)
        publisher.bind(endpoint)

        def publish() -> None:
            if publisher.poll(0):  # the client has subscribed
                publisher.recv()
                for vector in ALL:
                    publisher.send_multipart([bytes.fromhex(part) for part in vector["frames"]])

        _check(_lines([*words, endpoint], len(ALL), publish), ALL)


@pytest.mark.parametrize("program", ["cpp", "zeromq_js"])
def test_a_live_stream_with_keys(program: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    words = request.getfixturevalue(program)
    keys = tmp_path / "keys"
    new_pair(keys, "server")
    mine: ClientKeys = client(keys, "ada")
    settings = StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*")
    with Publisher(settings, describe()) as publisher:

        def publish() -> None:
            publisher.service()
            if publisher.joins:
                publisher.pose(PoseSet(7, 8, np.full((1, 1, 3), 0.5, np.float32)), STAMPS)

        given = (publisher.endpoint, mine.server, mine.own.public, mine.own.secret)
        session, pose, *_ = (json.loads(line) for line in _lines([*words, *given], 5, publish))
    assert session["topic"] == "session" and session["payload"]["keypoints"] == ["nose"]
    assert pose["topic"] == "pose2d" and pose["payload"] == [0.5, 0.5, 0.5]
    assert pose["header"][3] == 7 and pose["header"][11] == [1, 1, 3]
