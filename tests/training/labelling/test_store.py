"""Edits in memory, in the journal and in the label files."""

from __future__ import annotations

import errno
import json
import os
import threading
import time

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from tests.training.labelling.desks import KEYPOINTS, edit, make_project, open_store
from training.labelling import folder as folder_module
from training.labelling import label_files
from training.labelling.journal import JOURNAL_FILE, Journal
from training.labelling.label_files import LabelFiles
from training.labelling.points import NOTHING, Point, from_json
from training.labelling.saver import Saver
from training.projects.labels import read_folder, write_labels
from training.projects.origins import Origin, PointNote, read_notes, write_notes


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def store(project):
    return open_store(project)


@pytest.fixture
def files(store):
    return LabelFiles(store)


def again(store):
    """The store as the next server would find it, had this one been killed now."""
    return open_store(store.project)


def in_files(project, image="img0000.png"):
    """Keypoint -> (x, y) in CollectedData."""
    labels = read_folder(project, "clip")
    row = [name.rsplit("/", 1)[1] for name in labels.images].index(image)
    return {
        name: tuple(xy)
        for name, xy in zip(KEYPOINTS, labels.points[row].tolist(), strict=True)
        if xy[0] == xy[0]
    }


def test_a_frame_grabbed_into_labels_without_their_pictures_does_not_erase_them(project):
    """Labels that were shared without images: the folder has no picture, but its rows are somebody's work."""
    folder = project.root / "labeled-data" / "shared"
    folder.mkdir()
    for name in ("img0001.png", "img0002.png"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8), np.uint8))
    write_labels(project, "shared", ["img0001.png"], np.full((1, len(KEYPOINTS), 2), 5.0))
    for name in ("img0001.png", "img0002.png"):
        (folder / name).unlink()
    store = open_store(project)
    cv2.imwrite(str(folder / "img0002.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(RigposeError, match="the images that its labels name"):
        store.add_image("shared", "img0002.png")
    assert "shared" not in store.folders
    assert read_folder(project, "shared").images == ("labeled-data/shared/img0001.png",)


def test_after_a_kill_only_what_no_file_has_is_done_again(store, files, project, monkeypatch):
    """Another folder could not be written, so the journal was not emptied; this one was edited elsewhere."""
    monkeypatch.setattr(store, "forget_journal", lambda: None)
    store.apply([edit(Point((10.0, 20.0), author="Bo"))], "page")
    files.save()
    store.apply([edit(Point((3.0, 4.0), author="Bo"), "tail")], "page")  # after the save: no file has it
    moved = np.full((1, len(KEYPOINTS), 2), np.nan)
    moved[0, KEYPOINTS.index("nose")] = 11.0, 21.0
    write_labels(project, "clip", ["img0000.png"], moved)
    later = again(store)
    assert later.replayed == 1
    found = {
        name: point.xy
        for name, point in zip(KEYPOINTS, later.points("clip", "img0000.png"), strict=True)
    }  # fmt: skip
    assert (found["nose"], found["tail"]) == ((11.0, 21.0), (3.0, 4.0))


def test_a_click_ends_in_csv_h5_and_notes(store, files, project):
    store.apply([edit(Point((10.0, 20.25), author="Bo"))], "page")
    store.apply([edit(Point((1.0, 2.0)), "tail")], "page")
    files.save()
    assert in_files(project) == {"nose": (10.0, 20.25), "tail": (1.0, 2.0)}
    # a click by the scorer needs no note
    assert read_notes(project, "clip") == {"img0000.png": {"nose": PointNote(Origin.CLICKED, "Bo")}}
    assert (project.root / "labeled-data/clip/CollectedData_Ada.csv").is_file()
    assert (project.root / "labeled-data/clip/CollectedData_Ada.h5").is_file()


@pytest.mark.parametrize("origin", [Origin.MODEL, Origin.REPROJECTED])
def test_a_confirmed_point_keeps_its_origin_until_it_is_moved(store, files, project, origin):
    store.apply([edit(Point((10.0, 20.0), origin, "Bo"))], "page")
    files.save()
    assert read_notes(project, "clip")["img0000.png"]["nose"].origin is origin
    store.apply([edit(Point((11.0, 20.0), author="Bo"))], "page")
    files.save()
    assert read_notes(project, "clip")["img0000.png"]["nose"].origin is Origin.CLICKED


def test_unreviewed_points_never_reach_collected_data_until_they_are_confirmed(project):
    write_notes(
        project, "clip",
        {"img0001.png": {"tail": PointNote(Origin.UNREVIEWED, "net", at_px=(5.0, 6.0), confidence=0.7)}},
    )  # fmt: skip
    store = open_store(project)
    files = LabelFiles(store)
    (tail,) = [point for point in store.points("clip", "img0001.png") if point.is_proposal]
    assert (tail.xy, tail.confidence) == ((5.0, 6.0), 0.7)
    store.apply([edit(Point((1.0, 2.0)), image="img0000.png")], "page")
    files.save()
    assert [name.rsplit("/")[-1] for name in read_folder(project, "clip").images] == ["img0000.png"]
    assert read_notes(project, "clip")["img0001.png"]["tail"].at_px == (5.0, 6.0)

    store.apply([edit(Point((5.0, 6.0), Origin.MODEL, "Bo"), "tail", "img0001.png")], "page")
    files.save()
    assert in_files(project, "img0001.png") == {"tail": (5.0, 6.0)}
    assert read_notes(project, "clip")["img0001.png"]["tail"] == PointNote(Origin.MODEL, "Bo")


def test_occluded_with_and_without_a_place(store, files, project):
    store.apply([edit(Point((3.0, 4.0), occluded=True)), edit(Point(occluded=True), "tail")], "page")
    assert store.counts([("clip", "img0000.png")]) == [("clip", "img0000.png", 2, 0)]
    files.save()
    assert in_files(project) == {"nose": (3.0, 4.0)}
    nose, tail, *_ = again(store).points("clip", "img0000.png")
    assert (nose.xy, nose.occluded, nose.is_label) == ((3.0, 4.0), True, True)
    assert (tail.xy, tail.occluded, tail.is_done) == (None, True, True)


def test_a_deleted_label_leaves_the_files(store, files, project):
    store.apply([edit(Point((3.0, 4.0), Origin.MODEL)), edit(Point((5.0, 6.0)), "tail")], "page")
    files.save()
    store.apply([edit(NOTHING)], "page")
    files.save()
    assert in_files(project) == {"tail": (5.0, 6.0)}
    assert read_notes(project, "clip") == {}


# --- Killed at any time


def test_what_was_acknowledged_survives_a_kill(store):
    store.apply([edit(Point((3.0, 4.0), Origin.MODEL, "Bo"))], "page")
    store.apply([edit(Point(occluded=True), "tail")], "page")
    store.apply([edit(Point((7.0, 7.0)), "left_ear")], "page")
    store.apply([edit(NOTHING, "left_ear")], "page")
    after = again(store)
    assert after.replayed == 4
    nose, tail, ear, _ = after.points("clip", "img0000.png")
    assert (nose.xy, nose.origin, nose.author) == ((3.0, 4.0), Origin.MODEL, "Bo")
    assert tail.occluded
    assert ear.xy is None
    LabelFiles(after).save()
    assert in_files(after.project) == {"nose": (3.0, 4.0)}
    assert after.journal.path.stat().st_size == 0


def test_a_torn_last_line_is_the_edit_in_flight(store):
    store.apply([edit(Point((3.0, 4.0)))], "page")
    store.apply([edit(Point((5.0, 6.0)), "tail")], "page")
    content = store.journal.path.read_bytes()
    store.journal.path.write_bytes(content[:-9])
    nose, tail, *_ = again(store).points("clip", "img0000.png")
    assert (nose.xy, tail.xy) == ((3.0, 4.0), None)


@pytest.mark.parametrize("newer", ["h5", "csv"])
def test_killed_between_the_two_label_files(store, files, project, newer):
    store.apply([edit(Point((3.0, 4.0)))], "page")
    files.save()
    old = {path.suffix[1:]: path.read_bytes() for path in folder_module.label_files(project, "clip")}
    journal_before = [{"saving": "clip"}]
    store.apply([edit(Point((9.0, 9.0)))], "page")
    store.journal.append(journal_before)
    journal = store.journal.path.read_bytes()
    files.save()
    older = {"csv": "h5", "h5": "csv"}[newer]
    path = project.root / f"labeled-data/clip/CollectedData_Ada.{older}"
    path.write_bytes(old[older])
    os.utime(path, ns=(0, 0))
    store.journal.path.write_bytes(journal)
    assert again(store).points("clip", "img0000.png")[0].xy == (9.0, 9.0)


def test_files_that_disagree_for_another_reason_are_refused(store, files, project):
    store.apply([edit(Point((3.0, 4.0)))], "page")
    files.save()
    path = project.root / "labeled-data/clip/CollectedData_Ada.csv"
    path.write_text(path.read_text().replace("3.0", "3.5"))
    with pytest.raises(RigposeError, match="equal labels in its CSV and its h5"):
        again(store)


def test_a_full_disk_refuses_the_edit_and_keeps_the_old_point(store, monkeypatch):
    store.apply([edit(Point((3.0, 4.0)))], "page")
    written = store.journal.path.read_bytes()

    def full(handle, content, offset):
        if len(content) > 20:
            return os.write(handle, b"") or 20  # a part fits
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        store.apply([edit(Point((9.0, 9.0)))], "page")
    monkeypatch.undo()
    assert store.points("clip", "img0000.png")[0].xy == (3.0, 4.0)
    assert store.journal.path.read_bytes() == written


def test_a_full_disk_while_saving_leaves_the_edits_in_the_journal(store, files, project, monkeypatch):
    store.apply([edit(Point((3.0, 4.0)))], "page")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(label_files, "write_folder", full)
    with pytest.raises(OSError, match="No space"):
        files.save()
    assert "No space" in files.trouble["clip"]
    monkeypatch.undo()
    assert again(store).points("clip", "img0000.png")[0].xy == (3.0, 4.0)
    files.save()
    assert not files.trouble
    assert in_files(project) == {"nose": (3.0, 4.0)}


def test_a_damaged_journal_is_named(project):
    (project.root / JOURNAL_FILE).write_text("{}\nno json\n")
    with pytest.raises(RigposeError, match="line 2"):
        open_store(project)


# --- Two people, other programs


def test_the_later_edit_of_a_point_stands_and_its_author_is_told(store):
    store.apply([edit(Point((1.0, 1.0), author="Ada"))], "page of Ada")
    (answer,) = store.apply([edit(Point((2.0, 2.0), author="Bo"), seen=0)], "page of Bo")
    assert answer["overwrote"] == "Ada"
    assert answer["point"]["x"] == 2.0
    (answer,) = store.apply([edit(Point((3.0, 3.0), author="Bo"), seen=0)], "page of Bo")
    assert answer["overwrote"] is None  # its own
    (answer,) = store.apply([edit(NOTHING, seen=1, careful=True)], "page of Ada")
    assert answer["refused"]
    assert answer["point"]["x"] == 3.0


def test_an_edit_sent_twice_is_done_once(store):
    first = edit(Point((1.0, 1.0)))
    store.apply([first], "a")
    store.apply([edit(Point((2.0, 2.0)))], "b")
    (answer,) = store.apply([first], "a")  # its answer got lost
    assert (answer["point"]["x"], answer["overwrote"]) == (2.0, None)
    assert store.edits == 2


def test_changes_since_a_version(store):
    version, changed = store.changes(0)
    assert (version, changed) == (0, [])
    store.apply([edit(Point((1.0, 1.0))), edit(Point((2.0, 2.0)), "tail")], "a")
    store.apply([edit(Point((3.0, 3.0)))], "b")
    version, changed = store.changes(0)
    assert version == 3
    assert {target[2]: point.xy for target, point in changed} == {"nose": (3.0, 3.0), "tail": (2.0, 2.0)}
    assert [target[2] for target, _ in store.changes(2)[1]] == ["nose"]
    assert store.changes(99) == (3, None)  # of an earlier server


def test_two_threads_lose_no_label(store, files, project):
    def label(column):
        for number in range(30):
            name = f"img{number % 3:04d}.png"
            store.apply(
                [edit(Point((float(number), column * 1.0)), KEYPOINTS[column], name)], f"page {column}"
            )

    saver = Saver(store, files, quiet_s=0.01)
    saver.start()
    threads = [threading.Thread(target=label, args=(column,)) for column in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saver.stop()
    for number in range(3):
        assert in_files(project, f"img{number:04d}.png") == {
            name: (27.0 + number, column * 1.0) for column, name in enumerate(KEYPOINTS)
        }
    assert store.journal.path.stat().st_size == 0


def test_what_another_program_wrote_meanwhile_is_kept(store, files, project):
    store.apply([edit(Point((1.0, 1.0)))], "page")
    files.save()
    labels = read_folder(project, "clip")
    points = labels.points.copy()
    points[0, 3] = 40.0, 41.0
    points[0, 0] = 30.0, 31.0
    write_labels(project, "clip", ["img0000.png"], points)
    store.apply([edit(Point((5.0, 6.0)), "tail")], "page")
    files.save()
    assert in_files(project) == {"nose": (30.0, 31.0), "tail": (5.0, 6.0), "right_ear": (40.0, 41.0)}
    _, changed = store.changes(2)
    assert {target[2] for target, _ in changed} == {"nose", "right_ear"}


def test_frames_and_labels_that_came_meanwhile_are_seen(store, files, project):
    folder = project.root / "labeled-data/clip"
    cv2.imwrite(str(folder / "img0009.png"), np.zeros((48, 64), np.uint8))
    files.refresh()
    assert list(store.folders["clip"].points)[-1] == "img0009.png"
    write_labels(project, "clip", ["img0009.png"], np.full((1, 4, 2), 7.0))
    files.refresh()
    assert store.counts([("clip", "img0009.png")]) == [("clip", "img0009.png", 4, 0)]


def test_a_folder_that_cannot_be_read_any_more_is_not_overwritten(store, files, project):
    store.apply([edit(Point((1.0, 1.0)))], "page")
    files.save()
    path = project.root / "labeled-data/clip/CollectedData_Ada.csv"
    path.write_text("no labels")
    store.apply([edit(Point((2.0, 2.0)))], "page")
    with pytest.raises(RigposeError, match="CollectedData"):
        files.save()
    assert path.read_text() == "no labels"
    assert json.loads(store.journal.path.read_text().splitlines()[0])["point"]["x"] == 2.0


# --- What cannot be


@pytest.mark.parametrize(
    "content",
    [
        {"x": float("nan"), "y": 1}, {"x": 1}, {"x": "a", "y": 1}, {"x": 1, "y": 1, "origin": "guessed"}, [1],
        {"x": 64.0, "y": 1}, {"x": 1, "y": -0.6},
    ],
)  # fmt: skip
def test_no_point(content):
    with pytest.raises(ValueError):
        from_json(content, (64, 48))


def test_edits_of_nothing_and_outside_the_image_are_refused_together(store):
    for wrong in (
        edit(Point((1.0, 1.0)), "elbow"), edit(Point((1.0, 1.0)), image="img7.png"),
        edit(Point((1.0, 1.0)), folder=".."), edit(Point((64.0, 1.0))),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            store.apply([edit(Point((2.0, 2.0)), "tail"), wrong], "page")
    assert store.version == 0


def test_coordinates_are_stored_to_a_hundredth():
    assert from_json({"x": 10.004999, "y": -0.001}).xy == (10.0, 0.0)


def test_rows_without_images_are_named(project):
    write_labels(project, "clip", ["img0000.png", "img0001.png"], np.zeros((2, 4, 2)))
    (project.root / "labeled-data/clip/img0001.png").unlink()
    with pytest.raises(RigposeError, match=r"no img0001\.png"):
        open_store(project)


def test_the_saver_waits_until_nobody_edits(store, files):
    saver = Saver(store, files, quiet_s=0.15)
    saver.start()
    csv = store.project.root / "labeled-data/clip/CollectedData_Ada.csv"
    store.apply([edit(Point((1.0, 1.0)))], "page")
    assert not csv.exists()
    until_ns = time.monotonic_ns() + 20_000_000_000
    while store.unsaved and time.monotonic_ns() < until_ns:
        time.sleep(0.02)
    assert csv.exists()
    saver.stop()


def test_an_empty_journal_is_removed(project):
    journal = Journal(project.root / JOURNAL_FILE)
    journal.close()
    assert not (project.root / JOURNAL_FILE).exists()
