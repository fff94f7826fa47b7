"""CollectedData: what is written is read back, both layouts, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from training.projects.labels import dataset_hash, read_folder, read_labels, write_labels
from training.projects.project import Project

POINTS = np.array([[[1.5, 2.25], [np.nan, np.nan]], [[10.0, 0.1], [3.3333333333333335, 4.0]]])


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))
    made.add_labelled_folder("clip", size_px=(64, 48))
    for name in ("img0.png", "img1.png"):
        (made.root / "labeled-data" / "clip" / name).write_bytes(b"")
    return made


def file_of(project: Project, kind: str) -> Path:
    return project.root / "labeled-data" / "clip" / f"CollectedData_Ada.{kind}"


@pytest.mark.parametrize("kept", ["csv", "h5", "both"])
def test_what_is_written_is_read_back(project, kept):
    write_labels(project, "clip", ["img1.png", "img0.png"], POINTS[::-1])
    for kind in {"csv", "h5"} - {kept}:
        if kept != "both":
            file_of(project, kind).unlink()
    labels = read_folder(project, "clip")
    assert labels.images == ("labeled-data/clip/img0.png", "labeled-data/clip/img1.png")
    np.testing.assert_array_equal(labels.points, POINTS)


coordinate = st.one_of(st.just(np.nan), st.floats(-1e4, 1e4, allow_subnormal=False))


@given(values=st.lists(st.tuples(coordinate, coordinate), min_size=4, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_points_survive_and_half_a_label_is_none(project, values):
    points = np.array(values, dtype=np.float64).reshape(2, 2, 2)
    write_labels(project, "clip", ["img0.png", "img1.png"], points)
    whole = np.where(np.isfinite(points).all(axis=2, keepdims=True), points, np.nan)
    np.testing.assert_array_equal(read_folder(project, "clip").points, whole)


OLD = """scorer,Ada,Ada,Ada,Ada
bodyparts,tail,tail,nose,nose
coords,x,y,x,y
labeled-data\\clip\\img0.png,,,1.5,2.25
labeled-data/clip/img1.png,3.3333333333333335,4.0,10.0,0.1
"""
NEW = """scorer,,,Ada,Ada,Ada,Ada
bodyparts,,,nose,nose,tail,tail
coords,,,x,y,x,y
labeled-data,clip,img0.png,1.5,2.25,,
labeled-data,clip,img1.png,10.0,0.1,3.3333333333333335,4.0
"""


@pytest.mark.parametrize("text", [OLD, NEW])
def test_both_layouts_of_the_csv_and_any_order_of_keypoints_are_read(project, text):
    file_of(project, "csv").write_text(text)
    labels = read_folder(project, "clip")
    assert labels.images == ("labeled-data/clip/img0.png", "labeled-data/clip/img1.png")
    np.testing.assert_array_equal(labels.points, POINTS)


# pandas itself cannot write a table with three-part rows
@pytest.mark.parametrize(
    ("layout", "rows"), [("fixed", "one path"), ("fixed", "three parts"), ("table", "one path")]
)
def test_both_layouts_of_the_h5_are_read(project, layout, rows):
    columns = pandas.MultiIndex.from_product(
        [["Ada"], ["nose", "tail"], ["x", "y"]], names=["scorer", "bodyparts", "coords"]
    )
    parts = [("labeled-data", "clip", f"img{i}.png") for i in range(2)]
    index = ["/".join(p) for p in parts] if rows == "one path" else pandas.MultiIndex.from_tuples(parts)
    frame = pandas.DataFrame(POINTS.reshape(2, 4), index=index, columns=columns)
    frame.to_hdf(file_of(project, "h5"), key="df_with_missing", format=layout, mode="w")
    np.testing.assert_array_equal(read_folder(project, "clip").points, POINTS)


def test_a_keypoint_that_a_file_lacks_has_no_labels(project):
    file_of(project, "csv").write_text(
        "scorer,Ada,Ada\nbodyparts,tail,tail\ncoords,x,y\nlabeled-data/clip/img0.png,5,6\n"
    )
    labels = read_folder(project, "clip")
    assert np.isnan(labels.points[0, 0]).all()
    np.testing.assert_array_equal(labels.points[0, 1], [5, 6])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NEW.replace("Ada", "Bob"), "'Bob'"),
        (NEW.replace("tail", "tale"), "unknown keypoint 'tale'"),
        (NEW.replace("10.0", "ten"), "ten"),
        (NEW.replace("scorer", "scorr"), "header"),
        (NEW.replace("3.3333333333333335,4.0", "3.0"), "different length"),
        (NEW.replace("img1", "img0"), "twice"),
        (NEW.replace("labeled-data,clip,img1", "labeled-data,clop,img1"), "folder 'clip'"),
        ("scorer,Ada\nindividuals,a\nbodyparts,nose\ncoords,x\n", "single animal"),
        ("", "header"),
        ("\x00\xff", "CollectedData"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(project, text, says):
    file_of(project, "csv").write_text(text, encoding="latin-1")
    with pytest.raises(RigposeError, match=says):
        read_folder(project, "clip")


def test_a_damaged_h5_is_refused(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], POINTS)
    file_of(project, "csv").unlink()
    content = file_of(project, "h5").read_bytes()
    file_of(project, "h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(RigposeError, match="CollectedData"):
        read_folder(project, "clip")


class Program:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_an_h5_with_a_program_in_it_is_refused_and_does_not_run(project, tmp_path):
    mark = tmp_path / "was here"
    write_labels(project, "clip", ["img0.png", "img1.png"], POINTS)
    with tables.open_file(str(file_of(project, "h5")), "a") as file:
        file.root.df_with_missing._v_attrs.note = Program(mark)
    mark.unlink(missing_ok=True)
    with pytest.raises(RigposeError, match="pickle that would run"):
        read_labels(project)
    assert not mark.exists()


def test_h5_and_csv_that_disagree_are_refused_with_the_difference(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], POINTS)
    file_of(project, "csv").write_text(NEW.replace("10.0", "12.0"))
    with pytest.raises(RigposeError, match=r"nose of .*img1.png at \(12.00, 0.10\) px in the CSV"):
        read_folder(project, "clip")
    file_of(project, "csv").write_text(NEW[: NEW.index("labeled-data,clip,img1")])
    with pytest.raises(RigposeError, match=r"img1.png in the h5 alone"):
        read_folder(project, "clip")


def test_labels_of_another_scorer_are_not_passed_over_in_silence(project):
    file_of(project, "csv").with_name("CollectedData_Bob.csv").write_text(NEW.replace("Ada", "Bob"))
    with pytest.raises(RigposeError, match=r"scorer 'Ada', found CollectedData_Bob\.csv"):
        read_labels(project)


def test_a_project_without_labels_is_refused(project):
    with pytest.raises(RigposeError, match="Label some frames"):
        read_labels(project)
    write_labels(project, "clip", ["img0.png"], np.full((1, 2, 2), np.nan))
    with pytest.raises(RigposeError, match="Label some frames"):
        read_labels(project)


def test_images_without_a_label_are_left_out(project):
    points = POINTS.copy()
    points[0] = np.nan
    write_labels(project, "clip", ["img0.png", "img1.png"], points)
    assert read_labels(project).images == ("labeled-data/clip/img1.png",)


def test_an_image_that_is_not_there_cannot_be_labelled(project):
    with pytest.raises(RigposeError, match=r"img7\.png"):
        write_labels(project, "clip", ["img7.png"], POINTS[:1])
    assert not file_of(project, "csv").exists()


def test_the_dataset_s_hash_follows_labels_and_pixels(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], POINTS)
    labels = read_labels(project)
    before = dataset_hash(project, labels)
    assert dataset_hash(project, read_labels(project)) == before
    (project.root / labels.images[0]).write_bytes(b"other pixels")
    changed = dataset_hash(project, labels)
    assert changed != before
    write_labels(project, "clip", ["img0.png", "img1.png"], POINTS + 1)
    assert dataset_hash(project, read_labels(project)) not in (before, changed)
