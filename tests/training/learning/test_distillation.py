"""A teacher labels what nobody has labelled, far from what measures, and the student learns from it."""

from __future__ import annotations

import shutil

import av
import numpy as np
import pytest
import torch

from acquisition.errors import RigposeError
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from tests.training.dots import KEYPOINTS, dot_image
from tests.training.learning.test_trainer import SMALL
from tests.training.runs import random_run
from training.evaluation import evaluate, network_predictor
from training.frames.footage import open_footage
from training.learning.distillation import KeptFrames, teach, teachable
from training.learning.trainer import train
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project
from training.projects.saved_frames import save_images
from training.projects.splits import Split
from training.run import load_network, save_run

SIZE_PX = (96, 64)
FRAMES = 40
LABELLED = range(0, FRAMES, 4)


class Filmed:
    """A project with a video of dots, every fourth frame of it labelled; and the truth.

    With a crop (x1, x2, y1, y2 px) the labelled images are that part of the frames.
    """

    def __init__(self, folder, name: str = "a", crop=(0, SIZE_PX[0], 0, SIZE_PX[1])) -> None:
        random = np.random.default_rng(1)
        made = [dot_image(random, SIZE_PX) for _ in range(FRAMES)]
        self.points = np.stack([points for _, points in made])
        self.video = folder / f"{name}.mkv"
        with av.open(str(self.video), "w") as container:
            stream = container.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "gray"
            for image, _ in made:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
            container.mux(stream.encode())
        project = Project.create(folder, task="dots", scorer="Ada", keypoints=KEYPOINTS, symmetric_pairs=())
        project = project.enter_videos({str(self.video): crop}, {})
        x1, x2, y1, y2 = crop
        names = save_images(project, name, [(n, made[n][0][y1:y2, x1:x2]) for n in LABELLED])
        write_labels(project, name, names, self.points[list(LABELLED)] - (x1, y1))
        self.project = Project.open(project.root)
        self.labels = read_labels(self.project)
        self.split = Split("the last ones", self.labels.images[:-3], self.labels.images[-3:])

    def predictions(self, folder, confidence: float = 0.8):
        """The truth as DeepLabCut would have predicted it, one keypoint of frame 1 unseen."""
        values = np.dstack([self.points, np.full(self.points.shape[:2], confidence)]).astype(np.float32)
        values[1, 1, 2] = 0.01
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.video.stem}DLC_Resnet50_dotsshuffle1.csv"
        save_csv(Poses.of_video(KEYPOINTS, values), "DLC_Resnet50_dotsshuffle1", path)
        return path


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Filmed:
    return Filmed(tmp_path_factory.mktemp("filmed"))


def teach_by(filmed: Filmed, *teacher, network_wh=SIZE_PX, size_px=SIZE_PX):
    sizes = dict.fromkeys(filmed.labels.images, size_px)
    return teach(filmed.project, filmed.labels, filmed.split, teacher, sizes, network_wh)


def test_no_frame_near_a_held_out_one_is_taught_and_none_that_is_labelled(filmed):
    may = teachable(filmed.project, open_footage(filmed.video), filmed.labels, filmed.split)
    allowed = set(np.flatnonzero(may))
    held_out = {28, 32, 36}
    assert not allowed & set(LABELLED)
    for frame in range(FRAMES):
        nearest = min(LABELLED, key=lambda labelled: (abs(labelled - frame), labelled))
        if nearest in held_out:
            assert frame not in allowed
    assert {1, 2, 3, 25, 26} <= allowed


def test_no_frame_of_a_video_that_is_held_out_is_taught(filmed):
    all_out = Split("all", (), filmed.labels.images)
    assert not teachable(filmed.project, open_footage(filmed.video), filmed.labels, all_out).any()


def test_a_video_without_labels_may_be_taught_whole(filmed, tmp_path):
    other = tmp_path / "b.mkv"
    shutil.copy(filmed.video, other)
    assert teachable(filmed.project, open_footage(other), filmed.labels, filmed.split).all()


def test_predictions_are_labels_weighted_by_their_confidence(filmed, tmp_path):
    taught = teach_by(filmed, filmed.predictions(tmp_path), network_wh=(48, 32))
    assert taught.labels.images[0] == "a/1"
    assert set(taught.weight.ravel().round(2)) == {np.float32(0.8), np.float32(0.0)}
    assert np.isnan(taught.labels.points[0, 1]).all()  # unseen: it says nothing
    assert taught.weight[0, 1] == 0
    # kept at 1.25 times the network's scale: pixel centres, not corners, stay in place
    scale = 60 / 96
    assert taught.frames.sizes_px["a/1"] == (60, 40)
    np.testing.assert_allclose(
        taught.labels.points[0, 0], (filmed.points[1, 0] + 0.5) * scale - 0.5, atol=1e-4
    )


def test_predictions_of_whole_frames_are_placed_in_the_crop_that_was_labelled(tmp_path):
    filmed = Filmed(tmp_path, crop=(34, 80, 22, 56))
    size = (46, 34)
    taught = teach_by(filmed, filmed.predictions(tmp_path / "p"), network_wh=size, size_px=size)
    truth = filmed.points - (34, 22)
    inside = ((truth > -0.5) & (truth < np.array(size) - 0.5)).all(axis=2)
    inside[1, 1] = False  # it is not sure of this one
    numbers = [int(name.split("/")[1]) for name in taught.labels.images]
    assert not inside[numbers].all()
    np.testing.assert_allclose(
        taught.labels.points, np.where(inside[numbers][..., None], truth[numbers], np.nan), atol=1e-4
    )
    assert ((taught.weight > 0) == inside[numbers]).all()
    for name, points in zip(taught.labels.images, taught.labels.points, strict=True):
        image, (light, dark) = taught.frames[name], points
        for (x, y), sign in ((light, 1), (dark, -1)):
            if np.isfinite(x):
                assert sign * (int(image[round(y), round(x)]) - 120) > 40


def test_a_run_teaches_in_the_crop_as_it_is(tmp_path):
    """Its points are of the picture it is given: nothing is to be taken off them."""
    filmed = Filmed(tmp_path, crop=(16, 80, 8, 56))
    run = random_run(tmp_path / "run", filmed.project, filmed.split)
    network, settings = load_network(run, folded=False)
    torch.nn.init.constant_(network.head.heatmap.bias, 2.0)  # sure, wherever it points
    save_run(run, settings, network)
    taught = teach_by(filmed, run, network_wh=(64, 48), size_px=(64, 48))
    predict = network_predictor(*load_network(run))
    for name, points in zip(taught.labels.images, taught.labels.points, strict=True):
        image = taught.frames[name]
        assert image.shape == (48, 64)
        found = predict([image])[0]
        sure = np.isfinite(points).all(axis=1)
        np.testing.assert_allclose(points[sure], found[sure, :2], atol=1e-3)


def test_a_frame_smaller_than_the_network_is_kept_as_it_is():
    kept = KeptFrames()
    image = np.zeros((20, 30), np.uint8)
    transform = kept.keep("x", image, (300, 200))
    assert kept["x"] is image
    np.testing.assert_array_equal(transform.apply([[3.0, 4.0]]), [[3.0, 4.0]])


def test_videos_that_config_does_not_name_are_found_in_their_folder(filmed, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(filmed.project.root, root)
    config = (root / "config.yaml").read_text().replace(str(filmed.video), "WILL BE UPDATED")
    (root / "config.yaml").write_text(config)
    for copy in (
        "acropped.mkv",
        "aDLC_labeled.mkv",
    ):  # with the frames that are held out
        shutil.copy(filmed.video, root / "videos" / copy)
    (root / "videos" / "notes.txt").write_text("no video")
    predictions = filmed.predictions(tmp_path / "p")
    project = Project.open(root)
    sizes = dict.fromkeys(filmed.labels.images, SIZE_PX)
    shutil.copy(filmed.video, root / "videos" / "a.mkv")
    taught = teach(project, filmed.labels, filmed.split, [predictions], sizes, SIZE_PX)
    assert {name.split("/")[0] for name in taught.labels.images} == {"a"}
    assert taught.passed_over == ("aDLC_labeled.mkv", "acropped.mkv")
    (root / "videos" / "a.mkv").unlink()
    with pytest.raises(RigposeError, match=r"acropped\.mkv no video of the project"):
        teach(project, filmed.labels, filmed.split, [predictions], sizes, SIZE_PX)


@pytest.fixture(scope="module")
def teacher(filmed, tmp_path_factory):
    output = tmp_path_factory.mktemp("teacher") / "run"
    measured = train(filmed.project.root, output, epochs=150, split=filmed.split, **SMALL)
    assert measured["held_out"]["mean_px"] < 3
    return output


@pytest.mark.long
def test_a_student_learns_from_a_run_and_learns_to_round(filmed, teacher, tmp_path):
    student = tmp_path / "student"
    measured = train(
        filmed.project.root, student, epochs=80, split=filmed.split, teacher=[teacher], qat=True, **SMALL
    )
    assert measured["taught_images"] > 10
    assert measured["teacher"] == [str(teacher)]
    assert measured["held_out"]["mean_px"] < 5
    assert measured["held_out_rounded"]["mean_px"] < measured["held_out"]["mean_px"] + 1
    # the run is an ordinary one, and so is the run in float that it began from
    assert evaluate(student)["all"] == pytest.approx(measured["held_out"], rel=1e-4, abs=1e-3)
    assert evaluate(student / "float")["images"] == len(filmed.split.test)
    assert (student / "ranges.json").is_file()
    with pytest.raises(RigposeError, match="finished run"):
        train(filmed.project.root, student, epochs=25, split=filmed.split, teacher=[teacher], **SMALL)


@pytest.mark.long
def test_a_rounding_run_that_was_interrupted_goes_on_with_its_float_run(filmed, tmp_path):
    output = tmp_path / "run"
    options = {"split": filmed.split, "qat": True, **SMALL}
    first = train(filmed.project.root, output, epochs=5, **options)
    (output / "weights.safetensors").unlink()  # as if killed while learning to round
    before = (output / "float" / "weights.safetensors").stat().st_mtime_ns
    again = train(filmed.project.root, output, epochs=5, **options)
    assert (output / "float" / "weights.safetensors").stat().st_mtime_ns == before
    assert again["float_steps"] == first["float_steps"] > 0
    (output / "weights.safetensors").unlink()
    with pytest.raises(RigposeError, match="run of others"):
        train(filmed.project.root, output, epochs=5, seed=9, **options)


@pytest.mark.long
def test_a_teacher_that_saw_what_is_held_out_is_refused(filmed, tmp_path):
    seen = Split("other", filmed.split.test, filmed.split.train)
    run = tmp_path / "run"
    train(filmed.project.root, run, epochs=1, split=seen, **SMALL)
    with pytest.raises(RigposeError, match="never saw what is held out"):
        teach_by(filmed, run)


def test_predictions_of_another_video_are_not_taken(filmed, tmp_path):
    path = filmed.predictions(tmp_path)
    with pytest.raises(RigposeError, match="none with frames apart"):
        teach_by(filmed, path.rename(tmp_path / "abcDLC_x.csv"))


def test_predictions_that_are_sure_of_nothing_teach_nothing(filmed, tmp_path):
    with pytest.raises(RigposeError, match="confidence"):
        teach_by(filmed, filmed.predictions(tmp_path, confidence=0.05))
