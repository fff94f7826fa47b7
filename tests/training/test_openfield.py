"""A real DeepLabCut project, opened as it is; tests/rigpose/test_openfield.py trains on it."""

from __future__ import annotations

import pytest

from training.projects.labels import read_labels
from training.projects.project import Project

PROJECT = "openfield-Pranav-2018-10-30"


@pytest.mark.data
def test_the_project_opens_as_it_is(data_dir):
    project = Project.open(data_dir / PROJECT)
    labels = read_labels(project)
    assert project.keypoints == ("snout", "leftear", "rightear", "tailbase")
    assert project.symmetric_pairs == (("leftear", "rightear"),)
    assert labels.points.shape == (116, 4, 2)
    assert 10 < labels.points[..., 0].min() < labels.points[..., 0].max() < 237
