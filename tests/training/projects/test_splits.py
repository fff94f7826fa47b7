"""Splits: nothing that measures looks like what trains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from training.projects.labels import Labels
from training.projects.project import Project
from training.projects.splits import Split, everything, hold_out_folders, k_fold, leave_one_video_out


def project_of(root, recordings=None) -> Project:
    return Project(
        root=root, task="t", scorer="A", keypoints=("a",), skeleton=(), symmetric_pairs=(), individuals=(),
        recordings=recordings or {},
    )  # fmt: skip


def labels_of(names: list[str]) -> Labels:
    return Labels(tuple(f"labeled-data/{name}" for name in names), ("a",), np.zeros((len(names), 1, 2)))


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_folds_share_nothing_and_hold_everything_out_once(counts, folds, seed):
    names = [f"v{v}/img{i:04d}.png" for v, count in enumerate(counts) for i in range(count)]
    labels, project = labels_of(names), project_of("/p")
    if len(names) < folds:
        with pytest.raises(RigposeError, match="instants"):
            k_fold(project, labels, folds=folds, fold=0, seed=seed)
        return
    splits = [k_fold(project, labels, folds=folds, fold=fold, seed=seed) for fold in range(folds)]
    for split in splits:
        assert set(split.train) | set(split.test) == set(labels.images)
        assert not set(split.train) & set(split.test)
        assert split.test
        assert split.train
    assert sorted(name for split in splits for name in split.test) == sorted(labels.images)


def test_the_views_of_one_frame_set_stay_together():
    cameras = ["day1_cam_0", "day1_cam_1"]
    labels = labels_of([f"{camera}/img{i:04d}.png" for camera in cameras for i in range(0, 300, 3)])
    project = project_of("/p", dict.fromkeys(cameras, "day1"))
    split = k_fold(project, labels, folds=5, fold=2)
    for name in split.test:
        assert all(name.replace("cam_0", c).replace("cam_1", c) in split.test for c in ("cam_0", "cam_1"))


def test_neighbours_in_time_stay_together():
    labels = labels_of([f"v/img{i:04d}.png" for i in range(200)])
    split = k_fold(project_of("/p"), labels, folds=5, fold=0)
    held_out = np.isin(labels.images, split.test)
    borders = np.count_nonzero(np.diff(held_out.astype(int)))
    assert borders <= 8  # four blocks: forty frames dealt out singly would have about sixty-four


RECORDINGS = st.lists(
    st.tuples(st.integers(1, 3), st.lists(st.integers(0, 60), min_size=1, max_size=25, unique=True)),
    min_size=1, max_size=4,
)  # fmt: skip


def several_views(recordings):
    """Labels and project of recordings, each by so many cameras, at these instants."""
    names, of = [], {}
    for number, (cameras, instants) in enumerate(recordings):
        for camera in range(cameras):
            folder = f"day{number}_cam{camera}"
            of[folder] = f"day{number}"
            names += [f"{folder}/img{instant:04d}.png" for instant in instants]
    return labels_of(names), project_of("/p", of)


def instant_of(name: str) -> tuple[str, str]:
    _, folder, file = name.split("/")
    return folder.split("_")[0], file


@given(recordings=RECORDINGS, folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_no_instant_is_in_both_parts_of_a_fold(recordings, folds, seed):
    labels, project = several_views(recordings)
    instants = {instant_of(name) for name in labels.images}
    if len(instants) < folds:
        return
    for fold in range(folds):
        split = k_fold(project, labels, folds=folds, fold=fold, seed=seed)
        train, test = ({instant_of(name) for name in part} for part in (split.train, split.test))
        assert not train & test
        assert train | test == instants


@given(recordings=RECORDINGS)
def test_a_left_out_video_is_left_out_with_all_its_cameras(recordings):
    labels, project = several_views(recordings)
    if len(recordings) < 2:
        with pytest.raises(RigposeError, match=r"several videos.*--folds"):
            leave_one_video_out(project, labels)
        return
    splits = leave_one_video_out(project, labels)
    assert list(splits) == sorted(f"day{number}" for number in range(len(recordings)))
    for video, split in splits.items():
        assert {instant_of(name)[0] for name in split.test} == {video}
        assert video not in {instant_of(name)[0] for name in split.train}
    assert sorted(name for split in splits.values() for name in split.test) == sorted(labels.images)


def test_a_folder_is_held_out_with_the_other_views_of_its_recording():
    labels, project = several_views([(2, [0, 1]), (1, [0])])
    split = hold_out_folders(labels, ["day0_cam1"], project)
    assert {name.split("/")[1] for name in split.train} == {"day1_cam0"}
    assert split.name == "held out day0_cam0, day0_cam1"


def test_whole_videos_can_be_held_out():
    labels = labels_of(["a/img0.png", "b/img0.png", "b/img1.png"])
    split = hold_out_folders(labels, ["b"])
    assert split.train == ("labeled-data/a/img0.png",)
    assert split.test == ("labeled-data/b/img0.png", "labeled-data/b/img1.png")
    with pytest.raises(RigposeError, match="one of a, b"):
        hold_out_folders(labels, ["c"])


def test_a_stored_split_comes_back_and_is_checked(tmp_path):
    labels = labels_of(["a/img0.png", "b/img0.png"])
    split = hold_out_folders(labels, ["b"])
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    with pytest.raises(RigposeError, match=r"labeled-data/b/img0\.png \(1 unknown\)"):
        split.check(labels_of(["a/img0.png"]), "it", "train")
    with pytest.raises(RigposeError, match="test part"):
        everything(labels).check(labels, "it", "test")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("[]", "JSON object"),
        ('{"name": "x", "train": []}', "name, train and test"),
        ('{"name": "x", "train": ["a"], "test": ["a"]}', "both parts"),
    ],
)
def test_a_damaged_split_is_refused(tmp_path, text, says):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(RigposeError, match=says):
        Split.load(tmp_path / "split.json")
