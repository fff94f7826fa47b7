"""The points of one folder of frames, to its files."""

from __future__ import annotations

import numpy as np

from tests.training.labelling.desks import KEYPOINTS, make_project
from training.labelling.folder import load_folder, write_folder
from training.labelling.points import NOTHING, Point
from training.projects.labels import read_folder


def test_a_frame_on_which_nothing_is_to_be_seen_has_an_empty_row(tmp_path):
    """It is done, as one that nobody has looked at is not."""
    project = make_project(tmp_path)
    hidden = [Point(occluded=True)] * len(KEYPOINTS)
    points = {"img0000.png": hidden, "img0001.png": [*hidden[1:], NOTHING]}
    assert write_folder(project, "clip", points, set())[0] == {"img0000.png"}
    labels = read_folder(project, "clip")
    assert labels.images == ("labeled-data/clip/img0000.png",) and np.isnan(labels.points).all()
    folder = load_folder(project, "clip")
    assert folder.rows == {"img0000.png"} and folder.counts("img0000.png") == (len(KEYPOINTS), 0)
