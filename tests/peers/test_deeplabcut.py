"""Our projects in the hands of DeepLabCut 3 itself, and its training datasets in ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.training.dots import dot_project
from tests.training.on_disk import video
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project
from training.projects.shuffles import find_shuffle
from training.projects.splits import Split
from training.projects.videos import add_videos, look_at_videos

# torchvision's wheel does not import beside a torch of another build unless these two are declared.
READ = """
import json, sys
from pathlib import Path
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import deeplabcut
import pandas
from deeplabcut.core.config import ProjectConfig
from deeplabcut.utils import auxiliaryfunctions

said = []
for config in sys.argv[1:]:
    read = auxiliaryfunctions.read_config(config)
    strict = ProjectConfig.from_any(config)
    deeplabcut.create_training_dataset(config, userfeedback=False)
    deeplabcut.create_training_dataset(
        config, Shuffles=[7], trainIndices=[[0, 2, 3]], testIndices=[[1, 4]], userfeedback=False
    )
    folder = Path(config).parent / auxiliaryfunctions.get_training_set_folder(read)
    merged = pandas.read_hdf(next(folder.glob("CollectedData_*.h5")))
    said.append({
        "version": deeplabcut.__version__, "scorer": strict.scorer, "bodyparts": list(strict.bodyparts),
        "videos": [str(video) for video in read["video_sets"]],
        "crops": [value["crop"] for value in read["video_sets"].values()],
        "images": ["/".join(row) for row in merged.index],
        "points": [[None if v != v else v for v in row] for row in merged.to_numpy().tolist()],
    })
print("SAID " + json.dumps(said))
"""


@pytest.fixture(scope="module")
def deeplabcut() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    python = os.environ.get("RIGPOSE_DEEPLABCUT_PYTHON", cache / "rigpose" / "deeplabcut" / "bin" / "python")
    if not Path(python).exists():
        pytest.skip("no DeepLabCut: run tests/peers/deeplabcut_env.sh, or set RIGPOSE_DEEPLABCUT_PYTHON")
    return Path(python)


def ask(python: Path, *projects: Project) -> list[dict]:
    configs = [str(project.root / "config.yaml") for project in projects]
    done = subprocess.run(
        [python, "-c", READ, *configs], capture_output=True, text=True, check=False, timeout=850,
        env={**os.environ, "DLClight": "True", "MPLBACKEND": "Agg"}, cwd=projects[0].root,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.rpartition("SAID ")[2])


@pytest.mark.long
@pytest.mark.equipment
def test_deeplabcut_makes_training_sets_of_our_projects(tmp_path: Path, deeplabcut: Path) -> None:
    """One call: importing DeepLabCut takes longer than everything else here."""
    project = dot_project(tmp_path, count=8)
    project = add_videos(
        project, look_at_videos([video(tmp_path / "b.mkv")], [(2, 40, 4, 40)], project=project), copy=True
    )
    folder = project.root / "labeled-data" / "b"
    folder.mkdir()
    shutil.copy(project.root / "labeled-data" / "a" / "img0000.png", folder)
    write_labels(project, "b", ["img0000.png"], [[[5.5, 6], [np.nan, np.nan]]])
    (said,) = ask(deeplabcut, project)
    assert said["version"].startswith("3.")
    assert said["scorer"] == "Ada"
    assert said["bodyparts"] == ["light", "dark"]
    assert [Path(path).stem for path in said["videos"]] == ["a", "b"]
    assert said["crops"] == ["0, 96, 0, 64", "2, 40, 4, 40"]
    labels = read_labels(project)
    assert said["images"] == list(labels.images)
    theirs = np.array([[np.nan if v is None else v for v in row] for row in said["points"]])
    np.testing.assert_array_equal(theirs, labels.points.reshape(len(labels), -1))

    split = Split.load(find_shuffle(project, 7))
    assert split.train == tuple(labels.images[i] for i in (0, 2, 3))
    assert split.test == tuple(labels.images[i] for i in (1, 4))
    own = Split.load(find_shuffle(project, 1))
    own.check(labels, "DeepLabCut's own shuffle", "train")
    assert set(own.train) | set(own.test) == set(labels.images)
    assert len(own.test) >= 1


@pytest.mark.long
@pytest.mark.equipment
@pytest.mark.data
def test_deeplabcut_s_example_still_opens_after_us(tmp_path: Path, data_dir: Path, deeplabcut: Path) -> None:
    root = Path(shutil.copytree(data_dir / "openfield-Pranav-2018-10-30", tmp_path / "openfield"))
    project = Project.open(root)
    before = read_labels(project)
    project = add_videos(project, look_at_videos([*(root / "videos").glob("m4s1.*")], project=project))
    write_labels(
        project, "m4s1", [name.rsplit("/", 1)[1] for name in before.images], before.points
    )  # fmt: skip
    (said,) = ask(deeplabcut, project)
    assert said["images"] == list(before.images)
    np.testing.assert_array_equal(said["points"], before.points.reshape(len(before), -1))
    assert Split.load(find_shuffle(project, 7)).test == (before.images[1], before.images[4])
    assert len(Split.load(find_shuffle(project, 1)).test) == 6  # of 116, at a fraction of 0.95
