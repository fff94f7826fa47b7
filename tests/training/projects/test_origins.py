"""Every point's origin: kept beside the labels, whole or not at all, and heeded when labels are read."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from training.projects.labels import read_folder, read_labels, write_labels
from training.projects.origins import Origin, PointNote, notes_path, read_notes, write_notes
from training.projects.project import Project


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))
    made.add_labelled_folder("clip", size_px=(8, 8))
    for name in ("img0.png", "img1.png"):
        cv2.imwrite(str(made.root / "labeled-data" / "clip" / name), np.zeros((8, 8), np.uint8))
    return made


number = st.floats(-1e4, 1e4)
note = st.one_of(
    st.builds(PointNote, st.sampled_from([o for o in Origin if o != "unreviewed"]), st.text(), st.booleans()),
    st.builds(
        PointNote, st.just(Origin.UNREVIEWED), st.text(), st.booleans(), st.tuples(number, number),
        st.none() | st.floats(0, 1),
    ),
)  # fmt: skip


@given(notes=st.dictionaries(st.text(), st.dictionaries(st.text(), note, min_size=1)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_notes_come_back_as_they_were_written(project, notes):
    write_notes(project, "clip", notes)
    assert read_notes(project, "clip") == notes


def test_a_folder_without_notes_has_none_and_gets_no_file(project):
    assert read_notes(project, "clip") == {}
    write_notes(project, "clip", {"img0.png": {}})
    assert not notes_path(project, "clip").exists()


def test_what_no_note_can_say_is_refused():
    with pytest.raises(ValueError, match="at_px"):
        PointNote(Origin.UNREVIEWED)
    with pytest.raises(ValueError, match="at_px"):
        PointNote(Origin.CLICKED, at_px=(1.0, 2.0))
    with pytest.raises(ValueError, match="confidence"):
        PointNote(Origin.MODEL, confidence=0.5)
    with pytest.raises(ValueError, match="finite"):
        PointNote(Origin.UNREVIEWED, at_px=(1.0, float("nan")))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"schema_version": 2, "images": {}}, "Update rigpose"),
        ({"images": {}}, "schema_version"),
        ({"schema_version": 1}, "images"),
        ({"schema_version": 1, "images": {"a": {"nose": {"origin": "guessed"}}}}, "guessed"),
        ({"schema_version": 1, "images": {"a": {"nose": {"origin": "unreviewed"}}}}, "at_px"),
        ({"schema_version": 1, "images": {"a": ["nose"]}}, "AttributeError"),
    ],
)
def test_a_damaged_file_of_notes_is_refused(project, content, says):
    notes_path(project, "clip").write_text(json.dumps(content))
    with pytest.raises(RigposeError, match=says):
        read_notes(project, "clip")


def test_labels_know_what_was_reprojected_and_unreviewed_points_do_not_train(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], [[[1, 2], [3, 4]], [[5, 6], [7, 1]]])
    notes = {
        "img0.png": {"nose": PointNote(Origin.REPROJECTED), "tail": PointNote(Origin.MODEL)},
        # DeepLabCut's tools, or a crash, could have put a machine's point among the labels
        "img1.png": {"nose": PointNote(Origin.UNREVIEWED, at_px=(5.0, 6.0))},
        "gone.png": {"nose": PointNote(Origin.REPROJECTED)},
    }
    write_notes(project, "clip", notes)
    labels = read_labels(project)
    np.testing.assert_array_equal(labels.reprojected, [[True, False], [False, False]])
    np.testing.assert_array_equal(labels.points[1], [[np.nan, np.nan], [7, 1]])
    assert labels.select(labels.images[:1]).reprojected.tolist() == [[True, False]]
    assert labels.in_order(["tail", "nose"], "it").reprojected.tolist() == [[False, True], [False, False]]
    assert np.isfinite(read_folder(project, "clip").points).all()  # as the files have it
    # one that a person has moved is that person's
    write_labels(project, "clip", ["img0.png", "img1.png"], [[[1, 2], [3, 4]], [[5.5, 6], [7, 1]]])
    np.testing.assert_array_equal(read_labels(project).points[1], [[5.5, 6], [7, 1]])
