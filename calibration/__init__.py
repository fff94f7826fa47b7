"""From board recordings to a calibrated rig, from 2D poses to 3D.

Owns the values `PoseSet`, `Pose3D` and `ImageTransform`. Imports acquisition only.
"""
