r"""A TTL pulse through the trigger's output line when the animal rears up.

rig.yaml:
    outputs:
      stimulus: {uri: "trigger:line", keypoints: [nose], max_age_ms: 50, min_views: 2, max_on_ms: 20}

    rigpose live rig.yaml --model mouse.bundle --calibration calibration.toml --record sessions/mouse-7 \
        --processor examples/processors/ttl.py:RearingPulse --processor-options '{"height_mm": 60}'

The pulse is as long as `max_on_ms`: the output falls by itself. It is given once a rearing: the animal has
to come down before the next one. Every pulse is in the session's events with the frame set it was decided on.
"""


class RearingPulse:
    """One pulse when a keypoint rises above a height."""

    def __init__(self, output="stimulus", keypoint="nose", height_mm=60.0, hysteresis_mm=5.0):
        self.output, self.keypoint = output, keypoint
        self.height_mm, self.hysteresis_mm = height_mm, hysteresis_mm
        self.up = False

    def process(self, pose, moment, outputs, **kwargs):
        """NaN compares as neither above nor below: nothing changes while the place is not known."""
        height_mm = float(moment.xyz_mm(self.keypoint)[2])
        if not self.up and height_mm > self.height_mm:
            self.up = True
            outputs[self.output].set(True, f"{height_mm:.1f} mm")
        elif self.up and height_mm < self.height_mm - self.hysteresis_mm:
            self.up = False
            outputs[self.output].set(False)  # after it fell by itself: ready for the next
        return pose

    def save(self, file):
        """Nothing to keep: the session's events have it."""
        return 1
