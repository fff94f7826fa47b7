"""The demo's annotator: labels frames of a recording as a patient person would.

It clicks the points that can be seen and leaves the others empty. It knows where they are from the
simulator's ground truth; everything after it sees an ordinary project.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from acquisition.recordings.recording import Recording
from acquisition.simulation.truth import Truth
from training.projects.labels import write_labels
from training.projects.project import Project
from training.projects.saved_frames import save_images


def labelled_frames(
    recording: Recording, truth: Truth, camera: str, sets: int
) -> Iterator[tuple[int, Image, npt.NDArray[np.float64]]]:
    """About `sets` frames of one camera, evenly over the recording.

    Yields
    ------
    Index of the frame set, image, points (K, 2) px with NaN for those that cannot be seen.
    """
    place = recording.cameras.index(camera)
    chosen = recording.frame_sets()
    chosen = chosen[:: max(1, len(chosen) // sets)]
    index_of_row = {each.payloads[place]: each.index for each in chosen if each.payloads[place] is not None}
    for row, image in enumerate(recording.images(camera)):
        if row in index_of_row and image is not None:
            index = index_of_row[row]
            points = truth.points_2d(camera, index)
            yield index, image, np.where(truth.visible(camera, index)[:, None], points, np.nan)


def label_recording(project: Project, folder: Path, truth: Truth, sets: int) -> int:
    """Put about `sets` labelled frame sets of a recording into the project; returns the images labelled."""
    images = 0
    with Recording.open(folder) as recording:
        for camera in recording.cameras:
            frames = list(labelled_frames(recording, truth, camera, sets))
            video = recording.video_path(camera).stem
            names = save_images(
                project, video, ((index, image) for index, image, _ in frames), recording=folder.name
            )
            write_labels(project, video, names, np.array([points for *_, points in frames]))
            images += len(names)
    return images
