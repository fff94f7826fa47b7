"""The live page on the simulated rig, in a real browser, as a person uses it."""

from __future__ import annotations

import json
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acquisition.simulation.scene import write_scene
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import save_toml
from tests.calibration.synthetic import ring
from tests.deploy.live_run import LiveRun
from tests.equipment.browser import browser  # noqa: F401

CHECKOUT = Path(__file__).resolve().parents[3]
BUNDLE = Path(__file__).parents[1] / "golden" / "six_artifacts.bundle"
CAMERAS = 4
pytestmark = [pytest.mark.long, pytest.mark.alone]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """Of four small cameras, calibrated."""
    folder = tmp_path_factory.mktemp("live")
    described = write_scene(folder, kind="animal", seed=5, frame_sets=60, cameras=CAMERAS, size=(160, 120))
    cameras = ring(CAMERAS, size=(160, 120)).cameras
    named = tuple(replace(camera, name=f"cam_{n}") for n, camera in enumerate(cameras))
    save_toml(CalibratedRig(named), folder / "calibration.toml")
    made = LiveRun(folder, described, BUNDLE, "--calibration", folder / "calibration.toml")
    yield made
    made.end()


def opened(browser, address: str):  # noqa: F811
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    return page, troubles


def until(page, condition: str, seconds: float = 60.0) -> None:
    """Wait; the page's own rules forbid Playwright's way of asking."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        time.sleep(0.1)


def test_views_and_figures_come_alive(run: LiveRun, browser, tmp_path: Path) -> None:  # noqa: F811
    page, troubles = opened(browser, run.address)
    alive = f"rigpose.views.size === {CAMERAS} && rigpose.shown.packets > 10"
    until(page, alive)
    page.wait_for_selector("#table tbody tr:nth-child(6)")
    page.wait_for_function(
        "document.querySelector('#latency-note').textContent.includes('p50')", timeout=60_000
    )
    assert not troubles
    rows = page.locator("#table tbody tr").all_inner_texts()
    assert any(row.startswith("pose2d\tyes") for row in rows)
    assert any(row.startswith("tracker\tyes\tyes\tyes") for row in rows)
    assert page.locator("#stop").is_hidden()
    # In the rig's order, whichever picture came first.
    orders = page.evaluate("[...rigpose.views].map(([name, view]) => [name, view.element.style.order])")
    assert sorted(orders) == [[f"cam_{n}", str(n)] for n in range(CAMERAS)]
    # Pictures are drawn: the canvas is not of one colour.
    shades = page.evaluate("""() => {
        const canvas = rigpose.views.get("cam_0").canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(data.filter((_, n) => n % 4 === 0)).size;
    }""")
    assert shades > 20
    page.locator("figure[data-camera=cam_1]").click()
    assert "large" in page.locator("figure[data-camera=cam_1]").get_attribute("class")
    page.screenshot(path=tmp_path / "live.png")
    page.close()


def packets_of(stream, count: int) -> list[dict]:
    found = []
    for _ in range(count):
        whole, length = struct.unpack("<II", stream.read(8))
        body = stream.read(whole - 4)
        about = json.loads(body[:length])
        at = length
        for camera in about["cameras"].values():
            jpeg = body[at : at + camera["bytes"]]
            assert jpeg[:2] == b"\xff\xd8"
            assert jpeg[-2:] == b"\xff\xd9"
            at += camera["bytes"]
        assert at == len(body)
        found.append(about)
    return found


def test_a_program_reads_pictures_with_the_poses_of_their_instant(run: LiveRun) -> None:
    with run.get(f"/frames?hz=30&token={run.token}") as stream:
        packets = packets_of(stream, 40)
    whole = [about for about in packets if len(about["cameras"]) == CAMERAS]
    assert len(whole) > 30
    tracked = [about for about in whole if all(one["keypoints"] for one in about["cameras"].values())]
    assert len(tracked) > 0.8 * len(whole)
    indices = [about["index"] for about in tracked]
    assert indices == sorted(set(indices))
    assert all(len(about["points"]) == len(tracked[0]["points"]) for about in tracked if about["points"])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/state", {}, 403),
        ("/state", {"X-Rigpose-Token": "wrong"}, 403),
        ("/frames?hz=none", {"token": "yes"}, 400),
        ("/static/../app.py", {"token": "yes"}, 404),
        ("/state", {"token": "yes", "Host": "evil.example"}, 421),
    ],
)
def test_who_may_not_look_does_not(run: LiveRun, path: str, headers: dict, status: int) -> None:
    known = {"X-Rigpose-Token": run.token} if headers.pop("token", "") else {}
    with pytest.raises(urllib.error.HTTPError) as refused:
        run.get(path, **known, **headers)
    assert refused.value.code == status
    refused.value.close()


def test_the_recording_is_resumed_and_paused_at_the_other_address(
    run: LiveRun,
    browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    looking, troubles = opened(browser, run.address)
    until(looking, "document.querySelector('#recording-state').textContent === 'recording paused'")
    assert looking.locator("#record").is_hidden()
    assert "--page-control" in looking.locator("#recording-how").inner_text()
    without = looking.evaluate("""() => {
        rigpose.panel.show({ ...rigpose.shown.state, recording: null });
        const told = document.querySelector("#recording-how").textContent;
        return [document.querySelector("#record").hidden, told];
    }""")
    assert without[0] and "--record FOLDER" in without[1]
    looking.close()
    page, more = opened(browser, run.control)
    page.wait_for_selector("#record:not([hidden]):not([disabled])", timeout=60_000)
    assert page.locator("#record").inner_text() == "Record"
    page.locator("#record").click()
    until(page, "document.querySelector('#recording-state').textContent.startsWith('● recording')")
    until(page, "rigpose.shown.state.recording.frames > 20 && !document.querySelector('#record').disabled")
    assert page.locator("#record").inner_text() == "Pause recording"
    page.screenshot(path=tmp_path / "recording.png")
    page.locator("#record").click()
    until(page, "document.querySelector('#recording-state').textContent === 'recording paused'")
    page.close()
    assert not troubles and not more


def test_looking_does_not_allow_to_end_the_run_and_the_other_address_does(
    run: LiveRun,
    browser,  # noqa: F811
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        run.get("/stop", method="POST", **{"X-Rigpose-Token": run.token, "X-Rigpose-Control": "guess"})
    assert refused.value.code == 403
    refused.value.close()
    page, troubles = opened(browser, run.control)
    page.wait_for_selector("#stop:not([hidden])", timeout=60_000)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#stop").click()
    assert run.process.wait(60) == 0
    assert not troubles
    page.close()
    report = json.loads(run.report.read_text())
    assert report["ended"] == "asked to"
    assert report["balanced"]
