"""From a trigger pulse to frames in memory and on disk, with proof.

The lowest floor of the house: camera ports and drivers, clocks, frame sets, the ring,
recording, supervision and the simulated rig. It owns the values `Frame` and `FrameSet`.
"""
