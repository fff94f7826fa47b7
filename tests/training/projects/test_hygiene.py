"""check-labels finds what is wrong, and mends it without losing what a person clicked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from tests.training.on_disk import everything
from training.projects.hygiene import Kind, check_folder, check_project, mend
from training.projects.label_pictures import draw_folder, draw_labels
from training.projects.labels import read_labels, write_labels
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import Project

HEAD = "scorer,,,Ada,Ada,Ada,Ada\nbodyparts,,,nose,nose,tail,tail\ncoords,,,x,y,x,y\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))
    made.add_labelled_folder("clip", size_px=(32, 24))
    for index in range(3):
        image = np.full((24, 32), 40 * index, np.uint8)
        cv2.imwrite(str(made.root / "labeled-data" / "clip" / f"img{index}.png"), image)
    return made


def clip(project: Project) -> Path:
    return project.root / "labeled-data" / "clip"


def write_csv(project: Project, *rows: str) -> None:
    (clip(project) / "CollectedData_Ada.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))


def found(project: Project) -> list[tuple[Kind, str, str]]:
    return [
        (p.kind, p.where.removeprefix("labeled-data/clip/"), p.detail)
        for p in check_folder(project, "clip").problems
    ]


def points_of(project: Project) -> dict[str, list]:
    labels = read_labels(project)
    return {name.split("/")[-1]: labels.points[i].tolist() for i, name in enumerate(labels.images)}


def test_clean_labels_have_no_problems_and_are_left_alone(project):
    write_labels(project, "clip", [f"img{i}.png" for i in range(3)], np.full((3, 2, 2), 5.0))
    before = everything(project.root)
    checks = check_project(project)
    assert [check.problems for check in checks] == [[]]
    assert mend(project, checks) == ([], None)
    assert everything(project.root) == before


def test_pictures_that_deeplabcut_drew_are_no_folder_of_labels(project):
    for name in ("clip_labeled", "alone_labeled"):
        (project.root / "labeled-data" / name).mkdir()
    assert [check.folder for check in check_project(project)] == ["alone_labeled", "clip"]


def test_equal_rows_become_one_and_complete_each_other(project):
    write_csv(
        project, "labeled-data,clip,img0.png,1,2,,", "labeled-data,clip,img0.png,1,2,3,4",
        "labeled-data,clip,img1.png,5,6,,", "labeled-data,clip,img2.png,5,6,,",
    )  # fmt: skip
    kinds = [(kind, where) for kind, where, _ in found(project)]
    assert kinds == [(Kind.DUPLICATE, "img0.png"), (Kind.ONE_FILE, "CollectedData_Ada.h5")]
    before = (clip(project) / "CollectedData_Ada.csv").read_bytes()
    done, kept = mend(project, check_project(project))
    assert any("img0.png: its rows are now one" in line for line in done)
    assert (kept / "labeled-data" / "clip" / "CollectedData_Ada.csv").read_bytes() == before
    assert found(project) == []
    assert points_of(project)["img0.png"] == [[1, 2], [3, 4]]


def test_two_clicks_of_one_point_are_left_to_a_person(project):
    write_csv(
        project, "labeled-data,clip,img0.png,1,2,,", "labeled-data,clip,img0.png,1,9,,",
        "labeled-data,clip,gone.png,1,2,,",
    )  # fmt: skip
    assert (Kind.CONFLICT, "img0.png", "up to 7.00 px apart") in found(project)
    before = everything(project.root)
    assert mend(project, check_project(project)) == ([], None)
    assert everything(project.root) == before


def test_a_row_without_its_image_is_taken_out_and_kept_aside(project):
    write_csv(project, "labeled-data,clip,gone.png,1,2,3,4", "labeled-data,clip,img1.png,5,6,,")
    assert (Kind.NO_IMAGE, "gone.png", "2 points") in found(project)
    _, kept = mend(project, check_project(project))
    assert kept == project.root / "replaced-labels" / "001"
    assert "gone.png" in (kept / "labeled-data" / "clip" / "CollectedData_Ada.csv").read_text()
    assert list(points_of(project)) == ["img1.png"]
    (clip(project) / "img1.png").unlink()
    _, again = mend(project, check_project(project))
    assert again.name == "002"
    assert not list(clip(project).glob("Collected*"))  # no row is left, and no empty file


def test_rows_of_a_renamed_folder_are_moved_but_not_those_of_another(project):
    write_csv(project, "labeled-data,old name,img0.png,1,2,,", "labeled-data,clip,img1.png,5,6,,")
    assert (Kind.OTHER_FOLDER, "img0.png", "labeled-data/old name/img0.png") in found(project)
    mend(project, check_project(project))
    assert points_of(project)["img0.png"][0] == [1, 2]
    (project.root / "labeled-data" / "other").mkdir()
    write_csv(project, "labeled-data,other,img0.png,8,8,,", "labeled-data,clip,img1.png,5,6,,")
    (clip(project) / "CollectedData_Ada.h5").unlink()
    assert (Kind.STRAY, "img0.png", "labeled-data/other/img0.png") in found(project)
    before = everything(project.root)
    assert mend(project, check_project(project))[0] == []
    assert everything(project.root) == before


def test_files_that_disagree_are_shown_and_nothing_is_mended(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    write_csv(
        project, "labeled-data,clip,img0.png,1,2,,", "labeled-data,clip,img1.png,5,6,7,8.5",
        "labeled-data,clip,img2.png,1,1,,",
    )  # fmt: skip
    details = [detail for kind, _, detail in found(project) if kind is Kind.DISAGREEMENT]
    assert details == [
        "img2.png in the CSV alone",
        "tail of img0.png without a label in the CSV, at (3.00, 4.00) px in the h5",
        "tail of img1.png at (7.00, 8.50) px in the CSV, at (7.00, 8.00) px in the h5",
    ]
    before = everything(project.root)
    with pytest.raises(RigposeError, match=r"CSV alone \(3 differences\)"):
        mend(project, check_project(project))
    assert everything(project.root) == before


def test_what_only_a_person_can_decide_is_named_and_stays(project):
    write_labels(project, "clip", ["img0.png", "img1.png"], [[[1, 2], [32.2, 4]], [[np.nan] * 2] * 2])
    content = (clip(project) / "img2.png").read_bytes()
    (clip(project) / "img2.png").write_bytes(content[: len(content) // 2])
    kinds = found(project)
    assert kinds[0][:2] == (Kind.BROKEN_IMAGE, "img2.png")
    assert kinds[1] == (Kind.OUTSIDE, "img0.png", "tail at (32.2, 4.0) px of 32x24")
    assert [(kind, where) for kind, where, _ in kinds[2:]] == [
        (Kind.UNLABELLED, "img1.png"), (Kind.UNLABELLED, "img2.png"),
    ]  # fmt: skip
    assert mend(project, check_project(project)) == ([], None)


def test_notes_without_points_are_taken_out_others_stay(project):
    write_labels(project, "clip", ["img0.png"], [[[1, 2], [np.nan, np.nan]]])
    notes = {
        "img0.png": {
            "nose": PointNote(Origin.MODEL, "Ada"),
            "tail": PointNote(Origin.CLICKED, occluded=True),
        },
        "img1.png": {"nose": PointNote(Origin.UNREVIEWED, at_px=(1.0, 1.0))},
    }
    dangling = {
        "img1.png": {**notes["img1.png"], "tail": PointNote(Origin.MODEL)},
        "gone.png": {"nose": PointNote(Origin.REPROJECTED)},
    }
    write_notes(project, "clip", notes | dangling)
    before = (clip(project) / "CollectedData_Ada.h5").read_bytes()
    assert [(kind, where, detail) for kind, where, detail in found(project) if kind is Kind.NO_POINT] == [
        (Kind.NO_POINT, "gone.png", "nose, reprojected"), (Kind.NO_POINT, "img1.png", "tail, model"),
    ]  # fmt: skip
    mend(project, check_project(project))
    assert read_notes(project, "clip") == notes
    assert (clip(project) / "CollectedData_Ada.h5").read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "CollectedData_Ada.h5").write_bytes(b"no h5"),
        lambda folder: (folder / "CollectedData_Ada.csv").write_text("nothing"),
        lambda folder: (folder / "rigpose_points.json").write_text("{"),
        lambda folder: [p.rename(folder / f"CollectedData_Bob{p.suffix}") for p in folder.glob("Collected*")],
    ],
)
def test_a_file_that_does_not_fit_is_one_problem_of_its_folder(project, spoil):
    write_labels(project, "clip", ["img0.png"], [[[1, 2], [3, 4]]])
    spoil(clip(project))
    assert found(project)[0][0] is Kind.UNREADABLE
    before = everything(project.root)
    assert mend(project, check_project(project)) == ([], None)
    assert everything(project.root) == before


def test_two_videos_of_one_name_are_named(project):
    config = project.root / "config.yaml"
    text = config.read_text()
    entry = text[text.index("video_sets:\n") + len("video_sets:\n") : text.index("bodyparts:")]
    config.write_text(text.replace(entry, entry + entry.replace("/videos/", "/elsewhere/")))
    (problem,) = [p for check in check_project(project) for p in check.problems if p.kind is Kind.SHARED_NAME]
    assert "/elsewhere/clip.mkv" in problem.detail


def test_the_pictures_show_the_labels_where_they_are(project, tmp_path):
    write_labels(project, "clip", ["img0.png", "img1.png"], [[[10, 5], [20, 18]], [[np.nan] * 2] * 2])
    write_notes(project, "clip", {"img2.png": {"nose": PointNote(Origin.UNREVIEWED, at_px=(3.0, 4.0))}})
    check = check_folder(project, "clip")
    assert draw_folder(project, check, tmp_path / "out") == 2
    assert sorted(p.name for p in (tmp_path / "out" / "clip").iterdir()) == ["img0.png", "img2.png"]
    image = np.full((24, 32), 100, np.uint8)
    picture = draw_labels(image, np.array([[10, 5], [np.nan, np.nan]]), ("nose", "tail"))
    scale = picture.shape[1] // 32
    assert scale == 20
    changed = np.argwhere((picture[: 24 * scale] != 100).any(axis=2))
    centre = (changed.min(axis=0) + changed.max(axis=0)) / 2
    np.testing.assert_allclose((centre[::-1] + 0.5) / scale - 0.5, [10, 5], atol=0.05)
