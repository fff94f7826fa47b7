"""Labels of SLEAP and COCO come into a project with their images and their origins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from tests.acquisition.sessions import number_of, picture
from tests.training.films import write_film
from tests.training.on_disk import everything
from training.images import read_image
from training.projects.label_import import import_labels
from training.projects.labels import read_folder, read_labels, write_labels
from training.projects.origins import Origin, PointNote, read_notes
from training.projects.project import Project
from training.projects.saved_frames import save_images
from training.projects.videos import add_videos, look_at_videos

sleap_io = pytest.importorskip("sleap_io")
pytestmark = pytest.mark.filterwarnings("ignore")

NOSE, TAIL = (10.5, 20.25), (30.0, 40.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", task="t", scorer="Ada", keypoints=("tail", "nose", "paw"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SLEAP file: a clicked frame, a predicted one, and one where a prediction was corrected."""
    folder = tmp_path / "sleap"
    folder.mkdir()
    video = sleap_io.Video.from_filename(str(write_film(folder / "clip.mp4", 20)))
    skeleton = sleap_io.Skeleton(["nose", "tail", "ear"])
    clicked = sleap_io.Instance.from_numpy(np.array([NOSE, (np.nan, np.nan), (1, 2)]), skeleton=skeleton)
    predicted = sleap_io.PredictedInstance.from_numpy(
        np.array([NOSE, TAIL, (1, 2)]), skeleton=skeleton, point_scores=np.array([0.75, 0.5, 0.25]), score=1
    )
    corrected = sleap_io.Instance.from_numpy(np.array([NOSE, (31, 41), (1, 2)]), skeleton=skeleton)
    corrected.from_predicted = predicted
    frames = {3: [clicked], 7: [predicted], 9: [corrected, predicted]}
    labels = sleap_io.Labels([sleap_io.LabeledFrame(video, at, those) for at, those in frames.items()])
    labels.save(str(folder / "labels.slp"), verbose=False)
    labels.save(str(folder / "labels.pkg.slp"), embed="all", verbose=False)
    return folder / "labels.slp"


@pytest.mark.parametrize("inside", [False, True])
def test_a_sleap_file_comes_in_with_images_and_origins(project, file, inside):
    said = import_labels(project, file.with_suffix(".pkg.slp") if inside else file)
    assert said == {
        "folders": ["clip"], "images": 3, "points": 3, "proposals": 2, "already_labelled": 0,
        "only_in_file": ["ear"], "only_in_project": ["paw"], "left_out": [],
    }  # fmt: skip
    labels = read_labels(project)
    assert labels.images == ("labeled-data/clip/img0003.png", "labeled-data/clip/img0009.png")
    nan = [np.nan, np.nan]
    np.testing.assert_array_equal(labels.points, [[nan, NOSE, nan], [(31, 41), NOSE, nan]])
    name = "labels.pkg.slp" if inside else "labels.slp"
    assert read_notes(project, "clip") == {
        "img0003.png": {"nose": PointNote(Origin.CLICKED, name)},
        "img0007.png": {
            "nose": PointNote(Origin.UNREVIEWED, name, at_px=NOSE, confidence=0.75),
            "tail": PointNote(Origin.UNREVIEWED, name, at_px=TAIL, confidence=0.5),
        },
        "img0009.png": {"nose": PointNote(Origin.MODEL, name), "tail": PointNote(Origin.CLICKED, name)},
    }
    for number in (3, 7, 9):
        image = read_image(project.root / "labeled-data" / "clip" / f"img{number:04d}.png")
        assert number_of(image) == number
    assert (project.root / "videos" / "clip.mp4").exists() != inside


def test_a_copy_of_the_video_is_that_video_and_another_one_is_not(project, file):
    add_videos(project, look_at_videos([file.parent / "clip.mp4"]), copy=True)
    assert import_labels(project, file)["images"] == 3
    shutil.rmtree(project.root / "labeled-data" / "clip")
    write_film(project.root / "videos" / "clip.mp4", 21)
    with pytest.raises(RigposeError, match="no other video has"):
        import_labels(project, file)


def test_labels_of_whole_pictures_do_not_come_to_cropped_ones(project, file):
    project.add_labelled_folder("clip", size_px=(32, 48))
    cv2.imwrite(str(project.root / "labeled-data" / "clip" / "img0007.png"), picture(7)[:, 32:])
    with pytest.raises(RigposeError, match="found 32x48 px: a part of it"):
        import_labels(project, file)


def test_embedded_labels_do_not_come_to_other_pictures_of_their_numbers(project, file):
    package = file.with_suffix(".pkg.slp")
    import_labels(project, package)
    shutil.rmtree(project.root / "labeled-data" / "clip")
    other = picture(9).copy()
    other[8:16, 8:16] = 255 - other[8:16, 8:16]  # the same scene, something else in it
    for number, image in ((3, picture(3)), (9, other)):
        (project.root / "labeled-data" / "clip").mkdir(exist_ok=True)
        cv2.imwrite(str(project.root / "labeled-data" / "clip" / f"img{number:04d}.png"), image)
    with pytest.raises(RigposeError, match=r"img0009\.png: expected frame 9 as the file has it"):
        import_labels(project, package)
    assert not list((project.root / "labeled-data" / "clip").glob("*.csv"))
    (project.root / "labeled-data" / "clip" / "img0009.png").unlink()
    assert import_labels(project, package)["images"] == 3


def test_labels_of_the_project_are_kept(project, file):
    import_labels(project, file)
    mine = [[[1, 1], [2, 2], [3, 3]]]
    write_labels(project, "clip", ["img0003.png"], mine)
    said = import_labels(project, file)
    assert said["already_labelled"] == 1
    assert said["images"] == 2
    labels = read_folder(project, "clip")
    np.testing.assert_array_equal(labels.select(["labeled-data/clip/img0003.png"]).points, mine)
    assert "labeled-data/clip/img0009.png" in labels.images


def coco(folder: Path, *, people: int = 1, names=("nose", "tail")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(2):
        cv2.imwrite(str(folder / f"frame {index}.png"), picture(index))
    content = {
        "images": [{"id": i, "file_name": f"frame {i}.png", "width": 64, "height": 48} for i in range(2)],
        "categories": [{"id": 1, "name": "mouse", "keypoints": list(names), "skeleton": [[1, 2]]}],
        "annotations": [
            {"id": 10 * i + n, "image_id": i, "category_id": 1, "keypoints": [*NOSE, 2, 0, 0, 0],
             "num_keypoints": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
            for i in range(2) for n in range(people)
        ],
    }  # fmt: skip
    (folder / "labels.json").write_text(json.dumps(content))
    return folder / "labels.json"


def test_a_coco_file_comes_in_with_copies_of_its_images(project, tmp_path):
    path = coco(tmp_path / "mice")
    assert import_labels(project, path)["points"] == 2
    labels = read_labels(project)
    assert labels.images == ("labeled-data/mice/frame 0.png", "labeled-data/mice/frame 1.png")
    np.testing.assert_array_equal(labels.points[:, 1], [NOSE, NOSE])
    assert np.isnan(labels.points[:, 0]).all()
    there = project.root / "labeled-data" / "mice" / "frame 1.png"
    assert there.read_bytes() == (tmp_path / "mice" / "frame 1.png").read_bytes()


def test_keypoints_with_a_score_are_a_networks(project, tmp_path):
    path = coco(tmp_path / "mice")
    content = json.loads(path.read_text())
    content["annotations"][1]["score"] = 0.75
    path.write_text(json.dumps(content))
    said = import_labels(project, path)
    assert (said["points"], said["proposals"]) == (1, 1)
    assert read_labels(project).images == ("labeled-data/mice/frame 0.png",)
    (note,) = read_notes(project, "mice")["frame 1.png"].values()
    assert (note.origin, note.confidence, note.at_px) == (Origin.UNREVIEWED, 0.75, NOSE)


def moved(tmp_path: Path, file: Path) -> Path:
    shutil.move(file.parent / "clip.mp4", tmp_path / "elsewhere.mp4")
    return file


def another_length(tmp_path: Path, file: Path) -> Path:
    write_film(file.parent / "clip.mp4", 9)  # frame 9 is labelled, and would be the tenth
    return file


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder, file: folder / "no.slp", "no such file"),
        (lambda folder, file: [file.write_bytes(b"nonsense"), file][1], "sleap-io reads"),
        (lambda folder, file: coco(folder / "x", people=2), "2 in frame 0"),
        (lambda folder, file: coco(folder / "x", names=("Nase", "Schwanz")), "found Nase, Schwanz"),
        (moved, "--videos FOLDER"),
        (another_length, "found 9 frames"),
    ],
)
def test_what_cannot_be_taken_in_changes_nothing(project, file, tmp_path, spoil, says):
    path = spoil(tmp_path, file)
    before = everything(project.root)
    with pytest.raises(RigposeError, match=says):
        import_labels(project, path)
    assert everything(project.root) == before


def test_a_video_that_was_moved_is_found_where_it_is_now(project, file, tmp_path):
    (tmp_path / "now").mkdir()
    shutil.move(file.parent / "clip.mp4", tmp_path / "now" / "clip.mp4")
    assert import_labels(project, file, videos=tmp_path / "now")["images"] == 3


def test_another_image_of_the_same_name_is_not_overwritten(project, tmp_path):
    import_labels(project, coco(tmp_path / "mice"))
    path = coco(tmp_path / "others" / "mice")
    cv2.imwrite(str(path.parent / "frame 1.png"), picture(77))
    before = everything(project.root)
    with pytest.raises(RigposeError, match="another one of that name"):
        import_labels(project, path)
    assert everything(project.root) == before


def test_without_sleap_io_it_says_what_to_install(project, file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[slp\]'"):
        import_labels(project, file)


def test_what_we_write_is_read_by_sleap_io(project):
    project.add_labelled_folder("clip", size_px=(64, 48))
    folder = project.root / "labeled-data" / "clip"
    for index in range(2):
        cv2.imwrite(str(folder / f"img{index}.png"), picture(index))
    points = np.array([[TAIL, NOSE, (1, 2)], [(np.nan, np.nan), (5.125, 6), (np.nan, np.nan)]])
    write_labels(project, "clip", ["img0.png", "img1.png"], points)
    for labels in (
        sleap_io.load_file(str(folder / "CollectedData_Ada.csv")),
        sleap_io.load_dlc_project(str(project.root / "config.yaml")),
    ):
        assert len(labels.labeled_frames) == 2
        for frame, expected in zip(labels.labeled_frames, points, strict=True):
            instance = frame.instances[0]
            order = [project.keypoints.index(name) for name in instance.skeleton.node_names]
            np.testing.assert_array_equal(instance.numpy(), expected[order])


def slp(path: Path, clicks: dict[Path, dict[int, tuple[float, float]]]) -> Path:
    """A SLEAP file with a clicked nose in these frames of these videos."""
    skeleton = sleap_io.Skeleton(["nose"])
    frames = []
    for video, points in clicks.items():
        opened = sleap_io.Video.from_filename(str(video))
        for number, at in points.items():
            nose = sleap_io.Instance.from_numpy(np.array([at]), skeleton=skeleton)
            frames.append(sleap_io.LabeledFrame(opened, number, [nose]))
    sleap_io.Labels(frames).save(str(path), verbose=False)
    return path


def test_labels_of_a_video_that_is_gone_do_not_come_to_another_one_of_its_name(project, tmp_path):
    days = [tmp_path / "day1", tmp_path / "day2"]
    for day in days:
        day.mkdir()
        write_film(day / "video.mp4", 20)
    path = slp(days[0] / "labels.slp", {day / "video.mp4": {3: NOSE} for day in days})
    (days[1] / "video.mp4").unlink()
    before = everything(project.root)
    with pytest.raises(RigposeError, match=r"the video .*day2/video\.mp4, found only .*day1/video\.mp4, for"):
        import_labels(project, path)
    assert everything(project.root) == before


@pytest.mark.parametrize("numbers", [(3, 7), (11, 12)])  # of the labels: the pictures there are 3 and 7
def test_labels_of_a_video_do_not_come_to_pictures_of_another_one(project, tmp_path, numbers):
    save_images(project, "cam1", [(n, picture(1000 + n)) for n in (3, 7)])
    project = project.enter_videos({"C:\\monday\\cam1.mp4": (0, 128, 0, 48)}, {})
    path = slp(tmp_path / "labels.slp", {write_film(tmp_path / "cam1.mp4", 20): dict.fromkeys(numbers, NOSE)})
    before = everything(project.root)
    with pytest.raises(RigposeError, match=r"img0003\.png: expected frame 3 as .*cam1\.mp4 has it"):
        import_labels(project, path)
    assert everything(project.root) == before
    shutil.rmtree(project.root / "labeled-data" / "cam1")
    save_images(project, "cam1", [(n, picture(n)) for n in (3, 7)])  # it is that video after all
    assert import_labels(project, path)["images"] == 2


def test_a_coco_image_that_is_gone_is_left_out_and_not_another_cameras(project, tmp_path):
    path = coco(tmp_path / "mice")
    for place, number in (("cam1", 1), ("cam2", 0)):
        (path.parent / place).mkdir()
        (path.parent / f"frame {number}.png").rename(path.parent / place / f"frame {number}.png")
    path.write_text(path.read_text().replace('"frame ', '"cam1/frame '))
    said = import_labels(project, path)
    assert said["left_out"] == ["cam1/frame 0.png: the image is not there"]
    assert read_labels(project).images == ("labeled-data/cam1/frame 1.png",)
    (path.parent / "cam1" / "frame 1.png").unlink()
    with pytest.raises(RigposeError, match=r"the images of cam1 \(it names 2\), found nothing there"):
        import_labels(project, path)


def test_coco_images_are_found_where_they_are_now(project, tmp_path):
    path = coco(tmp_path / "mice")
    (tmp_path / "now").mkdir()
    for image in path.parent.glob("*.png"):
        image.rename(tmp_path / "now" / image.name)
    assert import_labels(project, path, videos=tmp_path / "now")["images"] == 2
    assert number_of(read_image(project.root / "labeled-data" / "now" / "frame 1.png")) == 1


def test_coco_images_without_folders_come_from_below(project, tmp_path):
    path = coco(tmp_path / "mice")
    for number, place in enumerate(("train", "val")):
        (path.parent / place).mkdir()
        (path.parent / f"frame {number}.png").rename(path.parent / place / f"frame {number}.png")
    said = import_labels(project, path)
    assert (sorted(said["folders"]), said["images"], said["left_out"]) == (["train", "val"], 2, [])
    assert number_of(read_image(project.root / "labeled-data" / "val" / "frame 1.png")) == 1


def test_a_sleap_file_merged_on_two_machines_names_one_video(project, tmp_path):
    (tmp_path / "data").mkdir()
    write_film(tmp_path / "data" / "a.mp4", 20)
    skeleton = sleap_io.Skeleton(["nose"])
    nose = sleap_io.Instance.from_numpy(np.array([NOSE]), skeleton=skeleton)
    frames = [
        sleap_io.LabeledFrame(sleap_io.Video(filename=name, open_backend=False), at, [nose])
        for name, at in (("/old/data/a.mp4", 3), ("C:\\data\\a.mp4", 3), ("C:\\data\\a.mp4", 7))
    ]
    sleap_io.Labels(frames).save(str(tmp_path / "labels.slp"), verbose=False)
    said = import_labels(project, tmp_path / "labels.slp", videos=tmp_path / "data")
    assert (said["folders"], said["images"], said["already_labelled"]) == (["a"], 2, 1)
    assert number_of(read_image(project.root / "labeled-data" / "a" / "img0007.png")) == 7


def test_images_that_a_reader_left_out_and_counted_are_refused(project, tmp_path):
    path = coco(tmp_path / "mice")
    images = [str(path.parent / f"frame {index}.png") for index in range(2)]
    nose = sleap_io.Instance.from_numpy(np.array([NOSE]), skeleton=sleap_io.Skeleton(["nose"]))
    frame = sleap_io.LabeledFrame(sleap_io.Video.from_filename(images), 2, [nose])
    sleap_io.Labels([frame]).save(str(tmp_path / "labels.slp"), verbose=False)
    with pytest.raises(RigposeError, match="expected image 2, which is labelled, found 2 images"):
        import_labels(project, tmp_path / "labels.slp")
