"""Frames grabbed for labelling: in one folder all have one size."""

from __future__ import annotations

import pytest

from tests.training.films import write_film
from training.frames.extraction import extract_frames
from training.images import read_image
from training.labelling.videos import Videos
from training.projects.project import Project


@pytest.mark.parametrize(("crop", "size"), [(None, (48, 64)), ("config", (40, 32)), ("none yet", (48, 64))])
def test_a_frame_is_grabbed_in_the_size_of_those_that_are_there(tmp_path, crop, size):
    """config.yaml's crop applies with `rigpose frames --crop config` only."""
    project = Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose",))
    write_film(tmp_path / "open.mp4", 20)
    project = project.enter_videos({str(tmp_path / "open.mp4"): (8, 40, 4, 44)}, {})
    if crop != "none yet":
        extract_frames(project, mode="list", numbers=[3], crop=crop)
    videos = Videos(Project.open(project.root))
    (grabbed,) = videos.grab("open", 5)
    shapes = {read_image(file).shape for file in (project.root / "labeled-data" / "open").glob("*.png")}
    assert shapes == {size}
    assert grabbed.image == "img0005.png"
