"""The preview of the simulated rig: figures against the scene's, and the page in a real browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from acquisition.errors import RigposeError
from acquisition.preview.preview import preview
from acquisition.simulation.scene import write_scene
from rigpose.rig_file import load_rig
from tests.equipment.browser import browser  # noqa: F401

CHECKOUT = Path(__file__).parents[3]

pytestmark = [pytest.mark.long, pytest.mark.alone]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(
        tmp_path_factory.mktemp("rig"), kind="animal", seed=1, frame_sets=20, cameras=3, size=(320, 240),
        loss_rate=0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(rig: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`rigpose preview`, running; the address that it printed."""
    run = subprocess.Popen(
        [sys.executable, "-m", "rigpose", "preview", str(rig), "--port", "0", "--no-browser"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    address = next(line.strip() for line in run.stdout if "http://" in line)
    yield address, run
    run.kill()
    run.communicate()


def fetched(address: str, path: str = "/", *, token: bool = True) -> tuple[int, bytes]:
    parts = urlsplit(address)
    url = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{parts.query}" if token else "")
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_figures_of_a_rig_without_a_page(rig: Path) -> None:
    figures = preview(load_rig(rig).acquisition, seconds=4, page=None)
    assert figures["ended"] == "time is over"
    assert list(figures["cameras"]) == ["cam_0", "cam_1", "cam_2"]
    for camera in figures["cameras"].values():
        assert camera["pictures"] > 5
        assert (camera["width_px"], camera["height_px"], camera["rate_hz_wished"]) == (320, 240, 30.0)
        assert camera["exposure_share"] == pytest.approx(camera["exposure_us"] * 30e-6, abs=1e-3)
        assert 15 < camera["rate_hz"] < 40  # over the newest 64 arrivals, which may come in bursts
        assert camera["link_mb_s"] == pytest.approx(camera["rate_hz"] * 320 * 240 / 1e6, rel=0.01)
        assert camera["lost"] > 2 and camera["ring_full"] == 0  # looking costs no frame
        assert camera["laplacian_variance_best"] >= camera["laplacian_variance_median"] > 10


def test_the_page_is_guarded(page: tuple[str, subprocess.Popen[str]]) -> None:
    address, _ = page
    assert fetched(address)[0] == 200
    until = time.monotonic() + 20
    while (picture := fetched(address, "/picture/cam_0"))[0] == 404:  # none yet
        assert time.monotonic() < until
        time.sleep(0.05)
    assert picture[1].startswith(b"\xff\xd8")
    assert fetched(address, "/picture/cam_9")[0] == 404
    for path in ("/", "/state", "/picture/cam_0", "/static/preview.js"):
        status, body = fetched(address, path, token=False)
        assert status == 403 and b"rigpose preview" in body
    assert urlsplit(address).hostname == "127.0.0.1"


def test_the_page_shows_every_camera_as_it_is(page: tuple[str, subprocess.Popen[str]], browser) -> None:  # noqa: F811
    address, run = page
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    try:
        sheet = context.new_page()
        sheet.on("pageerror", lambda error: errors.append(str(error)))
        sheet.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        sheet.goto(address)
        sheet.wait_for_selector("figure:nth-of-type(3) img:visible", timeout=20_000)
        until = time.monotonic() + 20
        while "cam_2" not in sheet.inner_text("main") or sheet.inner_text("main").count("sharpest") < 3:
            assert time.monotonic() < until
            sheet.wait_for_timeout(50)
        first = sheet.inner_text("figure[data-camera=cam_0]")
        assert "320 x 240" in first and "of 30.0 Hz" in first and "MB/s" in first and "stops" in first
        state = json.loads(fetched(address, "/state")[1])
        assert state["cam_0"]["laplacian_variance"] > 10 and state["cam_0"]["state"] == "armed"
        assert "3 cameras" in sheet.inner_text("#summary")
        shown = sheet.get_attribute("figure[data-camera=cam_0] img", "src")
        while sheet.get_attribute("figure[data-camera=cam_0] img", "src") == shown:  # it goes on
            assert time.monotonic() < until
            sheet.wait_for_timeout(50)
        # 0 while the next picture takes the place of this one
        while not (size := sheet.evaluate("() => document.querySelector('figure img').naturalWidth")):
            assert time.monotonic() < until
        assert size == 320
        sheet.click("figure[data-camera=cam_1]")
        assert sheet.evaluate("() => document.querySelector('figure.large').dataset.camera") == "cam_1"
        sheet.click("#anew")
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=20)
        assert run.returncode == 0
        assert "cam_2" in out and "ended: interrupted" in out
        sheet.wait_for_selector("#banner:visible", timeout=10_000)
        assert "No answer" in sheet.inner_text("#banner")
        assert [error for error in errors if "ERR_CONNECTION" not in error] == []
    finally:
        context.close()


def test_a_port_that_is_taken_is_one_line(rig: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RigposeError, match=f"--port {port}: expected an address of this machine"):
            preview(load_rig(rig).acquisition, page=("127.0.0.1", port))


def test_an_address_that_others_could_reach_is_refused(rig: Path) -> None:
    with pytest.raises(RigposeError, match="an address of this machine alone"):
        preview(load_rig(rig).acquisition, page=("0.0.0.0", 0))
