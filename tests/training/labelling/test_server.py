"""The server as a browser speaks to it: who gets in, what it answers, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from tests.training.labelling.desks import KEYPOINTS, make_project
from tests.training.labelling.requests import Page
from training.labelling.journal import JOURNAL_FILE
from training.labelling.lock import LOCK_FILE
from training.labelling.server import serving
from training.projects.labels import read_folder
from training.projects.origins import Origin, PointNote, read_notes, write_notes

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def page(project):
    with serving(project.root, author="Ada", port=0) as server:
        yield Page(server.address)


# --- Who gets in


def test_nothing_is_answered_without_the_token(page):
    for path in ("/", "/api/project", "/api/image/clip/img0000.png", "/static/main.js", "/api/changes"):
        for token in ("", page.token[:-1], page.token + "x", "é"):
            assert page.ask(path + "?token=" + ("" if token == "é" else token), token="")[0] == 403
    status, _, _ = page.ask("/api/edits", {"client": "x", "edits": []}, token="")
    assert status == 403


def test_the_address_sets_a_cookie_that_scripts_cannot_read(page):
    status, content, headers = page.ask(f"/?token={page.token}", token="")
    assert (status, b"<canvas" in content) == (200, True)
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "'self'" in headers["content-security-policy"]
    status, found, headers = page.ask("/api/project", headers={"Cookie": cookie.split(";")[0]}, token="")
    assert (status, found["name"]) == (200, "mouse")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("other", ['prefs={"dark":true}', "a@b=1", "name=Jos\u00e9"])
def test_an_odd_cookie_of_another_server_here_does_not_lock_out(page, other):
    _, _, headers = page.ask(f"/?token={page.token}", token="")
    ours = headers["set-cookie"].split(";")[0]
    status, _, _ = page.ask("/api/project", headers={"Cookie": f"{other}; {ours}"}, token="")
    assert status == 200


def test_an_origin_that_is_none_may_not_write(page):
    status, _, _ = page.ask("/api/edits", {"edits": []}, headers={"Origin": "http://[evil"})
    assert status == 403


def test_a_name_of_somebody_elses_is_not_this_server(page):
    port = page.base.rsplit(":", 1)[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "[", ""):
        assert page.ask("/api/project", headers={"Host": host})[0] in (400, 421), host
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"{socket.gethostname()}:{port}"):
        assert page.ask("/api/project", headers={"Host": host})[0] == 200, host


def test_another_sites_page_may_not_edit(page):
    edits = {"client": "x", "edits": []}
    assert page.ask("/api/edits", edits, {"Origin": "https://evil.example"})[0] == 403
    assert page.ask("/api/edits", edits, {"Origin": "null"})[0] == 403
    assert page.ask("/api/edits", edits, {"Origin": page.base})[0] == 200
    assert page.ask("/api/edits", edits, {"Content-Type": "text/plain"})[0] == 415  # what a form can send


def test_only_frames_of_the_project_are_sent(page, project):
    (project.root / "labeled-data/secret.txt").write_text("secret")
    for path in (
        "clip/..%2Fsecret.txt",
        "..%2Flabeled-data/secret.txt",
        "clip/CollectedData_Ada.csv",
        "clip/img9.png",
    ):
        assert page.ask(f"/api/image/{path}")[0] == 404, path
    assert page.ask("/static/..%2Fserver.py")[0] == 404


@pytest.mark.parametrize(
    "content", [b"no json", b"[]", {"edits": []}, {"client": "x"}, {"client": "x", "edits": [{}]}]
)
def test_requests_that_make_no_sense(page, content):
    assert page.ask("/api/edits", content)[0] in (400, 404)


def test_a_request_that_is_too_large(page):
    with contextlib.suppress(OSError):  # the server may hang up before all is sent
        assert page.ask("/api/edits", b"1" * (5 << 20))[0] == 413


# --- What it answers


def test_the_project_and_a_frame(page, project):
    _, found, _ = page.ask("/api/project")
    assert found["keypoints"] == list(KEYPOINTS)
    assert found["skeleton"] == [["nose", "tail"], ["left_ear", "right_ear"]]
    assert found["author"] == "Ada"
    assert found["folders"] == [{"name": "clip", "images": [[f"img{n:04d}.png", 0, 0] for n in range(3)]}]
    _, frame, _ = page.ask("/api/frame/clip/img0001.png")
    assert (frame["width"], frame["height"]) == (64, 48)
    assert [point["x"] for point in frame["points"]] == [None] * 4
    status, content, headers = page.ask("/api/image/clip/img0001.png")
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content == (project.root / "labeled-data/clip/img0001.png").read_bytes()


def test_an_edit_is_seen_by_the_other_page_and_ends_in_the_files(project):
    with serving(project.root, port=0) as server:
        ada, bo = Page(server.address, "Ada's page"), Page(server.address, "Bo's page")
        ada.put("nose", {"x": 10, "y": 20.5, "author": "Ada"})
        _, said, _ = bo.ask("/api/changes?since=0&client=b&author=Bo&folder=clip&image=img0001.png")
        assert [(change[:3], change[3]["x"]) for change in said["changes"]] == [
            (["clip", "img0000.png", "nose"], 10.0)
        ]
        assert said["counts"] == [["clip", "img0000.png", 1, 0]]
        assert bo.put("nose", {"x": 11, "y": 20, "author": "Bo"})["overwrote"] == "Ada"
        _, said, _ = ada.ask("/api/changes?since=1&client=a&author=Ada&folder=clip&image=img0000.png")
        assert said["changes"][0][3]["author"] == "Bo"
        assert said["others"] == [["Bo", "clip", "img0001.png"]]
    assert read_folder(project, "clip").points[0, 0].tolist() == [11, 20]
    assert read_notes(project, "clip")["img0000.png"]["nose"] == PointNote(Origin.CLICKED, "Bo")
    left = {path.name for path in project.root.iterdir()}
    assert not {JOURNAL_FILE, LOCK_FILE} & left


def test_a_point_outside_the_image_is_refused(page):
    edit = {"id": "1", "folder": "clip", "image": "img0000.png", "keypoint": "nose", "version": 0}
    edit["point"] = {"x": 70, "y": 2}
    status, said, _ = page.ask("/api/edits", {"client": "x", "edits": [edit]})
    assert (status, said["error"]) == (400, "(70, 2) px is outside the image of 64x48")


def test_a_frame_that_is_cut_off_says_so(project):
    path = project.root / "labeled-data/clip/img0001.png"
    path.write_bytes(path.read_bytes()[:-20])
    with serving(project.root, port=0) as server:
        status, said, _ = Page(server.address).ask("/api/image/clip/img0001.png")
    assert status == 422
    assert "Extract the frame again" in said["error"]


def test_unreviewed_labels_are_counted_as_waiting(project):
    write_notes(
        project,
        "clip",
        {"img0002.png": {"tail": PointNote(Origin.UNREVIEWED, at_px=(1.0, 2.0), confidence=0.4)}},
    )
    with serving(project.root, port=0) as server:
        _, found, _ = Page(server.address).ask("/api/project")
    assert found["folders"][0]["images"][2] == ["img0002.png", 0, 1]


def write_video(path: Path, frames: int = 40, codec: str = "libx264") -> None:
    """A white bar at the column of each frame's number; with B-frames where the codec has them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 12
        if codec == "libx264":
            stream.options = {"bf": "3", "crf": "10", "x264-params": "b-adapt=0"}
        for number in range(frames):
            image = np.full((48, 64, 3), 30, np.uint8)
            image[:, number] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def bar_in(image: np.ndarray) -> int:
    return int(image.mean(axis=(0, 2)).argmax())


@pytest.mark.parametrize(("name", "codec"), [("reach.mp4", "libx264"), ("reach.avi", "mpeg4")])
def test_frames_are_grabbed_by_number(project, name, codec):
    write_video(project.root / "videos" / name, codec=codec)
    with serving(project.root, port=0) as server:
        page = Page(server.address)
        assert page.ask("/api/project")[1]["videos"] == ["reach"]
        assert page.ask("/api/video/reach")[1] == {
            "name": "reach", "instants": 40, "views": ["reach"], "notes": [],
        }  # fmt: skip
        for number in (0, 39, 17, 18, 2, 38):
            status, content, _ = page.ask(f"/api/video/reach/frame?instant={number}")
            shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            assert (status, bar_in(shown)) == (200, number)
        assert page.ask("/api/video/reach/frame?instant=40")[0] == 400
        assert page.ask("/api/video/gone")[0] == 404
        for _ in range(2):
            _, said, _ = page.ask("/api/grab", {"video": "reach", "instant": 17})
            assert said == [{"folder": "reach", "image": "img0017.png"}]
        page.put("nose", {"x": 1, "y": 2}, "img0017.png", "reach")
    image = cv2.imread(str(project.root / "labeled-data/reach/img0017.png"))
    assert bar_in(image) == 17
    assert read_folder(project, "reach").points[0, 0].tolist() == [1, 2]


# --- As a program


def run(project: Path, *words: object, **more) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", "DISPLAY": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "rigpose", "label", str(project), *map(str, words)], cwd=CHECKOUT,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def address_of(process: subprocess.Popen[str]) -> str:
    for line in process.stdout:
        if "?token=" in line:
            return line.strip()
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_writes_everything_and_ends_well(project, tmp_path, number):
    with run(project.root, "--port", 0, "--json", tmp_path / "done.json") as process:
        page = Page(address_of(process))
        page.put("nose", {"x": 3, "y": 4, "author": "Bo"})
        process.send_signal(number)
        said, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, "")
    assert "rigpose train" in said
    done = json.loads((tmp_path / "done.json").read_text())
    assert (done["edits"], done["points"], done["frames"]) == (1, {"clicked": 1}, 3)
    assert read_folder(project, "clip").points[0, 0].tolist() == [3, 4]


def test_killed_without_warning_no_acknowledged_label_is_lost(project):
    with run(project.root, "--port", 0) as process:
        page = Page(address_of(process))
        for number in range(5):
            page.put(
                "tail", {"x": number, "y": 4, "origin": "model", "author": "Bo"}, f"img{number % 3:04d}.png"
            )
        process.kill()
        process.communicate(timeout=30)
    with serving(project.root, port=0) as server:
        assert Page(server.address).ask("/api/project")[1]["replayed"] >= 1
    points = read_folder(project, "clip").points[:, 1, 0].tolist()
    assert points == [3, 4, 2]
    assert read_notes(project, "clip")["img0001.png"]["tail"] == PointNote(Origin.MODEL, "Bo")


def refused(*words: object) -> str:
    with run(*words) as process:
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2, complaint
    assert complaint.count("\n") == 1
    return complaint


def test_a_second_server_is_refused_and_told_of_the_first(project):
    with serving(project.root, port=0) as server:
        complaint = refused(project.root, "--port", 0)
        address = server.address.split("?")[0]
    assert f"process {os.getpid()}" in complaint
    assert address in complaint
    assert "token" not in complaint
    with serving(project.root, port=0):
        pass  # free again


def test_a_port_that_is_taken(project):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(RigposeError, match=f"--port {port}.*Address already in use"),
            serving(project.root, port=port),
        ):
            pass


@pytest.mark.parametrize("options", [{"port": 99999}, {"host": "203.0.113.9"}])
def test_an_address_that_cannot_be(project, options):
    with pytest.raises(RigposeError, match=r"--port|--host"), serving(project.root, **options):
        pass


def test_no_project_and_no_frames(project, tmp_path):
    with pytest.raises(RigposeError, match=r"config\.yaml"), serving(tmp_path / "gone"):
        pass
    for path in (project.root / "labeled-data/clip").iterdir():
        path.unlink()
    with pytest.raises(RigposeError, match=r"no image.*rigpose frames"), serving(project.root):
        pass


def test_a_bundle_with_other_keypoints(project):
    bundle = CHECKOUT / "tests/deploy/golden/schema1.bundle"
    with (
        pytest.raises(RigposeError, match="a network for the project's keypoints"),
        serving(project.root, bundle=bundle),
    ):
        pass
    assert not (project.root / LOCK_FILE).exists()


def test_a_calibration_of_other_cameras(project, tmp_path):
    from calibration.formats.anipose import save_toml
    from tests.calibration.synthetic import ring

    save_toml(ring(3), tmp_path / "calibration.toml")
    with (
        pytest.raises(RigposeError, match="two folders of one recording"),
        serving(project.root, calibration=tmp_path / "calibration.toml", port=0),
    ):
        pass


def test_the_page_needs_no_torch():
    script = "import sys, training.labelling.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=False).returncode == 0
