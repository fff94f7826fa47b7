"""DeepLabCut's shuffles are read as it reads them, and refused when its labels have moved on."""

from __future__ import annotations

import pickle  # noqa: TID251 - DeepLabCut writes these
from pathlib import Path

import numpy as np
import pandas
import pytest
import yaml

from acquisition.errors import RigposeError
from training.projects.project import Project
from training.projects.shuffles import find_shuffle
from training.projects.splits import Split

NAMES = [("labeled-data", "a", f"img{i}.png") for i in range(6)]
DATASET = Path("training-datasets", "iteration-0", "UnaugmentedDataSet_tMar1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))


def write_dataset(project: Project, names=NAMES, unlabelled=(), dataset: Path = DATASET) -> Path:
    folder = project.root / dataset
    folder.mkdir(parents=True, exist_ok=True)
    columns = pandas.MultiIndex.from_product(
        [["Ada"], ["nose", "tail"], ["x", "y"]], names=["scorer", "bodyparts", "coords"]
    )
    values = np.arange(4.0 * len(names)).reshape(len(names), 4)
    values[list(unlabelled)] = np.nan
    frame = pandas.DataFrame(values, index=pandas.MultiIndex.from_tuples(names), columns=columns)
    frame.to_hdf(folder / "CollectedData_Ada.h5", key="df_with_missing", mode="w")
    frame.to_csv(folder / "CollectedData_Ada.csv")
    return folder


def write_shuffle(folder: Path, train, test, *, number=1, percent=66, unlabelled=(), images=tuple) -> Path:
    """As `create_training_dataset` does: images without labels stay out of the list of training data."""
    data = [
        {"image": images(NAMES[i]), "size": np.array([3, 48, 64]), "joints": np.array([[0, 1, 2]])}
        for i in train
        if i != -1 and i not in unlabelled
    ]
    path = folder / f"Documentation_data-t_{percent}shuffle{number}.pickle"
    path.write_bytes(pickle.dumps([data, train, test, percent / 100], pickle.HIGHEST_PROTOCOL))
    return path


def image(index: int) -> str:
    return "/".join(NAMES[index])


@pytest.mark.parametrize("kept", ["h5", "csv"])
@pytest.mark.parametrize("images", [tuple, "/".join, "\\".join])
def test_a_shuffle_is_a_split(project, kept, images):
    folder = write_dataset(project)
    (folder / f"CollectedData_Ada.{'csv' if kept == 'h5' else 'h5'}").unlink()
    # given indices are padded with -1 to the wished ratio
    path = write_shuffle(folder, np.array([5, 0, 2, -1, -1]), [np.int64(1), 4], images=images)
    split = Split.load(path)
    assert split.train == (image(5), image(0), image(2))
    assert split.test == (image(1), image(4))
    assert split.name == "DeepLabCut's t_66shuffle1, 66% train"


def test_images_without_labels_are_in_neither_part(project):
    folder = write_dataset(project, unlabelled=[1, 2])
    split = Split.load(write_shuffle(folder, [0, 1, 3], [2, 4], unlabelled=[1]))
    assert split.train == (image(0), image(3))
    assert split.test == (image(4),)


def test_a_shuffle_of_older_labels_is_refused(project):
    path = write_shuffle(write_dataset(project), [1, 3], [0, 5])
    write_dataset(project, names=[("labeled-data", "a", "img00.png"), *NAMES])
    with pytest.raises(RigposeError, match="no longer in its place"):
        Split.load(path)
    write_dataset(project, names=NAMES[:4])
    with pytest.raises(RigposeError, match="4 rows"):
        Split.load(path)


def test_a_shuffle_that_trains_on_what_it_measures_is_refused(project):
    with pytest.raises(RigposeError, match="both parts"):
        Split.load(write_shuffle(write_dataset(project), [1, 3], [3, 5]))


class Program:
    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_what_is_no_shuffle_is_refused_and_nothing_runs(project, tmp_path):
    folder = write_dataset(project)
    path, mark = folder / "Documentation_data-t_66shuffle1.pickle", tmp_path / "was here"
    with pytest.raises(RigposeError, match="No such file"):
        Split.load(path)
    contents = [
        (pickle.dumps([[], [0], [1], Program(mark)]), r"would run (_?io|builtins)\.open"),
        (pickle.dumps([1, 2, 3]), "other contents"),
        (pickle.dumps([[], ["x"], [1], 0.5]), "other contents"),
        (pickle.dumps([[{}], [0], [1], 0.5]), "other contents"),
        (b"", "damaged"),
        (write_shuffle(folder, [0], [1]).read_bytes()[:30], "damaged"),
    ]
    for content, says in contents:
        path.write_bytes(content)
        with pytest.raises(RigposeError, match=says):
            Split.load(path)
    assert not mark.exists()
    write_shuffle(folder, [0], [1])
    (folder / "CollectedData_Ada.h5").write_bytes(b"no h5")
    with pytest.raises(RigposeError, match="CollectedData file"):
        Split.load(path)
    for file in folder.glob("Collected*"):
        file.unlink()
    with pytest.raises(RigposeError, match="one CollectedData file"):
        Split.load(path)


def test_a_shuffle_is_found_by_its_number(project):
    with pytest.raises(RigposeError, match="no shuffles"):
        find_shuffle(project, 1)
    folder = write_dataset(project)
    second = write_shuffle(folder, [0], [1], number=2)
    assert find_shuffle(project, 2) == second
    with pytest.raises(RigposeError, match="found shuffles 2"):
        find_shuffle(project, 1)
    write_shuffle(folder, [0], [1], number=2, percent=80)
    with pytest.raises(RigposeError, match="--split"):
        find_shuffle(project, 2)
    config = project.root / "config.yaml"
    content = yaml.safe_load(config.read_text()) | {"TrainingFraction": [0.66, 0.8]}
    config.write_text(yaml.safe_dump(content))
    assert find_shuffle(project, 2) == second
    config.write_text(yaml.safe_dump(content | {"iteration": 1}))
    with pytest.raises(RigposeError, match="iteration-1"):
        find_shuffle(project, 2)
