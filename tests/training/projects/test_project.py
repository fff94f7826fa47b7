"""Projects: DeepLabCut's layout, unknown keys kept, our own additions beside it."""

from __future__ import annotations

import datetime

import pytest
import yaml

from acquisition.errors import RigposeError
from training.projects.project import Project


def test_a_new_project_opens_as_it_was_made(tmp_path):
    made = Project.create(
        tmp_path, task="reach", scorer="Ada", keypoints=("hand_l", "hand_r", "nose"),
        skeleton=(("hand_l", "nose"),), date=datetime.date(2026, 3, 9),
    )  # fmt: skip
    assert made.root.name == "reach-Ada-2026-03-09"
    assert made.symmetric_pairs == (("hand_l", "hand_r"),)
    assert made.skeleton == (("hand_l", "nose"),)
    assert Project.open(made.root / "config.yaml") == Project.open(made.root) == made
    config = yaml.safe_load((made.root / "config.yaml").read_text())
    assert config["date"] == "Mar9"
    assert list(config)[:3] == ["Task", "scorer", "date"]
    assert list(config["bodyparts"]) == ["hand_l", "hand_r", "nose"]


def test_unknown_keys_comments_and_order_survive_a_change(tmp_path):
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("a",))
    file = project.root / "config.yaml"
    file.write_text("# mine\nsome_new_key: 3\n" + file.read_text().replace("video_sets: {}", "video_sets:"))
    changed = project.add_labelled_folder("clip", size_px=(640, 480), recording="day1")
    text = file.read_text()
    assert text.startswith("# mine\nsome_new_key: 3\nTask: t\n")
    assert changed.recordings == {"clip": "day1"}
    assert next(iter(yaml.safe_load(text)["video_sets"].values())) == {"crop": "0, 640, 0, 480"}
    again = changed.add_labelled_folder("clip", size_px=(640, 480), recording="day1")
    assert again == changed
    assert file.read_text() == text


def test_empty_values_and_bones_of_former_keypoints_are_no_errors(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "Task: x\nscorer: S\nidentity:\nmultianimalproject:\nbodyparts: [a, b]\n"
        "skeleton: [[a, b], [a, gone]]\n"
        "video_sets:\n  PLACEHOLDER:\n    crop: 0, 640, 0, 480\nproject_path: /nowhere\n"
    )
    project = Project.open(tmp_path)
    assert project.root == tmp_path
    assert project.skeleton == (("a", "b"),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Task: x\n", "bodyparts"),
        ("Task: [\n", "YAML"),
        ("- a\n", "mapping"),
    ],
)
def test_what_is_no_project_is_refused(tmp_path, content, says):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RigposeError, match=says):
        Project.open(tmp_path)
    with pytest.raises(RigposeError, match="project folder"):
        Project.open(tmp_path / "elsewhere")


def test_a_pair_of_an_unknown_keypoint_is_refused(tmp_path):
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("a", "b"))
    (project.root / "rigpose.yaml").write_text("symmetric_pairs: [[a, c]]\n")
    with pytest.raises(RigposeError, match="'c'"):
        Project.open(project.root)
    (project.root / "rigpose.yaml").write_text("symetric_pairs: [[a, b]]\n")
    with pytest.raises(RigposeError, match="symmetric_pairs"):
        Project.open(project.root)


def test_nothing_is_made_where_a_name_or_the_folder_cannot_be(tmp_path):
    with pytest.raises(RigposeError, match=r"\.\./x"):
        Project.create(tmp_path, task="../x", scorer="Ada", keypoints=("a",))
    with pytest.raises(RigposeError, match="each once"):
        Project.create(tmp_path, task="x", scorer="Ada", keypoints=("a", "a"))
    assert not any(tmp_path.iterdir())
    Project.create(tmp_path, task="x", scorer="Ada", keypoints=("a",))
    with pytest.raises(RigposeError, match="does not exist yet"):
        Project.create(tmp_path, task="x", scorer="Ada", keypoints=("a",))


def test_a_half_known_set_of_pairs_is_told_until_the_pairs_are_listed(tmp_path):
    keypoints = ("left_ear", "right_ear", "LF_paw", "nose")
    made = Project.create(tmp_path, task="t", scorer="Ada", keypoints=keypoints)
    assert (made.symmetric_pairs, made.one_sided) == ((("left_ear", "right_ear"),), ("LF_paw",))
    (made.root / "rigpose.yaml").write_text("symmetric_pairs: [[left_ear, right_ear]]\n")
    assert Project.open(made.root).one_sided == ()
