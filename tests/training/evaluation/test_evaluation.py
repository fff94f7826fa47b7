"""Evaluating a run: what is reported, what is written, what is refused."""

from __future__ import annotations

import csv
import json
import shutil
import sys

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from tests.training.dots import dot_project
from tests.training.runs import NETWORK, random_run
from training.evaluation import evaluate
from training.evaluation.pictures import draw, draw_score_maps, window_around
from training.evaluation.predicting import network_score_maps
from training.evaluation.videos import COMPARISON_FILE
from training.files import write_json
from training.projects.labels import read_labels, write_labels
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import Project
from training.projects.splits import Split, everything, leave_one_video_out
from training.run import load_network, load_settings


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return dot_project(tmp_path_factory.mktemp("dots"), count=9)


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    return random_run(tmp_path_factory.mktemp("runs") / "run", project)


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory) -> Project:
    """Two recordings, the first one by two cameras."""
    project = dot_project(tmp_path_factory.mktemp("two"), count=4)
    labels = read_labels(project)
    for folder, recording in (("a2", "first"), ("b", "")):
        project = project.add_labelled_folder(folder, size_px=(96, 64), recording=recording)
        names = [name.split("/")[2] for name in labels.images]
        for name in names:
            source = project.root / "labeled-data" / "a" / name
            (project.root / "labeled-data" / folder / name).write_bytes(source.read_bytes())
        write_labels(project, folder, names, labels.points)
    return project.add_labelled_folder("a", size_px=(96, 64), recording="first")


def test_the_train_part_stands_beside_the_test_part(run):
    report = evaluate(run)
    assert report["part"] == "test"
    assert report["all"] == report["parts"]["test"]["all"]
    assert report["parts"]["train"]["images"] + report["images"] == 9
    assert evaluate(run, part="train")["all"] == report["parts"]["train"]["all"]
    assert report["videos"] is None
    assert report["unlabelled"]["points"] + report["parts"]["train"]["unlabelled"]["points"] == 1


def test_the_report_is_one_folder(run, project, tmp_path):
    report = evaluate(run, output=tmp_path / "report")
    made = sorted(str(path.relative_to(tmp_path / "report")) for path in (tmp_path / "report").rglob("*.*"))
    assert [name for name in made if "/" not in name] == [
        "evaluation.json", "learning_curve.png", "pck.png", "predictions.csv", "reliability.png",
    ]  # fmt: skip
    assert len([name for name in made if name.startswith("worst/")]) == report["images"]
    assert len([name for name in made if name.startswith("score_maps/")]) == min(6, report["images"])
    assert json.loads((tmp_path / "report" / "evaluation.json").read_text()) == report
    with (tmp_path / "report" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9 * 2
    held_out = [float(row["error_px"]) for row in rows if row["part"] == "test" and row["error_px"]]
    assert np.mean(held_out) == pytest.approx(report["all"]["mean_px"], rel=1e-5)
    assert {row["video"] for row in rows} == {"a"}
    with pytest.raises(RigposeError, match="new folder"):
        evaluate(run, output=tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_results_csv_is_deeplabcuts(run, tmp_path):
    report = evaluate(run, output=tmp_path / "report", cutoff=0.4)
    folder = tmp_path / "report" / "deeplabcut"
    (results,) = folder.glob("DLC_Residual8_dotsshuffle1_rigpose_4-results.csv")
    header, row = csv.reader(results.read_text().splitlines())
    assert header == [
        "%Training dataset", "Shuffle number", "Training epochs", "Detector epochs (TD only)", "pcutoff",
        "train rmse", "train rmse_pcutoff", "train mAP", "train mAR",
        "test rmse", "test rmse_pcutoff", "test mAP", "test mAR",
    ]  # fmt: skip
    named = dict(zip(header, row, strict=True))
    assert float(named["test rmse"]) == round(report["all"]["mean_px"], 2)
    assert (named["Training epochs"], named["Detector epochs (TD only)"], named["pcutoff"]) == (
        "4",
        "-1",
        "0.4",
    )
    (single,) = folder.glob("*-keypoint-results.csv")
    header, train, test = csv.reader(single.read_text().splitlines())
    assert header == ["", "light", "dark"]
    assert [train[0], test[0]] == ["Train error (px)", "Test error (px)"]
    assert float(test[2]) == pytest.approx(report["keypoints"]["dark"]["all"]["mean_px"], rel=1e-5)


def test_reprojected_points_are_reported_apart(tmp_path):
    project = dot_project(tmp_path, count=6)
    run = random_run(tmp_path / "run", project)
    before = evaluate(run)
    held_out = Split.load(run / "split.json").test
    name = held_out[0].split("/")[2]
    notes = read_notes(project, "a")
    write_notes(project, "a", {**notes, name: {"light": PointNote(Origin.REPROJECTED)}})
    after = evaluate(run, output=tmp_path / "report")
    assert after["reprojected"]["points"] == 1
    assert after["all"]["points"] == before["all"]["points"] - 1
    assert "reprojected" in (tmp_path / "report" / "predictions.csv").read_text()


def test_any_predictor_is_measured_and_what_it_does_not_find_is_not_within_anything(run, tmp_path):
    def nowhere(images):
        return np.full((len(images), 2, 3), np.nan, np.float32)

    report = evaluate(run, pictures=tmp_path / "worst", predict=nowhere)
    assert report["all"]["points"] == 0
    assert set(report["pck"]["share"]) == {0.0}
    assert len(list((tmp_path / "worst").glob("*.png"))) == report["images"]
    evaluate(run, output=tmp_path / "report", predict=nowhere)


def test_nothing_held_out_is_said(project, tmp_path):
    run = random_run(tmp_path / "run", project, everything(read_labels(project)))
    with pytest.raises(RigposeError, match=r"held-out images.*none.*--part train"):
        evaluate(run, output=tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert evaluate(run, part="train", output=tmp_path / "report")["images"] == 9


def test_a_split_without_a_test_part_is_refused_and_one_without_a_train_part_is_not(run, project, tmp_path):
    labels = read_labels(project)
    Split("all train", labels.images, ()).save(tmp_path / "none.json")
    with pytest.raises(RigposeError, match=r"none\.json.*held-out images"):
        evaluate(run, split=tmp_path / "none.json")
    held_out = Split.load(run / "split.json").test
    Split("test alone", (), held_out[:2]).save(tmp_path / "test.json")
    assert list(evaluate(run, split=tmp_path / "test.json", output=tmp_path / "report")["parts"]) == ["test"]


def test_what_the_run_was_trained_on_is_not_held_out_by_another_split(run, project, tmp_path):
    own = Split.load(run / "split.json")
    Split("other", own.test, own.train).save(tmp_path / "other.json")
    with pytest.raises(RigposeError, match=r"other\.json.* not trained on, found 6 of them in its training"):
        evaluate(run, split=tmp_path / "other.json", output=tmp_path / "report")
    with pytest.raises(RigposeError, match="not trained on"):
        evaluate(run, split=tmp_path / "other.json", part="test", project=project.root)
    assert list(tmp_path.iterdir()) == [tmp_path / "other.json"]
    report = evaluate(run, part="train")  # what is asked for by name
    assert (report["images"], report["seen_in_training"]) == (6, 6)
    assert evaluate(run)["seen_in_training"] == 0


def test_a_project_that_was_moved_is_measured_where_it_was_held_out(two_videos, tmp_path):
    """As before the move: the run's own split, and what was trained on is said of every video."""
    shutil.copytree(two_videos.root, tmp_path / "old" / "project")
    run = random_run(tmp_path / "run", Project.open(tmp_path / "old" / "project"))
    before = evaluate(run)
    shutil.move(tmp_path / "old" / "project", tmp_path / "new")
    with pytest.raises(RigposeError, match=r"old/project.*no config\.yaml.*--project FOLDER"):
        evaluate(run)
    assert evaluate(run, project=tmp_path / "new") == before
    assert sum(row["training_images"] for row in before["videos"].values()) > 0


def test_images_of_another_project_that_were_trained_on_are_counted(two_videos, tmp_path):
    """A copy that has got more labels since: by their names they are the run's."""
    shutil.copytree(two_videos.root, tmp_path / "project")
    run = random_run(tmp_path / "run", two_videos)
    own = Split.load(run / "split.json")
    copy = Project.open(tmp_path / "project")
    write_labels(copy, "b", *_moved(copy, "b"))
    report = evaluate(run, project=copy.root)
    assert (report["split"], report["part"]) == ("all images", "all")
    assert report["seen_in_training"] == len(own.train) < report["images"]
    assert sum(row["training_images"] for row in report["videos"].values()) == len(own.train)
    assert report["leave_one_video_out"] is None
    report = evaluate(run, project=copy.root, split=run / "split.json")
    assert (report["seen_in_training"], report["images"]) == (0, len(own.test))
    other = dot_project(tmp_path / "other", count=3, name="other")
    for image in (other.root / "labeled-data" / "a").glob("*.png"):
        image.rename(image.with_name(f"x{image.name}"))
    labels = read_labels(other)
    names = [f"x{name.split('/')[2]}" for name in labels.images]
    write_labels(other, "a", names, labels.points)
    assert evaluate(run, project=other.root)["seen_in_training"] == 0


def _moved(project, folder):
    labels = read_labels(project, [folder])
    return [name.split("/")[2] for name in labels.images], labels.points + 1


def test_a_report_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["training.evaluation.evaluate"], "write_predictions", full)
    with pytest.raises(OSError, match="space"):
        evaluate(run, output=tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_errors_stand_video_by_video(two_videos, tmp_path):
    labels = read_labels(two_videos)
    split = leave_one_video_out(two_videos, labels)["first"]
    report = evaluate(random_run(tmp_path / "run", two_videos, split))
    assert list(report["videos"]) == ["first"]
    assert (report["videos"]["first"]["images"], report["videos"]["first"]["training_images"]) == (8, 0)
    assert report["leave_one_video_out"] is None
    mixed = Split("mixed", labels.images[::2], labels.images[1::2])
    report = evaluate(random_run(tmp_path / "mixed", two_videos, mixed))
    assert {name: row["training_images"] for name, row in report["videos"].items()} == {"first": 4, "b": 2}
    pooled = sum(row["points"] * row["mean_px"] for row in report["videos"].values())
    assert pooled / report["all"]["points"] == pytest.approx(report["all"]["mean_px"])


def test_a_leave_one_video_out_comparison_beside_the_run_is_quoted(two_videos, tmp_path):
    run = random_run(tmp_path / "run", two_videos)
    row = {"network": NETWORK, "precision": "fp32", "folds": 2, "mean_px": 3.5, "between_folds_px": 0.5}
    content = {
        "held_out_by": "video", "dataset_sha256": load_settings(run).dataset_sha256, "rows": [row],
    }  # fmt: skip
    (tmp_path / "by-video").mkdir()
    write_json(tmp_path / "by-video" / COMPARISON_FILE, content)
    quoted = evaluate(run)["leave_one_video_out"]
    assert (quoted["mean_px"], quoted["videos"]) == (3.5, 2)
    write_json(tmp_path / "by-video" / COMPARISON_FILE, content | {"dataset_sha256": "other"})
    assert evaluate(run)["leave_one_video_out"] is None
    with pytest.raises(RigposeError, match="by-video"):
        evaluate(run, comparison=tmp_path / "by-video")


def test_a_picture_marks_prediction_and_label():
    image = np.full((160, 160), 90, np.uint8)
    points, predicted = [[40, 40], [np.nan, np.nan]], [[120, 80, 1], [100, 130, 1]]
    picture = draw(image, points, predicted, ("a", "b"), (("a", "b"),))
    assert picture.shape == (640, 640, 3)
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    assert coloured[155:168, 155:168].any()  # the label's cross, four times as far from the corner
    assert coloured[312:332, 472:492].any()  # the prediction's ring
    assert coloured[512:532, 392:412].any()
    assert not coloured[:100].any()


@pytest.mark.parametrize("size", [(192, 192), (1920, 1080), (64, 900)])
def test_a_window_holds_the_points_and_stays_in_the_image_where_it_can(size):
    image = np.zeros(size[::-1], np.uint8)
    corner = np.array([[size[0] - 3, size[1] - 3], [size[0] - 13, size[1] - 8]], float)
    x, y, side = window_around(image, corner, [[np.nan, np.nan]])
    assert x <= corner[:, 0].min()
    assert x + side >= corner[:, 0].max()
    assert y + side >= corner[:, 1].max()
    assert side <= max(size)
    if side <= min(size):
        assert x >= 0
        assert y >= 0
        assert x + side <= size[0]
        assert y + side <= size[1]
    assert window_around(image, [[np.nan, np.nan]])[2] == max(size)


def test_a_score_map_is_bright_where_the_network_sees_the_point(project, tmp_path):
    labels = read_labels(project).select(read_labels(project).images[:1])
    predicted = np.concatenate([labels.points, np.ones((1, 2, 1))], axis=2).astype(np.float32)
    cells = ImageTransform.resize(8)

    def see(image):
        probability = np.zeros((2, 8, 12), np.float32)
        for k, (x, y) in enumerate(cells.inverse().apply(labels.points[0])):
            probability[k, round(y), round(x)] = 1.0
        return probability, cells

    (written,) = draw_score_maps(tmp_path, project.root, labels, predicted, see)
    picture = cv2.imread(str(written)).astype(int)
    x, y, side = window_around(np.zeros((64, 96)), labels.points[0], predicted[0])
    for k, point in enumerate(labels.points[0]):
        across, down = np.rint((point - (x, y)) * 240 / side).astype(int)
        panel = picture[20:260, 240 * k : 240 * (k + 1)]
        red = panel[..., 2] - panel[..., 0]
        near = np.zeros((240, 240), bool)
        near[max(0, down - 20) : down + 20, max(0, across - 20) : across + 20] = True
        assert red[near].max() > 100
        assert red[~near].max() < 100


def test_the_maps_of_a_network_lie_on_its_cells(run):
    network, settings = load_network(run)
    probability, to_image = network_score_maps(network, settings)(np.zeros((64, 96), np.uint8))
    assert probability.shape == (2, 8, 12)
    np.testing.assert_allclose(to_image.apply([[0, 0], [11, 7]]), [[3.5, 3.5], [91.5, 59.5]])
