r"""An output is high while a keypoint is in a zone of the arena.

rig.yaml:
    outputs:
      reward: {uri: "trigger:line", keypoints: [nose], max_age_ms: 60, min_views: 2, max_on_ms: 80}

    rigpose live rig.yaml --model mouse.bundle --predict --processor-pose predicted \
        --processor examples/processors/zone_entry.py:ZoneEntry \
        --processor-options '{"output": "reward", "centre_mm": [120, 80, 0], "radius_mm": 40}'

With a calibration the zone is a ball in the world (centre_mm, radius_mm); without one a circle in the
image of the processor's camera (centre_px, radius_px).
"""

import csv
from pathlib import Path

import numpy as np


class ZoneEntry:
    """Entries are written to a CSV beside the recording."""

    def __init__(
        self, output, keypoint="nose", centre_mm=None, radius_mm=None, centre_px=None, radius_px=None
    ):
        if (centre_mm is None) == (centre_px is None):
            raise ValueError("give centre_mm and radius_mm, or centre_px and radius_px")
        self.output, self.keypoint = output, keypoint
        self.solid = centre_mm is not None
        self.centre = np.array(centre_mm if self.solid else centre_px, float)
        self.radius = float(radius_mm if self.solid else radius_px)
        self.inside = False
        self.entries = []

    def process(self, pose, moment, outputs, **kwargs):
        """High inside, low outside; NaN, a place nobody knows, is outside."""
        if self.solid:
            place = moment.xyz_mm(self.keypoint)
        else:
            place = pose[moment.session.keypoints.index(self.keypoint), :2]
        inside = bool(np.linalg.norm(place - self.centre) <= self.radius)
        if inside and not self.inside:
            self.entries.append((moment.index, moment.t_exposure_ns, *np.round(place, 2)))
        self.inside = inside
        outputs[self.output].set(inside)
        return pose

    def save(self, file):
        """Frame set, exposure (rig clock) and place of every entry."""
        with Path(f"{file}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["frame_set", "t_exposure_ns", *"xyz"[: len(self.centre)]])
            writer.writerows(self.entries)
        return 1
