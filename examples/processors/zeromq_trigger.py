r"""A message over ZeroMQ when the animal is fast: for Bonsai, a Raspberry Pi, another program.

rig.yaml:
    outputs:
      fast: {uri: "zmq-pub:tcp://127.0.0.1:5560", keypoints: [neck], max_age_ms: 60, max_on_ms: 1000}

    rigpose live rig.yaml --model mouse.bundle --calibration calibration.toml --smooth kalman \
        --processor-pose filtered --processor examples/processors/zeromq_trigger.py:SpeedTrigger

A subscriber of topic "output" gets JSON, `{"on": true, "frame_set": 812, ..., "note": "412 mm/s"}`, and the
state alone ten times a second: a receiver that hears nothing for half a second should fall safe. With
`zmq-req:` a device is asked instead, and has 50 ms to answer.
"""

import numpy as np


class SpeedTrigger:
    """High while a keypoint is faster than a limit."""

    def __init__(self, output="fast", keypoint="neck", limit_mm_s=300.0):
        self.output, self.keypoint, self.limit_mm_s = output, keypoint, limit_mm_s
        self.before = None

    def process(self, pose, moment, outputs, **kwargs):
        """The speed between this pose and the one before."""
        place, t_ns = np.array(moment.xyz_mm(self.keypoint)), moment.t_valid_ns
        speed_mm_s = np.nan
        if self.before is not None and t_ns > self.before[1]:
            speed_mm_s = np.linalg.norm(place - self.before[0]) / (t_ns - self.before[1]) * 1e9
        self.before = place, t_ns
        outputs[self.output].set(speed_mm_s > self.limit_mm_s, f"{speed_mm_s:.0f} mm/s")
        return pose

    def save(self, file):
        """Nothing to keep: the session's events have it."""
        return 1
