"""`rigpose calibrate --live` on a simulated rig with a waved board: its truth, and a real browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.settings import read_settings
from acquisition.simulation.scene import Scene, write_scene
from calibration.boards import BoardSettings
from calibration.find_views import find_views
from calibration.inputs import open_input
from calibration.live.guide import guide
from rigpose.rig_file import load_rig
from tests.equipment.browser import browser  # noqa: F401

CHECKOUT = Path(__file__).resolve().parents[3]
SIZE = (400, 300)
# What stands on the page, and the state that it was made of, at one moment.
SHOWN = """() => ({
  state: rigpose.shown.state,
  sentence: document.getElementById("sentence").textContent,
  counts: [...document.querySelectorAll("#graph .count")].map((each) => each.textContent),
  cells: document.querySelectorAll("figure[data-camera=cam_0] .cells rect:is(.flat, .tilted)").length,
  needs: [...document.querySelectorAll("#needs li")].map((each) => each.firstChild.textContent),
})"""
pytestmark = [pytest.mark.long, pytest.mark.alone]


class Run:
    """The command, running before two cameras; its two addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # slow, so that a board at rest is at rest in two frame sets
        self.rig = write_scene(
            folder, kind="charuco", seed=3, rate_hz=10.0, frame_sets=60, cameras=2, size=SIZE
        )
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "rigpose", "calibrate", str(self.rig), "--live", "--board",
                str(folder / "board.yaml"), "-o", str(folder / "boards"), "--json", str(folder / "f.json"),
            ],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = []
        for line in self.process.stdout:
            said.append(line)
            found = re.findall(r"http://\S+", "".join(said))
            if len(found) == 2:
                break
        else:
            self.end()
            raise AssertionError(f"no page: {''.join(said)}")
        self.control, self.address = found
        self.base, self.token = self.address.split("/?token=")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    def get(self, path: str, method: str = "GET", **headers: str) -> bytes:
        request = urllib.request.Request(self.base + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def refused(self, path: str, method: str = "GET", **headers: str) -> int:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            self.get(path, method, **headers)
        refusal.value.close()
        return refusal.value.code

    def state(self) -> dict:
        return json.loads(self.get("/state", **{"X-Rigpose-Token": self.token}))

    def picture(self, camera: str) -> bytes:
        """Of the newest look; of the one after it where that is gone by then."""
        until = time.monotonic() + 30
        while True:
            try:
                return self.get(
                    f"/picture/{camera}/{self.state()['looks']}", **{"X-Rigpose-Token": self.token}
                )
            except urllib.error.HTTPError as gone:
                gone.close()
                assert gone.code == 404 and time.monotonic() < until

    def state_when(self, condition) -> dict:
        until = time.monotonic() + 90
        while not condition(found := self.state()):
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    made = Run(tmp_path_factory.mktemp("live"))
    yield made
    made.end()


def test_corners_are_where_the_board_is(run: Run) -> None:
    state = run.state_when(lambda s: any(c["now"].get("state") == "kept" for c in s["cameras"].values()))
    scene = Scene.load(run.folder / "scene.yaml")
    compared = 0
    for camera, facts in state["cameras"].items():
        now = facts["now"]
        if not now.get("corners"):
            continue
        rotations, places = scene.subject.pose(np.array([scene.middle_s(state["frame_set"], camera)]))
        true = scene.view(camera).project(scene.subject.corners_mm @ rotations[0].T + places[0])
        apart = np.linalg.norm(np.array(now["corners"])[:, None] - true, axis=-1).min(axis=1)
        assert np.median(apart) < 0.3, (camera, apart)
        compared += 1
        assert cv2.imdecode(np.frombuffer(run.picture(camera), np.uint8), 0).shape == SIZE[::-1]
    assert compared


def test_who_may_not_look_or_end_it_does_not(run: Run) -> None:
    known = {"X-Rigpose-Token": run.token}
    assert run.refused("/state") == 403
    assert run.refused("/state", **known, Host="evil.example") == 421
    assert run.refused("/picture/cam_0/1") == 403
    assert run.refused("/picture/cam_9/1", **known) == 404
    assert run.refused("/picture/cam_0/987654", **known) == 404
    assert run.refused("/stop", "POST", **known) == 403
    assert run.refused("/stop", "POST", **known, **{"X-Rigpose-Control": "guess"}) == 403
    assert not run.state()["ending"]


def test_a_person_looks_ends_it_and_calibrates_with_what_was_kept(run: Run, browser) -> None:  # noqa: F811
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    errors: list[str] = []
    try:
        onlooker = context.new_page()
        onlooker.goto(run.address)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(run.control)
        page.wait_for_selector("figure:nth-of-type(2) img:visible", timeout=60_000)
        page.wait_for_selector(".picture svg .corner", state="attached", timeout=60_000)
        run.state_when(lambda s: s["kept"] >= 4 and s["pairs"][0][2] >= 1)
        until = time.monotonic() + 30
        while (shown := page.evaluate(SHOWN))["state"]["kept"] < 4:
            assert time.monotonic() < until, shown
            page.wait_for_timeout(50)
        state = shown["state"]
        assert shown["sentence"] == state["sentence"]
        assert shown["counts"] == [str(state["pairs"][0][2])]
        assert shown["cells"] == round(state["cameras"]["cam_0"]["coverage"] * 48) > 0
        assert shown["needs"] == [need["sentence"] for need in state["needs"]]
        assert page.locator(".cells").count() == 2
        assert "a ChArUco board of 7 x 5 squares" in page.inner_text("header")
        assert "of 20" in page.inner_text("figure[data-camera=cam_1]")
        assert onlooker.locator("#stop").is_hidden() and page.locator("#stop").is_visible()
        page.click("#stop")
        out, _ = run.process.communicate(timeout=60)
        assert run.process.returncode == 0
        page.wait_for_selector("#banner:visible", timeout=10_000)
        assert "What was kept" in page.inner_text("#banner")
        assert errors == []
    finally:
        context.close()
    figures = json.loads((run.folder / "f.json").read_text())
    assert figures["ended"] == "asked to" and figures["kept"] >= state["kept"]
    assert f"next: rigpose calibrate {run.folder / 'boards'}" in out
    source = open_input(run.folder / "boards")
    assert len(source.sets) == figures["kept"]
    assert {name: device["serial"] for name, device in source.devices.items()} == {
        "cam_0": "SIM-1-0", "cam_1": "SIM-1-1",
    }  # fmt: skip
    board = read_settings(BoardSettings, run.folder / "board.yaml")
    found = find_views(source, board).observations
    assert found.sizes_px == (SIZE, SIZE)
    for c, name in enumerate(source.cameras):
        assert len(found.of_camera(c)) >= figures["cameras"][name]["views"]


def test_a_camera_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    rig = run.folder / "other.yaml"
    rig.write_text(run.rig.read_text().replace("#cam_1", "#cam_7"))
    board = read_settings(BoardSettings, run.folder / "board.yaml")
    with pytest.raises(RigposeError, match="cam_7"):
        guide(load_rig(rig).acquisition, board, tmp_path / "boards")
    assert not (tmp_path / "boards").exists()
