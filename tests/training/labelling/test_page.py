"""The page in a real browser, on real frames: every gesture and key that a person labels with."""

from __future__ import annotations

import math
import shutil
import time

import cv2
import numpy as np
import pytest

from tests.training.labelling.browsers import Person
from tests.training.labelling.desks import KEYPOINTS, make_project
from training.labelling.server import serving
from training.projects.labels import read_folder
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import Project

pytestmark = [pytest.mark.long, pytest.mark.equipment]


@pytest.fixture
def openfield(data_dir, tmp_path):
    """The real project."""
    root = tmp_path / "openfield"
    shutil.copytree(data_dir / "openfield-Pranav-2018-10-30", root)
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    return Project.open(root)


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def point_of(server, keypoint, image="img0000.png", folder="clip"):
    column = server.store.project.keypoints.index(keypoint)
    return server.store.points(folder, image)[column]


def xy_of(server, keypoint, image="img0000.png", folder="clip"):
    return point_of(server, keypoint, image, folder).xy


# --- Exactness


def targets(project, folder, width, height):
    """A frame with single white pixels in corners, at edges and within; returns where they are."""
    places = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    places += [(width // 3, height // 2), (width // 2 + 1, height // 3), (width - 2, height // 2)]
    image = np.full((height, width), 60, np.uint8)
    for x, y in places:
        image[y, x] = 255
    path = project.root / "labeled-data" / folder
    path.mkdir(exist_ok=True)
    cv2.imwrite(str(path / "img0000.png"), image)
    return places


@pytest.mark.parametrize(
    ("size", "ratio"), [((640, 480), 1), ((640, 480), 2), ((3840, 2160), 1), ((101, 77), 1.25)]
)
def test_a_click_on_a_one_pixel_target_is_that_pixel_at_every_zoom(browser, tmp_path, ratio, size):
    project = make_project(tmp_path, frames=0)
    places = targets(project, "clip", *size)
    with serving(project.root, port=0) as server, Person(browser, server, ratio) as ada:
        fit = ada.ask("stage.view.fitScale")
        for whole_pixels, scales in ((True, {fit, 0.5, 1, 1.37, 2, 3, 8, 32}), (False, {fit, 1, 2, 5.3, 16})):
            for scale in sorted(scales):
                ada.ask(f"settings.wholePixels = {str(whole_pixels).lower()}")
                for x, y in places if scale != fit else places[:4]:
                    ada.key("1")
                    if scale == fit:
                        ada.key("f")
                    else:
                        ada.zoom(scale, x, y)
                    ada.click(x, y)
                    ada.saved()
                    assert xy_of(server, "nose") == (x, y), (scale, whole_pixels)
                    if scale >= 1 and whole_pixels:  # a mouse is on whole screen pixels
                        left, top = ada.at(x, y)
                        ada.key("1")
                        ada.page.mouse.click(
                            math.floor(left * ratio) / ratio, math.floor(top * ratio) / ratio
                        )
                        ada.saved()
                        assert xy_of(server, "nose") == (x, y), scale
                    if scale >= 2:  # single pixels are seen as they are
                        ada.drawn()
                        assert ada.colour(x, y) == [255] * 3
                        assert ada.colour(abs(x - 1), y) == [60] * 3


@pytest.mark.parametrize("scale", [2, 7, 32])
def test_anywhere_on_a_pixel_is_that_pixel_or_the_place_itself(browser, project, scale):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.zoom(scale, 10, 20)
        left, top = ada.at(10, 20)
        for dx, dy in ((-0.45, -0.45), (0.3, -0.2), (0.45, 0.45), (0.0, 0.4)):
            ada.key("1")
            ada.page.mouse.click(left + dx * scale, top + dy * scale)
            ada.saved()
            assert xy_of(server, "nose") == (10, 20)
            ada.key("1")
            ada.page.keyboard.down("Alt")
            ada.page.mouse.click(left + dx * scale, top + dy * scale)
            ada.page.keyboard.up("Alt")
            ada.saved()
            # as exact as a screen pixel
            assert xy_of(server, "nose") == pytest.approx((10 + dx, 20 + dy), abs=0.51 / scale + 0.005)


# --- A person labels


def test_labelling_a_frame_of_openfield(browser, openfield):
    before = read_folder(openfield, "m4s1")
    with serving(openfield.root, author="Ada", port=0) as server, Person(browser, server) as ada:
        ada.key("ArrowRight")
        ada.shows("img0001.png")
        for number in "1234":
            ada.key(number, "Delete")
        ada.saved()
        assert [point.xy for point in server.store.points("m4s1", "img0001.png")] == [None] * 4
        ada.key("1")
        clicks = [(60, 200), (70, 215), (50, 215), (90, 120)]
        for x, y in clicks:  # each click goes on to the next keypoint
            ada.click(x, y)
        ada.saved()
        points = server.store.points("m4s1", "img0001.png")
        assert [point.xy for point in points] == clicks
        assert {point.author for point in points} == {"Ada"}
        assert ada.ask("model.chosen") is None
        ada.click(300, 300)  # all is done: a stray click does nothing
        assert [point.xy for point in server.store.points("m4s1", "img0001.png")] == clicks
        ada.key("ArrowRight")
        ada.shows("img0002.png")
        ada.key("ArrowLeft", "ArrowLeft")
        ada.shows("img0000.png")
    after = read_folder(openfield, "m4s1")
    assert after.images == before.images
    assert after.points[1].tolist() == [list(xy) for xy in clicks]
    unchanged = [row for row in range(len(before)) if row != 1]
    assert np.array_equal(after.points[unchanged], before.points[unchanged])


def test_dragging_nudging_hiding_deleting_and_undoing(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.click(10, 20)
        ada.click(40, 30)
        start, end = ada.at(10, 20), ada.at(13, 25)
        ada.page.mouse.move(start[0] + 2, start[1] - 1)  # gripped beside its middle: it does not jump
        ada.page.mouse.down()
        ada.page.mouse.move(end[0], end[1], steps=5)
        ada.page.mouse.move(end[0] + 2, end[1] - 1)
        ada.page.mouse.up()
        ada.saved()
        assert xy_of(server, "nose") == (13, 25)
        ada.key("Shift+ArrowRight", "Alt+Shift+ArrowUp")
        ada.saved()
        assert xy_of(server, "nose") == (14, 24.9)
        ada.key("o")
        ada.saved()
        assert point_of(server, "nose").occluded
        ada.key("Delete")
        ada.saved()
        assert xy_of(server, "nose") is None
        for expected in ((14, 24.9), (14, 24.9), (14, 25), (13, 25), (10, 20)):
            ada.key("Control+z")
            ada.saved()
            assert xy_of(server, "nose") == expected
        ada.key("y", "Control+y")
        ada.saved()
        assert xy_of(server, "nose") == (14, 25)
        ada.key("3", "o")  # cannot be seen
        ada.saved()
        assert (xy_of(server, "left_ear"), point_of(server, "left_ear").occluded) == (None, True)
        assert ada.ask("model.chosen") == 3
        ada.key("ArrowRight")
        ada.shows("img0001.png")
        ada.key("z")  # undo goes back to the frame where it was
        ada.shows("img0000.png")
        ada.saved()
        assert not point_of(server, "left_ear").occluded


def test_a_frame_on_which_nothing_else_is_to_be_seen(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.key("Shift+O")
        ada.saved()
        assert all(point_of(server, name).occluded for name in KEYPOINTS)
        ada.key("ArrowRight")
        ada.shows("img0001.png")
        ada.click(10, 20)
        ada.key("Shift+O")
        ada.saved()
    labels = read_folder(project, "clip")
    first, second = (labels.images.index(f"labeled-data/clip/img000{n}.png") for n in range(2))
    assert np.isnan(labels.points[first]).all()
    assert np.isfinite(labels.points[second]).all(axis=1).sum() == 1


def test_points_close_to_each_other_can_be_placed_and_told_apart(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.click(20, 20)
        ada.click(21, 20)  # on the first one's marker
        ada.click(40, 30)
        ada.click(40, 10)
        ada.saved()
        assert [xy_of(server, name) for name in KEYPOINTS] == [(20, 20), (21, 20), (40, 30), (40, 10)]
        ada.click(40, 30)  # nothing to place any more: chooses
        assert ada.ask("model.chosen") == 2
        ada.click(50, 35)  # and moves
        ada.saved()
        assert xy_of(server, "left_ear") == (50, 35)


def test_panning_and_the_wheel_change_no_label(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.page.mouse.move(*ada.at(10, 20))
        ada.page.mouse.wheel(0, -900)
        ada.until("stage.view.scale > stage.view.fitScale * 1.5")
        x, y = ada.at(10, 20)
        for button in ("left", "middle", "right"):
            ada.page.mouse.move(x, y)
            ada.page.mouse.down(button=button)
            ada.page.mouse.move(x + 30, y + 40, steps=4)
            ada.page.mouse.up(button=button)
            ada.drawn()
            assert ada.at(10, 20) == pytest.approx((x + 30, y + 40), abs=1)
            x, y = ada.at(10, 20)
        assert server.store.version == 0
        ada.key("f")
        assert ada.ask("stage.view.fitted")


def test_finding_frames_that_are_not_finished(browser, openfield):
    with serving(openfield.root, port=0) as server, Person(browser, server) as ada:
        ada.page.click("text=img0005.png")
        ada.shows("img0005.png")
        ada.key("2", "Delete")
        ada.saved()
        ada.key("ArrowRight")
        ada.shows("img0006.png")
        ada.key("b")
        ada.shows("img0005.png")
        assert ada.ask("model.chosen") == 1
        ada.reads("#progress-text", "115 of 116 frames finished")
        ada.page.check("#only-unfinished")
        ada.sees(lambda: ada.page.locator(".frame:visible").count() == 1)
        assert xy_of(server, "leftear", "img0005.png", "m4s1") is None


def test_the_help_lists_the_keys(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.key("h")
        ada.sees(lambda: ada.page.locator("#help-dialog").is_visible())
        ada.reads("#help-table", "confirm all proposals")
        ada.key("Escape")
        ada.sees(lambda: not ada.page.locator("#help-dialog").is_visible())
        ada.page.fill("#author", "Zoe")  # letters typed into a field are no keys
        ada.page.keyboard.press("Enter")
        ada.click(10, 20)
        ada.saved()
        assert point_of(server, "nose").author == "Zoe"


# --- Proposals


def test_unreviewed_labels_are_hollow_until_they_are_confirmed(browser, project):
    def machine(x):
        return PointNote(Origin.UNREVIEWED, "net", at_px=(x, 30.0), confidence=0.8)

    notes = {name: machine(10.0 * n) for n, name in enumerate(KEYPOINTS, start=1)}
    write_notes(project, "clip", {"img0000.png": notes})
    with serving(project.root, author="Ada", port=0) as server, Person(browser, server) as ada:
        ada.reads("#keypoints", "proposed 0.80")
        ada.key("Enter")  # the first as it is
        ada.click(22, 31)  # the second elsewhere
        start, end = ada.at(30, 30), ada.at(33, 30)
        ada.page.mouse.move(*start)  # the third is dragged
        ada.page.mouse.down()
        ada.page.mouse.move(*end, steps=6)
        ada.page.mouse.up()
        ada.key("4", "Delete")  # the fourth is nonsense
        ada.saved()
    assert read_folder(project, "clip").points[0].tolist()[:3] == [[10, 30], [22, 31], [33, 30]]
    assert np.isnan(read_folder(project, "clip").points[0, 3]).all()
    notes = read_notes(project, "clip")["img0000.png"]
    assert [notes[name].origin for name in KEYPOINTS[:3]] == [Origin.MODEL, Origin.CLICKED, Origin.CLICKED]
    assert KEYPOINTS[3] not in notes


def test_a_network_proposes_and_a_person_confirms(browser, tmp_path):
    from tests.training.dots import dot_image
    from training.projects.saved_frames import save_images

    bundle = __file__.rsplit("/tests/", 1)[0] + "/tests/deploy/golden/schema1.bundle"
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("blue", "tail", "red"))
    image, _ = dot_image(np.random.default_rng(0), (128, 96))
    save_images(project, "a", [(0, image), (1, image)])
    with serving(project.root, bundle=bundle, author="Ada", port=0) as server, Person(browser, server) as ada:
        ada.ask("settings.leastConfidence = 0")
        ada.key("m")
        ada.until("Boolean(model.proposal(0))")
        assert ada.ask("model.proposal(1)") is None  # the network does not know it
        found = ada.ask("[model.proposal(0), model.proposal(2)].map(({ x, y }) => [x, y])")
        ada.key("Shift+Enter")
        ada.saved()
        points = server.store.points("a", "img0000.png")
        assert [list(points[0].xy), points[1].xy, list(points[2].xy)] == [found[0], None, found[1]]
        assert [points[0].origin, points[0].author] == [Origin.MODEL, "Ada"]
        ada.key("1", "Shift+ArrowRight")
        ada.saved()
        assert server.store.points("a", "img0000.png")[0].origin is Origin.CLICKED


@pytest.fixture
def rig_project(tmp_path):
    """Three views of one instant, with their calibration; returns where the nose is in each."""
    from calibration.formats.anipose import save_toml
    from tests.calibration.synthetic import ring

    rig = ring(3)
    save_toml(rig, tmp_path / "calibration.toml")
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))
    for camera in rig.names:
        project = project.add_labelled_folder(f"day_{camera}", size_px=(640, 480), recording="day")
        cv2.imwrite(
            str(project.root / f"labeled-data/day_{camera}/img0007.png"), np.full((480, 640), 128, np.uint8)
        )
    return project, tmp_path / "calibration.toml", rig.project(np.array([12.0, -20.0, 5.0]))


def test_other_views_draw_their_lines_and_propose_the_point(browser, rig_project):
    project, calibration, seen = rig_project
    with serving(project.root, calibration=calibration, port=0) as server, Person(browser, server) as ada:
        ada.ask("settings.wholePixels = false")
        for view in range(2):
            ada.click(*seen[view])
            ada.saved()
            ada.key("v")
            ada.until(f"model.frameNow?.folder === 'day_cam_{view + 1}'")
            ada.key("1")
        ada.until("Boolean(model.reprojected(0))")
        lines = ada.ask("model.geometry.nose.lines.map(({ line }) => line)")
        assert len(lines) == 2
        for line in lines:
            assert min(math.dist(place, seen[2]) for place in line) < 5
        # the lines are drawn where they are
        x, y = lines[0][len(lines[0]) // 2]
        ada.drawn()
        at = f"stage.view.toCanvas({x}, {y}).map(Math.floor)"
        alpha = ada.ask(f"stage.overlay.getContext('2d').getImageData(...{at}, 1, 1).data[3]")
        assert alpha > 0
        ada.key("r")
        ada.saved()
        nose = server.store.points("day_cam_2", "img0007.png")[0]
        assert nose.xy == pytest.approx(tuple(seen[2]), abs=0.6)
        assert nose.origin is Origin.REPROJECTED
        ada.key("1", "Shift+ArrowRight")
        ada.saved()
        assert server.store.points("day_cam_2", "img0007.png")[0].origin is Origin.CLICKED


# --- Two people, and accidents


def test_two_people_on_one_frame_lose_no_label(browser, project):
    with serving(project.root, port=0, quiet_s=0.05) as server:  # noqa: SIM117 the pages close first
        with Person(browser, server) as ada, Person(browser, server) as bo:
            ada.page.fill("#author", "Ada")
            bo.page.fill("#author", "Bo")
            for person in (ada, bo):
                person.page.focus("#overlay")
            mine = {"nose": (10, 20), "left_ear": (30, 20)}
            yours = {"tail": (20, 40), "right_ear": (40, 40)}
            for (a, place_a), (b, place_b) in zip(mine.items(), yours.items(), strict=True):
                ada.key(str(KEYPOINTS.index(a) + 1))
                bo.key(str(KEYPOINTS.index(b) + 1))
                ada.click(*place_a)
                bo.click(*place_b)
            for person in (ada, bo):  # each sees what the other did
                person.until("model.points.every((point) => point.x !== null)")
            assert {name: xy_of(server, name) for name in KEYPOINTS} == mine | yours
            # the same point at the same time: the later one stands, on both pages
            ada.key("1")
            bo.key("1")
            ada.page.evaluate("window.rigpose.model.put(0, 11, 21)")
            bo.page.evaluate("window.rigpose.model.put(0, 12, 22)")
            for person in (ada, bo):
                person.saved()
            stands = xy_of(server, "nose")
            assert stands in ((11, 21), (12, 22))
            for person in (ada, bo):
                person.until(f"model.points[0].x === {stands[0]} && model.points[0].y === {stands[1]}")
            # undoing does not undo what the other did since
            loser = ada if stands == (12, 22) else bo
            loser.key("z")
            loser.saved()
            assert xy_of(server, "nose") == stands
            ada.reads("#people", "Bo")
    points = dict(zip(KEYPOINTS, read_folder(project, "clip").points[0].tolist(), strict=True))
    assert {name: tuple(xy) for name, xy in points.items()} == mine | yours | {"nose": stands}


def test_a_browser_closed_in_the_middle_of_a_drag_leaves_the_old_point(browser, project):
    with serving(project.root, port=0) as server:
        with Person(browser, server) as ada:
            ada.click(10, 20)
            ada.saved()
            start, end = ada.at(10, 20), ada.at(30, 40)
            ada.page.mouse.move(*start)
            ada.page.mouse.down()
            ada.page.mouse.move(*end, steps=8)
            ada.until("stage.drag?.x === 30")
        with Person(browser, server) as again:
            again.until("model.points[0]?.x === 10")
        with Person(browser, server) as third:  # Escape lets go too
            start, end = third.at(10, 20), third.at(30, 40)
            third.page.mouse.move(*start)
            third.page.mouse.down()
            third.page.mouse.move(*end, steps=8)
            third.key("Escape")
            third.page.mouse.up()
            third.saved()
        assert xy_of(server, "nose") == (10, 20)


def test_edits_wait_for_a_server_that_does_not_answer(browser, project):
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.context.set_offline(True)
        ada.click(10, 20)
        ada.click(30, 20)
        ada.page.wait_for_selector("#banner:visible")
        ada.reads("#banner", "not saved yet")
        assert xy_of(server, "nose") is None
        ada.context.set_offline(False)
        ada.saved()
        assert [xy_of(server, name) for name in KEYPOINTS[:2]] == [(10, 20), (30, 20)]
        ada.page.wait_for_selector("#banner", state="hidden")


def test_a_broken_frame_says_so_and_the_next_one_opens(browser, project):
    path = project.root / "labeled-data/clip/img0001.png"
    path.write_bytes(path.read_bytes()[:-20])
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        ada.key("ArrowRight")
        ada.page.wait_for_selector("#message:visible")
        ada.reads("#message", "Extract the frame again")
        ada.key("1", "Delete", "Enter", "o")  # nothing to be done here
        ada.key("ArrowRight")
        ada.shows("img0002.png")
        assert server.store.version == 0


def test_frames_are_grabbed_while_scrubbing(browser, openfield):
    with serving(openfield.root, port=0) as server, Person(browser, server) as ada:
        ada.key("g")
        ada.until("document.querySelector('#grab-picture').naturalWidth === 640")
        ada.page.fill("#grab-number", "1200")
        ada.page.focus("#grab-slider")
        ada.key("Shift+ArrowRight", "ArrowLeft", "Enter")
        ada.page.wait_for_selector("text=kept as m3v1mp4/img1209.png")
        ada.key("Escape")
        ada.page.click("text=m3v1mp4")
        ada.page.click("text=img1209.png")
        ada.shows("img1209.png")
        ada.click(100, 100)
        ada.saved()
        assert xy_of(server, "snout", "img1209.png", "m3v1mp4") == (100, 100)
    assert read_folder(openfield, "m3v1mp4").points.shape == (1, 4, 2)


def test_a_4k_frame_is_decoded_once_and_neighbours_beforehand(browser, tmp_path):
    project = make_project(tmp_path, frames=0)
    random = np.random.default_rng(0)
    for number in range(4):
        image = random.integers(0, 255, (2160, 3840), np.uint8)
        cv2.imwrite(str(project.root / f"labeled-data/clip/img{number:04d}.png"), image)
    with serving(project.root, port=0) as server, Person(browser, server) as ada:
        asked: list[str] = []
        ada.page.on(
            "request", lambda request: asked.append(request.url) if "/api/image/" in request.url else None
        )
        ada.until("Boolean(model.pictures.peek('clip', 'img0001.png'))")
        ada.page.mouse.move(*ada.at(1900, 1000))
        for _ in range(6):
            ada.page.mouse.wheel(0, -200)
            ada.drawn()
        ada.key("ArrowRight")
        ada.shows("img0001.png")
        ada.key("ArrowLeft")
        ada.shows("img0000.png")
        counts = {url: asked.count(url) for url in asked if "/api/image/" in url}
        assert set(counts.values()) <= {1}
        start_ns = time.monotonic_ns()
        ada.click(1900, 1000)
        ada.saved()
        print(f"click to acknowledgement {ada.ask('model.following.outbox.lastMs'):.1f} ms, "
              f"by the clock {(time.monotonic_ns() - start_ns) / 1e6:.0f} ms, "
              f"picture drawn in {ada.ask('stage.drawing.ms'):.1f} ms")  # fmt: skip
        assert xy_of(server, "nose") == (1900, 1000)
