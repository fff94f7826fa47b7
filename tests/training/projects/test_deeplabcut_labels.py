"""Labels of another DeepLabCut project come over with their own images, and a machine's as proposals."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from rigpose.commands.label_files import import_labels as command
from tests.acquisition.sessions import number_of, picture
from tests.training.on_disk import everything
from training.images import read_image
from training.projects.deeplabcut_labels import group_rows, is_deeplabcut, load_files
from training.projects.label_import import import_labels
from training.projects.labels import read_folder, read_labels, write_labels
from training.projects.origins import Origin, PointNote, read_notes
from training.projects.project import Project

CONFIG = "Task: t\nscorer: Bob\nvideo_sets: {}\nbodyparts: [nose]\nskeleton: []\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", task="t", scorer="Ada", keypoints=("tail", "nose"))


def table(path: Path, rows: dict[str, float], *, three: bool = True, score: str | None = None) -> Path:
    """A label file: x of the nose by the image it is of, NaN where it has no label."""
    coords = ["x", "y"] + ["likelihood"] * (score is not None)
    index = [""] * (2 if three else 0)
    lines = [
        ["scorer", *index, *["Bob"] * len(coords)], ["bodyparts", *index, *["nose"] * len(coords)],
        ["coords", *index, *coords],
    ]  # fmt: skip
    for name, x in rows.items():
        cells = ["", ""] if np.isnan(x) else [str(x), "5"]
        lines.append([*(name.split("/") if three else [name]), *cells, *([score] if score else [])])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    return path


def folder_of(root: Path, name: str, numbers: list[int], **how) -> Path:
    """`labeled-data/<name>` with pictures of these numbers, and labels whose x is the number."""
    folder = root / "labeled-data" / name
    rows = {f"labeled-data/{name}/img{number:04d}.png": float(number) for number in numbers}
    path = table(folder / "CollectedData_Bob.csv", rows, **how)
    for number in numbers:
        cv2.imwrite(str(folder / f"img{number:04d}.png"), picture(number))
    return path


def on_its_picture(project: Project, name: str) -> dict[int, float]:
    """Number in the picture -> x of the label on it."""
    labels = read_folder(project, name)
    assert labels is not None
    nose = labels.points[:, labels.keypoints.index("nose"), 0]
    return {number_of(read_image(project.root / i)): x for i, x in zip(labels.images, nose, strict=True)}


@pytest.mark.parametrize("last", [50.0, np.nan])
def test_an_image_that_is_gone_is_left_out_and_named_and_no_label_moves(project, tmp_path, last):
    path = folder_of(tmp_path / "dlc", "vid", [10, 20, 30, 40, 50])
    rows = {f"labeled-data/vid/img00{n}.png": float(n) for n in (10, 20, 30, 40)}
    table(path, rows | {"labeled-data/vid/img0050.png": last})
    (path.parent / "img0020.png").unlink()
    said = import_labels(project, path)
    kept = [10, 30, 40] + ([50] if last == 50 else [])
    assert on_its_picture(project, "vid") == {number: number for number in kept}
    assert said["points"] == said["images"] == len(kept)
    assert said["left_out"] == ["labeled-data/vid/img0020.png: the image is not there"]
    assert read_notes(project, "vid")["img0030.png"] == {"nose": PointNote(Origin.CLICKED, path.name)}


@settings(deadline=None, max_examples=60)
@given(
    rows=st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.integers(0, 12)),
        st.tuples(st.booleans(), st.booleans()),
        min_size=1,
    ),
    three=st.booleans(),
)
def test_every_label_stays_with_its_image(tmp_path_factory, rows, three):
    root = tmp_path_factory.mktemp("dlc")
    for folder in "ab":
        (root / "labeled-data" / folder).mkdir(parents=True)
        (root / "labeled-data" / folder / "img99.png").touch()  # every folder is there
    given_rows = {}
    for (folder, number), (labelled, present) in rows.items():
        name = f"labeled-data/{folder}/img{number}.png"
        given_rows[name] = float(number) if labelled else np.nan
        if present:
            (root / name).touch()
    given_rows |= {f"labeled-data/{folder}/img99.png": 99.0 for folder in "ab"}
    files, _ = load_files(table(root / "CollectedData_Bob.csv", given_rows, three=three))
    sources, gone = group_rows(files, ["nose"], None)
    found = {
        f"labeled-data/{source.folder}/{source.images[frame.number].name}": frame.points[0, 0]
        for source in sources
        for frame in source.frames
    }
    there = {name: x for name, x in given_rows.items() if x == x and (root / name).exists()}
    assert found == there
    assert set(gone) == {name for name, x in given_rows.items() if x == x} - set(there)


def test_a_machines_labels_become_proposals(project, tmp_path):
    path = folder_of(tmp_path / "dlc", "new", [10, 20])
    machine = path.with_name("machinelabels-iter0.csv")
    rows = {f"labeled-data/new/img00{n}.png": float(n) for n in (10, 20)}
    for file in (machine, path.with_name("newDLC_resnet50_images.csv")):
        shutil.rmtree(project.root / "labeled-data")
        (project.root / "labeled-data").mkdir()
        said = import_labels(project, table(file, rows, score="0.02"))
        assert (said["points"], said["proposals"]) == (0, 2)
        with pytest.raises(RigposeError, match="expected labels"):
            read_labels(project)
        note = PointNote(Origin.UNREVIEWED, file.name, at_px=(10, 5), confidence=0.02)
        assert read_notes(project, "new")["img0010.png"] == {"nose": note}


def test_of_a_project_only_a_persons_labels_come(project, tmp_path):
    root = tmp_path / "dlc"
    folder_of(root, "vid", [1, 2])
    lone = folder_of(root, "new", [3])
    lone.unlink()
    machine = table(
        lone.with_name("machinelabels-iter1.csv"), {"labeled-data/new/img0003.png": 3}, score="0.1"
    )
    (root / "config.yaml").write_text(CONFIG)
    said = command(project.root, root / "config.yaml")
    assert said["folders"] == ["vid"]
    assert said["left_out"] == [f"new has no labels of a person: give {machine} for its proposals"]
    assert on_its_picture(project, "vid") == {1: 1, 2: 2}
    shutil.rmtree(root / "labeled-data" / "vid")
    with pytest.raises(RigposeError, match=r"CollectedData_Bob\.csv .*found new has no labels of a person"):
        import_labels(project, root / "config.yaml")


def test_what_is_left_out_is_printed_and_not_all_of_it(project, tmp_path, capsys):
    path = folder_of(tmp_path / "dlc", "vid", list(range(20)))
    for number in range(5, 20):
        (path.parent / f"img{number:04d}.png").unlink()
    assert len(command(project.root, path)["left_out"]) == 15
    said = capsys.readouterr().out
    assert "Left out: labeled-data/vid/img0005.png: the image is not there\n" in said
    assert "Left out: 5 more (--json FILE holds them all)\n" in said


def test_a_folder_without_images_is_refused_until_one_says_where_they_are(project, tmp_path):
    path = folder_of(tmp_path / "dlc", "vid", [1, 2])
    away = tmp_path / "away"
    (away / "labeled-data").mkdir(parents=True)
    shutil.copytree(path.parent, away / "labeled-data" / "vid")
    for image in path.parent.glob("*.png"):
        image.unlink()
    before = everything(project.root)
    with pytest.raises(
        RigposeError, match=r"images of labeled-data/vid \(it names 2\), found nothing .*--videos"
    ):
        import_labels(project, path)
    assert everything(project.root) == before
    assert import_labels(project, path, videos=away)["points"] == 2
    assert on_its_picture(project, "vid") == {1: 1, 2: 2}


def test_a_folder_of_another_name_has_to_be_named(project, tmp_path):
    path = folder_of(tmp_path / "dlc", "vid", [1, 2])
    renamed = path.parent.rename(tmp_path / "for Anna")
    with pytest.raises(RigposeError, match="--videos"):  # could be another camera's img0001.png
        import_labels(project, renamed / path.name)
    import_labels(project, renamed / path.name, videos=renamed)
    assert on_its_picture(project, "for Anna") == {1: 1, 2: 2}


@pytest.mark.parametrize("without", [None, "CollectedData_Eve.csv", "CollectedData_Eve.h5"])
def test_our_own_project_goes_into_another_one(project, tmp_path, without):
    other = Project.create(tmp_path / "q", task="o", scorer="Eve", keypoints=("paw", "nose"))
    other.add_labelled_folder("vid", size_px=(64, 48))
    for number in (1, 2):
        cv2.imwrite(str(other.root / "labeled-data" / "vid" / f"img{number:04d}.png"), picture(number))
    write_labels(other, "vid", ["img0001.png", "img0002.png"], [[[9, 9], [1, 5]], [[9, 9], [2, 5]]])
    if without is not None:
        (other.root / "labeled-data" / "vid" / without).unlink()
    said = import_labels(project, other.root / "config.yaml")
    assert (said["only_in_file"], said["only_in_project"]) == (["paw"], ["tail"])
    assert on_its_picture(project, "vid") == {1: 1, 2: 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scorer,B,B,B\nbodyparts,a,a,a\ncoords,x,y,likelihood\n0,1,2,0.5\n", "found '0'.*refine find"),
        ("scorer,B,B\nbodyparts,nose,nose\ncoords,x,y\na/1.png,1,2\na/1.png,3,4\n", "a/1.png twice"),
        ("scorer,B,B\nbodyparts,nose,nose\ncoords,x,y\na/1.png,1\n", "rows of different length"),
        ("scorer,B\nbodyparts,nose\ncoords,x\na/1.png,1\n", "no y of nose"),
        (
            "scorer,B,B,B,B\nindividuals,m,m,n,n\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n"
            "a/1.png,1,2,3,4\n", "2 in a/1.png",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_in_is_refused(project, tmp_path, text, says):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    assert is_deeplabcut(path)
    before = everything(project.root)
    with pytest.raises(RigposeError, match=says):
        import_labels(project, path)
    assert everything(project.root) == before


def test_of_several_animals_the_one_in_an_image_is_taken(project, tmp_path):
    (tmp_path / "a").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), picture(number))
    path = tmp_path / "labels.csv"
    path.write_text(
        "scorer,B,B,B,B\nindividuals,m,m,n,n\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n"
        "a/1.png,1,2,,\na/2.png,,,2,4\n"
    )
    import_labels(project, path)
    assert on_its_picture(project, "a") == {1: 1, 2: 2}


def test_other_files_are_not_deeplabcuts(tmp_path):
    (tmp_path / "x.csv").write_text("track,frame_idx,nose.x\n")
    assert not is_deeplabcut(tmp_path / "x.csv")
    assert not is_deeplabcut(tmp_path / "config.yaml")
    assert not is_deeplabcut(tmp_path / "x.slp")
